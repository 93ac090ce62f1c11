//! Recordings made by hand.

use tracer_core::recording::{
    AccessEvidence, Coverage, Executable, FileAccess, FilePath, FileUse, Host, Instance, Losses,
    Mechanism, ObservationKind, ObservedAccess, Phase, Provider, Recording, SCHEMA, Source,
    Workload,
};

/// An access by all of these runs.
pub(crate) fn used(path: &[u8], access: FileAccess, runs: &[u32]) -> ObservedAccess<FileUse> {
    ObservedAccess {
        what: FileUse {
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
        },
        evidence: vec![AccessEvidence {
            phase: Phase::Run,
            executable: Executable::Launcher,
            call: None,
            instances: runs.to_vec(),
            first: None,
        }],
    }
}

/// A recording of `runs` runs in which these files were used and nothing else.
pub(crate) fn recording(runs: u32, files: Vec<ObservedAccess<FileUse>>) -> Recording {
    let provider = |kind: &ObservationKind| Provider {
        kind: *kind,
        provider: Mechanism::Other("made by hand".to_owned()),
        cannot_see: Vec::new(),
    };
    let kinds = [
        ObservationKind::Files,
        ObservationKind::Capabilities,
        ObservationKind::Sockets,
        ObservationKind::Signals,
        ObservationKind::Traces,
        ObservationKind::Mounts,
    ];
    let instance = |run: u32| Instance {
        source: Source::Command,
        host: None,
        cgroup: format!("/tracer/{run}"),
        began: "2026-01-01T00:00:00Z".to_owned(),
        ended: "2026-01-01T00:01:00Z".to_owned(),
        start_observed: true,
        container: None,
        calls: Some(1),
        failed: None,
    };
    Recording {
        schema: SCHEMA.to_owned(),
        workload: Workload {
            name: "web".to_owned(),
            command: Vec::new(),
        },
        host: Host {
            kernel: "6.1.0".to_owned(),
            machine: "x86_64".to_owned(),
            tracer: "0.1.0".to_owned(),
        },
        instances: (0..runs).map(instance).collect(),
        providers: kinds.iter().map(provider).collect(),
        syscalls: Vec::new(),
        files,
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
