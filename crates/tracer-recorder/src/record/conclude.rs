//! How a supervised recording gives up containers one by one: what has ended is handed over and forgotten, so that
//! memory does not grow with the number of containers that there ever were.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    RecordError, WorkloadPart,
    kernel::Kernel,
    lookup::ContainerLookup,
    recorder::Recorder,
    supervisor::{RecorderStatus, Selection, Supervisor},
    system::System,
    unnamed::UnnamedInPods,
};
use crate::container::Container;

/// How long the names of a container are waited for, in seconds, before it is written without them. Runtimes know
/// containers that have ended for about as long.
const NAME_PATIENCE: i64 = 60;

/// How many pods are remembered of which a container could not be named.
const MAX_PODS: usize = 10_000;

/// How often everything is handed over that is recorded, so that the recordings tell for how long nothing new came.
const REFRESH: Duration = Duration::from_secs(600);

/// What a supervised recording knows of the containers that it gives up.
#[derive(Debug, Default)]
pub(super) struct Conclusions {
    /// Instances that are not recorded any more although they run.
    left: BTreeSet<u32>,
    /// Instances that have ended and are part of the hand-over that is under way.
    handed: BTreeSet<u32>,
    /// When all that is recorded was handed over last, whether something new was seen of it or not.
    refreshed: Option<Instant>,
    /// Containers that nothing told the names of, and that may not have been selected.
    unnamed: u64,
    /// How many of these there were in each pod: they count against its other containers.
    given_up: BTreeMap<String, u64>,
    /// Whether the recording ends: nothing is waited for any more.
    is_ending: bool,
}

impl Conclusions {
    /// Whether an instance was left while it ran.
    pub(super) fn is_left(&self, number: u32) -> bool {
        self.left.contains(&number)
    }

    /// How many containers without a name were given up, by their pods.
    pub(super) fn given_up(&self) -> &BTreeMap<String, u64> {
        &self.given_up
    }
}

impl<K: Kernel, S: System, L: ContainerLookup> Recorder<K, S, L> {
    /// The same, supervised.
    pub(super) fn supervised(mut self, supervisor: Box<dyn Supervisor>) -> Self {
        self.session.is_supervised = true;
        self.tracker.supervisor = Some(supervisor);
        self
    }

    /// Who decides what is recorded, where somebody does.
    pub(super) fn supervisor(&mut self) -> Option<&mut (dyn Supervisor + 'static)> {
        self.tracker.supervisor.as_deref_mut()
    }

    /// Whether it is not known yet under which name an instance is to be written. Nothing is open where nobody
    /// supervises: there all is written at the end.
    pub(super) fn is_open(&self, number: u32) -> bool {
        // What may not have been selected is never written: it is given up at the next checkpoint.
        self.tracker.supervisor.is_some()
            && !self.conclusions.is_ending
            && (self.is_undecided(number)
                || (self.tracker.is_unnamed(number) && !self.is_old(number)))
    }

    /// Whether it is not known yet what it is selected by.
    fn is_undecided(&self, number: u32) -> bool {
        self.tracker.selection(&self.session.path(number), number) == Selection::Open
    }

    fn is_old(&self, number: u32) -> bool {
        let now: Timestamp = self.session.system.wall_clock();
        self.session.instance(number).is_none_or(|instance| {
            now.as_second().saturating_sub(instance.began.as_second()) > NAME_PATIENCE
        })
    }

    /// The instances that have ended, of which nothing more is found out.
    fn ended(&self) -> Vec<u32> {
        let has_ended = |number: &u32| {
            self.session
                .instance(*number)
                .is_some_and(|instance| !instance.live)
                && !self.is_open(*number)
                && !self.session.waits_for_files(*number)
        };
        let wanted = self.tracker.wanted().map(|(number, _)| number);
        let ended: Vec<_> = wanted.filter(has_ended).collect();
        if ended.is_empty() {
            return ended;
        }
        // One in the pod may get its name in a moment: until then it counts against the others.
        let open = |number: &u32| self.is_open(*number);
        let of_pods = self.tracker.wanted().filter(|(number, container)| {
            let is_named = container.is_some_and(Container::is_named);
            is_named || open(number)
        });
        let open = UnnamedInPods::of(of_pods);
        let waits = |number: &u32| open.reason(&[*number]).is_some();
        ended.into_iter().filter(|it| !waits(it)).collect()
    }

    /// A container goes of which nothing told the name: it counts against the others of its pod.
    fn note_unnamed(&mut self, number: u32) {
        if self.tracker.is_unnamed(number)
            && let Some(pod) = self.tracker.pod(number)
            && self.conclusions.given_up.len() < MAX_PODS
        {
            *self.conclusions.given_up.entry(pod).or_default() += 1;
        }
    }

