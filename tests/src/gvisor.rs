//! gVisor: the versions of runsc that are here, and guests that run the machine's own programs.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    process::{Finished, Running},
    requires::which,
    scratch::{Scratch, unique},
    tracer,
};

/// Names the programs of runsc, in a list like `PATH`.
pub(crate) const RUNSC: &str = "TRACER_RUNSC";

/// Where a guest may write: a file system of its own.
pub const WRITABLE: &str = "/mnt";

/// What a server needs that changes its user.
const CAPABILITIES: [&str; 5] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
];

/// How long a guest may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// A runsc, and how it runs guests.
#[derive(Clone, Debug)]
pub struct Runsc {
    /// The program.
    pub program: PathBuf,
    /// `ptrace` or `systrap`.
    pub platform: &'static str,
}

/// The programs: those that `cargo xtask test` fetched, and else the machine's own.
pub(crate) fn programs() -> Vec<PathBuf> {
    let named = env::var_os(RUNSC).unwrap_or_default();
    let mut programs: Vec<_> = env::split_paths(&named)
        .filter(|path| path.is_file())
        .collect();
    if programs.is_empty() {
        programs.extend(which("runsc"));
    }
    programs
}

/// Every version with every platform that it has.
///
/// # Errors
/// When one does not run.
pub fn all() -> Result<Vec<Runsc>> {
    let mut found = Vec::new();
    for program in programs() {
        let flags = Running::spawn(Command::new(&program).arg("flags"))?.wait()?;
        let flags = flags.text() + &flags.stderr;
        for platform in ["ptrace", "systrap"] {
            if flags.contains(platform) {
                found.push(Runsc {
                    program: program.clone(),
                    platform,
                });
            }
        }
    }
    ensure!(!found.is_empty(), "there is no runsc");
    Ok(found)
}

/// The last of [`all`].
///
/// # Errors
/// When there is none.
pub fn newest() -> Result<Runsc> {
    all()?.pop().context("there is no runsc")
}

/// A guest that can be run once: its root is the machine's own, read-only, with [`WRITABLE`] in it.
#[derive(Debug)]
pub struct Guest {
    /// Its container's id.
    pub id: String,
    runsc: Runsc,
    scratch: Scratch,
    options: Vec<String>,
}

