//! Passes an agent's recordings to a thread that writes the spool. So recording and signals never wait for a disk.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use super::{metrics::Metrics, policy::Settings, spooler::Spooler};
use crate::{
    cli::{confinement::report_confined, exit::Exit, saving::is_confined, stderr::say},
    store::Spool,
};
use tracer_core::recording::Recording;
use tracer_recorder::{
    confine::{
        self,
        profile::{Access, Calls},
    },
    record::{Snapshot, SnapshotSink},
};

/// Wait before a failed write is retried.
const RETRY: Duration = Duration::from_secs(30);

/// Passes recordings to the thread that writes.
pub(super) struct SpoolKeeper {
    spool: Arc<Spool>,
    settings: Settings,
    metrics: Arc<Metrics>,
    /// To the thread that writes. It starts when recording begins.
    jobs: Option<Sender<Job>>,
    /// Whether a snapshot is being written.
    is_busy: Arc<AtomicBool>,
}

/// A job for the thread that writes.
enum Job {
    Keep(Box<Snapshot>),
    /// The last recordings. The sender reports when they are written, and whether all are.
    End(Vec<Recording>, Sender<bool>),
}

impl SpoolKeeper {
    pub(super) fn new(spool: Spool, settings: Settings, metrics: Arc<Metrics>) -> Self {
        Self {
            spool: Arc::new(spool),
            settings,
            metrics,
            jobs: None,
            is_busy: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Starts the thread that writes, and waits until it has dropped its rights.
    fn start_writer(&self) -> io::Result<Sender<Job>> {
        let (jobs, receiver) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel::<()>();
        let spool = Arc::clone(&self.spool);
        let is_busy = Arc::clone(&self.is_busy);
        let mut spooler = Spooler::new(
            Arc::clone(&spool),
            Arc::clone(&self.settings),
            Arc::clone(&self.metrics),
        );
        thread::Builder::new()
            .name("tracer-spool".to_owned())
            .spawn(move || {
                if is_confined() {
                    report_confined("writer", &confine::writer(spool.descriptor()));
                }
                drop(ready);
                let mut guard = Unfinished(true);
                match spooler.load() {
                    Ok(()) => work(&mut spooler, &receiver, &is_busy),
                    Err(error) => {
                        say!("cannot read the spool {}: {error}", spool.path().display());
                        return;
                    }
                }
                guard.0 = false;
            })?;
        let _: Result<(), _> = is_ready.recv();
        Ok(jobs)
    }

    /// Writes the last recordings. Returns whether all are in the spool.
    pub(super) fn finish(self, recordings: Vec<Recording>) -> bool {
        let (done, is_done) = mpsc::channel();
        match &self.jobs {
            Some(jobs) if jobs.send(Job::End(recordings, done)).is_ok() => {
                is_done.recv().unwrap_or(false)
            }
            _ => false,
        }
    }
}

/// Ends the process if the thread ended early: an agent that cannot write looks healthy and keeps nothing. The
/// service manager restarts it.
struct Unfinished(bool);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.0 {
            end_at_once();
        }
    }
}

fn end_at_once() -> ! {
    say!("the thread that writes the spool failed; the agent exits");
    std::process::exit(i32::from(Exit::Failed.code()))
}

fn work(spooler: &mut Spooler, jobs: &Receiver<Job>, is_busy: &AtomicBool) {
    loop {
        let job = if spooler.is_written() {
            jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            jobs.recv_timeout(RETRY)
        };
        let job = match job {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                spooler.write();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match job {
            Job::Keep(snapshot) => {
                spooler.take(snapshot.into_parts());
                spooler.write();
                is_busy.store(false, Ordering::Release);
            }
            Job::End(recordings, done) => {
                spooler.take_last(recordings);
                spooler.write();
                // The receiver may be gone.
                let _ = done.send(spooler.is_written());
                return;
            }
        }
    }
}

impl SnapshotSink for SpoolKeeper {
    fn begin(&mut self, files: Access) {
        match self.start_writer() {
            Ok(jobs) => self.jobs = Some(jobs),
            Err(error) => {
                say!("cannot start the thread that writes the spool: {error}");
                end_at_once();
            }
        }
        if is_confined() {
            report_confined("recorder", &confine::recorder(Calls::RecordAndAsk, files));
        }
    }

    fn is_ready(&self) -> bool {
        self.jobs.is_some() && !self.is_busy.load(Ordering::Acquire)
    }

    fn keep(&mut self, snapshot: Snapshot) {
        if let Some(jobs) = &self.jobs {
            self.is_busy.store(true, Ordering::Release);
            if jobs.send(Job::Keep(Box::new(snapshot))).is_err() {
                end_at_once();
            }
        }
    }
}
