//! Containers: the machine's own programs, under a seccomp profile, in an OCI runtime.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    bundle, cgroup, process,
    requires::{Need, program, which},
    scratch::{Scratch, unique},
};

/// Names the programs of newer runtimes, in a list like `PATH`.
pub(crate) const RUNTIMES: &str = "TRACER_RUNTIMES";

/// An OCI runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// The reference implementation.
    Runc,
    /// The one in C.
    Crun,
}

impl Runtime {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }

    /// What it needs of the machine.
    pub fn need(self) -> Need {
        match self {
            Self::Runc => program::RUNC,
            Self::Crun => program::CRUN,
        }
    }

    /// The shell command that shows it cgroup v2 alone, where it needs that: crun runs on v2 only (crun 1.8,
    /// `libcrun/cgroup.c`).
    ///
    /// # Errors
    /// When the mount table cannot be read.
    pub fn mount_only_v2(self) -> Result<&'static str> {
        Ok(if self == Self::Crun && cgroup::is_hybrid()? {
            "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup;"
        } else {
            ""
        })
    }

    /// The flag that makes it create cgroups itself.
    pub fn manager_flag(self) -> &'static str {
        match self {
            Self::Runc => "",
            Self::Crun => "--cgroup-manager=cgroupfs",
        }
    }
}

/// The programs of runtimes that are here: the machine's own, and those that `cargo xtask test`
/// fetched and names in `TRACER_RUNTIMES`, a list like `PATH`. Each with its version, without what a
/// distribution adds to it.
///
/// # Errors
/// When one of them does not run.
pub fn programs() -> Result<Vec<(Runtime, String, PathBuf)>> {
    let named = env::var_os(RUNTIMES).unwrap_or_default();
    let own = [Runtime::Runc, Runtime::Crun].map(|runtime| which(runtime.name()));
    let paths = own.into_iter().flatten().chain(env::split_paths(&named));
    let mut programs = Vec::new();
    for path in paths.filter(|path| !path.as_os_str().is_empty()) {
        let said = process::run(Command::new(&path).arg("--version"))?
            .success()?
            .text();
        let (runtime, version) =
            identity(&said).with_context(|| format!("{}: {said}", path.display()))?;
        programs.push((runtime, version.to_owned(), path));
    }
    Ok(programs)
}

/// `runc version 1.1.15+ds1`.
fn identity(said: &str) -> Option<(Runtime, &str)> {
    let (name, rest) = said.lines().next()?.split_once(" version ")?;
    let runtime = [Runtime::Runc, Runtime::Crun]
        .into_iter()
        .find(|runtime| runtime.name() == name)?;
    let version = rest
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()?;
    Some((runtime, version))
}

/// A container that can be run once: its root is the machine's own, read-only but for one directory.
#[derive(Debug)]
pub struct Container {
    runtime: Runtime,
    /// The runtime's program.
    program: PathBuf,
    id: String,
    scratch: Scratch,
    /// Its state is where the runtime has it by default, for all to see.
    public: bool,
}

