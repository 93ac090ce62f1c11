//! A recording made by hand, for tests.

use std::collections::BTreeMap;

use crate::recording::{
    BlindSpot, Coverage, Evidence, Executable, FirstSeen, Host, Instance, Losses, Mechanism,
    ObservationKind, Phase, Provider, Reason, Recording, SCHEMA, Source, Syscall, Workload,
};
use syscalls::Abi;

/// A call as the fixture has it: ABI, number, phase, executable.
pub type Seen = (Abi, u32, Phase, Executable);

/// The executable of that path.
pub fn path(path: &str) -> Executable {
    Executable::Path(path.to_owned())
}

/// A complete recording of `seen` on an x86-64 machine.
pub fn recording(seen: &[Seen]) -> Recording {
    let mut syscalls: BTreeMap<_, Syscall> = BTreeMap::new();
    for (at, (abi, nr, phase, executable)) in (0_u32..).zip(seen) {
        let syscall = syscalls.entry((*abi, *nr)).or_insert_with(|| Syscall {
            abi: *abi,
            nr: *nr,
            name: abi.syscall_name(*nr).map(str::to_owned),
            phases: [].into(),
            blocked: false,
            arguments: None,
            evidence: Vec::new(),
        });
        syscall.phases.insert(*phase);
        syscall.evidence.push(Evidence {
            instance: 0,
            phase: *phase,
            executable: executable.clone(),
            blocked: None,
            first: Some(FirstSeen {
                after_ns: u64::from(at) * 1000,
                pid: 100 + at,
                tid: 100 + at,
                comm: "task".to_owned(),
                args: [0; 6],
            }),
        });
    }
    Recording {
        schema: SCHEMA.to_owned(),
        workload: Workload {
            name: "web".to_owned(),
            command: ["nginx", "-g", "daemon off;"].map(str::to_owned).to_vec(),
        },
        host: Host {
            kernel: "6.18.44".to_owned(),
            machine: "x86_64".to_owned(),
            tracer: "0.1.0".to_owned(),
        },
        instances: vec![Instance {
            source: Source::Command,
            host: None,
            cgroup: "/tracer/web-4711".to_owned(),
            began: "2026-01-01T00:00:00Z".to_owned(),
            ended: "2026-01-01T00:01:00Z".to_owned(),
            start_observed: true,
            container: None,
            calls: Some(12345),
            failed: None,
        }],
        providers: vec![Provider {
            kind: ObservationKind::Syscalls,
            provider: Mechanism::SysEnterAndExit,
            cannot_see: vec![BlindSpot::IoUring],
        }],
        syscalls: syscalls.into_values().collect(),
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

/// Two ABIs, an unknown number, dangerous calls, hostile names, and reasons against completeness.
pub fn mixed() -> Recording {
    let nginx = || path("/usr/sbin/nginx");
    let legacy = || path("/opt/legacy|\n# Approved");
    let mut seen: Vec<Seen> = [
        (Abi::X86_64, "read"),
        (Abi::X86_64, "openat"),
        (Abi::X86_64, "epoll_wait"),
        (Abi::X86_64, "ptrace"),
        (Abi::X86_64, "clone"),
        (Abi::X86_64, "mseal"),
        (Abi::I386, "socketcall"),
        (Abi::I386, "clock_gettime"),
        (Abi::I386, "read"),
    ]
    .into_iter()
    .filter_map(|(abi, name)| {
        let executable = if abi == Abi::I386 { legacy() } else { nginx() };
        Some((abi, abi.syscall_number(name)?, Phase::Run, executable))
    })
    .collect();
    seen.push((Abi::X86_64, 999, Phase::Run, Executable::Unknown));
    seen.push((Abi::X86_64, 59, Phase::Run, Executable::Launcher));
    seen.push((Abi::X86_64, 165, Phase::Setup, path("/usr/sbin/runc")));
    for number in 0..8 {
        seen.push((
            Abi::X86_64,
            257,
            Phase::Run,
            path(&format!("/usr/bin/helper-{number}")),
        ));
    }
    let mut recording = recording(&seen);
    recording.coverage = Coverage::new(
        vec![Reason::IoUring {}],
        Losses {
            events: 3,
            ..Losses::default()
        },
    );
    recording
}
