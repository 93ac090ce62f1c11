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
            "tracer recorded a container from the making of its cgroup on."
        }
        (Source::Container, false) => "tracer attached to a container that ran already.",
        (Source::Cgroup, true) => "tracer recorded a cgroup from its first process on.",
        (Source::Cgroup, false) => "tracer attached to a cgroup whose processes ran already.",
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
pub(super) const CHILDREN: &str = "Each of these programs leaves the workload's profile for its own when it is executed; rules are told of all of them together, with who used what. A child may use all that a program before it had opened, since the kernel asks again for what is open when the profile changes. Under `no_new_privs` the kernel changes no profile, and refuses to execute them.";

/// What has to be known of programs that have none.
pub(super) const NO_ROOM: &str =
    "A profile can name twelve others. These programs run under the profile of whoever starts them";

/// What `abi <abi/3.0>` leaves open, whatever the kernel could mediate.
pub(super) const LEFT_OPEN: &str = "Left open on every kernel, since `abi <abi/3.0>` has no rule for them: POSIX message queues, the making of user namespaces, and io_uring. The seccomp profile decides about their calls (`mq_open`, `clone` and `unshare`, `io_uring_setup`).";

/// What every profile denies that has no rule for it, and that nothing records.
pub(super) const DENIED_UNSEEN: &str = "Denied, though nothing looked for it: D-Bus, where the bus asks AppArmor (as on Ubuntu), and changing to another profile (`change_profile`, `change_hat`). A workload that does either needs a rule that is written by hand.";

/// What has to be said where ptrace is denied and nothing looked for it.
pub(super) const PTRACE_NOT_MONITORED: &str = "Nothing looked for ptrace either. It is denied all the same: the workload made no call and opened no file of a process by which the kernel would have been asked for it.";

/// What has to be said of capabilities that were only probed for.
pub(super) const PROBES: &str = "The kernel asked for these without auditing, as it does where it goes on without, so they are not allowed";

/// What has to be said of capabilities that are allowed and that may only have been probed for.
pub(super) const UNCERTAIN_PROBES: &str = "Where it says \"perhaps a probe only\", what recorded it cannot tell whether the kernel went on without. These are close to root, so they are not allowed: run the workload without, and allow the one whose calls then fail with EPERM.";

/// Capabilities of files that were executed.
pub(super) const BY_EXEC: &str = "Executed files have these among their capabilities, with the effective bit: execve(2) fails with EPERM where the container lacks one, whether it is used or not. To drop it, remove it from the file (setcap -r).";

/// Which capabilities are not certain.
pub(super) const PERHAPS_PROBES: &str = "What recorded these cannot tell whether the kernel audited. Where it says \"perhaps a probe only\", it may have gone on without: allowing it is on the safe side of breaking the workload, not of least privilege.";

/// What has to be said of a capability that is allowed, besides what it opens.
pub(super) fn capability_notes(rule: &CapabilityRule) -> impl Iterator<Item = &'static str> {
    let probe = (!rule.certain).then_some("perhaps a probe only");
    let container_need = match rule.container_need {
        ContainerNeed::Needed => None,
        ContainerNeed::Unclear => Some(
            "only used in a user namespace other than the host's, which may be the container's own or one that the workload made, where it has all: it is left in",
        ),
        ContainerNeed::OwnNamespace => Some(
            "only used in a user namespace of its own, where whoever makes one has all: the container need not be given it",
        ),
    };
    probe.into_iter().chain(container_need)
}

/// What was done with a socket: it was ...
pub(super) const fn operation(operation: SocketOperation) -> &'static str {
    match operation {
        SocketOperation::Create => "made",
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
        Peer::Outside => "what is outside",
    }
}

/// Which way a signal went.
pub(super) const fn signalled(direction: SignalDirection) -> &'static str {
    match direction {
        SignalDirection::Send => "sent",
        SignalDirection::Receive => "received",
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
