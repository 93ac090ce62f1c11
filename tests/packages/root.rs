//! A root directory with nothing in it but what a package brings, and busybox to record.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome,
    process::{self, Running},
    recording::Recording,
    release, requires,
    scratch::Scratch,
    tracer,
};

/// Mounts what a recorder needs of the machine, for the one command that runs in the root directory.
const ENTER: &str = r#"
set -e
root=$1; shift
for name in proc sys dev; do
    mkdir -p "$root/$name"
    mount --rbind "/$name" "$root/$name"
done
exec chroot "$root" "$@"
"#;

/// A fresh root directory.
pub(crate) struct Root(Scratch);

impl Root {
    pub(crate) fn new() -> Result<Self> {
        let scratch = Scratch::new()?;
        let busybox = requires::which("busybox").context("busybox is not installed")?;
        let bin = scratch.dir("bin")?;
        fs::copy(busybox, bin.join("busybox"))?;
        scratch.dir("tmp")?;
        Ok(Self(scratch))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path inside, as seen from outside.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// A command that runs inside.
    pub(crate) fn command(&self, argv: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new("unshare");
        tracer::plain_environment(&mut command)
            .args(["--mount", "--propagation", "private", "--"])
            .args(["sh", "-c", ENTER, "sh"])
            .arg(self.path())
            .args(argv);
        command
    }

    /// Uses the installed program: it says its version, records, and audits what it wrote.
    pub(crate) fn use_tracer(&self) -> Outcome {
        let run = |argv: &[&str]| process::run(&mut self.command(argv))?.success();
        let version = run(&["/usr/bin/tracer", "--version"])?.text();
        ensure!(
            version.trim() == format!("tracer {}", release::VERSION),
            "{version}"
        );
        run(&[
            "/usr/bin/tracer",
            "record",
            "--output=/tmp/profiles",
            "--",
            "/bin/busybox",
            "ls",
            "/",
        ])?;
        let recording = Recording::read(&self.join("/tmp/profiles/busybox/recording.json"))?;
        ensure!(!recording.calls().is_empty(), "nothing was recorded");
        run(&[
            "/usr/bin/tracer",
            "audit",
            "--fail-on=never",
            "/tmp/profiles/busybox/seccomp.json",
        ])?;
        Ok(())
    }

    /// Runs the command of the installed unit until SIGTERM, as `systemctl stop` ends it.
    pub(crate) fn run_unit(&self) -> Outcome {
        let unit = fs::read_to_string(self.join("/usr/lib/systemd/system/tracer-record.service"))?;
        let line = unit.lines().find_map(|it| it.strip_prefix("ExecStart="));
        let words: Vec<_> = line.context("no ExecStart")?.split(' ').collect();
        ensure!(self.join(words[0]).is_file(), "the unit runs {}", words[0]);
        // As a process of its own, so that the signal reaches it.
        let mut recorder = Running::spawn(&mut self.command(&words))?;
        recorder.until_stderr("recording")?;
        recorder.signal(Signal::SIGTERM)?;
        let finished = recorder.wait()?;
        // 4, which the unit takes for success: no container ran. Other tests may have run one.
        ensure!([0, 4].contains(&finished.code()), "{finished:?}");
        Ok(())
    }
}
