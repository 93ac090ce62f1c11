//! An instance while it is recorded.

use jiff::Timestamp;
use tracer_abi::Account;

use crate::{
    bpf::{CgroupKind, InstanceState},
    cgroup::Cgroup,
};
use tracer_core::recording::{Container, Losses, Source};

/// What is recorded, for the instance's entry in the recording.
#[derive(Clone, Debug)]
pub struct InstanceInfo {
    /// How it came to be recorded.
    pub source: Source,
    /// Whether it is recorded from its first call.
    pub start_observed: bool,
    /// The container that it is.
    pub container: Option<Container>,
}

/// An instance, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct TrackedInstance {
    /// The cgroup it began with.
    pub(super) cgroup: Cgroup,
    /// What it is.
    pub(super) subject: InstanceInfo,
    /// What it is recorded as.
    pub(super) kind: CgroupKind,
    /// Whether the kernel side found it when it was made.
    pub(super) found: bool,
    /// What the kernel side said of it last.
    pub(super) state: InstanceState,
    /// Whether it is recorded now.
    pub(super) live: bool,
    /// Whether anything was seen of it.
    pub(super) seen: bool,
    /// What it took and lost, as the kernel side said last.
    pub(super) account: Account,
    /// What is known to have been lost of it, and of nobody else.
    pub(super) losses: Losses,
    /// When its recording began.
    pub(super) began: Timestamp,
    /// When it ended.
    pub(super) ended: Option<Timestamp>,
}

impl TrackedInstance {
    /// One that user space watches.
    pub(super) fn new(
        cgroup: Cgroup,
        subject: InstanceInfo,
        kind: CgroupKind,
        began: Timestamp,
    ) -> Self {
        let state = InstanceState {
            populated: !kind.is_prestart(),
            started: matches!(kind, CgroupKind::Container { started: true, .. }),
            ..InstanceState::default()
        };
        Self {
            cgroup,
            subject,
            kind,
            found: false,
            state,
            live: true,
            seen: false,
            account: Account::default(),
            losses: Losses::default(),
            began,
            ended: None,
        }
    }

    /// One that the kernel side found, before its first call.
    pub(super) fn found(cgroup: Cgroup, began: Timestamp) -> Self {
        let subject = InstanceInfo {
            source: Source::Container,
            start_observed: true,
            container: None,
        };
        Self {
            found: true,
            ..Self::new(
                cgroup,
                subject,
                CgroupKind::Container {
                    started: false,
                    introduced: true,
                },
                began,
            )
        }
    }

    /// Whether a filter stops calls of it, or is about to: a runtime that is at work in it loads one
    /// before it starts the program.
    pub(super) fn needs_exits(&self) -> bool {
        let prepared = self.kind.is_prestart() && self.state.populated && !self.state.started;
        self.live && (self.state.filtered || prepared)
    }
}

impl InstanceState {
    /// Takes in what is known by now: everything is only ever set.
    pub(super) fn merge(&mut self, other: Self) {
        self.populated |= other.populated;
        self.started |= other.started;
        self.filtered |= other.filtered;
        self.missed_filter |= other.missed_filter;
        self.escaped |= other.escaped;
        self.removed |= other.removed;
    }
}
