//! Which capabilities were needed, and which were only asked after.

use std::collections::BTreeSet;

use crate::recording::{
    AccessEvidence, CapabilityUse, Executable, Instance, Recording, Source, Syscall, SyscallId,
};
use syscalls::{arguments::NAMESPACES, capability::Capability};

/// `CAP_SYS_ADMIN`.
const SYS_ADMIN: Capability = Capability::from_number(21);

/// Calls in which the kernel asks for `CAP_SYS_ADMIN` without auditing, and then does not go on without
/// it, unless no_new_privs is set: `seccomp_prepare_filter` (kernel/seccomp.c) returns EACCES,
/// `landlock_restrict_self` (security/landlock/syscalls.c) EPERM.
const REFUSING: [&str; 3] = ["landlock_restrict_self", "prctl", "seccomp"];

/// `CLONE_NEWTIME`, which clone3 takes and clone has the signal in (include/uapi/linux/sched.h).
const NEWTIME: u64 = 0x80;

/// A capability that is allowed, or was only probed for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapabilityRule {
    /// Who used it.
    pub executables: BTreeSet<Executable>,
    /// In which calls, where that is known.
    pub calls: BTreeSet<SyscallId>,
    /// Whether the container must be given it. AppArmor asks for it in every user namespace.
    pub container_need: ContainerNeed,
    /// Whether some use was more than a probe for certain. Where a provider cannot tell, the kernel may
    /// have gone on without it.
    pub certain: bool,
}

/// Whether a container must be given a capability that was used in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerNeed {
    /// No: it was only used in a user namespace that the workload made, where it has all.
    #[default]
    OwnNamespace,
    /// It was only used in a user namespace other than the host's first one, and the recording does not
    /// tell whether the container was started in that, or made it.
    Unclear,
    /// Yes.
    Needed,
}

/// What a use of a capability says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CapabilityEvidence {
    /// Only asked after: the kernel went on, or would have.
    Probe,
    /// Needed, for certain or perhaps.
    Use { certain: bool },
}

/// What a use by one witness says.
pub(super) fn capability_evidence(
    recording: &Recording,
    used: CapabilityUse,
    who: &AccessEvidence,
) -> CapabilityEvidence {
    let is_admin = used.capability == SYS_ADMIN;
    let name = who.call.and_then(|call| call.abi.syscall_name(call.nr));
    match used.audited {
        Some(true) => CapabilityEvidence::Use { certain: true },
        Some(false) if is_admin && name.is_some_and(|name| REFUSING.contains(&name)) => {
            CapabilityEvidence::Use { certain: true }
        }
        Some(false) => CapabilityEvidence::Probe,
        None if is_admin && makes_no_namespace(recording, who) => CapabilityEvidence::Probe,
        None => CapabilityEvidence::Use { certain: false },
    }
}

/// Whether the call was clone or clone3, and never for a namespace. Then the kernel asked whether the
/// new process may have memory that is kept for root (`cap_vm_enough_memory`,
/// security/commoncap.c), which it never refuses a call for by itself.
fn makes_no_namespace(recording: &Recording, who: &AccessEvidence) -> bool {
    let Some(call) = who.call else {
        return false;
    };
    let namespaces = match call.abi.syscall_name(call.nr) {
        Some("clone") => NAMESPACES,
        Some("clone3") => NAMESPACES | NEWTIME,
        _ => return false,
    };
    let is_it = |it: &&Syscall| (it.abi, it.nr) == (call.abi, call.nr);
    let Some(arguments) = recording
        .syscalls
        .iter()
        .find(is_it)
        .and_then(|it| it.arguments.as_ref())
    else {
        return false;
    };
    let Some(flags) = arguments.indices.iter().position(|index| *index == 0) else {
        return false;
    };
    let mut given = arguments
        .seen
        .iter()
        .filter(|it| it.phase == who.phase)
        .map(|it| it.values.get(flags).copied().unwrap_or(u64::MAX))
        .peekable();
    !arguments.cut.contains(&who.phase)
        && given.peek().is_some()
        && given.all(|flags| flags & namespaces == 0)
}

/// Whether the container must be given what one witness used.
pub(super) fn container_need(
    recording: &Recording,
    used: CapabilityUse,
    who: &AccessEvidence,
) -> ContainerNeed {
    if !used.own_namespace {
        return ContainerNeed::Needed;
    }
    let instance = |index: &u32| recording.instances.get(usize::try_from(*index).ok()?);
    let of_each = who.instances.iter().map(|index| {
        // Of runs that are not listed any more it is not known.
        instance(index).map_or(ContainerNeed::Unclear, of_other_namespace)
    });
    of_each.max().unwrap_or(ContainerNeed::Unclear)
}

/// The same for what an instance used in a user namespace other than the host's first one.
fn of_other_namespace(instance: &Instance) -> ContainerNeed {
    // What an engine of a user's starts is in the user namespace of the engine, and its config.json
    // need not name one.
    let of_a_user = instance.cgroup.contains("/user@") || instance.cgroup.contains("/user.slice");
    let security = instance.container.as_ref().map(|it| it.security.as_ref());
    match (security, instance.source) {
        // tracer started it, in the namespace that BPF programs are loaded from.
        (None, Source::Command) => ContainerNeed::OwnNamespace,
        (Some(Some(security)), _) if security.user_namespace => ContainerNeed::Needed,
        (Some(Some(_)), _) if !of_a_user => ContainerNeed::OwnNamespace,
        _ => ContainerNeed::Unclear,
    }
}
