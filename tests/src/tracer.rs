//! The program under test.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Result, bail, ensure};

use crate::{
    process::{Finished, Running},
    programs::target_dir,
    recording::Recording,
};

/// Names the program, where it is not in the target directory.
const TRACER_BIN: &str = "TRACER_BIN";

/// The `PATH` of every program that the tests start, and where they look for them themselves.
///
/// The system's own programs come first: `execvp` then succeeds at its first try, without which
/// strace keeps calling a thread by its old name (strace 6.1, `-Y`).
pub const PATH: &str = "/usr/bin:/usr/sbin:/bin:/sbin:/usr/local/bin:/usr/local/sbin";

/// The path of the built program.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os(TRACER_BIN) {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "{TRACER_BIN} names {}, which is no file",
            path.display()
        );
        return Ok(path.canonicalize()?);
    }
    // The one that was built last is what its developer means.
    let built = ["release", "debug"]
        .map(|profile| target_dir().join(profile).join("tracer"))
        .into_iter()
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max();
    if let Some((_, path)) = built {
        return Ok(path.canonicalize()?);
    }
    bail!("there is no tracer to test: run `cargo xtask build --release`, or set {TRACER_BIN}")
}

/// `tracer` with the environment of every recorded program: little, and the same everywhere.
///
/// # Errors
/// When there is no program to test.
pub fn command() -> Result<Command> {
    let mut command = Command::new(binary()?);
    plain_environment(&mut command).stdin(Stdio::null());
    Ok(command)
}

/// Gives a command an environment that does not depend on who runs the tests.
pub fn plain_environment(command: &mut Command) -> &mut Command {
    command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/")
        .env("LANG", "C")
}

/// What the recording of a command writes, in order: with files, or without in the virtual machine.
pub fn written() -> &'static [&'static str] {
    if env::var_os("TRACER_VM").is_some() {
        &[
            "REVIEW.md",
            "kubernetes/seccompprofile.yaml",
            "kubernetes/securitycontext.yaml",
            "recording.json",
            "seccomp.json",
        ]
    } else {
        &[
            "REVIEW.md",
            "apparmor.profile",
            "capabilities.engine.args",
            "capabilities.kubernetes.yaml",
            "capabilities.systemd.conf",
            "kubernetes/apparmorprofile.yaml",
            "kubernetes/seccompprofile.yaml",
            "kubernetes/securitycontext.yaml",
            "recording.json",
            "seccomp.json",
        ]
    }
}

/// A `tracer record` to be run.
#[derive(Debug)]
pub struct Record {
    command: Command,
    output: PathBuf,
    name: String,
    /// Whether system calls alone are recorded.
    calls_alone: bool,
}

impl Record {
    /// Writes to `<output>/<name>`.
    ///
    /// # Errors
    /// When there is no program to test.
    pub fn new(output: &Path, name: &str) -> Result<Self> {
        let mut command = command()?;
        command
            .args(["record", "--replace", "--name", name, "--output-dir"])
            .arg(output);
        Ok(Self {
            command,
            output: output.to_owned(),
            name: name.to_owned(),
            // In the emulated machine the verifier takes half a minute for the programs that see files.
            calls_alone: env::var_os("TRACER_VM").is_some(),
        })
    }

    /// Records all containers, each into a directory of its workload's name.
    ///
    /// # Errors
    /// When there is no program to test.
    pub fn for_all(output: &Path) -> Result<Self> {
        let mut command = command()?;
        command.args(["record", "--all", "--output"]).arg(output);
        Ok(Self {
            command,
            output: output.to_owned(),
            name: String::new(),
            calls_alone: env::var_os("TRACER_VM").is_some(),
        })
    }

    /// Records files and the like in the virtual machine too.
    #[must_use]
    pub fn with_files(mut self) -> Self {
        self.calls_alone = false;
        self
    }

    /// Adds an option.
    #[must_use]
    pub fn option(mut self, option: impl AsRef<OsStr>) -> Self {
        self.command.arg(option);
        self
    }

    /// Lets the caller change the command: its directory, its streams.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Says what to record: a command.
    #[must_use]
    pub fn of<S: AsRef<OsStr>>(mut self, argv: impl IntoIterator<Item = S>) -> Self {
        self.leave_files_out();
        self.command.arg("--").args(argv);
        self
    }

    /// Says what to record: a cgroup that exists.
    #[must_use]
    pub fn of_cgroup(mut self, path: &Path) -> Self {
        self.leave_files_out();
        self.command.arg("--cgroup").arg(path);
        self
    }

    fn leave_files_out(&mut self) {
        if self.calls_alone {
            self.command.arg("--accesses=none");
        }
    }

    /// The command line, and what it will write, for a caller that runs it itself.
    pub fn into_command_line(self) -> (Vec<OsString>, Recorded) {
        let words = [self.command.get_program()]
            .into_iter()
            .chain(self.command.get_args())
            .map(OsStr::to_owned)
            .collect();
        let directory = self.output.join(&self.name);
        (words, Recorded { directory })
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut self) -> Result<Recorder> {
        Ok(Recorder {
            running: Running::spawn(&mut self.command)?,
            result: Recorded {
                directory: self.output.join(&self.name),
            },
        })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub fn run(self) -> Result<(Finished, Recorded)> {
        self.start()?.finish()
    }
}

/// A running `tracer record`.
#[derive(Debug)]
pub struct Recorder {
    /// The process.
    pub running: Running,
    result: Recorded,
}

impl Recorder {
    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn finish(self) -> Result<(Finished, Recorded)> {
        Ok((self.running.wait()?, self.result))
    }

    /// [`Self::finish`] with a patience of its own.
    ///
    /// # Errors
    /// When it does not end.
    pub fn finish_within(self, patience: Duration) -> Result<(Finished, Recorded)> {
        Ok((self.running.wait_within(patience)?, self.result))
    }

    /// The memory that it takes, in bytes, without what it has mapped of its program.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<u64> {
        self.running.resident()
    }

    /// Waits until it has attached to its cgroup.
    ///
    /// # Errors
    /// When it ends, or too much time goes by.
    pub fn until_attached(&mut self) -> Result<()> {
        self.running.until_stderr("recording")
    }
}

/// The directory that a `tracer record` writes.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its path.
    pub directory: PathBuf,
}

impl Recorded {
    /// The recording in it.
    ///
    /// # Errors
    /// When there is none, or it is not of the documented format.
    pub fn recording(&self) -> Result<Recording> {
        Recording::read(&self.directory.join("recording.json"))
    }

    /// The path of the profile.
    pub fn profile(&self) -> PathBuf {
        self.directory.join("seccomp.json")
    }
}
