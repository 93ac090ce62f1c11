//! The profile that a container has anyway, and what another one lets through beyond it.
//!
//! Docker's and containerd's default, unless the file is written for Podman and CRI-O, whose own default
//! lets rootless containers mount and make namespaces.

use super::loaded_profile::{LoadedProfile, SyscallState};
use crate::parse::Node;
use syscalls::{
    bypass,
    defaults::{self, DefaultDecision},
    risk,
};

/// A call that the default denies, with any arguments or with some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beyond {
    pub(super) name: &'static str,
    /// With which arguments, where the default allows others.
    pub(super) with: Option<&'static str>,
    pub(super) why: &'static str,
    /// Capabilities with which the default lets it through.
    pub(super) allowed_with: &'static [&'static str],
    /// Whether earlier releases of the default, which are still shipped, let it through.
    pub(super) earlier: bool,
}

/// Calls that the default denies and that are worth a warning though Docker's manual does not list them.
const MORE: [&str; 3] = ["clone3", "migrate_pages", "open_tree_attr"];

/// Calls that no kernel since Linux 5.5 has: nothing is gained by them.
const GONE: [&str; 5] = [
    "_sysctl",
    "create_module",
    "get_kernel_syms",
    "nfsservctl",
    "query_module",
];

/// Whether a file is written for Podman and CRI-O: only these read errors by name
/// (containers/common, pkg/seccomp/types.go).
pub(super) fn is_podmans(node: &Node) -> bool {
    let entries = node.get("syscalls").into_iter().flat_map(Node::items);
    let mut entries = entries.into_iter();
    node.get("defaultErrno").is_some() || entries.any(|entry| entry.get("errno").is_some())
}

/// What a profile lets through and the default does not.
pub(super) fn beyond(view: &LoadedProfile<'_>) -> Vec<Beyond> {
    let native = view.context.native;
    let has = |capability: &str| view.context.capabilities.contains(capability);
    let is_podmans = is_podmans(&view.read.node);
    let mut beyond = Vec::new();
    for (_, name) in native.syscalls() {
        let blocked = defaults::blocked_by_default(name);
        let is_told = blocked.is_some() || MORE.contains(&name);
        let is_denied = defaults::by_default(name, has) == DefaultDecision::Denied
            && !(is_podmans && defaults::PODMAN_OPENS.contains(&name));
        if is_told && is_denied && !GONE.contains(&name) && view.state(native, name).allows_some() {
            beyond.push(Beyond {
                name,
                with: None,
                why: blocked.map_or(
                    risk::risk(name).map_or(
                        "Too new for the defaults to know it, or of no use to most.",
                        |it| it.sentence,
                    ),
                    defaults::BlockedSyscall::why,
                ),
                allowed_with: blocked.map_or(&[], |blocked| blocked.allowed_with),
                earlier: false,
            });
        }
    }
    beyond.extend(by_arguments(view, is_podmans));
    beyond
}

/// AF_VSOCK (include/linux/socket.h).
const VSOCK: u64 = 40;
/// include/uapi/linux/personality.h.
const ADDR_NO_RANDOMIZE: u64 = 0x4_0000;

/// Values that the defaults deny to calls that they allow otherwise.
fn by_arguments(view: &LoadedProfile<'_>, is_podmans: bool) -> Vec<Beyond> {
    let native = view.context.native;
    let has = |capability: &str| view.context.capabilities.contains(capability);
    let mut found = Vec::new();
    let mut add = |name, args: [u64; 6], with, why, allowed_with| {
        let lets = view
            .outcome(native, name, args)
            .is_some_and(|outcome| outcome.verdict.allows());
        if lets && view.state(native, name) != SyscallState::Absent {
            found.push(Beyond {
                name,
                with: Some(with),
                why,
                allowed_with,
                // containers-common of Debian 12 (2022) has no rule for AF_VSOCK.
                earlier: is_podmans && name == "socket",
            });
        }
    };
    if !has("CAP_SYS_ADMIN") && !is_podmans {
        let namespaces = bypass::ends().find(|end| end.name == "namespaces");
        let values = namespaces.map_or(&[][..], |end| end.values);
        let open = values.iter().find(|bit| {
            let outcome = view.outcome(native, "clone", [*bit | 0x11, 0, 0, 0, 0, 0]);
            outcome.is_some_and(|outcome| outcome.verdict.allows())
        });
        if let Some(bit) = open {
            add(
                "clone",
                [*bit | 0x11, 0, 0, 0, 0, 0],
                "the flags that make namespaces",
                "A user namespace opens most of the kernel's privileged code to an ordinary user.",
                &["CAP_SYS_ADMIN"],
            );
        }
    }
    add(
        "socket",
        [VSOCK, 1, 0, 0, 0, 0],
        "AF_VSOCK",
        "Talks to the hypervisor and to other virtual machines.",
        &[],
    );
    add(
        "personality",
        [ADDR_NO_RANDOMIZE, 0, 0, 0, 0, 0],
        "ADDR_NO_RANDOMIZE",
        "Can switch off address space randomisation and make memory executable.",
        &[],
    );
    found
}