impl Guest {
    /// Describes a guest that runs `argv`, with `seccomp` as its profile, if it is not null.
    ///
    /// # Errors
    /// When the bundle cannot be written.
    pub fn new(runsc: &Runsc, argv: &[&str], seccomp: &Value) -> Result<Self> {
        let scratch = Scratch::new()?;
        let bundle = scratch.dir("bundle")?;
        let mut spec = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "args": argv,
                "env": [format!("PATH={}", tracer::PATH), "HOME=/", "LANG=C"],
                "cwd": WRITABLE,
                "capabilities": {
                    "bounding": CAPABILITIES,
                    "effective": CAPABILITIES,
                    "permitted": CAPABILITIES,
                },
            },
            "root": { "path": "/", "readonly": true },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": WRITABLE, "type": "tmpfs", "source": "tmpfs" },
            ],
            "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }] },
        });
        let mut options = vec![
            format!("--root={}", scratch.dir("state")?.display()),
            format!("--platform={}", runsc.platform),
            "--network=none".to_owned(),
            "--ignore-cgroups".to_owned(),
        ];
        if !seccomp.is_null() {
            spec["linux"]["seccomp"] = seccomp.clone();
            options.push("--oci-seccomp".to_owned());
        }
        fs::write(bundle.join("config.json"), serde_json::to_vec(&spec)?)?;
        Ok(Self {
            id: unique("tracer-e2e-guest"),
            runsc: runsc.clone(),
            scratch,
            options,
        })
    }

    /// Has runsc write each call into its log.
    ///
    /// # Errors
    /// When the directory of the log cannot be made.
    pub fn logged(self) -> Result<Self> {
        let log = format!("--debug-log={}/", self.scratch.dir("log")?.display());
        Ok(self.with(["--debug", "--strace", &log]))
    }

    /// Adds options of runsc.
    #[must_use]
    pub fn with<'a>(mut self, options: impl IntoIterator<Item = &'a str>) -> Self {
        self.options.extend(options.into_iter().map(str::to_owned));
        self
    }

    /// The command line that runs it.
    pub fn command_line(&self) -> Vec<PathBuf> {
        let mut line = vec![self.runsc.program.clone()];
        line.extend(self.options.iter().map(PathBuf::from));
        let bundle = self.scratch.join("bundle");
        line.extend([
            "run".into(),
            "--bundle".into(),
            bundle,
            self.id.clone().into(),
        ]);
        line
    }

    /// runsc, with other words behind the options.
    pub fn tool(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.runsc.program);
        command.arg(format!("--root={}", self.scratch.join("state").display()));
        command.args(words);
        command
    }

    /// Runs it without tracer.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub fn run(&self) -> Result<Finished> {
        piped(&self.command_line())
    }

    /// How often each call is in the log, by its name.
    ///
    /// # Errors
    /// When there is no log.
    pub fn calls(&self) -> Result<BTreeMap<String, u64>> {
        let mut calls = BTreeMap::new();
        for entry in fs::read_dir(self.scratch.join("log"))? {
            let path = entry?.path();
            if !path.to_string_lossy().contains("boot") {
                continue;
            }
            for line in String::from_utf8_lossy(&fs::read(path)?).lines() {
                if let Some(name) = call_of(line) {
                    *calls.entry(name.to_owned()).or_default() += 1;
                }
            }
        }
        ensure!(!calls.is_empty(), "runsc logged no call");
        Ok(calls)
    }
}

impl Drop for Guest {
    /// Ends it, if the test gave up on it.
    fn drop(&mut self) {
        let state = self.scratch.join("state");
        let left = fs::read_dir(state).is_ok_and(|entries| entries.count() > 0);
        if left {
            let _ = self.tool(&["delete", "--force", &self.id]).output();
        }
    }
}

/// The call in a line such as `… strace.go:570] [   1:   1] sh E openat(AT_FDCWD …`
/// (gvisor, pkg/sentry/strace/strace.go).
fn call_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("strace.go:")?;
    let (_, rest) = rest.split_once("] [")?;
    let (_, rest) = rest.split_once("] ")?;
    let (_, rest) = rest.split_once(" E ")?;
    rest.split_once('(').map(|(name, _)| name)
}

/// Runs a command whose output goes through a pipe: a sandbox does not append to files, and what two of its
/// processes write there overwrites itself.
///
/// # Errors
/// When it cannot be started or does not end.
pub fn piped(line: &[PathBuf]) -> Result<Finished> {
    let script = "exec 3>&1; s=$( { { \"$@\"; echo $? >&4; } | cat >&3; } 4>&1 ); exit $s";
    let mut command = Command::new("sh");
    tracer::plain_environment(&mut command)
        .args(["-c", script, "sh"])
        .args(line)
        .stdin(std::process::Stdio::null());
    Running::spawn(&mut command)?.wait_within(PATIENCE)
}

/// `tracer record` of a guest: its command line.
///
/// # Errors
/// When there is no program to test.
pub fn record(output: &Path, what: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut line = vec![tracer::binary()?];
    line.extend(["record", "--gvisor", "--replace", "--output-dir"].map(PathBuf::from));
    line.push(output.to_owned());
    line.extend(what.iter().cloned());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_the_log() {
        let line =
            "D1130 12:22:30.5 1 strace.go:570] [   1:   1] sh E openat(AT_FDCWD /, 0x7f E x)";
        assert_eq!(call_of(line), Some("openat"));
        let exit = "D1130 12:22:30.5 1 strace.go:608] [   1:   1] sh X openat(AT_FDCWD /) = 3";
        assert_eq!(call_of(exit), None);
    }
}
