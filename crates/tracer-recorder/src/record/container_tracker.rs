//! Which instances are recorded of all that the kernel side finds: each is looked up until it is
//! known which container it is, then kept or left.

mod cri;
mod sandboxes;
mod supervised;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use tracer_abi::NoticeKind;

use super::{
    ProgressListener, RecordError,
    announce::{Announcer, brief},
    convert,
    kernel::Kernel,
    lookup::ContainerLookup,
    mutation,
    session::{InstanceEvent, Session},
    supervisor::{Selection, Supervisor},
    system::System,
    tracked_container::{IDENTIFY_TIMEOUT, TrackedContainer, newer},
};
use crate::container::{self, Container, Role, Selector, is_unit};

/// What a runtime calls to give a container its own root: with none of these, a cgroup that no
/// runtime knows is not taken for a container.
const ROOT_CHANGE_SYSCALLS: [&str; 2] = ["pivot_root", "chroot"];

/// The instances, and who is meant.
pub(super) struct ContainerTracker<L> {
    selectors: Vec<Selector>,
    lookup: L,
    tracked_by_instance: BTreeMap<u32, TrackedContainer>,
    /// Those that are recorded, known and gone: nothing is looked for among them, however many there are.
    ended: BTreeMap<u32, TrackedContainer>,
    /// The id of the container that each selector has meant first.
    matched: Vec<Option<String>>,
    cri_queried_at: Instant,
    /// Whether CRI is to be asked again.
    needs_cri: bool,
    /// Containers that came and went, and that nothing told the name of.
    unidentified: u64,
    pub(super) announcer: Announcer,
    /// Since when nothing that was asked for runs any more.
    all_ended_since: Option<Instant>,
    pods_with_sandbox: BTreeSet<String>,
    /// Whether something was left that had cgroups below it: containers among them are not recorded.
    rescan: bool,
    /// Who decides what is recorded of all containers; without one, all are.
    pub(super) supervisor: Option<Box<dyn Supervisor>>,
}

impl<L: ContainerLookup> ContainerTracker<L> {
    pub(super) fn new(selectors: Vec<Selector>, lookup: L, now: Instant) -> Self {
        Self {
            matched: vec![None; selectors.len()],
            selectors,
            lookup,
            tracked_by_instance: BTreeMap::new(),
            ended: BTreeMap::new(),
            cri_queried_at: now,
            needs_cri: false,
            unidentified: 0,
            announcer: Announcer::default(),
            all_ended_since: None,
            pods_with_sandbox: BTreeSet::new(),
            rescan: false,
            supervisor: None,
        }
    }

    pub(super) fn lookup(&self) -> &L {
        &self.lookup
    }

    pub(super) fn lookup_mut(&mut self) -> &mut L {
        &mut self.lookup
    }

    /// Takes in a container that was there from the beginning.
    pub(super) fn add_running(
        &mut self,
        instance: u32,
        container: Container,
        listener: &mut dyn ProgressListener,
    ) {
        self.note_match(&container, listener);
        self.tracked_by_instance.insert(
            instance,
            TrackedContainer {
                wanted: true,
                container: Some(container),
                announced: true,
                ..TrackedContainer::default()
            },
        );
    }

