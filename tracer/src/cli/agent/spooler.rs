//! Merges what is recorded into the spool, and keeps the spool within its bounds.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::SystemTime,
};

use super::{
    metrics::{Metrics, SpoolSize, size},
    policy::{Settings, in_force},
};
use crate::{
    cli::{
        attach::is_something,
        stderr::{plain, say},
    },
    store::{Spool, SpoolEntry},
};
use tracer_core::{
    agent::{Configuration, Facts, SpoolKey, keep_kinds},
    recording::{ObservationKind, Reason, Recording, merge::Merge},
};
use tracer_recorder::record::WorkloadPart;

/// For how many workloads recordings are kept in memory that could not be written.
const MOST_PENDING: usize = 1_000;

/// Writes recordings to a spool.
pub(super) struct Spooler {
    spool: Arc<Spool>,
    settings: Settings,
    metrics: Arc<Metrics>,
    /// What is in the spool, by key.
    index: BTreeMap<SpoolKey, SpoolEntry>,
    /// Reasons that are in the spool as long as nothing better is known: those of instances that are recorded now.
    provisional: BTreeMap<SpoolKey, BTreeSet<Reason>>,
    /// What is to be written, or could not be.
    pending: BTreeMap<SpoolKey, Pending>,
    is_warned: bool,
}

/// What came of a workload and is not in the spool yet.
#[derive(Default)]
struct Pending {
    /// Of instances that have ended.
    ended: Merge,
    has_ended: bool,
    /// Of those that are recorded now: all of it comes again.
    live: Option<Recording>,
}

impl Spooler {
    pub(super) fn new(spool: Arc<Spool>, settings: Settings, metrics: Arc<Metrics>) -> Self {
        Self {
            spool,
            settings,
            metrics,
            index: BTreeMap::new(),
            provisional: BTreeMap::new(),
            pending: BTreeMap::new(),
            is_warned: false,
        }
    }

