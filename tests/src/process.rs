//! Processes that do not outlive their test.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    os::unix::{fs::FileExt, process::ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Once,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wait;

/// A process of the test. It and its descendants are killed, by id, if the test ends before them.
#[derive(Debug)]
pub struct Running {
    child: Child,
    label: String,
    stdout: File,
    stderr: File,
    ended: Option<ExitStatus>,
}

/// What a process left.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// Undoes what `nohup`, or a shell's `&`, did to whoever runs the tests: a signal that is ignored
/// stays so in every child, and the tests send them.
fn heed_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTERM] {
            // SAFETY: sets a disposition without a handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    });
}

impl Running {
    /// Starts `command` with its output going to files, so that nobody has to read along. Its
    /// stdin is empty unless the caller set it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let stdout = tempfile::tempfile()?;
        let stderr = tempfile::tempfile()?;
        command
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?);
        Self::spawn_as_is(command, stdout, stderr)
    }

    /// Starts `command` with the standard streams that it has been given.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_unredirected(command: &mut Command) -> Result<Self> {
        Self::spawn_as_is(command, tempfile::tempfile()?, tempfile::tempfile()?)
    }

    fn spawn_as_is(command: &mut Command, stdout: File, stderr: File) -> Result<Self> {
        let label = format!("{command:?}");
        heed_signals();
        let child = command
            .spawn()
            .with_context(|| format!("starting {label}"))?;
        Ok(Self {
            child,
            label,
            stdout,
            stderr,
            ended: None,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The memory that it takes, in bytes, without what it has mapped of its program.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .context("no RssAnon")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.pid(), signal)
    }

    /// What it has written to stdout so far.
    ///
    /// # Errors
    /// When the file that keeps it cannot be read.
    pub fn stdout(&self) -> Result<Vec<u8>> {
        content(&self.stdout)
    }

    /// What it has written to stderr so far.
    ///
    /// # Errors
    /// When the file that keeps it cannot be read.
    pub fn stderr(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&content(&self.stderr)?).into_owned())
    }

    /// Its status, if it has ended.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Waits until stderr contains `text`.
    ///
    /// # Errors
    /// When it ends or [`wait::patience`] does before that.
    pub fn until_stderr(&mut self, text: &str) -> Result<()> {
        let what = format!("{text:?} on stderr of {}", self.label);
        wait::until(&what, || {
            let ended = self.ended()?;
            let stderr = self.stderr()?;
            if stderr.contains(text) {
                return Ok(Some(()));
            }
            ensure!(
                ended.is_none(),
                "{} ended with {ended:?}:\n{stderr}",
                self.label
            );
            Ok(None)
        })
    }

    /// Waits until stdout contains `text`.
    ///
    /// # Errors
    /// When it ends or [`wait::patience`] does before that.
    pub fn until_stdout(&mut self, text: &str) -> Result<()> {
        let what = format!("{text:?} on stdout of {}", self.label);
        wait::until(&what, || {
            let ended = self.ended()?;
            if String::from_utf8_lossy(&self.stdout()?).contains(text) {
                return Ok(Some(()));
            }
            ensure!(
                ended.is_none(),
                "{} ended with {ended:?}:\n{}",
                self.label,
                self.stderr()?
            );
            Ok(None)
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended after [`wait::patience`]: what it wrote so far is in the message.
    pub fn wait(self) -> Result<Finished> {
        self.wait_within(wait::patience())
    }

    /// [`Self::wait`] with a patience of its own.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn wait_within(mut self, patience: Duration) -> Result<Finished> {
        let what = format!("the end of {}", self.label);
        let status = wait::within(patience, &what, || self.ended())
            .with_context(|| self.stderr().unwrap_or_default())?;
        Ok(Finished {
            status,
            stdout: self.stdout()?,
            stderr: self.stderr()?,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.ended(), Ok(Some(_))) {
            return;
        }
        for pid in descendants(self.pid()) {
            let _ = send(pid, Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Its exit status; 128 + the signal's number when a signal ended it, as a shell says it.
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .or_else(|| self.status.signal().map(|signal| 128 + signal))
            .unwrap_or(-1)
    }

    /// It, if it ended with status 0.
    ///
    /// # Errors
    /// When it did not, with what it wrote.
    pub fn success(self) -> Result<Self> {
        ensure!(
            self.status.success(),
            "ended with {}\nstdout: {}\nstderr: {}",
            self.status,
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        Ok(self)
    }

    /// Its stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or does not end.
pub fn run(command: &mut Command) -> Result<Finished> {
    if command.get_args().len() == 0 {
        command.stdin(Stdio::null());
    }
    Running::spawn(command)?.wait()
}

/// Runs a shell script to its end; it must succeed.
///
/// # Errors
/// When it does not.
pub fn shell(script: impl AsRef<OsStr>) -> Result<Finished> {
    run(Command::new("sh")
        .arg("-c")
        .arg(script)
        .stdin(Stdio::null()))?
    .success()
}

/// Sends a signal to a process.
///
/// # Errors
/// When it is gone.
pub fn send(pid: u32, signal: Signal) -> Result<()> {
    kill(Pid::from_raw(pid.try_into()?), signal)
        .with_context(|| format!("sending {signal} to {pid}"))
}

/// Whether a process is there and not a zombie.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// The living descendants of a process, children before their own children.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some((_, parent)) = stat(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = children.remove(&pid).unwrap_or_default();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// State and parent, as in proc_pid_stat(5).
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may contain anything, a closing parenthesis too.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn content(file: &File) -> Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(file.metadata()?.len())?];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}
