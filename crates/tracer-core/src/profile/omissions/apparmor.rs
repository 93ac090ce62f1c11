//! What a format cannot express of an AppArmor profile.

use super::{FileOmission, Words};
use crate::profile::apparmor::{AppArmorProfile, Lost, Obstacle};

/// Something of an AppArmor profile that a format cannot express.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AppArmorOmission {
    /// An observation that is in no rule of the model.
    Lost(Lost),
    /// Child profiles, which the recording has no ground for.
    Children(Obstacle),
    /// Child profiles, which the operator does not have.
    ChildrenOfOperator,
    /// Of its rules for files.
    File(FileOmission),
    /// Sockets were not observed.
    UnobservedSockets,
    /// Raw sockets of one family.
    RawSockets {
        /// The address family.
        family: u16,
        /// The socket's type.
        kind: u16,
    },
    /// Sockets that the operator denies.
    Sockets {
        /// The address family.
        family: u16,
        /// The socket's type.
        kind: u16,
    },
    /// IPv6, for an old operator.
    Ipv6,
    /// Capabilities were not observed.
    UnobservedCapabilities,
    /// Signals to processes outside of the container.
    Signals {
        /// Their numbers.
        signals: Vec<u8>,
    },
    /// Rights of a debugger.
    Ptrace,
    /// A mount.
    Mount {
        /// Its rule.
        rule: String,
    },
}

impl AppArmorOmission {
    pub(super) fn words(&self) -> Words<'_> {
        let socket = AppArmorProfile::socket_name;
        let (what, instead) = match self {
            Self::File(it) => return it.words(),
            Self::Lost(lost) => return (lost.what.as_str().into(), lost.reason.as_str().into()),
            Self::Children(why) => ("child profiles (--children)".into(), why.as_str()),
            Self::ChildrenOfOperator => (
                "child profiles".into(),
                "all programs run under the one profile",
            ),
            Self::UnobservedSockets => (
                "sockets, which were not observed".into(),
                "TCP, UDP and raw ones are allowed, and no others",
            ),
            Self::RawSockets { family, kind } => (
                format!("which raw sockets: {}", socket(*family, *kind)),
                "raw sockets of every family are allowed",
            ),
            Self::Sockets { family, kind } => (
                format!("sockets: {}", socket(*family, *kind)),
                "they are denied; load apparmor.profile on the nodes if the workload needs them",
            ),
            Self::Ipv6 => ("IPv6".into(), "an operator up to 0.10 allows IPv4 only"),
            Self::UnobservedCapabilities => (
                "capabilities, which were not observed".into(),
                "all are allowed: the container's own list still holds",
            ),
            Self::Signals { signals } => {
                let signals: Vec<_> = signals.iter().map(u8::to_string).collect();
                (
                    format!(
                        "sending signals {} out of the container",
                        signals.join(", ")
                    ),
                    "it is denied",
                )
            }
            Self::Ptrace => (
                "what needs a debugger's rights (ptrace)".into(),
                "it is denied, except reading what the base abstraction allows",
            ),
            Self::Mount { rule } => (rule.clone(), "the operator denies mounting"),
        };
        (what.into(), instead.into())
    }
}

impl From<FileOmission> for AppArmorOmission {
    fn from(it: FileOmission) -> Self {
        Self::File(it)
    }
}
