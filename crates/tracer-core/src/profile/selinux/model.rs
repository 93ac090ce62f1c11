//! The model of an SELinux profile.

use std::collections::{BTreeMap, BTreeSet};

use super::names::is_identifier;
use crate::{
    profile::seccomp::ExecPolicy,
    recording::{
        AccessEvidence, Executable, ObservationKind, Phase, Recording, SelinuxTarget, SelinuxUse,
        plain_text::plain,
    },
};

/// The block that container-selinux has for containers (udica-templates/base_container.cil).
pub const DEFAULT_BLOCK: &str = "container";

/// What a domain has before any rule of the workload's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// All that a block of the policy gives; a recording in a domain of that base does not have it.
    Block(String),
    /// A type of the role `system_r` with the attribute `domain`, and nothing else.
    Standalone,
}

impl Default for Base {
    fn default() -> Self {
        Self::Block(DEFAULT_BLOCK.to_owned())
    }
}

/// What a profile is to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The name of its block; `None`: made from the workload's.
    pub name: Option<String>,
    /// Whether it only reports what it would deny.
    pub complain: bool,
    /// What it starts from.
    pub base: Base,
    /// Which programs count that were put into a running container.
    pub exec: ExecPolicy,
}

/// Something that was seen and that is in no rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// What. It may hold a workload's words: escape it.
    pub what: String,
    /// Why.
    pub reason: LostReason,
}

/// Why an access is in no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LostReason {
    /// Another domain did it.
    OtherDomain,
    /// Only programs did it that were put into the container.
    ExcludedSession,
    /// No policy can hold the name of a type, class or permission.
    Name,
    /// The object has categories that the domain does not have.
    Categories,
}

impl LostReason {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherDomain => "it was done in another domain, which needs a profile of its own",
            Self::ExcludedSession => {
                "it was only done by a program that was put into the container and is left out"
            }
            Self::Name => "no policy can hold the name",
            Self::Categories => {
                "the object has categories (MCS) that the domain lacks, which no rule can allow"
            }
        }
    }
}

/// The permissions of one class on one target, and who used them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The permissions.
    pub permissions: BTreeSet<String>,
    /// The executables that used them. The kernel reports a permission once, so others may have used it too.
    pub executables: BTreeSet<Executable>,
    /// The phases that they were used in.
    pub phases: BTreeSet<Phase>,
    /// True when the workload got the object from the program that started it: a pipe, a terminal, a socket.
    pub inherited: bool,
}

/// What a domain is allowed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelinuxProfile {
    /// The name of its block.
    pub name: String,
    /// The workload.
    pub workload: String,
    /// The domain that was recorded.
    pub recorded: Option<String>,
    /// Whether it only reports.
    pub complain: bool,
    /// What it starts from.
    pub base: Base,
    /// What the domain may do, by target and class.
    pub rules: BTreeMap<(SelinuxTarget, String), Rule>,
    /// What others may do to the domain, by their type and class: start it, signal it.
    pub callers: BTreeMap<(String, String), Rule>,
    /// What was seen and is in no rule.
    pub lost: BTreeSet<Lost>,
}

impl SelinuxProfile {
    /// The profile of recordings; `None` when SELinux was not observed in any of them.
    pub fn from_recordings(
        recordings: &[Recording],
        name: String,
        options: &Options,
    ) -> Option<Self> {
        let observed = recordings.iter().any(|recording| {
            let mut kinds = recording.providers.iter().map(|it| it.kind);
            kinds.any(|kind| kind == ObservationKind::Selinux)
        });
        let workload = recordings
            .first()
            .filter(|_| observed)?
            .workload
            .name
            .clone();
        let recorded = domain(recordings, options.exec);
        let mut profile = Self {
            name,
            workload,
            complain: options.complain,
            base: options.base.clone(),
            rules: BTreeMap::new(),
            callers: BTreeMap::new(),
            lost: BTreeSet::new(),
            recorded,
        };
        let Some(recorded) = profile.recorded.clone() else {
            return Some(profile);
        };
        for seen in recordings.iter().flat_map(|it| &it.selinux) {
            profile.add(&recorded, &seen.what, &seen.evidence, options.exec);
        }
        profile.mark_inherited();
        Some(profile)
    }

