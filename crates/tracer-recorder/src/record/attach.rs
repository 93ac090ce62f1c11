//! `record --cgroup`, `--container`, `--pod`, `--all`: what runs already and what is started later,
//! until all of it has ended, time is up, or a signal says so.

use std::{collections::BTreeSet, ops::ControlFlow, path::PathBuf, time::Duration};

use nix::sys::signal::Signal;
use tokio::time::Instant;

pub use super::naming::Naming;
use super::{
    FinishedWorkload, ProgressListener, RecordError, Session, SnapshotSink, Supervisor,
    container_tracker::ContainerTracker,
    kernel::LiveKernel,
    lookup::{NameSource, RuntimeLookup},
    recorder::{Recorder, Until},
    recording_loop::{self, Recorded},
    signals::{ReceivedSignal, Signals},
    system::ThisMachine,
};
use crate::{
    bpf::Settings,
    cgroup::{Cgroup, Hierarchy},
    container::{self, Container, MetadataSources, Sandboxed, Selector},
};
use tracer_core::recording::Recording;

/// How long to wait for CRI at the end.
const CRI_LIMIT: Duration = Duration::from_secs(5);

/// How often, at most, what has ended is handed to the sink of a supervised recording between checkpoints.
const KEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What to record, and until when.
#[derive(Clone, Debug)]
pub struct Request {
    /// What was asked for.
    pub wanted: Vec<RecordTarget>,
    /// Whether to wait for what does not run yet.
    pub wait: bool,
    /// When to end.
    pub duration: Option<Duration>,
    /// To end, too, when no new call was made for that long.
    pub until_stable: Option<Duration>,
    /// The CRI socket to ask, instead of the known ones.
    pub cri_socket: Option<PathBuf>,
    /// How workloads are called.
    pub naming: Naming,
    /// For the kernel side.
    pub settings: Settings,
}

/// What a user asked for.
#[derive(Clone, Debug)]
pub enum RecordTarget {
    /// A cgroup, by its directory or path.
    Cgroup(String),
    /// Containers.
    Containers(Selector),
}

/// How a recording of cgroups ended.
#[derive(Debug)]
pub enum Ended {
    /// By a signal, `--duration` or `--until-stable`.
    Asked,
    /// All that was recorded is gone.
    Removed,
    /// By an error. What was seen before is in the recordings, which say so.
    Failed(RecordError),
}

/// A cgroup that was found, and the container in it.
type Found = (Cgroup, Option<Container>);

/// Attached to what was asked for.
pub struct Attachment {
    request: Request,
    recorder: Recorder<LiveKernel, ThisMachine, RuntimeLookup>,
    deadline: Option<Instant>,
    /// When what has ended was handed over last.
    kept: Instant,
    /// Keeps a private mount, too, as long as paths below it are used.
    hierarchy: Hierarchy,
}

impl Attachment {
    /// Loads the kernel side, finds what was asked for and begins to record it. Asks the container
    /// runtimes' sockets, which takes some seconds at most.
    ///
    /// # Errors
    /// [`RecordError::Cgroup`], [`RecordError::NoContainer`] when something is not there.
    pub async fn begin(
        request: Request,
        listener: &mut dyn ProgressListener,
    ) -> Result<Self, RecordError> {
        Self::begin_by(request, None, None, listener).await
    }

