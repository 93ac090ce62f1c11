//! Judges what is recorded, in a thread of its own, and prints what comes of it: neither a profile nor a slow
//! reader delays the recording.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;

use super::{Args, Format};
use crate::cli::{confinement::report_confined, saving::is_confined, stderr::say};
use tracer_core::{
    recording::{Losses, Recording},
    shadow::{Event, Shadow, Summary},
};
use tracer_recorder::{
    confine::{
        self,
        profile::{Access, Calls},
    },
    record::{Snapshot, SnapshotSink},
};

/// How often the marks are read back: an event is reported within a second of what it tells of.
const INTERVAL: Duration = Duration::from_millis(400);

/// The `schema` of JSON lines.
const SCHEMA: &str = "tracer.watch/v1";

/// Where events go, and how they are written.
pub(in crate::cli) struct Output {
    to: To,
    format: Format,
    quiet: bool,
}

enum To {
    Standard,
    /// Standard output is the command's.
    Errors,
    File(File),
}

/// A line of JSON.
#[derive(Serialize)]
struct Line<'a, T> {
    schema: &'static str,
    time: String,
    #[serde(flatten)]
    what: &'a T,
}

/// The last line.
#[derive(Serialize)]
struct LastLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl Output {
    /// Opens what was asked for.
    pub(super) fn open(args: &Args) -> anyhow::Result<Self> {
        let to = match &args.output {
            Some(path) if path.as_os_str() != "-" => To::File(
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
            ),
            None if !args.command.is_empty() => To::Errors,
            _ => To::Standard,
        };
        Ok(Self {
            to,
            format: args.format,
            quiet: args.quiet,
        })
    }

    /// Lines of JSON on standard output.
    pub(in crate::cli) const fn json_on_stdout() -> Self {
        Self {
            to: To::Standard,
            format: Format::Json,
            quiet: true,
        }
    }

    /// Writes events.
    pub(in crate::cli) fn events(&mut self, events: &[Event]) -> io::Result<()> {
        for event in events {
            match self.format {
                Format::Text => self.text(&tracer_report::watch_event(event))?,
                Format::Json => self.json(event)?,
            }
        }
        self.flush()
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(&LastLine {
                event: "summary",
                summary,
            })?,
            Format::Text if self.quiet => {}
            Format::Text => {
                for line in tracer_report::watch_summary(summary).lines() {
                    self.text(line)?;
                }
            }
        }
        self.flush()
    }

    pub(super) fn text(&mut self, line: &str) -> io::Result<()> {
        match &mut self.to {
            To::Standard => writeln!(io::stdout().lock(), "{line}"),
            To::Errors => {
                say!("{line}");
                Ok(())
            }
            To::File(file) => writeln!(file, "{line}"),
        }
    }

    pub(super) fn json(&mut self, what: &impl Serialize) -> io::Result<()> {
        let line = serde_json::to_string(&Line {
            schema: SCHEMA,
            time: Timestamp::now().to_string(),
            what,
        })?;
        self.text(&line)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Standard => io::stdout().lock().flush(),
            To::Errors => Ok(()),
            To::File(file) => file.flush(),
        }
    }
}

/// What the thread is to do.
enum Job {
    Look(Box<Snapshot>),
    End(Vec<Recording>),
}

/// Takes what is recorded and reports what comes of it.
pub(super) struct Reporter {
    jobs: Sender<Job>,
    thread: JoinHandle<io::Result<Summary>>,
    is_busy: Arc<AtomicBool>,
    calls: Calls,
}

impl Reporter {
    /// Starts the thread.
    pub(super) fn start(shadow: Shadow, output: Output, calls: Calls) -> anyhow::Result<Self> {
        let (jobs, receiver) = mpsc::channel();
        let is_busy = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            shadow,
            output,
            unattributed: Losses::default(),
            is_busy: Arc::clone(&is_busy),
        };
        let thread = thread::Builder::new()
            .name("tracer-watch".to_owned())
            .spawn(move || worker.run(&receiver))
            .context("cannot start a thread")?;
        Ok(Self {
            jobs,
            thread,
            is_busy,
            calls,
        })
    }

    /// Judges what was recorded in the end, prints the summary, and returns it.
    pub(super) fn finish(self, recordings: Vec<Recording>) -> anyhow::Result<Summary> {
        // Without the thread its error is reported below.
        let _ = self.jobs.send(Job::End(recordings));
        drop(self.jobs);
        let done = self.thread.join();
        let done = done.map_err(|_| anyhow::anyhow!("the thread that reports failed"))?;
        done.context("cannot write the events")
    }
}

impl SnapshotSink for Reporter {
    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn wants_losses(&self) -> bool {
        true
    }

    fn begin(&mut self, files: Access) {
        if is_confined() {
            report_confined("recorder", &confine::recorder(self.calls, files));
        }
    }

    fn is_ready(&self) -> bool {
        !self.is_busy.load(Ordering::Acquire)
    }

    fn keep(&mut self, snapshot: Snapshot) {
        self.is_busy.store(true, Ordering::Release);
        let _ = self.jobs.send(Job::Look(Box::new(snapshot)));
    }
}

struct Worker {
    shadow: Shadow,
    output: Output,
    /// What was lost of nobody knows whom, as of the last snapshot.
    unattributed: Losses,
    is_busy: Arc<AtomicBool>,
}

impl Worker {
    /// Works until the end. An error of writing is reported in the end; nothing is printed after it.
    fn run(mut self, jobs: &Receiver<Job>) -> io::Result<Summary> {
        let mut written = Ok(());
        for job in jobs {
            let (events, is_last) = self.judge(job);
            if written.is_ok() {
                written = self.output.events(&events);
                if written.is_ok() && is_last {
                    written = self.output.summary(self.shadow.summary());
                }
                // Nobody reads any more: there is nothing to watch for.
                if written.is_err() && !is_last {
                    stop_recording();
                }
            }
            self.is_busy.store(false, Ordering::Release);
        }
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(self.shadow.summary().clone()),
        }
    }

    fn judge(&mut self, job: Job) -> (Vec<Event>, bool) {
        let mut events = Vec::new();
        match job {
            Job::Look(snapshot) => {
                self.unattributed = snapshot.unattributed;
                events.extend(self.shadow.take_losses(&self.unattributed));
                for recording in snapshot.into_recordings() {
                    events.extend(self.shadow.take(&recording, &self.unattributed));
                }
                (events, false)
            }
            Job::End(recordings) => {
                for recording in recordings {
                    events.extend(self.shadow.take_last(&recording, &self.unattributed));
                }
                (events, true)
            }
        }
    }
}

/// Ends the recording as Ctrl-C does.
fn stop_recording() {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    let _ = kill(Pid::this(), Signal::SIGTERM);
}