    /// The instances that are recorded, with the container of each where it is known.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (u32, Option<&Container>)> {
        self.tracked_by_instance
            .iter()
            .chain(&self.ended)
            .filter(|(_, tracked)| tracked.wanted)
            .map(|(instance, tracked)| (*instance, tracked.container.as_ref()))
    }

    /// Whether everyone that was asked for has been there and is gone. One that has just started, and
    /// is not known yet, may be who was asked for: that is waited for, but not for ever, since others
    /// may come all the time. Nor is it over between a pod's containers, while the pod's own cgroup is
    /// there: `exists` tells of a path below the hierarchy's root.
    pub(super) fn is_over(&mut self, now: Instant, exists: impl Fn(&str) -> bool) -> bool {
        let runs = |tracked: &TrackedContainer| {
            let pod = || {
                let container = tracked.container.as_ref()?;
                container::pod_cgroup(&container.cgroup)
            };
            tracked.wanted && (!tracked.removed || pod().is_some_and(&exists))
        };
        let mut all = self.tracked_by_instance.values().chain(self.ended.values());
        if !self.matched.iter().all(Option::is_some) || all.any(runs) {
            self.all_ended_since = None;
            return false;
        }
        let since = *self.all_ended_since.get_or_insert(now);
        let may_be_meant = |tracked: &TrackedContainer| {
            !tracked.removed && !tracked.wanted && tracked.started.is_some()
        };
        now.duration_since(since) > IDENTIFY_TIMEOUT
            || !self.tracked_by_instance.values().any(may_be_meant)
    }

    /// Acts on what happened.
    pub(super) fn handle_event<K: Kernel, S: System>(
        &mut self,
        instance_events: InstanceEvent,
        session: &mut Session<K, S>,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        let InstanceEvent { instance, kind } = instance_events;
        match kind {
            NoticeKind::Made => {
                self.tracked_by_instance
                    .insert(instance, TrackedContainer::default());
                if is_unit(&path_of(session, instance)) {
                    self.discard(instance, session)?;
                }
            }
            NoticeKind::Started => {
                if let Some(tracked) = self.tracked_by_instance.get_mut(&instance) {
                    tracked.started = Some(session.now());
                }
                self.look_up(instance, session, listener)?;
            }
            NoticeKind::Removed => self.on_removed(instance, session, listener)?,
            NoticeKind::Filtered | NoticeKind::Entered => {}
        }
        Ok(())
    }

    /// Looks again for what is not known yet, and takes in what CRI said.
    pub(super) fn tick<K: Kernel, S: System>(
        &mut self,
        session: &mut Session<K, S>,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        let now = session.now();
        self.take_cri_answer();
        self.find_sandboxes(session);
        self.query_cri_if_due(now);
        let due: Vec<_> = self
            .tracked_by_instance
            .iter()
            .filter(|(_, tracked)| tracked.is_due(now))
            .map(|(instance, _)| *instance)
            .collect();
        for instance in due {
            self.look_up(instance, session, listener)?;
            let gone = self.tracked_by_instance.get_mut(&instance);
            if let Some(tracked) = gone.filter(|tracked| tracked.removed) {
                if std::mem::take(&mut tracked.undecided) {
                    self.decide_unknown(instance, session, listener)?;
                }
                continue;
            }
            let overdue = self.tracked_by_instance.get(&instance).filter(|tracked| {
                !tracked.wanted
                    && tracked
                        .started
                        .is_some_and(|at| now.duration_since(at) > IDENTIFY_TIMEOUT)
            });
            // One that runtimes know is known as well as it will ever be.
            let is_another = overdue.is_some_and(TrackedContainer::is_known);
            if overdue.is_some()
                && (is_another || !session.attempted(instance, &ROOT_CHANGE_SYSCALLS))
            {
                self.discard(instance, session)?;
            }
        }
        Ok(())
    }

    /// Whether containers may have been left that were asked for: they have to be looked for again, as
    /// those that run already.
    pub(super) fn take_rescan(&mut self) -> bool {
        std::mem::take(&mut self.rescan)
    }

    /// At the end: what is still open is decided by what is known now.
    pub(super) fn settle<K: Kernel, S: System>(
        &mut self,
        session: &mut Session<K, S>,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        let open: Vec<_> = self
            .tracked_by_instance
            .iter()
            .filter(|(_, tracked)| {
                let unnamed = |container: &Container| !container.is_named();
                !tracked.wanted || tracked.container.as_ref().is_some_and(unnamed)
            })
            .map(|(instance, _)| *instance)
            .collect();
        for instance in open {
            self.look_up(instance, session, listener)?;
            let tracked = self.tracked_by_instance.get(&instance);
            if tracked.is_some_and(|tracked| !tracked.wanted) {
                self.decide_unknown(instance, session, listener)?;
            }
        }
        for tracked in self.tracked_by_instance.values() {
            if let Some(container) = tracked.container.as_ref().filter(|_| tracked.wanted) {
                self.announcer.unnamed(container, listener);
            }
        }
        let unnamed = session.unnamed_cgroups()?;
        if unnamed > 0 {
            listener.note(&format!(
                "{} could not be identified: created faster than tracer could read the paths",
                tracer_report::words::counted(unnamed, "cgroup", "cgroups")
            ));
        }
        if self.unidentified > 1 {
            listener.note(&format!(
                "{} short-lived containers could not be identified",
                self.unidentified
            ));
        }
        Ok(())
    }

    /// Asks the runtimes' files which container it is.
    fn look_up<K: Kernel, S: System>(
        &mut self,
        instance: u32,
        session: &mut Session<K, S>,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        let Some(tracked) = self.tracked_by_instance.get_mut(&instance) else {
            return Ok(());
        };
        tracked.looked = Some(session.now());
        let (was_wanted, is_sandbox) = (tracked.wanted, tracked.is_sandbox);
        let path = path_of(session, instance);
        let Some(container) = self.lookup.resolve(&path) else {
            return Ok(());
        };
        let Some(mut container) = newer(tracked.container.as_ref(), container) else {
            return Ok(());
        };
        if is_sandbox {
            container.role = Role::Sandbox;
        }
        if self.refuses(&path, Some(&container)) {
            // What was recorded for good reasons is written first.
            let is_recorded = was_wanted && !self.is_unnamed(instance);
            return if is_recorded {
                Ok(())
            } else {
                self.discard(instance, session)
            };
        }
        self.needs_cri |= container.pod.is_some() && !self.lookup.is_known_to_cri(&container.id);
        let matches = self
            .selectors
            .iter()
            .any(|wanted| wanted.matches_later(&container));
        if matches && let Some(sandboxed) = &container.sandboxed {
            // Recorded would be the sandbox and not the workload.
            if !self.selectors.contains(&Selector::All) {
                return Err(RecordError::Sandboxed(sandboxed.clone()));
            }
            listener.note(&format!("not recorded: {sandboxed}"));
            return self.discard(instance, session);
        }
        if matches {
            self.note_match(&container, listener);
            session.want(instance, Some(&container.workload));
        } else if was_wanted && !matches!(container.role, Role::Sandbox | Role::Ephemeral) {
            // It was renamed: who was asked for stays who it was. Only a sandbox, or a person's container,
            // may have been taken for a container of its pod.
            return Ok(());
        } else if self.is_another(&container) {
            return self.discard(instance, session);
        }
        if let Some(watched) = session.instance_mut(instance) {
            watched.subject.container = Some(convert::container(&container));
        }
        if let Some(tracked) = self.tracked_by_instance.get_mut(&instance) {
            let begins = matches && tracked.started.is_some() && !tracked.announced;
            tracked.announced |= begins;
            tracked.wanted = matches;
            tracked.container = Some(container);
            if begins {
                self.announcer
                    .began(tracked.container.as_ref(), &path, listener);
            }
        }
        Ok(())
    }

    /// Whether a container that matches nothing is another one for sure: it is known, and by what was
    /// asked for.
    fn is_another(&self, container: &Container) -> bool {
        let has_names = container.name.is_some()
            && container
                .pod
                .as_ref()
                .is_none_or(|pod| !pod.name.is_empty());
        container.known && (has_names || !self.selectors.iter().any(Selector::matches_by_name))
    }

    fn note_match(&mut self, container: &Container, listener: &mut dyn ProgressListener) {
        for (selector, matched) in self.selectors.iter().zip(&mut self.matched) {
            if !selector.matches(container) {
                continue;
            }
            let first = matched.get_or_insert_with(|| container.id.clone());
            // Of those that are to come, it cannot be known before that there are several.
            if *first != container.id && !selector.is_exact(container) {
                listener.note(&format!(
                    "several containers are {selector}: recording {} as well as {}; give more of the id",
                    brief(&container.id),
                    brief(first)
                ));
            }
        }
    }

    fn discard<K: Kernel, S: System>(
        &mut self,
        instance: u32,
        session: &mut Session<K, S>,
    ) -> Result<(), RecordError> {
        self.rescan |= session.has_descendants(instance);
        session.forget(instance)?;
        // Nothing more is heard of it.
        self.tracked_by_instance.remove(&instance);
        Ok(())
    }

    fn on_removed<K: Kernel, S: System>(
        &mut self,
        instance: u32,
        session: &mut Session<K, S>,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        if !self.tracked_by_instance.contains_key(&instance) {
            return Ok(());
        }
        self.look_up(instance, session, listener)?;
        session.retire(instance)?;
        if let Some(tracked) = self.tracked_by_instance.get_mut(&instance) {
            tracked.removed = true;
            let unnamed = |container: &Container| {
                !container.is_named() && !self.lookup.is_known_to_cri(&container.id)
            };
            // Only CRI can tell whether it was asked for, and it knows those that ended for a while.
            if !tracked.wanted && tracked.container.as_ref().is_some_and(unnamed) {
                tracked.undecided = true;
                return Ok(());
            }
        }
        self.decide_unknown(instance, session, listener)?;
        self.lay_aside(instance);
        Ok(())
    }

    /// Nothing more is found out about a container that is recorded, known and gone.
    fn lay_aside(&mut self, instance: u32) {
        let is_settled = |tracked: &TrackedContainer| {
            let container = tracked.container.as_ref();
            tracked.wanted && container.is_none_or(Container::is_named)
        };
        let tracked = self.tracked_by_instance.get(&instance);
        if tracked.is_some_and(is_settled)
            && let Some(tracked) = self.tracked_by_instance.remove(&instance)
        {
            self.ended.insert(instance, tracked);
        }
    }

    /// Decides what no runtime told anything of: it stays under its cgroup's path when it was a
    /// container, as far as its own calls tell, and all containers are recorded.
    fn decide_unknown<K: Kernel, S: System>(
        &mut self,
        instance: u32,
        session: &mut Session<K, S>,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        let Some(tracked) = self.tracked_by_instance.get(&instance) else {
            return Ok(());
        };
        let (seen, found) = session
            .instance(instance)
            .map_or((false, false), |watched| (watched.seen, watched.found));
        if tracked.wanted {
            // A directory for others, as crun makes one, has no calls and is no instance. One that was
            // there before is one, however quiet it was.
            return if seen || !found {
                Ok(())
            } else {
                self.discard(instance, session)
            };
        }
        if !seen || tracked.is_known() || !session.attempted(instance, &ROOT_CHANGE_SYSCALLS) {
            return self.discard(instance, session);
        }
        let path = path_of(session, instance);
        if let Some(container) = self.asked_for_by_id(&path) {
            return self.take_in(instance, container, session, listener);
        }
        if !self.selectors.contains(&Selector::All) {
            self.unidentified += 1;
            if self.unidentified == 1 {
                listener.note(&format!(
                    "skipped a short-lived container ({}): could not determine its name. --all records it anyway",
                    path.escape_debug()
                ));
            }
            return self.discard(instance, session);
        }
        let supervisor = self.supervisor.as_ref();
        let selection = supervisor.map_or(Selection::Wanted, |it| it.select(&path, None));
        if selection == Selection::Refused {
            return self.discard(instance, session);
        }
        if selection == Selection::Wanted {
            listener.note(&format!(
                "could not determine the name of the container at {}: recorded under that path",
                path.escape_debug()
            ));
        }
        session.want(instance, None);
        if let Some(tracked) = self.tracked_by_instance.get_mut(&instance) {
            tracked.wanted = true;
        }
        Ok(())
    }

    /// The container at a path that has an id in it which was asked for: its files came and went
    /// between two looks.
    fn asked_for_by_id(&self, path: &str) -> Option<Container> {
        let ids = self.selectors.iter().filter_map(Selector::id);
        ids.filter_map(|id| self.lookup.by_id(path, id)).next()
    }

    fn take_in<K: Kernel, S: System>(
        &mut self,
        instance: u32,
        container: Container,
        session: &mut Session<K, S>,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        self.note_match(&container, listener);
        session.want(instance, Some(&container.workload));
        self.announcer
            .began(Some(&container), &container.cgroup, listener);
        if let Some(watched) = session.instance_mut(instance) {
            watched.subject.container = Some(convert::container(&container));
        }
        if let Some(tracked) = self.tracked_by_instance.get_mut(&instance) {
            tracked.wanted = true;
            tracked.announced = true;
            tracked.container = Some(container);
        }
        Ok(())
    }
}

fn path_of<K: Kernel, S: System>(session: &Session<K, S>, instance: u32) -> String {
    let watched = session.instance(mutation::looked_up(instance));
    watched.map_or_else(String::new, |watched| {
        watched.cgroup.path.display().to_string()
    })
}