    /// The same under a supervisor: of all containers those are recorded that it selects, for ever, and what has
    /// ended is forgotten when it was handed to the sink. Only for [`Selector::All`]. Where `names` are given, they
    /// are asked who a container is, and CRI is only when its socket was given.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn supervised(
        request: Request,
        supervisor: Box<dyn Supervisor>,
        names: Option<Box<dyn NameSource>>,
        listener: &mut dyn ProgressListener,
    ) -> Result<Self, RecordError> {
        Self::begin_by(request, Some(supervisor), names, listener).await
    }

    async fn begin_by(
        request: Request,
        supervisor: Option<Box<dyn Supervisor>>,
        names: Option<Box<dyn NameSource>>,
        listener: &mut dyn ProgressListener,
    ) -> Result<Self, RecordError> {
        let hierarchy = Hierarchy::open()?;
        if hierarchy.is_v1_only() {
            return Err(RecordError::OnlyV1);
        }
        let selectors: Vec<_> = request
            .wanted
            .iter()
            .filter_map(|wanted| match wanted {
                RecordTarget::Containers(selector) => Some(selector.clone()),
                RecordTarget::Cgroup(_) => None,
            })
            .collect();
        let mut sources = MetadataSources::local();
        if !selectors.is_empty() && (names.is_none() || request.cri_socket.is_some()) {
            sources.refresh_cri(request.cri_socket.as_deref()).await;
            for problem in &sources.problems {
                listener.note(problem);
            }
        }
        let settings = Settings {
            discover: !selectors.is_empty(),
            ..request.settings.clone()
        };
        // What can be refused is refused before anything is loaded.
        if !request.wait {
            find(&request, &hierarchy, &sources)?;
        }
        let session = Session::start(&settings, hierarchy.root())?;
        raise_priority();
        let lookup = RuntimeLookup::new(sources, request.cri_socket.clone()).with_names(names);
        let tracker = ContainerTracker::new(selectors, lookup, session.now());
        let mut recorder = Recorder::new(session, tracker, request.naming.clone(), until(&request));
        if let Some(supervisor) = supervisor {
            recorder = recorder.supervised(supervisor);
        }
        // Whatever is made from here on, the kernel side finds by itself.
        let found = find(&request, &hierarchy, &recorder.tracker.lookup().sources)?;
        check_name_is_unique(&request, &found)?;
        for (cgroup, container) in found {
            let path = cgroup.path.display().to_string();
            if !recorder.tracker.refuses(&path, container.as_ref()) {
                recorder.watch(cgroup, container, listener)?;
            }
        }
        if is_endless(&request) {
            listener.began("all containers, including those that start later");
        } else if request.wait && recorder.is_idle() {
            listener.waits();
        }
        Ok(Self {
            request,
            recorder,
            deadline: None,
            kept: Instant::now(),
            hierarchy,
        })
    }

    /// The names of the workloads that are recorded so far.
    pub fn names(&self) -> Vec<String> {
        self.recorder.names()
    }

    /// Records until all is gone or it is told to end; one recording for each workload. `sink` keeps what is
    /// recorded so far.
    ///
    /// # Errors
    /// [`RecordError`] when not even what was seen so far can be told.
    pub async fn run(
        mut self,
        signals: &mut Signals,
        sink: &mut dyn SnapshotSink,
        listener: &mut dyn ProgressListener,
    ) -> Result<(Vec<Recording>, Ended), RecordError> {
        self.deadline = self
            .request
            .duration
            .and_then(|duration| Instant::now().checked_add(duration));
        let followed = recording_loop::run(&mut self, None, signals, sink, listener).await;
        self.name_the_gone(listener).await;
        let settled = self.recorder.settle(listener);
        let ended = match (followed, settled) {
            (Ok(ended), Ok(())) => ended,
            // Hours of recording are not lost with it.
            (Err(error), _) | (_, Err(error)) => Ended::Failed(error),
        };
        Ok((self.recorder.finish(&ended, listener)?, ended))
    }

    /// Asks CRI once more, where a container has no name yet: it knows those that ended, for a while.
    async fn name_the_gone(&mut self, listener: &mut dyn ProgressListener) {
        // What cannot be read now, `settle` reads and reports.
        let _ = self.recorder.take_in(listener);
        if !self.recorder.tracker.has_unnamed() {
            return;
        }
        let answer = self.recorder.tracker.lookup_mut().refresh_cri();
        if tokio::time::timeout(CRI_LIMIT, answer).await.is_err() {
            listener.note("the container runtime did not answer at the end: names may be missing");
        }
    }

    /// Records the containers that run and are not recorded although they were asked for.
    fn rescan(&mut self, listener: &mut dyn ProgressListener) -> Result<(), RecordError> {
        let sources = &self.recorder.tracker.lookup().sources;
        match find(&self.request, &self.hierarchy, sources) {
            Ok(found) => self.recorder.watch_unknown(found, listener),
            // What is not there any more is no error now.
            Err(_) => Ok(()),
        }
    }
}

impl Recorded for Attachment {
    type End = Ended;

