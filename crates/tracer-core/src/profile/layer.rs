//! Why a rule is in a profile.

use std::fmt;

/// Why a rule is in a profile. A rule may have several layers; output shows it in the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The workload did it while it was recorded.
    Observed,
    /// The container runtime does it after the filter is loaded; see [`syscalls::runtime_init`].
    RuntimeInit,
    /// Needed, but tests rarely exercise it; see [`syscalls::essential`].
    Essential,
    /// Another libc or kernel does by it what is allowed already; see [`syscalls::fallbacks`].
    Fallback,
    /// Harmless, and not observed; see [`syscalls::headroom`].
    Headroom,
}

impl Layer {
    /// All of them, in the order of output.
    pub const ALL: [Self; 5] = [
        Self::Observed,
        Self::RuntimeInit,
        Self::Essential,
        Self::Fallback,
        Self::Headroom,
    ];

    /// The name in reviews.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::RuntimeInit => "runtime-init",
            Self::Essential => "essential",
            Self::Fallback => "fallback",
            Self::Headroom => "headroom",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
