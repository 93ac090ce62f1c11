//! What a profile is to hold: the choices.

use super::{FallbackPolicy, HeadroomPolicy};
use crate::recording::Phase;
use syscalls::{Abi, arguments::Mode, runtime_init};

/// What a profile is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whose calls to add: container runtimes make some after they have loaded the filter.
    pub runtime_init: runtime_init::RuntimeSelection,
    /// Whether to add what staging hardly ever shows.
    pub essential: bool,
    /// Whether to add what another libc or kernel uses instead.
    pub fallbacks: FallbackPolicy,
    /// Whether to add what is harmless and was not observed.
    pub headroom: HeadroomPolicy,
    /// Which programs count that were put into a running container.
    pub exec: ExecPolicy,
    /// Whether to allow what a filter stopped while it was recorded.
    pub allow_blocked: bool,
    /// How far arguments are restricted.
    pub arguments: Mode,
    /// What a denied call returns.
    pub errno: ErrnoPolicy,
    /// Whether it only logs what it would deny: every call is made (`SCMP_ACT_LOG`).
    pub complain: bool,
    /// The machine to make it for, by its native ABI; `None`: those that were recorded on.
    pub arch: Option<Abi>,
}

/// Which programs count that were put into a running container (`kubectl exec`, probes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecPolicy {
    /// Those without a terminal: a probe never has one, and a person's shell does.
    #[default]
    Probes,
    /// All.
    All,
    /// None.
    None,
}

impl ExecPolicy {
    /// Whether what was done in a phase by such a program, or by anyone, counts.
    pub(crate) fn counts(self, phase: Phase) -> bool {
        match phase {
            Phase::Run => true,
            Phase::Exec => self != Self::None,
            Phase::Terminal => self == Self::All,
            Phase::Setup | Phase::RuntimeInit => false,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            runtime_init: runtime_init::RuntimeSelection::All,
            essential: true,
            fallbacks: FallbackPolicy::default(),
            headroom: HeadroomPolicy::default(),
            exec: ExecPolicy::default(),
            allow_blocked: false,
            arguments: Mode::default(),
            errno: ErrnoPolicy::default(),
            complain: false,
            arch: None,
        }
    }
}

/// What a call that is not allowed returns; see [`syscalls::errno`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrnoPolicy {
    /// ENOSYS for what callers probe for and for unknown numbers, EPERM for old calls.
    #[default]
    Probed,
    /// EPERM for everything but the multiplexers of i386, which would be open without a rule of their
    /// own.
    Eperm,
}
