//! Recordings made by hand: a few that are known to be awkward, and whatever proptest thinks of.

use std::path::Path;

use anyhow::Result;
use proptest::{
    collection::vec, prelude::*, sample::select, strategy::ValueTree as _, test_runner::TestRunner,
};
use syscalls::{Abi, OciRuntime, capability::Capability};
use tracer::store;
use tracer_core::recording::{
    AccessEvidence, CapabilityUse, Container, Coverage, Evidence, Executable, FileAccess, FilePath,
    FileUse, Host, Instance, Losses, Mechanism, MountOperation, MountUse, ObservationKind,
    ObservedAccess, Peer, Phase, Provider, Recording, SCHEMA, Security, SignalDirection, SignalUse,
    SocketOperation, SocketUse, Source, Syscall, TraceDirection, TraceUse, Workload,
};

/// Texts that mean something to a terminal, a browser, Markdown, YAML, a shell or a reader's eye.
pub(crate) const HOSTILE: [&str; 12] = [
    "<script>alert(1)</script>",
    "\u{1b}[2J\u{1b}]0;x\u{7}",
    "\u{202e}txt.exe\u{2066}",
    "a\n# Approved\n\n[x](http://e)",
    "x: y\n  - z: !!python/object:os.system",
    "\"}]}, {\"x\": \"",
    "*alias &anchor %TAG",
    "' ; rm -rf / #",
    "$(id) `id` ${IFS}",
    "a\u{85}b\u{2028}c\u{feff}",
    "{{ .Values.x }} {% raw %}",
    "[Service]\nExecStart=/bin/evil",
];

const KINDS: [ObservationKind; 6] = [
    ObservationKind::Files,
    ObservationKind::Capabilities,
    ObservationKind::Sockets,
    ObservationKind::Signals,
    ObservationKind::Traces,
    ObservationKind::Mounts,
];

pub(crate) fn by_run<T>(what: T) -> ObservedAccess<T> {
    ObservedAccess {
        what,
        evidence: vec![AccessEvidence {
            phase: Phase::Run,
            executable: Executable::Path("/usr/bin/web".to_owned()),
            call: None,
            instances: vec![0],
            first: None,
        }],
    }
}

pub(crate) fn file(path: &str, access: FileAccess) -> ObservedAccess<FileUse> {
    by_run(FileUse {
        path: FilePath::from(path),
        access,
        target: None,
        owned: false,
        more: false,
        tree: false,
        truncated: false,
        detached: false,
        provenance: None,
        gains_privileges: false,
    })
}

fn syscall(abi: Abi, nr: u32) -> Syscall {
    Syscall {
        abi,
        nr,
        name: abi.syscall_name(nr).map(str::to_owned),
        phases: [Phase::Run].into(),
        blocked: false,
        arguments: None,
        evidence: vec![Evidence {
            instance: 0,
            phase: Phase::Run,
            executable: Executable::Path("/usr/bin/web".to_owned()),
            blocked: None,
            first: None,
        }],
    }
}

/// A container in a pod, in which nothing was seen.
pub(crate) fn empty() -> Recording {
    Recording {
        schema: SCHEMA.to_owned(),
        workload: Workload {
            name: "shop_deployment-cart_web".to_owned(),
            command: Vec::new(),
        },
        host: Host {
            kernel: "6.1.0".to_owned(),
            machine: "x86_64".to_owned(),
            tracer: "0.1.0".to_owned(),
        },
        instances: vec![Instance {
            source: Source::Container,
            host: None,
            cgroup: "/kubepods/web".to_owned(),
            began: "2026-01-01T00:00:00Z".to_owned(),
            ended: "2026-01-01T00:01:00Z".to_owned(),
            start_observed: true,
            container: Some(Container {
                engine: "containerd".to_owned(),
                runtime: Some(OciRuntime::Runc),
                id: "0123".to_owned(),
                name: Some("web".to_owned()),
                pod: Some("shop/cart-7d9c-x2x4z".to_owned()),
                owner: Some("deployment/cart".to_owned()),
                role: Some("main".to_owned()),
                labels: [].into(),
                image: Some("registry.example/cart:1.2".to_owned()),
                image_digest: None,
                security: Some(Security {
                    uid: Some(101),
                    no_new_privileges: Some(true),
                    ..Security::default()
                }),
                warnings: Vec::new(),
                unresolved: Vec::new(),
            }),
            calls: Some(1),
            failed: None,
        }],
        providers: KINDS
            .iter()
            .map(|kind| Provider {
                kind: *kind,
                provider: Mechanism::Other("made by hand".to_owned()),
                cannot_see: Vec::new(),
            })
            .collect(),
        syscalls: ["read", "write", "execve", "socket"]
            .iter()
            .filter_map(|name| Abi::X86_64.syscall_number(name))
            .map(|nr| syscall(Abi::X86_64, nr))
            .collect(),
        files: Vec::new(),
        capabilities: Vec::new(),
        sockets: Vec::new(),
        signals: Vec::new(),
        traces: Vec::new(),
        mounts: Vec::new(),
        selinux: Vec::new(),
        coverage: Coverage::new(Vec::new(), Losses::default()),
        merged: None,
    }
}

