//! What was done only by programs that do not count, and that the profile does not allow.

use super::{ipc, model::AppArmorProfile, permissions::Permissions, unsupported::describe_access};
use crate::recording::{
    AccessEvidence, FileAccess, FilePath, ObservationKind, Peer, Phase, SignalDirection,
    TraceDirection,
};
use syscalls::capability::Capability;

/// Something that a profile does not allow because nobody who counts did it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excluded {
    /// An access to a file.
    File(FilePath, FileAccess),
    /// A capability.
    Capability(Capability),
    /// A socket's family and type, by number.
    Socket(u16, u16),
    /// A signal, by number.
    Signal(SignalDirection, Peer, u8),
    /// A debugger's rights.
    Trace(TraceDirection, Peer),
    /// A change of the mount tree, as its rule would have it.
    Mount(String),
}

impl Excluded {
    /// What it is, in a word or two, and its name, which a workload may have chosen.
    pub fn words(&self) -> (&'static str, String) {
        let other_end = |peer: &Peer| match peer {
            Peer::Own => "itself",
            Peer::Outside => "outside the container",
        };
        match self {
            Self::File(path, access) => (describe_access(*access), path.to_string()),
            Self::Capability(capability) => ("capability", capability.to_string()),
            Self::Socket(family, kind) => ("socket", AppArmorProfile::socket_name(*family, *kind)),
            Self::Signal(direction, peer, number) => {
                let what = match direction {
                    SignalDirection::Send => "sent a signal",
                    SignalDirection::Receive => "received a signal",
                };
                let name = ipc::signal(*number).unwrap_or_else(|| number.to_string());
                (what, format!("{name}, {}", other_end(peer)))
            }
            Self::Trace(direction, peer) => {
                let what = match direction {
                    TraceDirection::Trace => "traced",
                    TraceDirection::TracedBy => "was traced by",
                    TraceDirection::Read => "read, as a debugger may,",
                    TraceDirection::ReadBy => "was read, as by a debugger, by",
                };
                (what, other_end(peer).to_owned())
            }
            Self::Mount(rule) => ("mount tree", rule.clone()),
        }
    }

    /// Whether the profile allows it all the same, because another did it too, or for another reason.
    pub(super) fn is_allowed(&self, profile: &AppArmorProfile) -> bool {
        if profile.unseen.contains(&self.kind()) && !matches!(self, Self::Mount(_)) {
            return true;
        }
        match self {
            Self::File(path, access) => {
                profile.allows(path, Permissions::needed_by(*access), false)
            }
            Self::Capability(capability) => profile.capabilities.contains_key(capability),
            Self::Socket(family, kind) => profile.networks.contains_key(&(*family, *kind)),
            Self::Signal(direction, peer, number) => {
                let essential = *peer == Peer::Own || *direction == SignalDirection::Receive;
                let sends = |it| ipc::sends(it, *peer);
                let mut rules = profile.signals.iter();
                (profile.essential && essential)
                    || rules.any(|((its_direction, its_peer), rule)| {
                        its_peer == peer
                            && sends(*its_direction) == sends(*direction)
                            && rule.signals.contains(number)
                    })
            }
            Self::Trace(direction, peer) => {
                let traces = |it| ipc::traces(it, *peer);
                let mut rules = profile.traces.keys();
                rules.any(|(its_direction, its_peer)| {
                    its_peer == peer && traces(*its_direction) == traces(*direction)
                })
            }
            Self::Mount(rule) => profile.mounts.contains_key(rule),
        }
    }

    const fn kind(&self) -> ObservationKind {
        match self {
            Self::File(..) => ObservationKind::Files,
            Self::Capability(_) => ObservationKind::Capabilities,
            Self::Socket(..) => ObservationKind::Sockets,
            Self::Signal(..) => ObservationKind::Signals,
            Self::Trace(..) => ObservationKind::Traces,
            Self::Mount(_) => ObservationKind::Mounts,
        }
    }
}

/// Whether somebody put the program into the running container.
pub(super) fn came_later(who: &&AccessEvidence) -> bool {
    matches!(who.phase, Phase::Exec | Phase::Terminal)
}