    /// The name of its type, as a context has it.
    pub fn type_name(&self) -> String {
        format!("{}.process", self.name)
    }

    /// Every (target, class, permission) that the domain is allowed.
    pub fn permissions(&self) -> impl Iterator<Item = (&SelinuxTarget, &str, &str)> {
        self.rules.iter().flat_map(|((target, class), rule)| {
            let permissions = rule.permissions.iter();
            permissions.map(move |permission| (target, class.as_str(), permission.as_str()))
        })
    }

    fn add(
        &mut self,
        recorded: &str,
        what: &SelinuxUse,
        evidence: &[AccessEvidence],
        exec: ExecPolicy,
    ) {
        let is_own = what.domain == recorded;
        let is_caller = !is_own && what.target_type() == recorded;
        // The kernel asks for the new domain while the runtime's program still runs, so what the domain did
        // in its phases is the workload's.
        let counts = |phase| match phase {
            Phase::Setup | Phase::RuntimeInit => is_own || is_caller,
            other => exec.counts(other),
        };
        let counting: Vec<_> = evidence.iter().filter(|who| counts(who.phase)).collect();
        if counting.is_empty() {
            let was_run = evidence
                .iter()
                .any(|who| !matches!(who.phase, Phase::Setup | Phase::RuntimeInit));
            if was_run {
                self.lose(what, LostReason::ExcludedSession);
            }
            return;
        }
        let names = [
            &what.domain,
            what.target_type(),
            &what.class,
            &what.permission,
        ];
        if names.iter().any(|name| !is_identifier(name)) {
            return self.lose(what, LostReason::Name);
        }
        // In the block, the name is that of its own type.
        if [&*what.domain, what.target_type()].contains(&"process") {
            return self.lose(what, LostReason::Name);
        }
        // Who starts a workload has all categories.
        if what.other_categories && !is_caller {
            return self.lose(what, LostReason::Categories);
        }
        let rule = if is_own {
            let key = (what.target.clone(), what.class.clone());
            self.rules.entry(key).or_default()
        } else if is_caller {
            let key = (what.domain.clone(), what.class.clone());
            self.callers.entry(key).or_default()
        } else {
            return self.lose(what, LostReason::OtherDomain);
        };
        rule.permissions.insert(what.permission.clone());
        for who in counting {
            rule.executables.insert(who.executable.clone());
            rule.phases.insert(who.phase);
        }
    }

    fn lose(&mut self, what: &SelinuxUse, reason: LostReason) {
        let SelinuxUse {
            domain,
            class,
            permission,
            ..
        } = what;
        let target = what.target_type();
        let what = plain(&format!("{domain} {target} {class} {permission}"));
        self.lost.insert(Lost { what, reason });
    }

    /// A descriptor of another domain's carries that domain's type (`file_has_perm`, security/selinux/hooks.c), and
    /// so do the pipes and sockets that it made.
    fn mark_inherited(&mut self) {
        let givers: BTreeSet<SelinuxTarget> = self
            .rules
            .keys()
            .filter(|(target, class)| class == "fd" && *target != SelinuxTarget::Domain)
            .map(|(target, _)| target.clone())
            .collect();
        for ((target, class), rule) in &mut self.rules {
            let is_handed = class == "fd" || class == "fifo_file" || class.ends_with("_socket");
            rule.inherited = is_handed && givers.contains(target);
        }
    }
}

/// The domain that most of the workload's accesses were made in; the first by name of several.
fn domain(recordings: &[Recording], exec: ExecPolicy) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for seen in recordings.iter().flat_map(|it| &it.selinux) {
        if seen.evidence.iter().any(|who| exec.counts(who.phase)) {
            *counts.entry(&seen.what.domain).or_default() += 1;
        }
    }
    let most = counts.values().copied().max()?;
    let mut domains = counts.into_iter().filter(|(_, count)| *count == most);
    domains.next().map(|(domain, _)| domain.to_owned())
}
