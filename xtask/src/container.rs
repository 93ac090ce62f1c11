//! Containers under strace, one after the other, each gone before the next.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::bundle::{self, Life, Setting, Variation};
use crate::cmd;
use crate::runtime_init::STRACE;

/// How long a command, or a state that is waited for, may take; a hundredth of that is usual.
const PATIENCE: Duration = Duration::from_secs(60);

/// A container of a runtime, which goes away when this is dropped.
pub(crate) struct Container<'a> {
    runtime: &'a Path,
    directory: PathBuf,
    setting: Setting,
    /// The runtime that created it, under strace, which ends with the container.
    tracer: Option<Child>,
}

impl<'a> Container<'a> {
    /// Writes the bundle to `directory`, which must not be there yet. `group` is what its cgroup is
    /// below.
    pub(crate) fn new(
        runtime: &'a Path,
        busybox: &Path,
        directory: &Path,
        group: &str,
        setting: Setting,
        life: Life,
    ) -> Result<Self> {
        let cgroup = format!("/{group}/{}", id(directory));
        bundle::write(directory, busybox, &cgroup, setting, life)?;
        Ok(Self {
            runtime,
            directory: directory.to_path_buf(),
            setting,
            tracer: None,
        })
    }

    /// Runs it to its end and returns what strace saw.
    pub(crate) fn run(&self) -> Result<String> {
        let log = self.directory.join("run.log");
        let verb = ["run", "--bundle"].map(PathBuf::from);
        let arguments = verb.into_iter().chain([self.directory.clone(), self.id()]);
        finish(
            &mut self.traced(&log, self.setting.has_terminal(), arguments),
            self.setting,
        )?;
        read(&log)
    }

    /// Creates it, then starts it, as container engines do. What strace saw is there once it has
    /// [ended](Self::end).
    pub(crate) fn start(&mut self) -> Result<()> {
        let verb = ["create", "--bundle"].map(PathBuf::from);
        let arguments = verb.into_iter().chain([self.directory.clone(), self.id()]);
        let mut command = self.traced(&self.directory.join("start.log"), false, arguments);
        let errors = File::create(self.directory.join("errors")).context("cannot make a file")?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        self.tracer = Some(
            command
                .spawn()
                .with_context(|| cmd::not_started(&command))?,
        );
        self.wait_until("created")?;
        let mut start = self.runtime();
        start.arg("start").arg(self.id());
        finish(&mut start, self.setting)?;
        self.wait_until("running")
    }

    /// Executes another program in it and returns what strace saw.
    pub(crate) fn exec(&self) -> Result<String> {
        let log = self.directory.join("exec.log");
        let verb = ["exec", "--process"].map(PathBuf::from);
        let process = self.directory.join(bundle::PROCESS);
        let arguments = verb.into_iter().chain([process, self.id()]);
        finish(
            &mut self.traced(&log, self.setting.has_terminal(), arguments),
            self.setting,
        )?;
        read(&log)
    }

    /// Ends it, and returns what strace saw of its start.
    pub(crate) fn end(mut self) -> Result<String> {
        self.delete()?;
        read(&self.directory.join("start.log"))
    }

    fn delete(&mut self) -> Result<()> {
        let mut delete = self.runtime();
        delete.args(["delete", "--force"]).arg(self.id());
        finish(&mut delete, self.setting)?;
        if let Some(mut tracer) = self.tracer.take() {
            tracer.wait().context("cannot wait for strace")?;
        }
        Ok(())
    }

    fn id(&self) -> PathBuf {
        PathBuf::from(id(&self.directory))
    }

    fn runtime(&self) -> Command {
        let mut command = Command::new(self.runtime);
        self.options(&mut command);
        command
    }

    fn options(&self, command: &mut Command) {
        command.arg("--root").arg(self.directory.join("state"));
        if self.runtime.ends_with("crun") {
            command.arg("--cgroup-manager=cgroupfs");
        }
    }

    fn traced(
        &self,
        log: &Path,
        terminal: bool,
        arguments: impl Iterator<Item = PathBuf>,
    ) -> Command {
        let mut command = Command::new("timeout");
        command.args([
            "--foreground",
            "--signal=KILL",
            &PATIENCE.as_secs().to_string(),
        ]);
        if self.setting.variation == Variation::LowSoftLimit {
            command.args(["prlimit", "--nofile=256:"]);
        }
        command.args(STRACE).arg(log);
        if self.setting.variation == Variation::NoCloseRange {
            command.arg("--inject=close_range:error=ENOSYS");
        }
        command.arg("--").arg(self.runtime);
        self.options(&mut command);
        command.args(arguments);
        if terminal {
            let line = cmd::describe(&command);
            command = Command::new("script");
            command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        }
        command
    }

    fn wait_until(&mut self, status: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut state = self.runtime();
            state.arg("state").arg(self.id());
            let output = state.output().with_context(|| cmd::not_started(&state))?;
            let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if state["status"] == status {
                return Ok(());
            }
            let ended = match &mut self.tracer {
                Some(tracer) => tracer.try_wait().context("cannot wait for strace")?,
                None => None,
            };
            if ended.is_some() || Instant::now() > deadline {
                let errors = fs::read_to_string(self.directory.join("errors")).unwrap_or_default();
                bail!("the container never was {status}: {state}\n{errors}");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if self.directory.join("state").join(self.id()).exists() {
            // What went wrong before this is worth telling.
            let _ = self.delete();
        }
        if let Some(mut tracer) = self.tracer.take() {
            let _ = tracer.kill();
            let _ = tracer.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn id(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn finish(command: &mut Command, setting: Setting) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cmd::not_started(command))?;
    ensure!(
        output.status.success(),
        "`{}` failed ({}) with {setting:?}: {}{}",
        cmd::describe(command),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn read(log: &Path) -> Result<String> {
    let bytes = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