    fn session(&mut self) -> &mut Session {
        &mut self.recorder.session
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn until_stable(&self) -> Option<Duration> {
        self.request.until_stable
    }

    /// There is no command.
    fn on_exit(&mut self) -> Result<(), RecordError> {
        Ok(())
    }

    fn on_signal(&mut self, signal: ReceivedSignal) -> ControlFlow<Ended> {
        if signal.signal == Signal::SIGHUP
            && let Some(supervisor) = self.recorder.supervisor()
        {
            supervisor.reload();
            ControlFlow::Continue(())
        } else if signal.asks_to_end() {
            ControlFlow::Break(Ended::Asked)
        } else {
            ControlFlow::Continue(())
        }
    }

    fn on_checkpoint(&mut self) -> Result<(), RecordError> {
        match self.recorder.supervisor() {
            Some(_) => self.recorder.supervise(),
            None => Ok(()),
        }
    }

    fn is_keeping(&mut self) -> bool {
        self.kept.elapsed() >= KEEP_INTERVAL && self.recorder.has_ended()
    }

    fn workloads(&mut self) -> Vec<FinishedWorkload> {
        self.recorder.hand_over();
        self.recorder.finished_workloads()
    }

    fn on_kept(&mut self) -> Result<(), RecordError> {
        self.kept = Instant::now();
        self.recorder.forget_handed()
    }

    fn on_time(&mut self) -> ControlFlow<Ended> {
        ControlFlow::Break(Ended::Asked)
    }

    fn on_drained(&mut self, listener: &mut dyn ProgressListener) -> Result<(), RecordError> {
        if self.recorder.take_in(listener)? {
            self.rescan(listener)?;
        }
        self.recorder.name_first(listener);
        if self.recorder.supervisor().is_some_and(Supervisor::turn) {
            self.recorder.supervise()?;
            self.rescan(listener)?;
        }
        Ok(())
    }

    fn is_over(&mut self) -> ControlFlow<Ended> {
        if self.recorder.is_over() {
            ControlFlow::Break(Ended::Removed)
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// What has a duration is recorded for that long when it may come again, and `--all` means what comes
/// later as well.
fn until(request: &Request) -> Until {
    let waits_for_time = request.wait && request.duration.is_some();
    if waits_for_time || is_endless(request) {
        Until::Asked
    } else {
        Until::AllEnded
    }
}

fn is_endless(request: &Request) -> bool {
    let all = |wanted: &RecordTarget| matches!(wanted, RecordTarget::Containers(Selector::All));
    request.wanted.iter().any(all)
}

fn check_name_is_unique(request: &Request, found: &[Found]) -> Result<(), RecordError> {
    let kinds: BTreeSet<_> = found
        .iter()
        .filter_map(|(_, container)| container.as_ref())
        .map(|container| &container.workload)
        .collect();
    if request.naming.given.is_some() && kinds.len() > 1 {
        return Err(RecordError::OneNameForSeveral(kinds.len()));
    }
    Ok(())
}

/// Runs before ordinary work, for the little that it runs: a runtime does not wait until the exits of calls
/// are watched and its files are read. Not for a command, which would inherit it.
fn raise_priority() {
    // As system daemons have that must not be late (udev, journald: -1 to -10).
    const NICE: i32 = -10;
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        log::debug!("it runs at ordinary priority: {error}");
    }
}

/// Finds what was asked for among what runs.
fn find(
    request: &Request,
    hierarchy: &Hierarchy,
    sources: &MetadataSources,
) -> Result<Vec<Found>, RecordError> {
    let mut found: Vec<Found> = Vec::new();
    let sandboxed = container::running(&sources.files);
    for wanted in &request.wanted {
        let matches: Vec<Found> = match wanted {
            RecordTarget::Cgroup(given) => vec![(hierarchy.find(given)?, None)],
            RecordTarget::Containers(selector) => {
                let search = container::find(selector, hierarchy, sources)?;
                for problem in &search.problems {
                    log::warn!("{problem}");
                }
                search
                    .found
                    .into_iter()
                    .filter(|found| *selector != Selector::All || !is_own(&found.cgroup))
                    .map(|found| (found.cgroup, Some(found.container)))
                    .filter_map(|found| refuse_sandboxed(selector, found, &sandboxed).transpose())
                    .collect::<Result<_, _>>()?
            }
        };
        if let RecordTarget::Containers(selector) = wanted {
            let may_come = request.wait || *selector == Selector::All;
            if matches.is_empty()
                && let Some(it) = sandboxed.iter().find(|it| selector.means_id(&it.id))
            {
                return Err(RecordError::Sandboxed(it.clone()));
            }
            if matches.is_empty() && !may_come {
                return Err(RecordError::NoContainer(selector.to_string()));
            }
            if let Selector::Container(text) = selector {
                refuse_ambiguous(text, &matches)?;
            }
        }
        for (cgroup, container) in matches {
            // Asked for twice is recorded once.
            if found.iter().all(|(known, _)| known.id != cgroup.id) {
                found.push((cgroup, container));
            }
        }
    }
    Ok(found)
}

/// Refuses a container that was asked for and whose tasks are none of this kernel's. Of all containers such
/// a one is left out.
fn refuse_sandboxed(
    selector: &Selector,
    found: Found,
    running: &[Sandboxed],
) -> Result<Option<Found>, RecordError> {
    let of_container = found.1.as_ref().and_then(|container| {
        let of_process = || running.iter().find(|it| it.id == container.id);
        container.sandboxed.as_ref().or_else(of_process)
    });
    let Some(sandboxed) = of_container.cloned() else {
        return Ok(Some(found));
    };
    if *selector == Selector::All {
        log::warn!("not recorded: {sandboxed}");
        return Ok(None);
    }
    Err(RecordError::Sandboxed(sandboxed))
}

/// Whether tracer itself runs in a cgroup: as an agent in a pod, it is nobody's workload.
fn is_own(cgroup: &Cgroup) -> bool {
    let own = i32::try_from(std::process::id()).ok();
    let processes = cgroup.processes().unwrap_or_default();
    processes.into_iter().any(|pid| Some(pid) == own)
}

/// Several containers may have one name: they are replicas. But the beginning of several ids means
/// one of them, and which one is not for tracer to say.
fn refuse_ambiguous(text: &str, matches: &[Found]) -> Result<(), RecordError> {
    let by_beginning: Vec<_> = matches
        .iter()
        .filter_map(|(_, container)| container.as_ref())
        .filter(|container| container.id != text && container.name.as_deref() != Some(text))
        .map(|container| format!("{:?}", container.id))
        .collect();
    if matches.len() > 1 && !by_beginning.is_empty() {
        return Err(RecordError::Ambiguous {
            given: text.to_owned(),
            ids: by_beginning.join(", "),
        });
    }
    Ok(())
}
