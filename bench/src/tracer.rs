//! The tracer itself, as a user starts it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Deserialize;

use crate::{load, proc};

/// Longest wait for the tracer to attach, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Name of the recorded workload.
const NAME: &str = "bench";

/// The tracer's binary: `TRACER_BIN`, which `cargo xtask bench` sets.
pub(crate) fn binary() -> Result<PathBuf> {
    std::env::var_os("TRACER_BIN")
        .map(PathBuf::from)
        .context("TRACER_BIN is not set: start the benchmarks with `cargo xtask bench`")
}

/// The benchmark's BPF object: `TRACER_BENCH_OBJECT`, which `cargo xtask bench` sets.
pub(crate) fn bench_object() -> Result<PathBuf> {
    std::env::var_os("TRACER_BENCH_OBJECT")
        .map(PathBuf::from)
        .context("TRACER_BENCH_OBJECT is not set: start the benchmarks with `cargo xtask bench`")
}

/// A `tracer record --cgroup` that is attached; told to end when dropped.
pub(crate) struct Tracer {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    ended: bool,
    recording: PathBuf,
    peak_kib: Option<u64>,
}

impl Tracer {
    /// Starts recording `cgroup` and returns when the programs are attached.
    pub(crate) fn record(cgroup: &Path, output: &Path, options: &[String]) -> Result<Self> {
        let binary = binary()?;
        let mut child = Command::new(&binary)
            .args(["record", "--name", NAME, "--output"])
            .arg(output)
            .arg("--cgroup")
            .arg(cgroup)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the tracer {binary:?}"))?;
        let stderr = child.stderr.take().context("the tracer has no stderr")?;
        let (attached, when_attached) = mpsc::channel();
        let stderr = std::thread::spawn(move || {
            let mut said = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                said.push_str(&line);
                said.push('\n');
                if line.contains("recording ") {
                    let _ = attached.send(());
                }
            }
            said
        });
        let mut tracer = Self {
            child,
            stderr: Some(stderr),
            ended: false,
            recording: output.join(NAME).join("recording.json"),
            peak_kib: None,
        };
        if when_attached.recv_timeout(PATIENCE).is_err() {
            let said = tracer.end();
            bail!("the tracer did not begin to record: {said:?}");
        }
        Ok(tracer)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ids of the programs it has loaded.
    pub(crate) fn programs(&self) -> Result<BTreeSet<u32>> {
        Ok(proc::fdinfo(self.pid())?
            .iter()
            .filter_map(|info| info.number("prog_id"))
            .filter_map(|id| u32::try_from(id).ok())
            .collect())
    }

    /// Ends the recording, waits until it is written, and returns what the tracer said.
    fn end(&mut self) -> String {
        self.ended = true;
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            self.peak_kib = proc::status(self.child.id(), "VmHWM").or(self.peak_kib);
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.stderr
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }

    /// Ends the recording and returns how many calls it counted.
    ///
    /// # Errors
    /// When the tracer does not end well, or what it recorded cannot be read.
    pub(crate) fn stop(self) -> Result<u64> {
        self.finish().map(|finished| finished.calls)
    }

    /// Like [`Tracer::stop`], and tells more.
    pub(crate) fn finish(mut self) -> Result<Finished> {
        let said = self.end();
        match self.child.wait() {
            Ok(status) if status.success() => {}
            status => bail!("the tracer ended with {status:?}: {said}"),
        }
        let text = std::fs::read_to_string(&self.recording)
            .with_context(|| format!("no recording at {:?}", self.recording))?;
        let recording: Recording = serde_json::from_str(&text)
            .with_context(|| format!("{:?} is no recording", self.recording))?;
        Ok(Finished {
            calls: recording.instances.iter().map(|run| run.calls).sum(),
            losses: recording.coverage.losses,
            peak_kib: self.peak_kib,
        })
    }
}

/// What a recording came to.
pub(crate) struct Finished {
    /// Calls that were counted.
    pub(crate) calls: u64,
    /// What was lost, by kind.
    pub(crate) losses: BTreeMap<String, u64>,
    /// The most memory that was resident, writing included.
    pub(crate) peak_kib: Option<u64>,
}

/// The part of a recording that proves that something was recorded.
#[derive(Deserialize)]
struct Recording {
    instances: Vec<Instance>,
    coverage: Coverage,
}

#[derive(Deserialize)]
struct Coverage {
    losses: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Instance {
    calls: u64,
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
        }
    }
}

/// `strace -f` on a process, as long as this lives.
pub(crate) struct Strace(Child);

impl Strace {
    pub(crate) fn is_installed() -> bool {
        Command::new("strace")
            .arg("-V")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Attaches to `pid`, from `cpu`, and returns when `pid` is traced.
    pub(crate) fn attach(pid: u32, cpu: usize) -> Result<Self> {
        let mut command = Command::new("strace");
        command
            .args(["-f", "-o", "/dev/null", "-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = load::start_on(&mut command, cpu).context("cannot start strace")?;
        let strace = Self(child);
        let deadline = Instant::now() + PATIENCE;
        while !is_traced(pid)? {
            if Instant::now() > deadline {
                bail!("strace did not attach to process {pid}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(strace)
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.0.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        let _ = self.0.wait();
    }
}

fn is_traced(pid: u32) -> Result<bool> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is gone"))?;
    Ok(status
        .lines()
        .filter_map(|line| line.strip_prefix("TracerPid:"))
        .any(|tracer| tracer.trim() != "0"))
}
