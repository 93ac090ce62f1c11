//! Containers whose system calls this kernel never sees: gVisor answers them in a process of its own, and
//! Kata runs the container in a virtual machine. What is seen on the host is the sandbox and not the
//! workload, so a profile of it would be of the wrong program.
//!
//! Signs, each measured or read in the sources:
//! - runsc keeps `SANDBOX_sandbox:ID.state` for each container in the directory that `--root` names
//!   (runsc/container/state_file.go), and its sandbox is a process called `runsc-sandbox` whose last
//!   argument is the id (runsc/sandbox/sandbox.go).
//! - containerd keeps the path of a task's shim in `shim-binary-path` of its bundle (since 1.7,
//!   pkg/shim), and a shim has the id after `-id` among its arguments.
//! - Kata keeps `/run/vc/sbs/SANDBOX` (src/runtime/virtcontainers/persist).

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use super::{
    files::{Files, Id},
    path::identify,
};

/// What runs the tasks of a container in place of this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sandbox {
    /// gVisor.
    GVisor,
    /// Kata Containers.
    Kata,
}

impl Sandbox {
    /// What becomes of the workload's system calls.
    pub const fn consequence(self) -> &'static str {
        match self {
            Self::GVisor => {
                "gVisor answers its system calls itself, and this kernel sees those of gVisor only"
            }
            Self::Kata => {
                "it runs on a kernel of its own in a virtual machine, and this kernel sees the machine only"
            }
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GVisor => "gVisor",
            Self::Kata => "Kata Containers",
        })
    }
}

/// A container that such a sandbox runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandboxed {
    /// Its id.
    pub id: String,
    /// What runs it.
    pub sandbox: Sandbox,
    /// What was found that says so.
    pub sign: String,
}

impl fmt::Display for Sandboxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is a container of {} ({}): {}",
            self.id,
            self.sandbox,
            self.sign,
            self.sandbox.consequence()
        )
    }
}

/// The directories in which runsc keeps its state, or in which it has a directory for each namespace.
const RUNSC_ROOTS: [&str; 2] = ["/run/runsc", "/var/run/runsc"];
const RUNSC_NAMESPACES: [&str; 3] = [
    "/run/containerd/runsc",
    "/run/docker/runtime-runsc",
    "/run/docker/runtime-io.containerd.runsc.v1",
];

/// The directories in which containerd has a directory of tasks for each namespace.
const TASKS: [&str; 2] = [
    "/run/containerd/io.containerd.runtime.v2.task",
    "/run/k3s/containerd/io.containerd.runtime.v2.task",
];

/// The directories in which Kata has one for each sandbox.
const KATA: [&str; 2] = ["/run/vc/sbs", "/run/kata-containers/shared/sandboxes"];

/// The sandbox of a container, as far as files say it.
pub(super) fn of_files(files: &Files, id: &Id) -> Option<Sandboxed> {
    let found = |sandbox, sign| Sandboxed {
        id: id.as_str().to_owned(),
        sandbox,
        sign,
    };
    for tasks in TASKS {
        for namespace in files.ids(Path::new(tasks)) {
            let file = Path::new(tasks)
                .join(namespace.as_str())
                .join(id.as_str())
                .join("shim-binary-path");
            if let Ok(Some(shim)) = files.text(&file)
                && let Some(sandbox) = of_shim(shim.trim())
            {
                return Some(found(sandbox, format!("its shim is {:?}", shim.trim())));
            }
        }
    }
    let namespaces = RUNSC_NAMESPACES.into_iter().flat_map(|parent| {
        let ids = files.ids(Path::new(parent)).into_iter();
        ids.map(move |namespace| Path::new(parent).join(namespace.as_str()))
    });
    let mut roots = RUNSC_ROOTS.map(PathBuf::from).into_iter().chain(namespaces);
    if let Some(sign) = roots.find_map(|root| runsc_state(files, &root, id.as_str())) {
        return Some(found(Sandbox::GVisor, sign));
    }
    let kata = KATA.map(|parent| Path::new(parent).join(id.as_str()));
    let kata = kata.into_iter().find(|path| files.is_directory(path))?;
    Some(found(Sandbox::Kata, format!("Kata keeps {kata:?}")))
}

/// The state file of a container in a directory of runsc's.
fn runsc_state(files: &Files, root: &Path, id: &str) -> Option<String> {
    let suffix = format!("_sandbox:{id}.state");
    let at = files.at(root).ok()?;
    let mut entries = fs::read_dir(at)
        .ok()?
        .take(super::files::MAX_ENTRIES)
        .flatten();
    let name = entries.find_map(|entry| {
        let name = entry.file_name();
        let name = name.to_str()?;
        name.ends_with(&suffix).then(|| name.to_owned())
    })?;
    Some(format!("runsc keeps {:?}", root.join(name)))
}

/// What a shim runs, by its file's name.
fn of_shim(path: &str) -> Option<Sandbox> {
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.starts_with("containerd-shim-runsc-") {
        Some(Sandbox::GVisor)
    } else if name.starts_with("containerd-shim-kata-") {
        Some(Sandbox::Kata)
    } else {
        None
    }
}

/// All containers that processes of sandboxes tell of: those of a runsc with a directory of its own are
/// found by this only.
pub fn running(files: &Files) -> Vec<Sandboxed> {
    let pids = files.ids(Path::new("/proc"));
    let pids = pids
        .iter()
        .filter(|pid| pid.as_str().bytes().all(|b| b.is_ascii_digit()));
    pids.filter_map(|pid| of_process(files, &Path::new("/proc").join(pid.as_str())))
        .collect()
}

