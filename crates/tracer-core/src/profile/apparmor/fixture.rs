//! A recording with files, made by hand, for tests.

use crate::{
    profile::seccomp::fixture,
    recording::{
        AccessEvidence, CapabilityUse, FileAccess, FilePath, FileUse, Mechanism, MountOperation,
        MountUse, ObservationKind, ObservedAccess, Peer, Phase, Provider, Recording,
        SignalDirection, SignalUse, SocketOperation, SocketUse, TraceDirection, TraceUse,
    },
};
use syscalls::{Abi, capability::Capability};

/// One thing, done by a program in a phase, in the first instance.
pub fn seen<T>(what: T, phase: Phase, program: &str) -> ObservedAccess<T> {
    ObservedAccess {
        what,
        evidence: vec![AccessEvidence {
            phase,
            executable: fixture::path(program),
            call: Abi::X86_64
                .syscall_number("execve")
                .map(|nr| crate::recording::SyscallId {
                    abi: Abi::X86_64,
                    nr,
                }),
            instances: vec![0],
            first: None,
        }],
    }
}

/// One use of a file.
pub fn file(path: &[u8], access: FileAccess) -> FileUse {
    FileUse {
        path: FilePath::new(path),
        access,
        target: None,
        owned: false,
        more: false,
        tree: false,
        truncated: false,
        detached: false,
        provenance: None,
        gains_privileges: false,
    }
}

/// A recording in which every kind was observed, and nothing seen.
pub fn empty() -> Recording {
    let mut recording = fixture::recording(&[]);
    recording.providers = [
        ObservationKind::Files,
        ObservationKind::Capabilities,
        ObservationKind::Sockets,
        ObservationKind::Signals,
        ObservationKind::Traces,
        ObservationKind::Mounts,
    ]
    .map(|kind| Provider {
        kind,
        provider: Mechanism::BpfLsm,
        cannot_see: Vec::new(),
    })
    .to_vec();
    recording
}

const NGINX: &str = "/usr/sbin/nginx";

/// A server that does a little of everything, under hostile names too.
pub fn web() -> Recording {
    let nginx = NGINX;
    let mut recording = empty();
    recording.files = web_files();
    let capability = |number, audited| CapabilityUse {
        capability: Capability::from_number(number),
        audited,
        own_namespace: false,
        by_exec: false,
    };
    recording.capabilities = vec![
        seen(capability(10, Some(true)), Phase::Run, nginx),
        seen(capability(21, Some(false)), Phase::Run, nginx),
        seen(capability(21, Some(true)), Phase::Setup, "/usr/sbin/runc"),
    ];
    let socket = |family, kind, operation| SocketUse {
        family,
        kind,
        protocol: 0,
        operation,
        address: None,
        more: false,
    };
    recording.sockets = vec![
        seen(socket(2, 1, SocketOperation::Listen), Phase::Run, nginx),
        seen(socket(99, 1, SocketOperation::Create), Phase::Run, nginx),
    ];
    let signal = |direction, signal, peer| SignalUse {
        direction,
        signal,
        peer,
    };
    recording.signals = vec![
        seen(
            signal(SignalDirection::Send, 15, Peer::Own),
            Phase::Run,
            nginx,
        ),
        seen(
            signal(SignalDirection::Send, 0, Peer::Outside),
            Phase::Run,
            nginx,
        ),
    ];
    recording.traces = vec![seen(
        TraceUse {
            direction: TraceDirection::Read,
            peer: Peer::Own,
        },
        Phase::Run,
        nginx,
    )];
    recording.mounts = vec![seen(
        MountUse {
            operation: MountOperation::Mount,
            source: Some(FilePath::from("none")),
            target: FilePath::from("/mnt/"),
            filesystem: Some("tmpfs".to_owned()),
            flags: 2,
            more: false,
        },
        Phase::Run,
        nginx,
    )];
    recording
}

fn web_files() -> Vec<ObservedAccess<FileUse>> {
    let nginx = NGINX;
    let run = |path: &[u8], access| seen(file(path, access), Phase::Run, nginx);
    let owned = |path: &[u8], access| {
        let what = FileUse {
            owned: true,
            ..file(path, access)
        };
        seen(what, Phase::Run, nginx)
    };
    vec![
        run(b"/etc/nginx/nginx.conf", FileAccess::Read),
        run(
            b"/usr/lib/x86_64-linux-gnu/libc.so.6",
            FileAccess::MapExecutable,
        ),
        run(b"/var/log/nginx/access.log", FileAccess::Append),
        owned(b"/run/nginx.pid", FileAccess::Create),
        owned(b"/run/nginx.pid", FileAccess::Write),
        run(b"/run/nginx.pid", FileAccess::Read),
        owned(b"/tmp/tmp.AbCdEfGhIj", FileAccess::Write),
        owned(b"/proc/1/stat", FileAccess::Read),
        run(b"/usr/bin/gzip", FileAccess::Execute),
        run(b"/srv/a\n/etc/shadow rw,", FileAccess::Read),
        run(b"/srv/@{HOME}/**", FileAccess::Read),
        run(b"/srv/\xff\x1b[2J", FileAccess::Read),
        seen(
            FileUse {
                more: true,
                ..file(b"/var/cache/", FileAccess::Read)
            },
            Phase::Run,
            nginx,
        ),
        seen(
            FileUse {
                truncated: true,
                ..file(b"x/y", FileAccess::Read)
            },
            Phase::Run,
            nginx,
        ),
        seen(
            FileUse {
                target: Some(FilePath::from("/srv/old")),
                ..file(b"/srv/new", FileAccess::Link)
            },
            Phase::Run,
            nginx,
        ),
        seen(
            file(b"/var/lib/overlay/x", FileAccess::Read),
            Phase::Setup,
            "/usr/sbin/runc",
        ),
        seen(
            file(b"/usr/sbin/nginx", FileAccess::Execute),
            Phase::RuntimeInit,
            "/usr/sbin/runc",
        ),
        seen(
            file(b"/root/.bashrc", FileAccess::Read),
            Phase::Terminal,
            "/bin/bash",
        ),
    ]
}

/// A program that sleeps.
pub fn sleep() -> Recording {
    let program = "/usr/bin/sleep";
    let mut recording = empty();
    recording.files = vec![
        seen(
            file(program.as_bytes(), FileAccess::Execute),
            Phase::RuntimeInit,
            "/usr/sbin/runc",
        ),
        seen(
            file(b"/run/runc/x/state.json", FileAccess::Write),
            Phase::Setup,
            "/usr/sbin/runc",
        ),
        seen(
            file(b"/proc/7/fd/", FileAccess::Read),
            Phase::RuntimeInit,
            "/usr/sbin/runc",
        ),
        seen(
            file(
                b"/usr/lib/x86_64-linux-gnu/libc.so.6",
                FileAccess::MapExecutable,
            ),
            Phase::Run,
            program,
        ),
    ];
    for seen in &mut recording.files {
        // All but what execve itself does.
        if seen.what.access != FileAccess::Execute {
            seen.evidence.iter_mut().for_each(|who| who.call = None);
        }
    }
    recording.capabilities = vec![seen(
        CapabilityUse {
            capability: Capability::from_number(21),
            audited: Some(true),
            own_namespace: false,
            by_exec: false,
        },
        Phase::Setup,
        "/usr/sbin/runc",
    )];
    recording
}
