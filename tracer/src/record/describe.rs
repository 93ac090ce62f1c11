//! What the kernel side and the runtimes tell, in a recording's words.

use crate::{
    container::Container,
    probe::RowExecutable,
    recording::{self, Executable, Provider, Warning},
    syscall::Abi,
};

/// What a recording keeps of a container.
pub(super) fn container(container: &Container) -> recording::Container {
    let image = container.image.clone().unwrap_or_default();
    recording::Container {
        engine: container.engine.as_str().to_owned(),
        id: container.id.clone(),
        name: container.name.clone(),
        pod: container
            .pod
            .as_ref()
            .filter(|pod| !pod.name.is_empty())
            .map(|pod| format!("{}/{}", pod.namespace, pod.name)),
        image: image.name,
        image_digest: image.digest,
        warnings: container
            .warnings
            .iter()
            .map(|warning| Warning {
                code: warning.code().to_owned(),
                text: warning.to_string(),
            })
            .collect(),
        unresolved: container.unresolved.clone(),
    }
}

/// The executable that a row of marks stands for.
pub(super) fn executable(row: RowExecutable) -> Executable {
    match row {
        RowExecutable::Path {
            bytes,
            truncated: false,
        } => Executable::Path(text(&bytes)),
        RowExecutable::Path {
            bytes,
            truncated: true,
        } => Executable::Truncated(text(&bytes)),
        RowExecutable::Launcher => Executable::Launcher,
        RowExecutable::Unknown => Executable::Unknown,
    }
}

/// Bytes that a workload chose, as text: those that are no UTF-8 are escaped, none are dropped.
pub(super) fn text(bytes: &[u8]) -> String {
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

/// The provider of system calls on this machine, and its blind spots.
pub(super) fn syscall_provider(native: Abi) -> Provider {
    let mut cannot_see = vec![
        "calls that a seccomp filter stopped".to_owned(),
        "what io_uring does".to_owned(),
    ];
    if native == Abi::X86_64 {
        cannot_see.push(
            "that a call was 32-bit, when a 64-bit program forges the registers of a 64-bit one"
                .to_owned(),
        );
    }
    Provider {
        kind: "syscalls".to_owned(),
        provider: "BTF tracepoint sys_enter".to_owned(),
        cannot_see,
    }
}
