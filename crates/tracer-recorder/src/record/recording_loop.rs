//! The loop of every recording: wait for the kernel side, read the marks back from time to time, obey
//! signals and the clock, until it is over.

use std::{ops::ControlFlow, os::fd::OwnedFd, time::Duration};

use jiff::SignedDuration;
use tokio::{
    io::unix::AsyncFd,
    time::{self, Instant},
};

use super::{
    FinishedWorkload, ProgressListener, RecordError, Session, SnapshotSink,
    signals::{ReceivedSignal, Signals},
};

/// What is recorded, and what its loop has to know of it.
pub(super) trait Recorded {
    /// How it ended.
    type End;

    /// The recording.
    fn session(&mut self) -> &mut Session;

    /// When its time is up.
    fn deadline(&self) -> Option<Instant>;

    /// For how long nothing must be new for it to end.
    fn until_stable(&self) -> Option<Duration>;

    /// The process that was watched has ended.
    fn on_exit(&mut self) -> Result<(), RecordError>;

    /// A signal came.
    fn on_signal(&mut self, signal: ReceivedSignal) -> ControlFlow<Self::End>;

    /// The marks were read back: time for what is looked at now and then.
    fn on_checkpoint(&mut self) -> Result<(), RecordError> {
        Ok(())
    }

    /// Whether what is recorded so far is to be kept now, and not at the next checkpoint.
    fn is_keeping(&mut self) -> bool {
        false
    }

    /// What was recorded so far is kept, or is about to be.
    fn on_kept(&mut self) -> Result<(), RecordError> {
        Ok(())
    }

    /// The workloads that are recorded so far.
    fn workloads(&mut self) -> Vec<FinishedWorkload>;

    /// Its time is up, or nothing was new for long enough.
    fn on_time(&mut self) -> ControlFlow<Self::End>;

    /// The rings were drained.
    fn on_drained(&mut self, listener: &mut dyn ProgressListener) -> Result<(), RecordError>;

    /// Whether it is over.
    fn is_over(&mut self) -> ControlFlow<Self::End>;
}

/// Records until it is over. `exit` becomes readable when the process that is watched ends.
///
/// # Errors
/// [`RecordError`]: what was seen before is in the session.
pub(super) async fn run<T: Recorded>(
    recorded: &mut T,
    exit: Option<&AsyncFd<OwnedFd>>,
    signals: &mut Signals,
    sink: &mut dyn SnapshotSink,
    listener: &mut dyn ProgressListener,
) -> Result<T::End, RecordError> {
    let mut gap = LongestGap::new();
    sink.begin(recorded.session().file_access());
    let ended = until_over(recorded, exit, signals, sink, listener, &mut gap).await;
    log::info!(
        "the longest time that nobody looked at the rings was {} ms",
        gap.longest.as_millis()
    );
    ended
}

/// How long events lay in the rings at most: while something else was done, and not while nothing came.
struct LongestGap {
    drained: Instant,
    /// What was done since, before it was waited for events.
    busy: Duration,
    woken: Instant,
    longest: Duration,
}

impl LongestGap {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            drained: now,
            busy: Duration::ZERO,
            woken: now,
            longest: Duration::ZERO,
        }
    }

    /// From now on it is waited.
    fn waits(&mut self) {
        self.busy = self.drained.elapsed();
    }

    /// Something came.
    fn is_woken(&mut self) {
        self.woken = Instant::now();
    }

    /// The rings were drained.
    fn is_drained(&mut self) {
        self.drained = Instant::now();
        let gap = self.busy + self.drained.duration_since(self.woken);
        self.longest = self.longest.max(gap);
    }
}

async fn until_over<T: Recorded>(
    recorded: &mut T,
    exit: Option<&AsyncFd<OwnedFd>>,
    signals: &mut Signals,
    sink: &mut dyn SnapshotSink,
    listener: &mut dyn ProgressListener,
    gap: &mut LongestGap,
) -> Result<T::End, RecordError> {
    let mut exit = exit;
    let mut checkpoint = time::interval(sink.interval());
    // The first tick comes at once, when there is nothing to keep yet.
    let mut is_first = true;
    loop {
        let deadline = recorded.deadline();
        gap.waits();
        let flow = tokio::select! {
            waited = recorded.session().wait() => {
                gap.is_woken();
                waited?;
                ControlFlow::Continue(())
            }
            _ = checkpoint.tick() => {
                gap.is_woken();
                recorded.session().reconcile()?;
                recorded.on_checkpoint()?;
                if !std::mem::take(&mut is_first) {
                    keep(recorded, sink)?;
                }
                ControlFlow::Continue(())
            }
            ended = readable(exit) => {
                gap.is_woken();
                ended?;
                exit = None;
                recorded.on_exit()?;
                ControlFlow::Continue(())
            }
            arrived = signals.next() => {
                gap.is_woken();
                recorded.on_signal(arrived.map_err(RecordError::process("read signals"))?)
            }
            () = reached(deadline) => {
                gap.is_woken();
                recorded.on_time()
            }
        };
        if let ControlFlow::Break(end) = flow {
            return Ok(end);
        }
        recorded.session().drain()?;
        gap.is_drained();
        recorded.on_drained(listener)?;
        if recorded.is_keeping() {
            keep(recorded, sink)?;
        }
        recorded.session().report_losses(listener);
        recorded.session().tell(listener)?;
        if let ControlFlow::Break(end) = recorded.is_over() {
            return Ok(end);
        }
        if let Some(span) = recorded.until_stable()
            && recorded.session().is_stable(span)?
        {
            listener.ends(&describe_quiet(span));
            if let ControlFlow::Break(end) = recorded.on_time() {
                return Ok(end);
            }
        }
    }
}

/// Keeps what is recorded so far, unless the last time still goes on. The copy is all that is made here.
fn keep<T: Recorded>(recorded: &mut T, sink: &mut dyn SnapshotSink) -> Result<(), RecordError> {
    if sink.is_ready() {
        let workloads = recorded.workloads();
        if let Some(snapshot) = recorded
            .session()
            .snapshot(workloads, sink.wants_losses())?
        {
            sink.keep(snapshot);
        }
        recorded.on_kept()?;
    }
    Ok(())
}

async fn readable(exit: Option<&AsyncFd<OwnedFd>>) -> Result<(), RecordError> {
    let Some(exit) = exit else {
        return std::future::pending().await;
    };
    // Ready for good: nothing to clear.
    let ready = exit.readable().await;
    ready
        .map(drop)
        .map_err(RecordError::process("watch the command"))
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What is said when a recording ends because nothing new came.
fn describe_quiet(span: Duration) -> String {
    // As people write it, and as `--until-stable` reads it.
    let span = SignedDuration::try_from(span)
        .map_or_else(|_| format!("{span:?}"), |span| format!("{span:#}"));
    format!("nothing new for {span}; recording finished")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_states_the_requested_time() {
        for (span, text) in [(600_000, "10m"), (1500, "1s 500ms"), (5_400_000, "1h 30m")] {
            let said = describe_quiet(Duration::from_millis(span));
            assert!(said.contains(&format!("for {text};")), "{said}");
        }
    }
}