/// The same with a hostile text wherever a recording holds one.
pub(crate) fn hostile(text: &str) -> Recording {
    let mut recording = empty();
    // No path of the kernel's has two slashes.
    let path = format!("/srv/{}", text.replace("//", "/"));
    recording.workload.command = vec![text.to_owned(), path.clone()];
    recording.files = [
        FileAccess::Read,
        FileAccess::Write,
        FileAccess::MapExecutable,
        FileAccess::Execute,
    ]
    .into_iter()
    .enumerate()
    .map(|(at, access)| file(&format!("{path}{at}"), access))
    .collect();
    recording.mounts = vec![by_run(MountUse {
        operation: MountOperation::Mount,
        source: Some(FilePath::from(path.as_str())),
        target: FilePath::from(path.as_str()),
        filesystem: Some(text.to_owned()),
        flags: 0,
        more: false,
    })];
    recording.sockets = vec![by_run(SocketUse {
        family: 1,
        kind: 1,
        protocol: 0,
        operation: SocketOperation::Connect,
        address: Some(FilePath::from(path.as_str())),
        more: false,
    })];
    let executable = Executable::Path(path);
    for who in recording
        .syscalls
        .iter_mut()
        .flat_map(|call| &mut call.evidence)
    {
        who.executable = executable.clone();
    }
    if let Some(container) = recording.instances[0].container.as_mut() {
        container.image = Some(text.to_owned());
        container.pod = Some(format!("{text}/{text}"));
        container.name = Some(text.to_owned());
        container.owner = Some(format!("{text}/{text}"));
        container.labels = [(text.to_owned(), text.to_owned())].into();
    }
    recording
}

/// The committed examples.
pub(crate) fn examples() -> Vec<Recording> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut all: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    all.sort();
    all.iter()
        .filter_map(|path| store::read(path).ok())
        .collect()
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-z]{1,6}",
        "[a-zA-Z0-9 ._+@{}*?\\[\\]^\"'#,:\\\\-]{1,8}",
        select(&HOSTILE[..]).prop_map(|text| text.replace('/', "|")),
        Just("é\u{202e}".to_owned()),
    ];
    let top = select(vec![
        "/etc", "/var/log", "/tmp", "/usr/lib", "/proc/12", "/sys", "/dev",
    ]);
    (top, vec(name, 1..4)).prop_map(|(top, names)| format!("{top}/{}", names.join("/")))
}

fn files() -> impl Strategy<Value = Vec<ObservedAccess<FileUse>>> {
    let access = select(vec![
        FileAccess::Read,
        FileAccess::Write,
        FileAccess::Append,
        FileAccess::Create,
        FileAccess::Lock,
        FileAccess::Execute,
        FileAccess::MapExecutable,
        FileAccess::Connect,
        FileAccess::Remove,
    ]);
    let one =
        (path(), access, any::<bool>(), any::<bool>()).prop_map(|(path, access, owned, more)| {
            let mut seen = file(&path, access);
            seen.what.owned = owned;
            if more {
                seen.what.more = true;
                seen.what.path = FilePath::from(format!("{path}/").as_str());
            }
            seen
        });
    vec(one, 0..12)
}

fn sockets() -> impl Strategy<Value = Vec<ObservedAccess<SocketUse>>> {
    let one = (0_u16..50, 1_u16..11).prop_map(|(family, kind)| {
        by_run(SocketUse {
            family,
            kind,
            protocol: 0,
            operation: SocketOperation::Create,
            address: None,
            more: false,
        })
    });
    vec(one, 0..6)
}

/// Whatever may be in a recording.
pub(crate) fn any_recording() -> impl Strategy<Value = Recording> {
    let abi = select(vec![Abi::X86_64, Abi::X86_64, Abi::I386]);
    let calls = vec((abi, 0_u32..470), 0..40);
    let capabilities = vec((0_u8..41, any::<Option<bool>>()), 0..5);
    let signals = vec((0_u8..65, any::<bool>(), any::<bool>()), 0..4);
    let uid = select(vec![None, Some(0), Some(101)]);
    let security = (uid, any::<Option<bool>>(), any::<Option<bool>>());
    let rest = (signals, any::<bool>(), security, any::<bool>());
    (calls, files(), sockets(), capabilities, rest).prop_map(
        |(calls, files, sockets, capabilities, (signals, traced, security, seen))| {
            let mut recording = empty();
            let numbers: std::collections::BTreeSet<_> = calls.into_iter().collect();
            recording.syscalls = numbers
                .into_iter()
                .map(|(abi, nr)| syscall(abi, nr))
                .collect();
            recording.syscalls.sort_by_key(Syscall::call);
            recording.files = files;
            recording.sockets = sockets;
            recording.capabilities = capabilities
                .into_iter()
                .map(|(number, audited)| {
                    by_run(CapabilityUse {
                        capability: Capability::from_number(number),
                        audited,
                        own_namespace: false,
                        by_exec: false,
                    })
                })
                .collect();
            recording.signals = signals
                .into_iter()
                .map(|(signal, out, own)| {
                    by_run(SignalUse {
                        direction: if out {
                            SignalDirection::Send
                        } else {
                            SignalDirection::Receive
                        },
                        signal,
                        peer: if own { Peer::Own } else { Peer::Outside },
                    })
                })
                .collect();
            if traced {
                recording.traces = vec![by_run(TraceUse {
                    direction: TraceDirection::Read,
                    peer: Peer::Own,
                })];
            }
            if !seen {
                recording
                    .providers
                    .retain(|it| !matches!(it.kind.as_str(), "sockets" | "capabilities"));
            }
            let (uid, no_new_privileges, read_only_root) = security;
            if let Some(container) = recording.instances[0].container.as_mut() {
                container.security = Some(Security {
                    uid,
                    no_new_privileges,
                    read_only_root,
                    ..Security::default()
                });
            }
            recording
        },
    )
}

/// Some of them, always the same.
pub(crate) fn generated(count: usize) -> Result<Vec<Recording>> {
    let mut runner = TestRunner::deterministic();
    let any = any_recording();
    (0..count)
        .map(|_| any.new_tree(&mut runner).map(|tree| tree.current()))
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow::anyhow!("{error}"))
}