    /// Forgets pods that are gone.
    fn forget_pods(&mut self) {
        if !self.conclusions.given_up.is_empty() {
            let there = UnnamedInPods::of(self.tracker.wanted());
            let there = there.pods();
            self.conclusions
                .given_up
                .retain(|pod, _| there.contains(pod.as_str()));
        }
    }

    /// Whether a container has ended and is not handed over yet.
    pub(super) fn has_ended(&self) -> bool {
        self.tracker.supervisor.is_some() && !self.ended().is_empty()
    }

    /// Which part of its workload an instance is handed over with.
    pub(super) fn part(&self, number: u32) -> WorkloadPart {
        if self.tracker.supervisor.is_none() {
            return WorkloadPart::default();
        }
        let instance = self.session.instance(number);
        let container = instance.and_then(|instance| instance.subject.container.as_ref());
        WorkloadPart {
            image: container
                .and_then(|container| container.image_digest.clone())
                .unwrap_or_default(),
            is_final: self.conclusions.handed.contains(&number),
        }
    }

    /// What is recorded so far is about to be handed over.
    pub(super) fn hand_over(&mut self) {
        if self.tracker.supervisor.is_some() {
            self.conclusions.handed = self.ended().into_iter().collect();
        }
    }

    /// What was recorded so far is handed over: what has ended of it is forgotten.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be changed.
    pub(super) fn forget_handed(&mut self) -> Result<(), RecordError> {
        for number in std::mem::take(&mut self.conclusions.handed) {
            self.conclusions.left.remove(&number);
            self.note_unnamed(number);
            self.tracker.forget(number);
            self.session.forget(number)?;
        }
        Ok(())
    }

    /// Gives up what is not wanted any more, and what nobody told the names of for too long. Called at each
    /// checkpoint.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn supervise(&mut self) -> Result<(), RecordError> {
        for number in self.tracker.numbers() {
            let path = self.session.path(number);
            match self.tracker.selection(&path, number) {
                Selection::Wanted => {
                    let age = self.session.age(number);
                    if !self.tracker.goes_on(number, age) {
                        self.leave(number)?;
                    }
                }
                Selection::Refused => self.leave(number)?,
                Selection::Open if self.is_old(number) || self.conclusions.is_ending => {
                    self.give_up(number)?;
                }
                Selection::Open => {}
            }
        }
        self.forget_pods();
        let now = self.session.now();
        let refreshed = *self.conclusions.refreshed.get_or_insert(now);
        if now.duration_since(refreshed) >= REFRESH {
            self.conclusions.refreshed = Some(now);
            self.session.changes.refresh();
        }
        let status = self.status()?;
        if let Some(supervisor) = self.supervisor() {
            supervisor.checkpoint(&status);
        }
        Ok(())
    }

    /// Nothing is waited for any more.
    ///
    /// # Errors
    /// As [`Self::supervise`].
    pub(super) fn end_supervision(&mut self) -> Result<(), RecordError> {
        if self.tracker.supervisor.is_none() {
            return Ok(());
        }
        self.conclusions.is_ending = true;
        for number in self.tracker.numbers() {
            let path = self.session.path(number);
            if self.tracker.selection(&path, number) == Selection::Open {
                self.give_up(number)?;
            }
        }
        // After an error of the kernel side there is no status. What was recorded is written all the same.
        if let Ok(status) = self.status()
            && let Some(supervisor) = self.supervisor()
        {
            supervisor.checkpoint(&status);
        }
        Ok(())
    }

    /// Drops what nobody told the names of, and that may not have been selected.
    fn give_up(&mut self, number: u32) -> Result<(), RecordError> {
        self.conclusions.unnamed += 1;
        self.note_unnamed(number);
        self.tracker.forget(number);
        self.session.forget(number)
    }

    /// Ends the recording of an instance that runs on. What was seen of it is written.
    fn leave(&mut self, number: u32) -> Result<(), RecordError> {
        let lives = self
            .session
            .instance(number)
            .is_some_and(|instance| instance.live);
        if lives {
            self.session.leave(number)?;
            self.conclusions.left.insert(number);
        }
        Ok(())
    }

    fn status(&mut self) -> Result<RecorderStatus, RecordError> {
        let counts = self.session.kernel.counters()?;
        let (mut recorded, mut ended) = (0, 0);
        for (number, _) in self.tracker.wanted() {
            match self.session.instance(number) {
                Some(instance) if instance.live => recorded += 1,
                _ => ended += 1,
            }
        }
        Ok(RecorderStatus {
            recorded,
            ended,
            calls: counts.programs.calls,
            losses: self.session.losses.total(&counts),
            unnamed: self.conclusions.unnamed,
        })
    }
}
