//! `record --cgroup`, `--container`, `--pod`, `--all`: what runs already and what is started later,
//! until all of it has ended, time is up, or a signal says so.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use procfs::process::Process;
use tokio::time;
use tracer_abi::EXE_UNKNOWN;

use super::{
    FinishedWorkload, InstanceInfo, ProgressListener, RecordError, Session,
    container_tracker::{ContainerTracker, announce, source},
    convert,
    discovery::describe_quiet,
    instance::TrackedInstance,
    signals::Signals,
};
use crate::{
    bpf::{CgroupKind, Settings},
    cgroup::{Cgroup, Hierarchy},
    container::{self, Container, MetadataSources, Selector, WorkloadKey},
};
use tracer_core::recording::{Reason, Recording, RecordingEnd, Workload};

/// How often the marks are read back.
const CHECKPOINT: Duration = Duration::from_secs(5);

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

/// How workloads are called.
#[derive(Clone, Debug)]
pub struct Naming {
    /// The name that was given, for all.
    pub given: Option<String>,
    /// Makes a safe name of any text.
    pub clean: fn(&OsStr) -> String,
}

impl Naming {
    /// `first` is the workload that gets the name that was given.
    fn of_container(&self, container: &Container, first: Option<&WorkloadKey>) -> String {
        let given = self.given.clone();
        let is_first = first.is_none_or(|first| *first == container.workload);
        given.filter(|_| is_first).unwrap_or_else(|| {
            container
                .workload
                .directory(|text| (self.clean)(text.as_ref()))
        })
    }

    fn of_cgroup(&self, path: &Path) -> String {
        self.given
            .clone()
            .unwrap_or_else(|| (self.clean)(path.as_os_str()))
    }

