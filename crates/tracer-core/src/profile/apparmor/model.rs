//! The model of an AppArmor profile.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    capabilities::CapabilityRule, children::Division, excluded::Excluded, files::FileRule,
    generalise::Policy, ipc::IpcRule, links::LinkRule, lost::Lost, mounts::MountRule,
    network::NetworkRule, pattern::Pattern, permissions::Permissions,
};
use crate::{
    profile::seccomp::ExecPolicy,
    recording::{Executable, FilePath, ObservationKind, Peer, SignalDirection, TraceDirection},
};
use syscalls::capability::Capability;

/// What a profile is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its name; `None`: the workload's.
    pub name: Option<String>,
    /// Whether it only reports what it would deny.
    pub complain: bool,
    /// How far paths are generalised.
    pub generalise: Policy,
    /// Which programs count that were put into a running container.
    pub exec: ExecPolicy,
    /// Whether to add what staging hardly ever shows.
    pub essential: bool,
    /// Whether each program that the workload starts gets a profile of its own.
    pub children: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            complain: false,
            generalise: Policy::default(),
            exec: ExecPolicy::default(),
            essential: true,
            children: false,
        }
    }
}

/// What is allowed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppArmorProfile {
    pub(super) name: String,
    pub(super) workload: String,
    pub(super) complain: bool,
    pub(super) essential: bool,
    pub(super) policy: Policy,
    pub(super) files: BTreeMap<Pattern, FileRule>,
    pub(super) links: BTreeMap<(Pattern, Pattern), LinkRule>,
    pub(super) capabilities: BTreeMap<Capability, CapabilityRule>,
    pub(super) probes: BTreeMap<Capability, CapabilityRule>,
    pub(super) exec_capabilities: BTreeMap<Capability, CapabilityRule>,
    pub(super) networks: BTreeMap<(u16, u16), NetworkRule>,
    pub(super) signals: BTreeMap<(SignalDirection, Peer), IpcRule>,
    pub(super) traces: BTreeMap<(TraceDirection, Peer), IpcRule>,
    pub(super) mounts: BTreeMap<String, MountRule>,
    pub(super) excluded: BTreeMap<Excluded, BTreeSet<Executable>>,
    pub(super) lost: BTreeSet<Lost>,
    pub(super) unseen: BTreeSet<ObservationKind>,
    pub(super) ptrace_not_monitored: bool,
    pub(super) division: Division,
}

impl AppArmorProfile {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it only reports.
    pub fn complain(&self) -> bool {
        self.complain
    }

    /// Whether the essential layer is in it.
    pub fn essential(&self) -> bool {
        self.essential
    }

    /// How far paths were generalised.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Rules for files, in the order of output.
    pub fn files(&self) -> impl Iterator<Item = (&Pattern, &FileRule)> {
        self.files.iter()
    }

    /// Rules for hard links: the new name, the old one, and what is behind it.
    pub fn links(&self) -> impl Iterator<Item = (&Pattern, &Pattern, &LinkRule)> {
        self.links.iter().map(|((new, old), rule)| (new, old, rule))
    }

    /// Capabilities that are allowed.
    pub fn capabilities(&self) -> impl Iterator<Item = (Capability, &CapabilityRule)> {
        self.capabilities.iter().map(|(one, rule)| (*one, rule))
    }

    /// Capabilities that execve(2) demands without a check, for files that are permitted them and have the
    /// effective bit. AppArmor does not mediate that, so the profile does not allow them.
    pub fn exec_capabilities(&self) -> impl Iterator<Item = (Capability, &CapabilityRule)> {
        self.exec_capabilities
            .iter()
            .map(|(one, rule)| (*one, rule))
    }

    /// Capabilities that the kernel only probed for: it would have gone on without, so they are not
    /// allowed. Those that are close to root are among them too when that is not certain.
    pub fn probes(&self) -> impl Iterator<Item = (Capability, &CapabilityRule)> {
        self.probes.iter().map(|(one, rule)| (*one, rule))
    }

    /// Families and types of sockets, by number.
    pub fn networks(&self) -> impl Iterator<Item = ((u16, u16), &NetworkRule)> {
        self.networks.iter().map(|(key, rule)| (*key, rule))
    }

    /// Signals that were seen.
    pub fn signals(&self) -> impl Iterator<Item = (SignalDirection, Peer, &IpcRule)> {
        self.signals
            .iter()
            .map(|((direction, peer), rule)| (*direction, *peer, rule))
    }

    /// Uses of a debugger's rights that were seen.
    pub fn traces(&self) -> impl Iterator<Item = (TraceDirection, Peer, &IpcRule)> {
        self.traces
            .iter()
            .map(|((direction, peer), rule)| (*direction, *peer, rule))
    }

    /// Changes of the mount tree, as the rules' text.
    pub fn mounts(&self) -> impl Iterator<Item = (&str, &MountRule)> {
        self.mounts.iter().map(|(text, rule)| (text.as_str(), rule))
    }

    /// What only programs did that do not count, and that it does not allow.
    pub fn excluded(&self) -> impl Iterator<Item = (&Excluded, &BTreeSet<Executable>)> {
        self.excluded.iter()
    }

    /// What was seen and that no rule can say.
    pub fn lost(&self) -> impl Iterator<Item = &Lost> {
        self.lost.iter()
    }

    /// Kinds that were not observed; see [`kind`].
    pub fn unseen(&self) -> impl Iterator<Item = ObservationKind> {
        self.unseen.iter().copied()
    }

    /// Whether it denies ptrace though nothing looked for that: nothing that was recorded could have
    /// asked for it.
    pub fn ptrace_not_monitored(&self) -> bool {
        self.ptrace_not_monitored
    }

    /// Whether its programs have profiles of their own. All else that is said of it is of all of them
    /// together.
    pub fn division(&self) -> &Division {
        &self.division
    }

    /// Whether it allows an access to a path, to the file's owner or to anyone.
    pub fn allows(&self, path: &FilePath, needed: Permissions, as_owner: bool) -> bool {
        let matching = self
            .files
            .iter()
            .filter(|(pattern, _)| pattern.matches(path));
        let allowed = matching.fold(Permissions::NONE, |all, (_, rule)| {
            let owner = if as_owner {
                rule.owner
            } else {
                Permissions::NONE
            };
            all | rule.permissions | owner
        });
        allowed.contains(needed)
    }
}
