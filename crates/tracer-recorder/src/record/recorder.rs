//! The recorder of cgroups and containers: the session, the tracker of containers, and the workloads that
//! come of them. It knows the kernel, the machine and the runtimes by their traits only, so that the
//! simulation drives it as it is.

use std::collections::BTreeMap;

use tracer_abi::EXE_UNKNOWN;

use super::{
    Ended, FinishedWorkload, InstanceInfo, ProgressListener, RecordError, WorkloadPart,
    announce::source, conclude::Conclusions, container_tracker::ContainerTracker, convert,
    kernel::Kernel, lookup::ContainerLookup, naming::Naming, session::Session, system::System,
    unnamed::UnnamedInPods,
};
use crate::{
    bpf::CgroupKind,
    cgroup::Cgroup,
    container::{Container, WorkloadKey},
};
use tracer_core::recording::{Reason, Recording, RecordingEnd, Workload};

/// When a recording ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// When all that was asked for has been there and is gone.
    AllEnded,
    /// Not at all: what comes later is recorded as well.
    Asked,
}

/// A running recording of cgroups and containers.
pub(super) struct Recorder<K, S, L> {
    pub(super) session: Session<K, S>,
    pub(super) tracker: ContainerTracker<L>,
    naming: Naming,
    until: Until,
    /// Cgroups that are no containers.
    plain: Vec<(u32, Cgroup)>,
    /// The workload that has the name that was given: the first one.
    named: Option<WorkloadKey>,
    /// Whether it was said that others have names of their own.
    told_of_name: bool,
    /// What a supervised recording gives up.
    pub(super) conclusions: Conclusions,
}

impl<K: Kernel, S: System, L: ContainerLookup> Recorder<K, S, L> {
    pub(super) fn new(
        session: Session<K, S>,
        tracker: ContainerTracker<L>,
        naming: Naming,
        until: Until,
    ) -> Self {
        Self {
            session,
            tracker,
            naming,
            until,
            plain: Vec::new(),
            named: None,
            told_of_name: false,
            conclusions: Conclusions::default(),
        }
    }

    /// Whether nothing is recorded yet.
    pub(super) fn is_idle(&self) -> bool {
        self.plain.is_empty() && self.tracker.wanted().next().is_none()
    }

