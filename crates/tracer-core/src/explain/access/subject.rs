//! What is asked about.

use crate::{
    profile::apparmor::{AppArmorProfile, signal_name},
    recording::{FilePath, ObservationKind},
};
use syscalls::capability::Capability;

/// A thing that AppArmor mediates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A path, or a rule's glob word by word.
    File(FilePath),
    /// A capability.
    Capability(Capability),
    /// Sockets of a family, and perhaps of a type, by number.
    Socket(u16, Option<u16>),
    /// A signal by number.
    Signal(u8),
}

impl Subject {
    /// What a name stands for, when it is no system call: `/etc/passwd`, `CAP_NET_RAW` or `net_raw`,
    /// `AF_INET` or `inet stream`, `SIGTERM`.
    pub fn parse(name: &str) -> Option<Self> {
        if name.starts_with(['/', '@']) {
            // As reviews write it, where bytes may be escaped.
            let path = name.parse().unwrap_or_else(|_| FilePath::from(name));
            return Some(Self::File(path));
        }
        Self::signal(name)
            .or_else(|| name.parse().ok().map(Self::Capability))
            .or_else(|| Self::socket(name))
    }

    fn signal(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let short = match name.strip_prefix("sig")? {
            // apparmor.d(5) has its own name for it.
            "tstp" => "stp",
            short => short,
        };
        let number = (1..=64).find(|number| signal_name(*number).as_deref() == Some(short))?;
        Some(Self::Signal(number))
    }

    fn socket(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let mut words = name
            .split([' ', ',', '/'])
            .filter(|word| !word.is_empty())
            .skip_while(|word| *word == "network");
        let family = words.next()?;
        let family = match family.strip_prefix("af_").unwrap_or(family) {
            "local" => "unix",
            family => family,
        };
        let family = AppArmorProfile::family_number(family)?;
        let kind = words
            .next()
            .map(|word| AppArmorProfile::kind_number(word.strip_prefix("sock_").unwrap_or(word)));
        match (kind, words.next()) {
            (None, _) => Some(Self::Socket(family, None)),
            (Some(Some(kind)), None) => Some(Self::Socket(family, Some(kind))),
            _ => None,
        }
    }

    /// The kind of observation that tells of it.
    pub(super) const fn kind(&self) -> ObservationKind {
        match self {
            Self::File(_) => ObservationKind::Files,
            Self::Capability(_) => ObservationKind::Capabilities,
            Self::Socket(..) => ObservationKind::Sockets,
            Self::Signal(_) => ObservationKind::Signals,
        }
    }
}