impl Container {
    /// Describes a container that runs `argv` in `writable`, with `seccomp` as its profile, if it is not
    /// null.
    ///
    /// # Errors
    /// When the bundle cannot be written.
    pub fn new(
        runtime: Runtime,
        argv: &[PathBuf],
        writable: &Path,
        seccomp: &Value,
        no_new_privileges: bool,
    ) -> Result<Self> {
        let scratch = Scratch::new()?;
        let root = scratch.dir("root")?;
        let bundle = scratch.dir("bundle")?;
        let spec = bundle::spec(&root, argv, writable, seccomp, no_new_privileges);
        fs::write(
            bundle.join("config.json"),
            serde_json::to_vec_pretty(&spec)?,
        )?;
        Ok(Self {
            runtime,
            program: runtime.name().into(),
            // So that a beginning of it can be as unique as the whole.
            id: unique("tracer-e2e") + "-container",
            scratch,
            public: false,
        })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Uses another program of the runtime than the one on the `PATH`.
    #[must_use]
    pub fn by(mut self, program: &Path) -> Self {
        self.program = program.to_owned();
        self
    }

    /// Lets the runtime keep its state where others look for it.
    #[must_use]
    pub fn in_public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Adds annotations, as a container engine does.
    ///
    /// # Errors
    /// When the bundle cannot be written.
    pub fn annotated(self, annotations: &[(&str, &str)]) -> Result<Self> {
        self.amended(|spec| {
            spec["annotations"] = annotations
                .iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value)))
                .collect::<serde_json::Map<_, _>>()
                .into();
        })
    }

    /// Runs it as a user. One that is not root could gain the capabilities of the bounding set but has
    /// none, as container engines do it.
    ///
    /// # Errors
    /// When the bundle cannot be written.
    pub fn as_user(self, uid: u32) -> Result<Self> {
        self.amended(|spec| {
            let process = &mut spec["process"];
            process["user"] = json!({ "uid": uid, "gid": uid });
            if uid != 0 {
                let bounding = process["capabilities"]["bounding"].take();
                process["capabilities"] = json!({ "bounding": bounding });
            }
        })
    }

    fn amended(self, amend: impl FnOnce(&mut Value)) -> Result<Self> {
        let path = self.scratch.join("bundle").join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&path)?)?;
        amend(&mut spec);
        fs::write(path, serde_json::to_vec_pretty(&spec)?)?;
        Ok(self)
    }

    /// Gives it an id of the test's choice.
    #[must_use]
    pub fn named(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// Its `config.json`.
    pub fn config(&self) -> PathBuf {
        self.scratch.join("bundle").join("config.json")
    }

    /// Lets the caller change its `config.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn edited(self, edit: impl FnOnce(&mut Value)) -> Result<Self> {
        let mut spec: Value = serde_json::from_slice(&fs::read(self.config())?)?;
        edit(&mut spec);
        fs::write(self.config(), serde_json::to_vec(&spec)?)?;
        Ok(self)
    }

    /// Its runtime, with these words behind the options that it needs here.
    ///
    /// # Errors
    /// When the mount table cannot be read.
    pub fn tool(&self, words: &[&str]) -> Result<Command> {
        let line = self.script("shift 2; exec $runtime \"$@\"")?;
        let mut command = Command::new("unshare");
        command
            .args(&line[1..])
            .args(words)
            .stdin(std::process::Stdio::null());
        Ok(command)
    }

    /// The command line that runs it and ends with its status.
    ///
    /// # Errors
    /// When the mount table cannot be read.
    pub fn command_line(&self) -> Result<Vec<PathBuf>> {
        self.script("exec $runtime run --pid-file \"$1/pid\" -b \"$1/bundle\" $id")
    }

    /// The command line that creates it, starts it as container engines do, executes `argv` in it,
    /// and deletes it.
    ///
    /// # Errors
    /// When the mount table cannot be read.
    pub fn command_line_to_enter(&self, argv: &str) -> Result<Vec<PathBuf>> {
        self.script(&format!(
            "$runtime create --pid-file \"$1/pid\" -b \"$1/bundle\" $id
             $runtime start $id
             $runtime exec $id {argv}
             $runtime delete --force $id",
        ))
    }

    /// A shell that does `then`. Everything is mounted in a mount namespace of its own and goes away
    /// with it.
    fn script(&self, then: &str) -> Result<Vec<PathBuf>> {
        let only_v2 = self.runtime.mount_only_v2()?;
        let manager = self.runtime.manager_flag();
        let script = format!(
            "set -e; {only_v2} mount --bind / \"$1/root\"
             runtime=\"$2 {manager} {state}\" id={id}
             {then}",
            state = if self.public { "" } else { "--root $1/state" },
            id = self.id,
        );
        Ok(["unshare", "-m", "sh", "-c", &script, "sh"]
            .into_iter()
            .map(PathBuf::from)
            .chain([self.scratch.path().to_owned(), self.program.clone()])
            .collect())
    }

    /// Where the runtime writes the process id, as seen from outside.
    pub fn pid_file(&self) -> PathBuf {
        self.scratch.join("pid")
    }
}

impl Drop for Container {
    /// Deletes what the runtime left of it: nothing, unless the test gave up on it.
    fn drop(&mut self) {
        let state = if self.public {
            Path::new("/run").join(self.runtime.name())
        } else {
            self.scratch.join("state")
        };
        if state.join(&self.id).exists() {
            let _ = process::run(
                Command::new(&self.program)
                    .arg("--root")
                    .arg(state)
                    .args(["delete", "--force", &self.id]),
            );
        }
    }
}
