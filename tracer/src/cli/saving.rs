//! What a recording leaves on disk: checkpoints while it is made, the files of each workload at its end. Written by
//! threads of their own, so that neither recording nor a signal waits for a disk.

mod writer;

use std::{
    collections::HashMap,
    env, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use super::{
    Exit, Failure,
    confinement::report_confined,
    output::{self, NewFiles},
    previous::PreviousArgs,
    record::failed,
    stderr::say,
};
use crate::store::{Checkpoints, OutputDirectory, RECORDING_FILE, StoreError};
use tracer_core::{
    formats::Settings,
    recording::{Losses, Recording, json},
};
use tracer_recorder::{
    confine::{
        self,
        profile::{Access, Calls},
    },
    record::{
        Snapshot, SnapshotSink,
        signals::{ReceivedSignal, Signals},
    },
};

use writer::Writer;

/// How often a signal is looked for while files are written.
const LOOK: Duration = Duration::from_millis(20);

/// How many threads render at most: each needs memory.
const MAX_THREADS: usize = 4;

/// How long a recording may be, in bytes, until it is kept as it is before profiles are rendered from it.
const LARGE: usize = 4 << 20;

/// How often what is recorded is taken out for an observer.
const OBSERVED: Duration = Duration::from_secs(1);

/// Looks at what is recorded as it grows. Called on the thread that writes.
pub(super) trait Observer: Send {
    /// The workloads that changed, and the names of all. `unattributed` is what was lost of workloads that nobody
    /// knows, which each recording counts as its own.
    fn observe(&mut self, recordings: &[Recording], names: &[String], unattributed: &Losses);

    /// All workloads, at the end.
    fn observe_last(&mut self, recordings: &[Recording]);
}

/// Keeps what is recorded.
pub(super) struct Keeper {
    output: Arc<OutputDirectory>,
    settings: Arc<Settings>,
    /// What becomes of recordings that are there.
    previous: PreviousArgs,
    /// What the recording thread is to do.
    calls: Calls,
    /// For the thread that writes, which is started when recording begins.
    jobs: Option<Sender<Job>>,
    /// Whether a snapshot is being written.
    is_busy: Arc<AtomicBool>,
    /// Goes to the thread that writes.
    observer: Option<Box<dyn Observer>>,
    is_observed: bool,
}

/// What the thread is to do.
enum Job {
    Keep(Box<Snapshot>),
    End(End),
}

/// The end of a recording.
struct End {
    recordings: Arc<Vec<Recording>>,
    /// Whether somebody wants it to be over: the recordings are written, and nothing else.
    hurries: Arc<AtomicBool>,
    /// Which workload is done, and how it went.
    done: Sender<(usize, anyhow::Result<Written>)>,
}

/// What was written of a workload.
#[derive(Debug)]
struct Written {
    /// The recording: with the one that was there, when they were merged.
    recording: Recording,
    /// Whether nothing else was written.
    is_alone: bool,
}

/// How the end of a recording went.
pub(super) struct Saved {
    /// The first thing that could not be done.
    pub(super) failure: Option<Failure>,
    /// Whether all recordings are complete, and there is one.
    is_complete: bool,
}

impl Saved {
    /// The exit that the recordings earn, when everything else went well.
    pub(super) fn verdict(&self, require_complete: bool, otherwise: Exit) -> Exit {
        if require_complete && !self.is_complete {
            Exit::No
        } else {
            otherwise
        }
    }
}

/// Keeps all rights, in tracer's environment: for a recording of tracer, of which its profile is made.
const UNCONFINED: &str = "TRACER_UNCONFINED";

pub(super) fn is_confined() -> bool {
    env::var_os(UNCONFINED).is_none()
}

impl SnapshotSink for Keeper {
    fn interval(&self) -> Duration {
        if self.is_observed {
            OBSERVED
        } else {
            tracer_recorder::record::CHECKPOINT
        }
    }

    fn begin(&mut self, files: Access) {
        match self.start_writer() {
            Ok(jobs) => self.jobs = Some(jobs),
            Err(error) => say!("cannot start a thread for checkpoints: {error}"),
        }
        if is_confined() {
            report_confined("recorder", &confine::recorder(self.calls, files));
        }
    }

    fn is_ready(&self) -> bool {
        !self.is_busy.load(Ordering::Acquire)
    }

    fn keep(&mut self, snapshot: Snapshot) {
        // Without the thread there is nothing to do.
        if let Some(jobs) = &self.jobs {
            self.is_busy.store(true, Ordering::Release);
            let _ = jobs.send(Job::Keep(Box::new(snapshot)));
        }
    }
}

impl Keeper {
    /// Will write to `output`. `calls` says what the recording thread is to do.
    pub(super) fn new(
        output: OutputDirectory,
        settings: Settings,
        previous: PreviousArgs,
        calls: Calls,
    ) -> Self {
        Self {
            output: Arc::new(output),
            settings: Arc::new(settings),
            previous,
            calls,
            jobs: None,
            is_busy: Arc::new(AtomicBool::new(false)),
            observer: None,
            is_observed: false,
        }
    }

    /// Shows an observer what is recorded, if there is one.
    pub(super) fn observed_by(self, observer: Option<Box<dyn Observer>>) -> Self {
        Self {
            is_observed: observer.is_some(),
            observer,
            ..self
        }
    }

    /// Starts the thread that writes, and waits until it has given up its rights.
    fn start_writer(&mut self) -> io::Result<Sender<Job>> {
        let (jobs, receiver) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let writer = Writer {
            output: Arc::clone(&self.output),
            settings: Arc::clone(&self.settings),
            previous: self.previous,
            is_busy: Arc::clone(&self.is_busy),
            checkpoints: None,
            numbers: HashMap::new(),
            is_warned: false,
            observer: self.observer.take(),
        };
        thread::Builder::new()
            .name("tracer-writer".to_owned())
            .spawn(move || {
                if is_confined() {
                    report_confined("writer", &confine::writer(writer.output.descriptor()));
                }
                drop(ready);
                writer.run(&receiver);
            })?;
        let _: Result<(), _> = is_ready.recv();
        Ok(jobs)
    }

    /// Writes the recordings and what is rendered from them, and reports on each. A signal that asks tracer to end
    /// leaves out what is not rendered by then.
    pub(super) fn finish(
        self,
        recordings: Vec<Recording>,
        signals: &mut Signals,
        quiet: bool,
    ) -> Saved {
        let recordings = Arc::new(recordings);
        let hurries = Arc::new(AtomicBool::new(false));
        let (done, results) = mpsc::channel();
        let job = Job::End(End {
            recordings: Arc::clone(&recordings),
            hurries: Arc::clone(&hurries),
            done,
        });
        // Without the thread, the results end at once.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        } else {
            drop(job);
        }
        let mut reports: Vec<Option<anyhow::Result<Written>>> = Vec::new();
        reports.resize_with(recordings.len(), || None);
        loop {
            match results.recv_timeout(LOOK) {
                Ok((number, result)) => {
                    if let Some(report) = reports.get_mut(number) {
                        *report = Some(result);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let ends = signals.pending().is_some_and(ReceivedSignal::asks_to_end);
            if ends {
                hurries.store(true, Ordering::Release);
            }
        }
        let mut saved = Saved {
            failure: None,
            is_complete: !recordings.is_empty(),
        };
        for (recording, report) in recordings.iter().zip(reports) {
            // Without the thread, the recording is saved at least.
            let report =
                report.unwrap_or_else(|| write_alone(&self.output, self.previous, recording));
            let coverage = match &report {
                Ok(written) => &written.recording.coverage,
                Err(_) => &recording.coverage,
            };
            saved.is_complete &= coverage.complete;
            match report {
                Ok(written) => self.report(&written, quiet),
                // The others are written all the same.
                Err(error) if saved.failure.is_none() => saved.failure = Some(failed(error)),
                Err(error) => say!("{error:#}"),
            }
        }
        saved
    }
}

impl Keeper {
    /// Reports on the files of one workload.
    fn report(&self, written: &Written, quiet: bool) {
        let recording = &written.recording;
        let directory = self.output.path().join(&recording.workload.name);
        if !written.is_alone {
            return output::summary(&directory, recording, quiet);
        }
        output::coverage(recording, quiet);
        say!(
            "{} was written without profiles; to make them, run tracer generate --output {} {}",
            directory.join(RECORDING_FILE).display(),
            self.output.path().display(),
            directory.display()
        );
    }
}

/// Writes a recording without profiles.
fn write_alone(
    output: &OutputDirectory,
    previous: PreviousArgs,
    recording: &Recording,
) -> anyhow::Result<Written> {
    let name = &recording.workload.name;
    let to_write = previous.apply(&output.path().join(name), recording.clone())?;
    NewFiles::recording_alone(&to_write).write(output, name)?;
    Ok(Written {
        recording: to_write.recording,
        is_alone: true,
    })
}