    /// Learns what is in the spool. Where a crash, or a wrong clock, left two recordings of one key, they are merged.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub(super) fn load(&mut self) -> io::Result<()> {
        for entry in self.spool.entries()? {
            if !self.index.contains_key(&entry.key) {
                self.index.insert(entry.key.clone(), entry);
            } else if let Err(error) = self.unite(&entry) {
                let place = self.spool.place(&entry.name);
                say!("cannot merge {}: {error:#}; it stays", place.display());
            }
        }
        self.bound(None);
        self.measure();
        Ok(())
    }

    /// Merges another recording of a key into the one that counts.
    fn unite(&mut self, other: &SpoolEntry) -> anyhow::Result<()> {
        let Some(first) = self.index.get(&other.key).cloned() else {
            return Ok(());
        };
        let mut merge = Merge::default();
        merge.add(self.spool.read(&first.name)?);
        merge.add(self.spool.read(&other.name)?);
        let Some(merged) = merge.finish() else {
            return Ok(());
        };
        let written = self.spool.write(&other.key, &merged)?;
        for old in [&first.name, &other.name] {
            if *old != written.name {
                self.spool.remove(old)?;
            }
        }
        self.index.insert(other.key.clone(), written);
        Ok(())
    }

    /// Takes in what a snapshot has.
    pub(super) fn take(&mut self, mut parts: Vec<(Recording, WorkloadPart)>) {
        // What has ended first: it replaces what was known of it while it was recorded.
        parts.sort_by_key(|(_, part)| !part.is_final);
        for (recording, part) in parts {
            self.add(recording, part.is_final);
        }
    }

    /// Takes in what is left at the end.
    pub(super) fn take_last(&mut self, recordings: Vec<Recording>) {
        for recording in recordings {
            self.add(recording, true);
        }
    }

    fn add(&mut self, mut recording: Recording, is_final: bool) {
        if !is_something(&recording) {
            return;
        }
        let settings = in_force(&self.settings);
        if let Some(kinds) = kinds(&settings, &recording) {
            keep_kinds(&mut recording, &kinds);
        }
        let key = SpoolKey::from_recording(&settings.cluster, &recording);
        let pending = self.pending.entry(key).or_default();
        if is_final {
            pending.ended.add(recording);
            pending.has_ended = true;
            // It was a part of that until now.
            pending.live = None;
        } else {
            pending.live = Some(recording);
        }
    }

    /// Writes what is to be written. What cannot be is kept, and tried again the next time.
    pub(super) fn write(&mut self) {
        let mut failed = BTreeMap::new();
        for (key, pending) in std::mem::take(&mut self.pending) {
            match self.write_one(&key, &pending) {
                Ok(()) => self.metrics.wrote(true),
                Err(error) => {
                    self.metrics.wrote(false);
                    if !self.is_warned {
                        self.is_warned = true;
                        let place = self.spool.path().display();
                        say!("cannot write to the spool {place}: {error:#}; it is tried again");
                    }
                    failed.insert(key, pending);
                }
            }
        }
        if failed.is_empty() && self.is_warned {
            self.is_warned = false;
            say!("the spool {} is written again", self.spool.path().display());
        }
        while failed.len() > MOST_PENDING {
            if let Some((key, _)) = failed.pop_last() {
                let name = plain(&key.to_string());
                say!("what was recorded of {name} is lost: too much waits for the spool");
                self.metrics.removed("unwritten");
            }
        }
        self.pending = failed;
        self.measure();
    }

    /// Whether all is in the spool.
    pub(super) fn is_written(&self) -> bool {
        self.pending.is_empty()
    }

    fn write_one(&mut self, key: &SpoolKey, pending: &Pending) -> anyhow::Result<()> {
        let mut known = self.known(key)?;
        let before = known.as_ref().map_or((0, 0), size);
        if let (Some(known), Some(provisional)) = (&mut known, self.provisional.get(key)) {
            known
                .coverage
                .reasons
                .retain(|reason| !provisional.contains(reason));
        }
        let mut merge = pending.ended.clone();
        known.into_iter().for_each(|it| merge.add(it));
        let lasting: BTreeSet<Reason> = merge
            .clone()
            .finish()
            .map(|it| it.coverage.reasons.into_iter().collect())
            .unwrap_or_default();
        pending.live.iter().cloned().for_each(|it| merge.add(it));
        let Some(merged) = merge.finish() else {
            return Ok(());
        };
        let reasons = merged.coverage.reasons.iter();
        let provisional = reasons
            .filter(|it| !lasting.contains(it))
            .cloned()
            .collect();
        let written = self.spool.write(key, &merged)?;
        let old = self.index.insert(key.clone(), written.clone());
        if let Some(old) = old.filter(|old| old.name != written.name) {
            // It is a part of the new one: nothing went.
            self.spool.remove(&old.name)?;
        }
        if pending.live.is_some() {
            self.provisional.insert(key.clone(), provisional);
        } else {
            self.provisional.remove(key);
        }
        let after = size(&merged);
        let new = (after.0 + after.1).saturating_sub(before.0 + before.1);
        self.metrics.workload(key, &merged, new);
        self.bound(Some(key));
        Ok(())
    }

    /// The recording in the spool. What is damaged, or of a version that is not known, is set aside.
    ///
    /// # Errors
    /// When it cannot be read now.
    fn known(&mut self, key: &SpoolKey) -> anyhow::Result<Option<Recording>> {
        let Some(entry) = self.index.get(key).cloned() else {
            return Ok(None);
        };
        match self.spool.read(&entry.name) {
            Ok(recording) => Ok(Some(recording)),
            Err(error) if error.is_of_the_system() => Err(error.into()),
            Err(error) => {
                let aside = self.spool.set_aside(&entry.name)?;
                say!(
                    "{error}; it was renamed to {}, and a new recording begins",
                    aside.display()
                );
                self.index.remove(key);
                self.metrics.removed("unreadable");
                Ok(None)
            }
        }
    }

    /// Makes room: recordings of images that were replaced go first, then the oldest. `written` is the last to go.
    fn bound(&mut self, written: Option<&SpoolKey>) {
        let max_bytes = in_force(&self.settings).spool.max_bytes;
        let mut bytes = self.bytes();
        if bytes <= max_bytes {
            return;
        }
        for (key, reason) in self.victims(written) {
            if bytes <= max_bytes {
                return;
            }
            let Some(entry) = self.index.remove(&key) else {
                continue;
            };
            bytes = bytes.saturating_sub(entry.bytes);
            self.provisional.remove(&key);
            say!(
                "the spool is full: the recording of {} ({}) was removed; spool.max_bytes is {max_bytes}",
                plain(&key.to_string()),
                reason
            );
            self.remove(&entry, reason);
        }
    }

    /// All recordings, those first that can be missed most.
    fn victims(&self, written: Option<&SpoolKey>) -> Vec<(SpoolKey, &'static str)> {
        let mut newest: BTreeMap<SpoolKey, SystemTime> = BTreeMap::new();
        for entry in self.index.values() {
            let newest = newest
                .entry(entry.key.without_image())
                .or_insert(entry.written);
            *newest = entry.written.max(*newest);
        }
        let is_superseded = |entry: &SpoolEntry| {
            newest
                .get(&entry.key.without_image())
                .is_some_and(|newest| entry.written < *newest)
        };
        let mut all: Vec<_> = self
            .index
            .values()
            .map(|entry| {
                let rank = match is_superseded(entry) {
                    true => 0,
                    false if Some(&entry.key) != written => 1,
                    false => 2,
                };
                (rank, entry.written, &entry.key)
            })
            .collect();
        all.sort();
        all.into_iter()
            .map(|(rank, _, key)| {
                let reason = if rank == 0 { "superseded" } else { "oldest" };
                (key.clone(), reason)
            })
            .collect()
    }

    fn remove(&self, entry: &SpoolEntry, reason: &'static str) {
        if let Err(error) = self.spool.remove(&entry.name) {
            let place = self.spool.place(&entry.name);
            say!("cannot remove {}: {error}", place.display());
        }
        self.metrics.removed(reason);
    }

    fn bytes(&self) -> u64 {
        self.index.values().map(|entry| entry.bytes).sum()
    }

    fn measure(&self) {
        self.metrics.spool(SpoolSize {
            bytes: self.bytes(),
            max_bytes: in_force(&self.settings).spool.max_bytes,
            files: self.index.len() as u64,
        });
    }
}

