//! What is known about the things in a recording and a profile, in words that need no escaping: the same
//! in each kind of review.

use syscalls::errno::error_name;
use tracer_core::{
    profile::apparmor::{CapabilityRule, ContainerNeed, FileRule, Pattern, Permissions},
    recording::{
        Blocked, InstanceKind, Peer, SignalDirection, SocketOperation, Source, TraceDirection,
    },
};

/// How instances of a kind came to be recorded: a sentence.
pub(super) const fn how_recorded(kind: &InstanceKind) -> &'static str {
    match (kind.source, kind.start_observed) {
        (Source::Command, true) => "tracer ran the command and recorded it from its first call.",
        (Source::Command, false) => "tracer ran the command; its first calls were not recorded.",
        (Source::Container, true) => {
            "tracer recorded the container from the creation of its cgroup."
        }
        (Source::Container, false) => {
            "tracer attached to a running container; its start was not recorded."
        }
        (Source::Log, _) => {
            "tracer read the denials of a profile from a log; nothing else was recorded."
        }
        (Source::Cgroup, true) => "tracer recorded a cgroup from its first process on.",
        (Source::Cgroup, false) => {
            "tracer attached to a cgroup with running processes; their start was not recorded."
        }
    }
}

/// What a program saw of a blocked call.
pub(super) fn saw(blocked: Blocked) -> String {
    match blocked {
        Blocked::Errno(number) => {
            error_name(number).map_or_else(|| format!("errno {number}"), str::to_owned)
        }
        Blocked::OtherErrno => "an errno above 200".to_owned(),
        Blocked::Signal => "SIGSYS".to_owned(),
        Blocked::Value => "a value".to_owned(),
    }
}

/// What a rule for files allows in all, and why that deserves a second look, if it does.
pub(super) fn file_risk(pattern: &Pattern, rule: &FileRule) -> Option<(Permissions, &'static str)> {
    let why = rule.review_reason(pattern)?;
    Some((rule.permissions | rule.owner, why))
}

/// What has to be known of child profiles.
pub(super) const CHILDREN: &str = "Each of these programs switches from the workload's profile to its own when it is executed. The tables below list the rules of all of them, with the program that used each. A child may also use whatever a program before it had opened, since the kernel checks open files again when the profile changes. Under `no_new_privs` the kernel does not change profiles and refuses to execute them.";

/// What has to be known of programs that have none.
pub(super) const NO_ROOM: &str = "A profile can name twelve others. These programs run under the profile of the program that starts them";

/// What `abi <abi/3.0>` leaves open, whatever the kernel could mediate.
pub(super) const LEFT_OPEN: &str = "Not restricted on any kernel, since `abi <abi/3.0>` has no rule for them: POSIX message queues, creating user namespaces, and io_uring. The seccomp profile restricts their system calls (`mq_open`, `clone` and `unshare`, `io_uring_setup`).";

/// What every profile denies that has no rule for it, and that nothing records.
pub(super) const DENIED_UNSEEN: &str = "Denied although not monitored: D-Bus, where the bus asks AppArmor (as on Ubuntu), and changing to another profile (`change_profile`, `change_hat`). A workload that needs one of them needs a hand-written rule.";

/// What has to be said where ptrace is denied and nothing looked for it.
pub(super) const PTRACE_NOT_MONITORED: &str = "ptrace was not monitored. It is denied anyway: the workload made no call and opened no file of a process that could need it.";

/// What has to be said of capabilities that were only probed for.
pub(super) const PROBES: &str =
    "The kernel checked for these without requiring them, so they are not allowed";

/// What has to be said of capabilities that are allowed and that may only have been probed for.
pub(super) const PERHAPS_PROBES: &str = "This kernel interface cannot tell real use from a permission check. \"May be a mere check\" marks those: allowing them avoids breaking the workload, at the cost of least privilege.";

/// What has to be said of a capability that is allowed, besides what it opens.
pub(super) fn capability_notes(rule: &CapabilityRule) -> impl Iterator<Item = &'static str> {
    let probe = (!rule.certain).then_some("may be a mere check");
    let container_need = match rule.container_need {
        ContainerNeed::Needed => None,
        ContainerNeed::Unclear => Some(
            "only used in a user namespace other than the host's (the container's, or one that the workload created): kept",
        ),
        ContainerNeed::OwnNamespace => Some(
            "only used in a user namespace that the workload created: the container does not need it",
        ),
    };
    probe.into_iter().chain(container_need)
}

/// What was done with a socket: it was ...
pub(super) const fn operation(operation: SocketOperation) -> &'static str {
    match operation {
        SocketOperation::Create => "created",
        SocketOperation::Bind => "bound",
        SocketOperation::Connect => "connected",
        SocketOperation::Listen => "listening",
        SocketOperation::Accept => "accepting",
    }
}

/// Who is at the other end.
pub(super) const fn peer(peer: Peer) -> &'static str {
    match peer {
        Peer::Own => "itself",
        Peer::Outside => "outside the container",
    }
}

/// Which way a signal went.
pub(super) const fn signalled(direction: SignalDirection) -> &'static str {
    match direction {
        SignalDirection::Send => "sent",
        SignalDirection::Receive => "received",
    }
}

/// A signal by its name: `SIGTERM`.
pub(super) fn signal(number: u8) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    match number.checked_sub(1).map(usize::from) {
        // signal(7): kill with 0 only checks whether the process exists.
        None => "0 (existence check)".to_owned(),
        Some(at) => NAMES.get(at).map_or_else(
            || format!("real-time signal {number}"),
            |name| format!("SIG{name}"),
        ),
    }
}

/// What a debugger's rights were used for.
pub(super) const fn traced(direction: TraceDirection) -> &'static str {
    match direction {
        TraceDirection::Trace => "traced",
        TraceDirection::TracedBy => "was traced",
        TraceDirection::Read => "read",
        TraceDirection::ReadBy => "was read",
    }
}