    /// A container of which only the path is known: the whole path, as two containers may well have
    /// the same last part.
    fn of_unknown(&self, path: &Path) -> String {
        WorkloadKey::Cgroup(path.display().to_string())
            .directory(|text| (self.clean)(text.as_ref()))
    }
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
    session: Session,
    tracker: ContainerTracker,
    /// Cgroups that are no containers.
    plain: Vec<(u32, Cgroup)>,
    /// The workload that has the name that was given: the first one.
    named: Option<WorkloadKey>,
    /// Whether it was said that others have names of their own.
    told_of_name: bool,
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
        watcher: &mut dyn ProgressListener,
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
        if !selectors.is_empty() {
            sources.refresh_cri(request.cri_socket.as_deref()).await;
            for problem in &sources.problems {
                watcher.note(problem);
            }
        }
        let settings = Settings {
            discover: !selectors.is_empty(),
            ..request.settings
        };
        // What can be refused is refused before anything is loaded.
        if !request.wait {
            find(&request, &hierarchy, &sources)?;
        }
        let session = Session::start(&settings, hierarchy.root())?;
        raise_priority();
        let mut attachment = Self {
            tracker: ContainerTracker::new(selectors, sources, request.cri_socket.clone()),
            request,
            session,
            plain: Vec::new(),
            named: None,
            told_of_name: false,
            hierarchy: hierarchy.clone(),
        };
        // Whatever is made from here on, the kernel side finds by itself.
        let found = find(
            &attachment.request,
            &hierarchy,
            attachment.tracker.sources(),
        )?;
        attachment.check_name_is_unique(&found)?;
        for (cgroup, container) in found {
            attachment.watch(cgroup, container, watcher)?;
        }
        if attachment.is_endless() {
            watcher.began("all containers, those that are started later too");
        } else if attachment.request.wait && attachment.is_idle() {
            watcher.began("what is waited for, as soon as it starts");
        }
        Ok(attachment)
    }

    /// The names of the workloads that are recorded so far.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.named().into_iter().map(|(name, _)| name).collect();
        names.dedup();
        names
    }

    fn is_idle(&self) -> bool {
        self.plain.is_empty() && self.tracker.wanted().next().is_none()
    }

    fn check_name_is_unique(&self, found: &[Found]) -> Result<(), RecordError> {
        let kinds: std::collections::BTreeSet<_> = found
            .iter()
            .filter_map(|(_, container)| container.as_ref())
            .map(|container| &container.workload)
            .collect();
        if self.request.naming.given.is_some() && kinds.len() > 1 {
            return Err(RecordError::OneNameForSeveral(kinds.len()));
        }
        Ok(())
    }

    /// Begins to record a cgroup that is there.
    fn watch(
        &mut self,
        cgroup: Cgroup,
        container: Option<Container>,
        watcher: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        if self.session.is_watched(cgroup.id)? {
            // The kernel side found it: its notice is on the way.
            return Ok(());
        }
        // One that is empty was just made, before the kernel side could find it: its runtime is still to
        // come.
        let kind = match container {
            Some(_) => CgroupKind::Container {
                started: cgroup.is_populated().unwrap_or(true),
                introduced: in_initial_pid_namespace(),
            },
            None => CgroupKind::Plain,
        };
        if self.is_under_a_filter(&cgroup) {
            self.session.watch_exits()?;
        }
        let subject = InstanceInfo {
            source: source(container.as_ref()),
            // Until it is known better.
            start_observed: false,
            container: container.as_ref().map(convert::container),
        };
        // Before it is watched, so that nobody who is in it is taken for one who comes in.
        self.register_processes(&cgroup)?;
        let number = self.session.watch(&cgroup, subject, EXE_UNKNOWN, kind)?;
        self.session
            .want(number, container.as_ref().map(|it| &it.workload));
        // Only now: who came in before the cgroup was watched is in it, whoever comes later is seen.
        let start_observed = !cgroup.is_populated().unwrap_or(true);
        let filtered = self.is_under_a_filter(&cgroup);
        if let Some(watched) = self.session.instance_mut(number) {
            watched.subject.start_observed = start_observed;
            watched.state.filtered |= filtered;
        }
        // Again: who was forked in the meantime. Who execs from now on is known to the kernel side.
        self.register_processes(&cgroup)?;
        announce(
            container.as_ref(),
            &cgroup.path.display().to_string(),
            watcher,
        );
        match container {
            Some(container) => self.tracker.add_running(number, container, watcher),
            None => self.plain.push((number, cgroup)),
        }
        Ok(())
    }

    /// Whether a process of the cgroup runs under a seccomp filter (`Seccomp: 2` in its status).
    fn is_under_a_filter(&self, cgroup: &Cgroup) -> bool {
        cgroup
            .processes()
            .unwrap_or_default()
            .into_iter()
            .any(|pid| {
                Process::new(pid)
                    .and_then(|process| process.status())
                    .is_ok_and(|status| status.seccomp == Some(2))
            })
    }

    /// Processes that exec'ed before the recording began are known by what /proc says of them.
    fn register_processes(&mut self, cgroup: &Cgroup) -> Result<(), RecordError> {
        // The kernel side counts pids as the initial namespace does; in another one these numbers
        // would name other processes. Their executables then stay unknown.
        if !in_initial_pid_namespace() {
            return Ok(());
        }
        for pid in cgroup.processes().unwrap_or_default() {
            let (Ok(executable), Ok(pid)) = (
                fs::read_link(format!("/proc/{pid}/exe")),
                u32::try_from(pid),
            ) else {
                continue; // It ended in the meantime, or it is a kernel thread.
            };
            self.session
                .register_process(pid, cgroup.id, executable.as_os_str().as_bytes())?;
        }
        Ok(())
    }

    /// Records until all is gone or it is told to end; one recording for each workload.
    ///
    /// # Errors
    /// [`RecordError`] when not even what was seen so far can be told.
    pub async fn run(
        mut self,
        signals: &mut Signals,
        watcher: &mut dyn ProgressListener,
    ) -> Result<(Vec<Recording>, Ended), RecordError> {
        let followed = self.follow(signals, watcher).await;
        let settled = match &followed {
            Ok(_) => self.settle(watcher),
            // Hours of recording are not lost with it.
            Err(_) => {
                let _ = self.settle(watcher);
                Ok(())
            }
        };
        let ended = match (followed, settled) {
            (Ok(ended), Ok(())) => ended,
            (Err(error), _) | (_, Err(error)) => Ended::Failed(error),
        };
        self.announce_first(watcher);
        let mut finished_workloads = self.finished_workloads();
        if let Ended::Failed(error) = &ended {
            for ending in &mut finished_workloads {
                ending.reasons.push(error.cut_short());
            }
        }
        Ok((self.session.finish(finished_workloads)?, ended))
    }

    /// Takes in what came since the last look, and what found no room in the ring, and decides what is
    /// still open.
    fn settle(&mut self, watcher: &mut dyn ProgressListener) -> Result<(), RecordError> {
        self.session.reconcile()?;
        self.handle_event(watcher)?;
        self.tracker.settle(&mut self.session, watcher)
    }

    async fn follow(
        &mut self,
        signals: &mut Signals,
        watcher: &mut dyn ProgressListener,
    ) -> Result<Ended, RecordError> {
        let duration = self.request.duration;
        let deadline = async {
            match duration {
                Some(duration) => time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(deadline);
        let mut checkpoint = time::interval(CHECKPOINT);
        loop {
            tokio::select! {
                waited = self.session.wait() => waited?,
                _ = checkpoint.tick() => self.session.reconcile()?,
                arrived = signals.next() => {
                    let arrived = arrived.map_err(RecordError::process("read signals"))?;
                    if arrived.asks_to_end() {
                        return Ok(Ended::Asked);
                    }
                }
                () = &mut deadline => return Ok(Ended::Asked),
            }
            self.session.drain()?;
            self.handle_event(watcher)?;
            self.tracker.tick(&mut self.session, watcher).await?;
            if self.tracker.take_rescan() {
                self.rescan(watcher)?;
            }
            self.announce_first(watcher);
            self.session.tell(watcher)?;
            if self.is_over() {
                return Ok(Ended::Removed);
            }
            if let Some(span) = self.request.until_stable
                && self.session.is_stable(span)?
            {
                watcher.ends(&describe_quiet(span));
                return Ok(Ended::Asked);
            }
        }
    }

    /// Records the containers that run and are not recorded although they were asked for.
    fn rescan(&mut self, watcher: &mut dyn ProgressListener) -> Result<(), RecordError> {
        // What is not there any more is no error now.
        let Ok(found) = find(&self.request, &self.hierarchy, self.tracker.sources()) else {
            return Ok(());
        };
        for (cgroup, container) in found {
            if container.is_some() && !self.session.knows(cgroup.id) {
                self.watch(cgroup, container, watcher)?;
            }
        }
        Ok(())
    }

    /// Gives the name that a user gave to the first workload there is, and says so when there is
    /// another: two in one folder would be one profile for both.
    fn announce_first(&mut self, watcher: &mut dyn ProgressListener) {
        let Some(given) = &self.request.naming.given else {
            return;
        };
        let others = self
            .tracker
            .wanted()
            .filter_map(|(_, container)| container)
            .find(|container| {
                let first = self.named.get_or_insert_with(|| container.workload.clone());
                *first != container.workload
            });
        if let Some(other) = others.filter(|_| !self.told_of_name) {
            self.told_of_name = true;
            watcher.note(&format!(
                "--name {} names one workload, and there are others, as {}: they get names of their own",
                given.escape_debug(),
                other.workload.to_string().escape_debug()
            ));
        }
    }

    fn handle_event(&mut self, watcher: &mut dyn ProgressListener) -> Result<(), RecordError> {
        for instance_events in self.session.instance_events() {
            self.tracker
                .handle_event(instance_events, &mut self.session, watcher)?;
        }
        Ok(())
    }

    /// What has a duration is recorded for that long when it may come again.
    fn is_over(&mut self) -> bool {
        let waits_for_time = self.request.wait && self.request.duration.is_some();
        let root = self.hierarchy.root();
        !waits_for_time
            && !self.is_endless()
            && self
                .tracker
                .is_over(|path| root.join(path.trim_start_matches('/')).exists())
            && self.plain.iter().all(|(_, cgroup)| !cgroup.exists())
    }

    /// `--all` means what comes later as well.
    fn is_endless(&self) -> bool {
        let all = |wanted: &RecordTarget| matches!(wanted, RecordTarget::Containers(Selector::All));
        self.request.wanted.iter().any(all)
    }

    /// The workloads, each with its name and instances.
    fn named(&self) -> Vec<(String, u32)> {
        let naming = &self.request.naming;
        let plain = self
            .plain
            .iter()
            .map(|(number, cgroup)| (naming.of_cgroup(&cgroup.path), *number));
        let containers = self.tracker.wanted().map(|(number, container)| {
            let name = match (container, self.session.instance(number)) {
                (Some(container), _) => naming.of_container(container, self.named.as_ref()),
                (None, Some(watched)) => naming.of_unknown(&watched.cgroup.path),
                (None, None) => String::new(),
            };
            (name, number)
        });
        let mut named: Vec<_> = plain.chain(containers).collect();
        named.sort();
        named
    }

    fn finished_workloads(&self) -> Vec<FinishedWorkload> {
        let mut finished_workloads: BTreeMap<String, FinishedWorkload> = BTreeMap::new();
        for (name, number) in self.named() {
            let ending =
                finished_workloads
                    .entry(name.clone())
                    .or_insert_with(|| FinishedWorkload {
                        workload: Workload {
                            name,
                            command: Vec::new(),
                        },
                        instances: Vec::new(),
                        reasons: Vec::new(),
                    });
            ending.instances.push(number);
            if self
                .session
                .instance(number)
                .is_some_and(TrackedInstance::runs)
            {
                ending.reasons.push(Reason::StillRunning {
                    after: RecordingEnd::Attached,
                });
            }
        }
        finished_workloads.into_values().collect()
    }
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
                    .map(|found| (found.cgroup, Some(found.container)))
                    .collect()
            }
        };
        if let RecordTarget::Containers(selector) = wanted {
            let may_come = request.wait || *selector == Selector::All;
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

/// The initial pid namespace has a fixed inode number (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
fn in_initial_pid_namespace() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
}