/// The kinds of observations that are kept of a recording, if not all are.
fn kinds(settings: &Configuration, recording: &Recording) -> Option<BTreeSet<ObservationKind>> {
    let instance = recording.instances.first()?;
    let container = instance.container.as_ref();
    let labels = container.map(|it| &it.labels);
    let namespace = container
        .and_then(|it| it.pod.as_deref()?.split_once('/'))
        .map_or("", |(namespace, _)| namespace);
    let text = |value: Option<&Option<String>>| value.and_then(|it| it.clone()).unwrap_or_default();
    let image = text(container.map(|it| &it.image));
    let mut name = text(container.map(|it| &it.name));
    let mut runtimes = Vec::new();
    if let Some(container) = container {
        runtimes.push(container.engine.as_str());
        runtimes.extend(container.runtime.map(|runtime| runtime.as_str()));
        if name.is_empty() {
            name.clone_from(&container.id);
        }
    }
    let cgroup = format!("/{}", instance.cgroup.trim_start_matches('/'));
    let rule = settings.rule(&Facts {
        namespace: Some(namespace),
        labels,
        image: Some(&image),
        runtimes,
        name: Some(&name),
        cgroup: &cgroup,
    })?;
    let kinds = rule.kinds.as_ref()?;
    Some(kinds.iter().copied().map(ObservationKind::from).collect())
}

#[cfg(test)]
#[path = "spooler_tests.rs"]
mod tests;