    /// The names of the workloads that are recorded so far.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.named().into_iter().map(|(name, _)| name).collect();
        names.dedup();
        names
    }

    /// Begins to record a cgroup that is there.
    ///
    /// # Errors
    /// [`RecordError::TooManyCgroups`] when there is no room for it.
    pub(super) fn watch(
        &mut self,
        cgroup: Cgroup,
        container: Option<Container>,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        if self.session.is_watched(cgroup.id)? {
            // The kernel side found it: its notice is on the way.
            return Ok(());
        }
        let is_populated =
            |session: &Session<K, S>| session.system.is_populated(&cgroup).unwrap_or(true);
        // One that is empty was just made, before the kernel side could find it: its runtime is still to
        // come.
        let kind = match container {
            Some(_) => CgroupKind::Container {
                started: is_populated(&self.session),
                introduced: self.session.system.has_initial_pids(),
            },
            None => CgroupKind::Plain,
        };
        if self.is_under_filter(&cgroup) {
            self.session.watch_exits()?;
        }
        let info = InstanceInfo {
            source: source(container.as_ref()),
            // Until it is known better.
            start_observed: false,
            container: container.as_ref().map(convert::container),
        };
        // Before it is watched, so that nobody who is in it is taken for one who comes in.
        self.register_processes(&cgroup)?;
        let number = self.session.watch(&cgroup, info, EXE_UNKNOWN, kind)?;
        self.session
            .want(number, container.as_ref().map(|it| &it.workload));
        // Only now: who came in before the cgroup was watched is in it, whoever comes later is seen.
        let start_observed = !is_populated(&self.session);
        let filtered = self.is_under_filter(&cgroup);
        if let Some(instance) = self.session.instance_mut(number) {
            instance.subject.start_observed = start_observed;
            instance.state.filtered |= filtered;
        }
        // Again: who was forked in the meantime. Who execs from now on is known to the kernel side.
        self.register_processes(&cgroup)?;
        self.tracker.announcer.began(
            container.as_ref(),
            &cgroup.path.display().to_string(),
            listener,
        );
        match container {
            Some(container) => self.tracker.add_running(number, container, listener),
            None => self.plain.push((number, cgroup)),
        }
        Ok(())
    }

    /// Whether a process of the cgroup runs under a seccomp filter.
    fn is_under_filter(&self, cgroup: &Cgroup) -> bool {
        let system = &self.session.system;
        let processes = system.processes(cgroup);
        processes.into_iter().any(|pid| system.is_under_filter(pid))
    }

    /// Processes that exec'ed before the recording began are known by what /proc says of them.
    fn register_processes(&mut self, cgroup: &Cgroup) -> Result<(), RecordError> {
        // The kernel side counts pids as the initial namespace does; in another one these numbers
        // would name other processes. Their executables then stay unknown.
        if !self.session.system.has_initial_pids() {
            return Ok(());
        }
        for pid in self.session.system.processes(cgroup) {
            let executable = self.session.system.executable(pid);
            if let (Some(executable), Ok(pid)) = (executable, u32::try_from(pid)) {
                self.session.register_process(pid, cgroup.id, &executable)?;
            }
        }
        Ok(())
    }

    /// Acts on what was drained: decides which containers are recorded. Returns whether containers may
    /// have been left that were asked for: those that run have to be looked for again.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn take_in(
        &mut self,
        listener: &mut dyn ProgressListener,
    ) -> Result<bool, RecordError> {
        self.handle_events(listener)?;
        self.tracker.tick(&mut self.session, listener)?;
        Ok(self.tracker.take_rescan())
    }

    fn handle_events(&mut self, listener: &mut dyn ProgressListener) -> Result<(), RecordError> {
        for event in self.session.take_instance_events() {
            self.tracker
                .handle_event(event, &mut self.session, listener)?;
        }
        Ok(())
    }

    /// Records the containers that run and are not recorded although they were asked for.
    ///
    /// # Errors
    /// [`RecordError::TooManyCgroups`] when there is no room for one.
    pub(super) fn watch_unknown(
        &mut self,
        found: Vec<(Cgroup, Option<Container>)>,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        for (cgroup, container) in found {
            let path = cgroup.path.display().to_string();
            if self.tracker.refuses(&path, container.as_ref()) {
                continue;
            }
            if container.is_some() && !self.session.knows(cgroup.id) {
                self.watch(cgroup, container, listener)?;
            }
        }
        Ok(())
    }

    /// Gives the name that a user gave to the first workload there is, and says so when there is
    /// another: two in one directory would be one profile for both.
    pub(super) fn name_first(&mut self, listener: &mut dyn ProgressListener) {
        let Some(given) = &self.naming.given else {
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
            listener.note(&format!(
                "--name {} names one workload; others, such as {}, keep their own names",
                given.escape_debug(),
                other.workload.to_string().escape_debug()
            ));
        }
    }

    /// Whether all that was asked for has been there and is gone.
    pub(super) fn is_over(&mut self) -> bool {
        let Session { system, root, .. } = &self.session;
        self.until == Until::AllEnded
            && self
                .tracker
                .is_over(system.now(), |path| system.is_at(root, path))
            && self.plain.iter().all(|(_, cgroup)| !system.exists(cgroup))
    }

    /// Takes in what came since the last look, and what found no room in the ring, and decides what is
    /// still open.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn settle(
        &mut self,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        self.session.reconcile()?;
        self.handle_events(listener)?;
        self.tracker.settle(&mut self.session, listener)
    }

    /// Ends the recording, and makes one for each workload. `ended` is why.
    ///
    /// # Errors
    /// [`RecordError`] when not even what was seen so far can be told.
    pub(super) fn finish(
        mut self,
        ended: &Ended,
        listener: &mut dyn ProgressListener,
    ) -> Result<Vec<Recording>, RecordError> {
        self.name_first(listener);
        self.end_supervision()?;
        let mut workloads = self.finished_workloads();
        if let Ended::Failed(error) = ended {
            for workload in &mut workloads {
                workload.reasons.push(error.cut_short());
            }
        }
        self.session.finish(workloads)
    }

    /// The workloads, each with its name and instances.
    fn named(&self) -> Vec<(String, u32)> {
        let naming = &self.naming;
        let plain = self
            .plain
            .iter()
            .map(|(number, cgroup)| (naming.of_cgroup(&cgroup.path), *number));
        let containers = self.tracker.wanted().map(|(number, container)| {
            let name = match (container, self.session.instance(number)) {
                (Some(container), _) => naming.of_container(container, self.named.as_ref()),
                (None, Some(instance)) => naming.of_unknown(&instance.cgroup.path),
                (None, None) => String::new(),
            };
            (name, number)
        });
        let mut named: Vec<_> = plain.chain(containers).collect();
        named.sort();
        named
    }

    /// The workloads that are recorded so far, with what is known against them.
    pub(super) fn finished_workloads(&self) -> Vec<FinishedWorkload> {
        let mut workloads: BTreeMap<(String, WorkloadPart), FinishedWorkload> = BTreeMap::new();
        let unnamed = UnnamedInPods::of(self.tracker.wanted()).with(self.conclusions.given_up());
        for (name, number) in self.named() {
            if self.is_open(number) {
                continue;
            }
            let part = self.part(number);
            let workload = workloads
                .entry((name.clone(), part.clone()))
                .or_insert_with(|| FinishedWorkload {
                    workload: Workload {
                        name,
                        command: Vec::new(),
                    },
                    instances: Vec::new(),
                    reasons: Vec::new(),
                    part,
                });
            workload.instances.push(number);
            if self.session.runs(number) || self.conclusions.is_left(number) {
                workload.reasons.push(Reason::StillRunning {
                    after: RecordingEnd::Attached,
                });
            }
        }
        for workload in workloads.values_mut() {
            workload.reasons.extend(unnamed.reason(&workload.instances));
        }
        workloads.into_values().collect()
    }
}
