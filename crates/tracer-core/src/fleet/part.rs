//! A part of a recording: some of its evidence, with all that is needed to merge it.

use std::collections::BTreeMap;

use crate::recording::{
    AccessEvidence, Evidence, Merged, ObservedAccess, Recording, RunId, Syscall,
};

/// The list of one kind of access.
pub(super) type ListOf<T> = fn(&Recording) -> &[ObservedAccess<T>];

/// Says what is in a part. It is asked about each piece once, in an order that depends on the recording only.
pub(super) trait Choose {
    /// Whether a piece of evidence of a call is in it; `None` for a call that has none.
    fn call(&mut self, call: &Syscall, evidence: Option<&Evidence>) -> bool;
    /// The same for an access.
    fn access<T: Ord>(
        &mut self,
        list: ListOf<T>,
        what: &T,
        evidence: Option<&AccessEvidence>,
    ) -> bool;
    /// Whether a run is in it that no evidence in it refers to. `is_referred_to` says whether any of the whole does.
    fn run(&mut self, index: usize, is_referred_to: bool) -> bool;
}

/// The names of a recording's runs, by the indices that evidence has.
pub(super) fn runs(recording: &Recording) -> Vec<RunId> {
    let listed = recording.instances.iter().map(|instance| {
        let host = instance.host.as_ref().unwrap_or(&recording.host);
        RunId::from_instance(instance, host)
    });
    let folded = recording.merged.iter().flat_map(|merged| &merged.folded);
    listed.chain(folded.copied()).collect()
}

/// The part of a recording that `choose` says. What is known of the whole (hosts, providers, coverage) is in each part.
pub(super) fn part(recording: &Recording, choose: &mut impl Choose) -> Recording {
    let mut part = Recording {
        instances: Vec::new(),
        syscalls: Vec::new(),
        files: Vec::new(),
        capabilities: Vec::new(),
        sockets: Vec::new(),
        signals: Vec::new(),
        traces: Vec::new(),
        mounts: Vec::new(),
        selinux: Vec::new(),
        merged: recording.merged.as_ref().map(|merged| Merged {
            hosts: merged.hosts.clone(),
            commands: merged.commands.clone(),
            folded: Vec::new(),
            uncounted: merged.uncounted,
            kinds: merged.kinds.clone(),
        }),
        schema: recording.schema.clone(),
        workload: recording.workload.clone(),
        host: recording.host.clone(),
        providers: recording.providers.clone(),
        coverage: recording.coverage.clone(),
    };
    // They follow from the rest.
    part.coverage.notes = Vec::new();
    part.coverage.discovery = None;
    part.syscalls = calls(&recording.syscalls, choose);
    macro_rules! take {
        ($($kind:ident)*) => {$(
            part.$kind = accesses(&recording.$kind, |it| &it.$kind, choose);
        )*};
    }
    take!(files capabilities sockets signals traces mounts selinux);
    renumber(recording, part, choose)
}

fn calls(syscalls: &[Syscall], choose: &mut impl Choose) -> Vec<Syscall> {
    let mut kept = Vec::new();
    for syscall in syscalls {
        let is_bare = syscall.evidence.is_empty() && choose.call(syscall, None);
        let evidence: Vec<_> = syscall
            .evidence
            .iter()
            .filter(|evidence| choose.call(syscall, Some(evidence)))
            .cloned()
            .collect();
        if is_bare || !evidence.is_empty() {
            kept.push(Syscall {
                evidence,
                abi: syscall.abi,
                nr: syscall.nr,
                name: syscall.name.clone(),
                phases: syscall.phases.clone(),
                blocked: syscall.blocked,
                arguments: syscall.arguments.clone(),
            });
        }
    }
    kept
}

fn accesses<T: Ord + Clone>(
    seen: &[ObservedAccess<T>],
    list: ListOf<T>,
    choose: &mut impl Choose,
) -> Vec<ObservedAccess<T>> {
    let mut kept = Vec::new();
    for ObservedAccess { what, evidence } in seen {
        let is_bare = evidence.is_empty() && choose.access(list, what, None);
        let evidence: Vec<_> = evidence
            .iter()
            .filter(|evidence| choose.access(list, what, Some(evidence)))
            .cloned()
            .collect();
        if is_bare || !evidence.is_empty() {
            kept.push(ObservedAccess {
                what: what.clone(),
                evidence,
            });
        }
    }
    kept
}

/// Keeps the runs that the part refers to, and those that are chosen.
fn renumber(whole: &Recording, mut part: Recording, choose: &mut impl Choose) -> Recording {
    let all = used_of(whole, whole.runs());
    let mut used = used_of(&part, all.len());
    for (index, (used, is_referred_to)) in used.iter_mut().zip(all).enumerate() {
        *used |= choose.run(index, is_referred_to);
    }
    let mut numbers = BTreeMap::new();
    for (index, _) in used.iter().enumerate().filter(|(_, used)| **used) {
        if let (Ok(old), Ok(new)) = (u32::try_from(index), u32::try_from(numbers.len())) {
            numbers.insert(old, new);
        }
        match whole.instances.get(index) {
            Some(instance) => part.instances.push(instance.clone()),
            None => {
                let folded = whole.merged.as_ref().map(|merged| &merged.folded);
                let run = folded.and_then(|it| it.get(index - whole.instances.len()));
                if let (Some(run), Some(merged)) = (run, &mut part.merged) {
                    merged.folded.push(*run);
                }
            }
        }
    }
    // What referred to no run refers to none.
    let new = |index: &mut u32| *index = numbers.get(index).copied().unwrap_or(u32::MAX);
    for evidence in part.syscalls.iter_mut().flat_map(|it| &mut it.evidence) {
        new(&mut evidence.instance);
    }
    macro_rules! all {
        ($($kind:ident)*) => {$(
            for evidence in part.$kind.iter_mut().flat_map(|it| &mut it.evidence) {
                evidence.instances.iter_mut().for_each(new);
            }
        )*};
    }
    all!(files capabilities sockets signals traces mounts selinux);
    part
}

/// For each of so many runs, whether evidence refers to it.
fn used_of(recording: &Recording, runs: usize) -> Vec<bool> {
    let mut used = vec![false; runs];
    let mut note = |index: u32| {
        if let Some(used) = used.get_mut(index as usize) {
            *used = true;
        }
    };
    for evidence in recording.syscalls.iter().flat_map(|it| &it.evidence) {
        note(evidence.instance);
    }
    macro_rules! all {
        ($($kind:ident)*) => {$(
            for evidence in recording.$kind.iter().flat_map(|it| &it.evidence) {
                evidence.instances.iter().copied().for_each(&mut note);
            }
        )*};
    }
    all!(files capabilities sockets signals traces mounts selinux);
    used
}
