//! What the kernel side and the runtimes tell, in a recording's words.

use crate::{
    bpf::{Mechanisms, RowExecutable, blind_spots},
    container::{Container, Role, Seccomp, Security},
};
use syscalls::Abi;
use tracer_abi::{Phase as KernelPhase, outcome};
use tracer_core::recording::{
    self, BlindSpot, Blocked, Executable, FilePath, ObservationKind, Phase, Provider,
};

/// What a recording keeps of a container.
pub(super) fn container(container: &Container) -> recording::Container {
    let image = container.image.clone().unwrap_or_default();
    recording::Container {
        engine: container.engine.as_str().to_owned(),
        runtime: container.runtime,
        id: container.id.clone(),
        name: container.name.clone(),
        pod: container
            .pod
            .as_ref()
            .filter(|pod| !pod.name.is_empty())
            .map(|pod| format!("{}/{}", pod.namespace, pod.name)),
        owner: container
            .pod
            .as_ref()
            .and_then(|pod| pod.owner.as_ref())
            .map(|owner| format!("{}/{}", owner.kind.as_str(), owner.name)),
        role: role(container.role),
        labels: container.labels.clone(),
        image: image.name,
        image_digest: image.digest,
        security: container.security.as_ref().map(security),
        warnings: container.warnings.clone(),
        unresolved: container.unresolved.clone(),
    }
}

fn role(role: Role) -> Option<String> {
    let text = match role {
        Role::Unknown => return None,
        Role::Main => "main",
        Role::Init => "init",
        Role::Sidecar => "sidecar",
        Role::Ephemeral => "ephemeral",
        Role::Sandbox => "sandbox",
    };
    Some(text.to_owned())
}

fn security(security: &Security) -> recording::Security {
    recording::Security {
        uid: security.uid,
        user_namespace: security.user_namespace,
        no_new_privileges: security.no_new_privileges,
        privileged: security.privileged.is_some(),
        capabilities: security.capabilities.bounding.clone(),
        seccomp: match &security.seccomp {
            Seccomp::Filter { default_action, .. } => Some(default_action.clone()),
            Seccomp::Unknown | Seccomp::Unconfined => None,
        },
        apparmor: security.apparmor.clone(),
        read_only_root: security.read_only_root,
    }
}

/// The phase that a row of marks stands for.
pub(super) fn phase(number: u32) -> Phase {
    match KernelPhase::from_number(number) {
        KernelPhase::Run => Phase::Run,
        KernelPhase::Setup => Phase::Setup,
        KernelPhase::RuntimeInit => Phase::RuntimeInit,
        KernelPhase::Exec => Phase::Exec,
        KernelPhase::Terminal => Phase::Terminal,
    }
}

/// What a mark in a row of blocked calls says.
pub(super) fn blocked(mark: u8) -> Blocked {
    match mark {
        outcome::SIGNAL => Blocked::Signal,
        outcome::VALUE => Blocked::Value,
        errno if errno <= outcome::MAX_ERRNO => Blocked::Errno(errno.into()),
        _ => Blocked::OtherErrno,
    }
}

/// The executable that a row of marks stands for. `script` finds where a script's name leads.
pub(super) fn executable(
    row: RowExecutable,
    script: impl FnOnce(&[u8], &[u8]) -> Option<FilePath>,
) -> Executable {
    match row {
        RowExecutable::Path {
            bytes,
            truncated: false,
        } => Executable::Path(text(&bytes)),
        RowExecutable::Script {
            name,
            start,
            truncated: false,
        } => Executable::Path(match script(&name, &start) {
            Some(path) => text(path.as_bytes()),
            None => text(&name),
        }),
        RowExecutable::Path {
            bytes,
            truncated: true,
        }
        | RowExecutable::Script {
            name: bytes,
            truncated: true,
            ..
        } => Executable::Truncated(text(&bytes)),
        RowExecutable::Launcher => Executable::Launcher,
        RowExecutable::Unknown => Executable::Unknown,
    }
}

/// Bytes that a workload chose, as text: those that are no UTF-8 are escaped, none are dropped.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes
        .utf8_chunks()
        .flat_map(|chunk| {
            [
                chunk.valid().to_owned(),
                chunk.invalid().escape_ascii().to_string(),
            ]
        })
        .collect()
}

/// What served each kind of observation on this machine, and its blind spots.
pub(super) fn providers(native: Abi, mechanisms: &Mechanisms) -> Vec<Provider> {
    let mut providers = vec![arguments_provider(), syscall_provider(native)];
    providers.extend(access_providers(mechanisms));
    providers.sort();
    providers
}

fn access_providers(mechanisms: &Mechanisms) -> impl Iterator<Item = Provider> {
    let kinds = [
        (ObservationKind::Files, mechanisms.files),
        (ObservationKind::Sockets, mechanisms.sockets),
        (ObservationKind::Mounts, mechanisms.mounts),
        (ObservationKind::Capabilities, mechanisms.capabilities),
        (ObservationKind::Signals, mechanisms.signals),
        (ObservationKind::Traces, mechanisms.traces),
        (ObservationKind::Selinux, mechanisms.selinux),
    ];
    let missing = &mechanisms.missing;
    kinds.into_iter().filter_map(move |(kind, mechanism)| {
        let mechanism = mechanism?;
        let mut cannot_see = blind_spots(kind, mechanism);
        let hooks = missing.iter().filter(|(hook, _)| {
            let of = match *hook {
                "sb_mount" | "sb_umount" | "sb_pivotroot" | "move_mount" => ObservationKind::Mounts,
                socket if socket.starts_with("socket_") => ObservationKind::Sockets,
                _ => ObservationKind::Files,
            };
            of == kind
        });
        cannot_see.extend(hooks.map(|(hook, error)| BlindSpot::UnusableHook {
            hook: (*hook).to_owned(),
            error: error.clone(),
        }));
        Some(Provider {
            kind,
            provider: mechanism.into(),
            cannot_see,
        })
    })
}

fn arguments_provider() -> Provider {
    Provider {
        kind: ObservationKind::Arguments,
        provider: recording::Mechanism::SysEnterRegisters,
        cannot_see: vec![BlindSpot::BlockedCallArguments, BlindSpot::PointedToMemory],
    }
}

fn syscall_provider(native: Abi) -> Provider {
    let mut cannot_see = vec![BlindSpot::IoUring];
    if native == Abi::X86_64 {
        cannot_see.push(BlindSpot::ForgedAbi);
    }
    Provider {
        kind: ObservationKind::Syscalls,
        provider: recording::Mechanism::SysEnterAndExit,
        cannot_see,
    }
}
