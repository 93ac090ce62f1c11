//! Rules for signals and ptrace.

use std::collections::BTreeSet;

use crate::recording::{Executable, Peer, SignalDirection, TraceDirection};

/// Signals, or a debugger's rights, with one peer in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpcRule {
    /// The numbers of signals; empty for ptrace.
    pub signals: BTreeSet<u8>,
    /// Who sent, received, traced or was traced.
    pub executables: BTreeSet<Executable>,
}

/// The profiles that whoever stops a container may be under. Where the distribution confines nothing
/// of it that is `unconfined`; Ubuntu 23.10 and later, and Debian 13, have profiles by these names for
/// the runtimes, which exist to allow them user namespaces (moby's template names them too:
/// profiles/apparmor/template.go).
pub const RUNTIMES: [&str; 4] = ["unconfined", "runc", "crun", "podman"];

/// Labels of a peer. Whoever is outside may be under any profile, and a recording cannot know which
/// one; the kernel's default, and the runtimes, are the ones that send signals in.
pub(super) fn labels(peer: Peer) -> &'static [&'static str] {
    match peer {
        Peer::Own => &["@{profile_name}"],
        Peer::Outside => &RUNTIMES,
    }
}

/// The parser's name of a signal: apparmor.d(5) has no name for what a machine does not, and counts
/// real-time signals from 32.
pub(crate) fn signal(number: u8) -> Option<String> {
    const NAMES: [&str; 32] = [
        "exists", "hup", "int", "quit", "ill", "trap", "abrt", "bus", "fpe", "kill", "usr1",
        "segv", "usr2", "pipe", "alrm", "term", "stkflt", "chld", "cont", "stop", "stp", "ttin",
        "ttou", "urg", "xcpu", "xfsz", "vtalrm", "prof", "winch", "io", "pwr", "sys",
    ];
    match NAMES.get(usize::from(number)) {
        Some(name) => Some((*name).to_owned()),
        None => (number <= 64).then(|| format!("rtmin+{}", number - 32)),
    }
}

/// Both ends of what happens between processes of one profile need a rule each.
pub(super) const fn sends(direction: SignalDirection, peer: Peer) -> &'static str {
    match (peer, direction) {
        (Peer::Own, _) => "send, receive",
        (Peer::Outside, SignalDirection::Send) => "send",
        (Peer::Outside, SignalDirection::Receive) => "receive",
    }
}

/// The same for ptrace.
pub(super) const fn traces(direction: TraceDirection, peer: Peer) -> &'static str {
    match (peer, direction) {
        (Peer::Own, TraceDirection::Trace | TraceDirection::TracedBy) => "trace, tracedby",
        (Peer::Own, TraceDirection::Read | TraceDirection::ReadBy) => "read, readby",
        (Peer::Outside, TraceDirection::Trace) => "trace",
        (Peer::Outside, TraceDirection::TracedBy) => "tracedby",
        (Peer::Outside, TraceDirection::Read) => "read",
        (Peer::Outside, TraceDirection::ReadBy) => "readby",
    }
}
