//! What an observed thing is called, and what it is known for.

use super::{ObservedCall, ObservedThing};
use crate::{
    audit::Severity,
    explain::{is_read_by_all, path_risk, socket_risk},
    profile::apparmor::{AppArmorProfile, Permissions, signal_name},
    recording::{
        CapabilityUse, FileAccess, FileUse, MountOperation, Peer, SignalDirection, SocketOperation,
        SocketUse, TraceDirection,
    },
};
use syscalls::{
    arguments::recorded, defaults::blocked_by_default, essential, headroom, risk::risk,
};

/// A thing in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The call's name, the path, `CAP_…`.
    pub(super) what: String,
    /// How.
    pub(super) detail: Option<String>,
}

/// What a thing is called. `given`: whether the arguments of a call matter.
pub(super) fn name(thing: &ObservedThing, given: bool) -> Name {
    let (what, detail) = match thing {
        ObservedThing::Call(call) => call_name(call, given),
        ObservedThing::File(file) => (file.path.to_string(), Some(access(file.access).to_owned())),
        ObservedThing::Capability(used) => (used.capability.to_string(), None),
        ObservedThing::Socket(socket) => (
            AppArmorProfile::socket_name(socket.family, socket.kind),
            Some(operation(socket.operation).to_owned()),
        ),
        ObservedThing::Signal(signal) => {
            let number = signal.signal;
            let way = match signal.direction {
                SignalDirection::Send => "send",
                SignalDirection::Receive => "receive",
            };
            (
                signal_name(number).unwrap_or_else(|| number.to_string()),
                Some(format!("{way}, {}", peer(signal.peer))),
            )
        }
        ObservedThing::Trace(trace) => {
            let way = match trace.direction {
                TraceDirection::Trace => "trace",
                TraceDirection::TracedBy => "tracedby",
                TraceDirection::Read => "read",
                TraceDirection::ReadBy => "readby",
            };
            (
                "ptrace".to_owned(),
                Some(format!("{way}, {}", peer(trace.peer))),
            )
        }
        ObservedThing::Mount(mount) => {
            let operation = match mount.operation {
                MountOperation::Mount => "mount",
                MountOperation::Unmount => "umount",
                MountOperation::PivotRoot => "pivot_root",
            };
            let filesystem = mount.filesystem.as_deref();
            (
                mount.target.to_string(),
                Some(match filesystem {
                    Some(filesystem) => format!("{operation}, {filesystem}"),
                    None => operation.to_owned(),
                }),
            )
        }
    };
    Name { what, detail }
}

fn call_name(call: &ObservedCall, given: bool) -> (String, Option<String>) {
    let abi = call.call.abi;
    let name = abi.syscall_name(call.call.nr);
    let recorded = name.and_then(|name| recorded(abi, name));
    let words = recorded
        .zip(call.values.as_ref())
        .filter(|_| given)
        .map(|(recorded, values)| recorded.describe(values));
    let detail = match words.filter(|words| !words.is_empty()) {
        Some(words) => format!("{abi}, {words}"),
        None => abi.to_string(),
    };
    let name = name.map_or_else(|| format!("number {}", call.call.nr), str::to_owned);
    (name, Some(detail))
}

const fn access(access: FileAccess) -> &'static str {
    match access {
        FileAccess::Read => "read",
        FileAccess::Write => "write",
        FileAccess::Append => "append",
        FileAccess::Create => "create",
        FileAccess::MakeDirectory => "make directory",
        FileAccess::Symlink => "symlink",
        FileAccess::Link => "link",
        FileAccess::Remove => "remove",
        FileAccess::RemoveDirectory => "remove directory",
        FileAccess::RenameFrom => "rename",
        FileAccess::RenameTo => "rename to",
        FileAccess::ChangeMode => "change mode",
        FileAccess::ChangeOwner => "change owner",
        FileAccess::Truncate => "truncate",
        FileAccess::Lock => "lock",
        FileAccess::LockExclusive => "lock exclusively",
        FileAccess::Execute => "execute",
        FileAccess::MapExecutable => "map",
        FileAccess::Connect => "connect",
        FileAccess::CheckWritable => "check writable",
    }
}

