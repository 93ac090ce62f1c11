//! Accesses for property tests.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    AccessRecord, AccessRecords, Accesses, CapabilityUse, FileAccess, FilePath, FileUse,
    FirstAccess, MountOperation, MountUse, Peer, SelinuxUse, SignalDirection, SignalUse,
    SocketOperation, SocketUse, TraceDirection, TraceUse,
};
use crate::recording::{Executable, Phase, SyscallId};
use syscalls::{Abi, capability::Capability};

/// What a few instances did, of a few things of each kind.
pub(in crate::recording) fn accesses(instances: u32) -> impl Strategy<Value = Accesses> {
    let path = select(vec!["/etc/passwd", "/tmp/", "/srv/a", "/srv/b\n\"*"]);
    let access = select(vec![
        FileAccess::Read,
        FileAccess::Write,
        FileAccess::Execute,
    ]);
    let file = (path, access, any::<bool>()).prop_map(|(path, access, owned)| FileUse {
        path: FilePath::from(path),
        access,
        target: None,
        owned,
        more: false,
        tree: false,
        truncated: false,
        detached: false,
        provenance: None,
        gains_privileges: false,
    });
    let capability =
        (0_u8..3, option::of(any::<bool>())).prop_map(|(number, audited)| CapabilityUse {
            capability: Capability::from_number(number),
            audited,
            own_namespace: false,
            by_exec: false,
        });
    let socket = (1_u16..3, 0_u8..2).prop_map(|(family, operation)| SocketUse {
        family,
        kind: 1,
        protocol: 0,
        operation: [SocketOperation::Create, SocketOperation::Bind][usize::from(operation)],
        address: (operation == 1).then(|| FilePath::from("/run/x")),
        more: false,
    });
    let signal = (1_u8..3).prop_map(|signal| SignalUse {
        direction: SignalDirection::Send,
        signal,
        peer: Peer::Own,
    });
    let trace = Just(TraceUse {
        direction: TraceDirection::Read,
        peer: Peer::Own,
    });
    let mount = (0_u64..2, any::<bool>()).prop_map(|(flags, more)| MountUse {
        operation: MountOperation::Mount,
        source: None,
        target: FilePath::from("/mnt/"),
        filesystem: Some("tmpfs".to_owned()),
        flags,
        more,
    });
    let selinux = (
        select(vec!["u:r:web_t:s0:c1", "u:object_r:etc_t:s0:c2"]),
        select(vec!["read", "open"]),
    )
        .prop_filter_map("contexts with types", |(target, permission)| {
            SelinuxUse::from_contexts("u:r:web_t:s0:c1", target, "file", permission)
        });
    (
        uses(file, instances),
        uses(capability, instances),
        uses(socket, instances),
        uses(signal, instances),
        uses(trace, instances),
        uses(mount, instances),
        uses(selinux, instances),
    )
        .prop_map(
            |(files, capabilities, sockets, signals, traces, mounts, selinux)| Accesses {
                files,
                capabilities,
                sockets,
                signals,
                traces,
                mounts,
                selinux,
            },
        )
}

fn uses<T: Ord + Clone + std::fmt::Debug>(
    what: impl Strategy<Value = T>,
    instances: u32,
) -> impl Strategy<Value = AccessRecords<T>> {
    let moment = (0_u64..4).prop_map(|after_ns| FirstAccess {
        after_ns,
        pid: 1,
        comm: "web".to_owned(),
    });
    let who = (
        select(vec![Phase::Run, Phase::Setup, Phase::Exec]),
        select(vec![
            Executable::Launcher,
            Executable::Path("/bin/a".to_owned()),
        ]),
        option::of((0_u32..2).prop_map(|nr| SyscallId {
            abi: Abi::X86_64,
            nr,
        })),
    );
    let one = (what, 0..instances.max(1), who, option::of(moment));
    vec(one, 0..6).prop_map(move |all| {
        let mut uses = AccessRecords::default();
        for (what, instance, who, first) in all {
            if instances > 0 {
                uses.add(AccessRecord {
                    what,
                    instance,
                    who,
                    first,
                });
            }
        }
        uses
    })
}
