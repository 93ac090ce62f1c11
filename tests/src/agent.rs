//! An agent under test: its configuration, its spool, its metrics.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::{
    process::{self, Finished, Running},
    recording::Recording,
    tracer, wait,
};

/// An agent, in a directory of its own.
#[derive(Debug)]
pub struct Agent {
    /// The process.
    pub running: Running,
    dir: PathBuf,
}

/// A recording in its spool.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// Its file.
    pub path: PathBuf,
    /// The size of that.
    pub bytes: u64,
    /// Whose it is.
    pub key: Key,
}

/// The key of a recording.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    /// The cluster.
    pub cluster: String,
    /// What owns it.
    pub owner: String,
}

impl Agent {
    /// Starts one with these settings, which come before any table, and with a spool and a socket in `dir`. Returns
    /// when it records.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(dir: &Path, settings: &str) -> Result<Self> {
        Self::start_with(dir, settings, |_| {})
    }

    /// The same; `change` changes its command.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with(
        dir: &Path,
        settings: &str,
        change: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        configure(dir, settings)?;
        let mut command = tracer::command()?;
        command
            .args(["agent", "--config"])
            .arg(dir.join("agent.toml"));
        change(&mut command);
        let mut running = Running::spawn(&mut command)?;
        running.until_stderr("recording containers into")?;
        Ok(Self {
            running,
            dir: dir.to_owned(),
        })
    }

    /// The directory of its spool.
    pub fn spool(&self) -> PathBuf {
        self.dir.join("spool")
    }

    /// Gives it other settings, and waits until it has said `answer` of them.
    ///
    /// # Errors
    /// When it does not.
    pub fn reload(&mut self, settings: &str, answer: &str) -> Result<()> {
        let said = self.running.stderr()?.matches(answer).count();
        configure(&self.dir, settings)?;
        self.running.signal(Signal::SIGHUP)?;
        wait::until(answer, || {
            ensure!(
                self.running.ended()?.is_none(),
                "{}",
                self.running.stderr()?
            );
            let now = self.running.stderr()?.matches(answer).count();
            Ok((now > said).then_some(()))
        })
    }

    /// Ends it by a signal.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end(self, signal: Signal) -> Result<Finished> {
        self.running.signal(signal)?;
        self.running.wait()
    }

    /// What is in its spool.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        entries(&self.dir)
    }

    /// Waits until its spool has a recording of that name of which `is_meant` says yes.
    ///
    /// # Errors
    /// When it has none in time.
    pub fn until(
        &mut self,
        name: &str,
        is_meant: impl Fn(&Recording) -> bool,
    ) -> Result<Recording> {
        wait::until(&format!("the recording of {name}"), || {
            ensure!(
                self.running.ended()?.is_none(),
                "{}",
                self.running.stderr()?
            );
            let entries = entries(&self.dir)?;
            if entries.iter().all(|entry| entry.key.owner != name) {
                return Ok(None);
            }
            let recording = exported(&self.dir, name)?;
            Ok(Some(recording).filter(&is_meant))
        })
        .with_context(|| self.running.stderr().unwrap_or_default())
    }

    /// What its server answers to a request for a path.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut stream = UnixStream::connect(self.dir.join("metrics.sock"))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: agent\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The value of a metric, by its name and labels as they are written.
    ///
    /// # Errors
    /// When there is none.
    pub fn metric(&self, name: &str) -> Result<u64> {
        let text = self.get("/metrics")?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line
            .with_context(|| format!("no {name} in {text}"))?
            .parse()?)
    }

    /// The memory that it takes, in bytes, without what it has mapped of its program.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<u64> {
        self.running.resident()
    }
}

fn configure(dir: &Path, settings: &str) -> Result<()> {
    let (keys, tables) = match settings.split_once("\n[") {
        Some((keys, tables)) => (keys, format!("\n[{tables}")),
        None => (settings, String::new()),
    };
    let mut text = format!(
        "listen = \"unix:{}\"\n{keys}\n{tables}\n",
        dir.join("metrics.sock").display()
    );
    let directory = format!("directory = \"{}\"", dir.join("spool").display());
    match text.contains("[spool]") {
        true => text = text.replace("[spool]", &format!("[spool]\n{directory}")),
        false => text.push_str(&format!("[spool]\n{directory}\n")),
    }
    Ok(fs::write(dir.join("agent.toml"), text)?)
}

/// Runs `tracer spool` or `tracer rollout` on the spool of the agent in `dir`.
///
/// # Errors
/// When it cannot be run.
pub fn ask(dir: &Path, arguments: &[&str]) -> Result<Finished> {
    let mut command = tracer::command()?;
    command
        .args(arguments)
        .arg("--config")
        .arg(dir.join("agent.toml"));
    process::run(&mut command)
}

/// What is in the spool of the agent in `dir`, which may have ended.
///
/// # Errors
/// When it cannot be listed.
pub fn entries(dir: &Path) -> Result<Vec<Entry>> {
    let listed = ask(dir, &["spool", "list", "--format", "json"])?.success()?;
    Ok(serde_json::from_slice(&listed.stdout)?)
}

/// The recording of a workload in the spool of the agent in `dir`.
///
/// # Errors
/// When there is none.
pub fn exported(dir: &Path, name: &str) -> Result<Recording> {
    let exported = ask(dir, &["spool", "export", name])?.success()?;
    Ok(serde_json::from_slice(&exported.stdout)?)
}