fn of_process(files: &Files, process: &Path) -> Option<Sandboxed> {
    let arguments = files.text(&process.join("cmdline")).ok()??;
    let arguments: Vec<_> = arguments.split('\0').filter(|it| !it.is_empty()).collect();
    let name = arguments.first()?.rsplit('/').next()?;
    let (sandbox, id) = if name == "runsc-sandbox" {
        (Sandbox::GVisor, *arguments.last()?)
    } else {
        let at = arguments.iter().position(|it| *it == "-id")?;
        (of_shim(name)?, *arguments.get(at + 1)?)
    };
    let id = Id::new(id).ok()?;
    // A process says of itself what it likes: one in another container has no word in this.
    let cgroup = files.text(&process.join("cgroup")).ok()??;
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"));
    let is_of_another = path
        .and_then(identify)
        .is_some_and(|container| container.id != id.as_str());
    (!is_of_another).then(|| Sandboxed {
        id: id.as_str().to_owned(),
        sandbox,
        sign: format!("the process {name:?} runs it"),
    })
}

/// Whether a command is the runtime of such a sandbox itself, by its program's file.
pub fn of_program(path: &Path) -> Option<Sandbox> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    [path, &real].into_iter().find_map(|path| {
        let name = path.file_name()?.to_str()?;
        match name {
            "runsc" => Some(Sandbox::GVisor),
            "kata-runtime" => Some(Sandbox::Kata),
            other => of_shim(other),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn of(file: &str, text: &str, id: &str) -> Option<Sandbox> {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), file, text);
        let id = Id::new(id).unwrap();
        of_files(&Files::new(root.path()), &id).map(|it| it.sandbox)
    }

    #[test]
    fn state_and_shims_say_what_runs_a_container() {
        let shim =
            format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/shim-binary-path");
        let state = |root: &str| format!("{root}/pod1_sandbox:{ID}.state");
        for (file, text, expected) in [
            (
                shim.clone(),
                "/usr/bin/containerd-shim-runsc-v1",
                Some(Sandbox::GVisor),
            ),
            (
                shim.clone(),
                "/opt/kata/bin/containerd-shim-kata-v2\n",
                Some(Sandbox::Kata),
            ),
            (shim, "/usr/bin/containerd-shim-runc-v2", None),
            (state("/run/runsc"), "{}", Some(Sandbox::GVisor)),
            (
                state("/run/containerd/runsc/k8s.io"),
                "{}",
                Some(Sandbox::GVisor),
            ),
            (
                state("/run/docker/runtime-runsc/moby"),
                "{}",
                Some(Sandbox::GVisor),
            ),
            (
                format!("/run/vc/sbs/{ID}/persist.json"),
                "{}",
                Some(Sandbox::Kata),
            ),
            (format!("/run/runc/{ID}/state.json"), "{}", None),
        ] {
            assert_eq!(of(&file, text, ID), expected, "{file}");
            assert_eq!(of(&file, text, "another"), None, "{file}");
        }
    }

    #[test]
    fn processes_tell_of_sandboxes_with_directories_of_their_own() {
        // As runsc 20221219 and containerd 1.7 have them.
        let sandbox = "runsc-sandbox\0--root=/tmp/ST\0boot\0--bundle=B\0--spec-fd=7\0web\0";
        let gofer = "runsc-gofer\0--root=/tmp/ST\0gofer\0--bundle\0B\0";
        let shim =
            format!("/opt/kata/bin/containerd-shim-kata-v2\0-namespace\0k8s.io\0-id\0{ID}\0");
        let found = |arguments: &str, cgroup: &str| {
            let root = tempfile::tempdir().unwrap();
            write(root.path(), "/proc/71/cmdline", arguments);
            write(root.path(), "/proc/71/cgroup", &format!("0::{cgroup}\n"));
            write(root.path(), "/proc/sys/x", "");
            let all = running(&Files::new(root.path()));
            all.into_iter().map(|it| (it.id, it.sandbox)).next()
        };
        let web = Some(("web".to_owned(), Sandbox::GVisor));
        assert_eq!(found(sandbox, "/"), web);
        assert_eq!(found(gofer, "/"), None);
        assert_eq!(
            found(&shim, "/system.slice/containerd.service"),
            Some((ID.to_owned(), Sandbox::Kata))
        );
        assert_eq!(found("nginx\0web\0", "/"), None);
        // A workload that calls itself so speaks of itself only.
        let other = format!("/system.slice/docker-{}.scope", ID.replace('0', "f"));
        assert_eq!(found(sandbox, &other), None);
    }

    #[test]
    fn runtimes_are_known_by_their_files() {
        for (path, expected) in [
            ("/usr/bin/runsc", Some(Sandbox::GVisor)),
            ("/opt/kata/bin/kata-runtime", Some(Sandbox::Kata)),
            ("containerd-shim-runsc-v1", Some(Sandbox::GVisor)),
            ("/usr/sbin/runc", None),
        ] {
            assert_eq!(of_program(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn the_sentence_says_what_was_found() {
        let it = Sandboxed {
            id: "web".to_owned(),
            sandbox: Sandbox::GVisor,
            sign: "the process \"runsc-sandbox\" runs it".to_owned(),
        };
        assert_eq!(
            it.to_string(),
            "\"web\" is a container of gVisor (the process \"runsc-sandbox\" runs it): gVisor answers its system calls itself, and this kernel sees those of gVisor only"
        );
    }
}