const fn operation(operation: SocketOperation) -> &'static str {
    match operation {
        SocketOperation::Create => "create",
        SocketOperation::Bind => "bind",
        SocketOperation::Connect => "connect",
        SocketOperation::Listen => "listen",
        SocketOperation::Accept => "accept",
    }
}

const fn peer(peer: Peer) -> &'static str {
    match peer {
        Peer::Own => "own",
        Peer::Outside => "outside",
    }
}

/// How bad it is that a thing was done unexpectedly, and what it is known for.
pub(super) fn severity(thing: &ObservedThing) -> (Severity, Option<String>) {
    match thing {
        ObservedThing::Call(call) => call_severity(call),
        ObservedThing::File(file) => file_severity(file),
        ObservedThing::Capability(used) => capability_severity(*used),
        ObservedThing::Socket(socket) => socket_severity(socket),
        ObservedThing::Signal(signal) => {
            let leaves = signal.direction == SignalDirection::Send && signal.peer == Peer::Outside;
            if leaves {
                (Severity::Medium, Some("a process outside".to_owned()))
            } else {
                (Severity::Info, None)
            }
        }
        ObservedThing::Trace(trace) => match trace.direction {
            TraceDirection::Trace | TraceDirection::Read => (
                Severity::High,
                Some("reads and controls other processes".to_owned()),
            ),
            TraceDirection::TracedBy | TraceDirection::ReadBy => (Severity::Medium, None),
        },
        ObservedThing::Mount(_) => (
            Severity::High,
            Some("a mount can put any file in the place of another".to_owned()),
        ),
    }
}

/// By the table of risks, then by what the default profiles of runtimes deny; calls that profiles allow without
/// having seen them are the least.
fn call_severity(call: &ObservedCall) -> (Severity, Option<String>) {
    let Some(name) = call.call.abi.syscall_name(call.call.nr) else {
        return (
            Severity::Medium,
            Some("no name is known for this number".to_owned()),
        );
    };
    if let Some(risk) = risk(name) {
        return (Severity::High, Some(sentence(risk.sentence)));
    }
    if let Some(blocked) = blocked_by_default(name) {
        return (Severity::Medium, Some(sentence(blocked.why())));
    }
    // What headroom adds beside a call that does the same is harmless beside that call only.
    let mut groups = headroom::groups_of(name);
    let is_headroom = groups.any(|group| {
        let mut rules = group.rules.iter();
        rules.any(|rule| rule.adds.contains(&name) && rule.beside.is_empty())
    });
    let is_harmless = essential::groups_of(name).next().is_some() || is_headroom;
    match is_harmless {
        true => (Severity::Info, None),
        false => (Severity::Low, None),
    }
}

/// Without the full stop: it is a part of a line.
fn sentence(text: &str) -> String {
    text.trim_end_matches('.').to_owned()
}

fn file_severity(file: &FileUse) -> (Severity, Option<String>) {
    let writes = Permissions::needed_by(file.access).has_any(Permissions::WRITE);
    match path_risk(&file.path) {
        Some(known) if writes => (Severity::High, Some(known.to_owned())),
        Some(_) if is_read_by_all(&file.path) => (Severity::Low, None),
        Some(known) => (Severity::Medium, Some(known.to_owned())),
        None if file.access == FileAccess::Execute => {
            (Severity::Medium, Some("starts a program".to_owned()))
        }
        None => (Severity::Low, None),
    }
}

fn capability_severity(used: CapabilityUse) -> (Severity, Option<String>) {
    let grants = used.capability.grants().map(str::to_owned);
    // In a namespace of its own everybody has all of them.
    if used.own_namespace || used.audited == Some(false) {
        (Severity::Low, grants)
    } else if used.capability.is_nearly_root() {
        (Severity::High, grants)
    } else {
        (Severity::Medium, grants)
    }
}

fn socket_severity(socket: &SocketUse) -> (Severity, Option<String>) {
    /// `AF_UNIX`, `AF_INET`, `AF_INET6`.
    const ORDINARY: [u16; 3] = [1, 2, 10];
    /// `SOCK_RAW`.
    const RAW: u16 = 3;
    let known = socket_risk(socket.family, Some(socket.kind)).map(str::to_owned);
    if ORDINARY.contains(&socket.family) && socket.kind != RAW {
        (Severity::Low, known)
    } else if known.is_some() {
        (Severity::High, known)
    } else {
        (Severity::Medium, None)
    }
}
