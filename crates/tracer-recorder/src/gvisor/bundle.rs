//! What a container's bundle says of it: what it is called, where its first program is, and whether it has a
//! profile.

use std::{
    ffi::OsStr,
    fs::File,
    os::{
        fd::AsRawFd as _,
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde_json::Value;

use crate::container::{AnnotationInfo, Files};

/// Where runtimes and shims keep the bundles of containers, below which each namespace has a directory.
const TASKS: [&str; 2] = [
    "/run/containerd/io.containerd.runtime.v2.task",
    "/run/k3s/containerd/io.containerd.runtime.v2.task",
];

/// A bundle.
#[derive(Clone, Debug, Default)]
pub(super) struct Bundle {
    /// Its root file system.
    root: PathBuf,
    /// `PATH` of its first process.
    search_path: Option<String>,
    /// Whether it has a seccomp profile.
    pub(super) has_profile: bool,
    /// What its engine says of it.
    pub(super) annotations: AnnotationInfo,
}

impl Bundle {
    /// The bundle in a directory; `None` when its `config.json` cannot be read.
    pub(super) fn read(directory: &Path) -> Option<Self> {
        let directory = std::path::absolute(directory).ok()?;
        let files = Files::new("/");
        let config = files.json(&directory.join("config.json"), None).ok()??;
        let root = config.pointer("/root/path")?.as_str()?;
        let profile = config.pointer("/linux/seccomp");
        let annotations = config.get("annotations").cloned();
        let annotations = annotations.and_then(|it| serde_json::from_value(it).ok());
        Some(Self {
            root: directory.join(root),
            search_path: search_path(&config),
            has_profile: profile.is_some_and(|profile| !profile.is_null()),
            annotations: AnnotationInfo::read(&annotations.unwrap_or_default()),
        })
    }

    /// What stands for the bundle of `runsc do`, whose container has this machine's files.
    pub(super) fn of_this_machine() -> Self {
        Self {
            root: "/".into(),
            search_path: std::env::var("PATH").ok(),
            ..Self::default()
        }
    }

    /// The bundle that containerd keeps for a container.
    pub(super) fn of_containerd(id: &str) -> Option<Self> {
        let files = Files::new("/");
        TASKS.iter().map(Path::new).find_map(|tasks| {
            let namespaces = files.ids(tasks).into_iter();
            let mut bundles = namespaces.map(|it| tasks.join(it.as_str()).join(id));
            bundles.find_map(|bundle| Self::read(&bundle))
        })
    }

    /// The file of a program as it is called in `cwd`, with links resolved inside of the root.
    pub(super) fn program(&self, name: &[u8], cwd: &[u8]) -> Option<Vec<u8>> {
        let name = Path::new(OsStr::from_bytes(name));
        let cwd = Path::new(OsStr::from_bytes(cwd));
        let root = File::open(&self.root).ok()?;
        if name.as_os_str().as_bytes().contains(&b'/') {
            return resolve(&root, &cwd.join(name));
        }
        let search_path = self.search_path.as_deref().unwrap_or(DEFAULT_PATH);
        let mut directories = search_path.split(':');
        directories.find_map(|directory| resolve(&root, &cwd.join(directory).join(name)))
    }
}

fn search_path(config: &Value) -> Option<String> {
    let variables = config.pointer("/process/env")?.as_array()?;
    let mut texts = variables.iter().filter_map(Value::as_str);
    texts
        .find_map(|text| text.strip_prefix("PATH="))
        .map(str::to_owned)
}

/// Where Go looks when there is no `PATH` (runsc/boot: sentry/fsimpl/user, `ResolveExecutablePath`).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The path of a file below `root`, without links. Nothing leads out of `root` (openat2(2), `RESOLVE_IN_ROOT`).
fn resolve(root: &File, path: &Path) -> Option<Vec<u8>> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(root, path, flags, Mode::empty(), within).ok()?;
    let file = File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let real = |file: &File| std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let (base, whole) = (real(root).ok()?, real(&file).ok()?);
    let below = whole.strip_prefix(&base).ok()?;
    Some(Path::new("/").join(below).into_os_string().into_vec())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn programs_are_resolved_inside_of_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("rootfs");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/busybox"), "").unwrap();
        symlink("busybox", root.join("bin/sh")).unwrap();
        symlink("/bin/busybox", root.join("bin/ls")).unwrap();
        symlink("../../../../bin/busybox", root.join("bin/up")).unwrap();
        let config = serde_json::json!({
            "root": { "path": "rootfs" },
            "process": { "env": ["A=b", "PATH=/sbin:/bin"] },
        });
        fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        let bundle = Bundle::read(directory.path()).unwrap();
        let program = |name: &str, cwd: &str| {
            let found = bundle.program(name.as_bytes(), cwd.as_bytes());
            found.map(|path| String::from_utf8(path).unwrap())
        };
        let busybox = Some("/bin/busybox".to_owned());
        for name in ["sh", "ls", "up", "/bin/sh", "bin/sh"] {
            assert_eq!(program(name, "/"), busybox, "{name}");
        }
        assert_eq!(program("./sh", "/bin"), busybox);
        assert_eq!(program("nowhere", "/"), None);
        assert_eq!(program("/bin", "/"), None);
        assert!(!bundle.has_profile);
    }
}
