//! Whole recordings for property tests: of a few runs, so that two recordings often share some.

use proptest::{
    collection::{btree_map, btree_set, vec},
    option,
    prelude::*,
    sample::{select, subsequence},
};

use super::{
    BlindSpot, Blocked, Container, Coverage, Discovery, Executable, FirstSeen, Host, Instance,
    Losses, Mechanism, Observation, ObservationKind, Observations, ObservedArguments, Phase,
    Provider, Reason, Recording, SCHEMA, Security, Source, SyscallId, Warning, Workload,
    access::strategy::accesses,
};
use syscalls::{Abi, OciRuntime};

/// How many different runs there are.
const RUNS: u32 = 9;

/// A recording of the workload `web`, as one of the nodes of a cluster would make it.
pub(crate) fn recording() -> impl Strategy<Value = Recording> {
    let runs = subsequence((0..RUNS).collect::<Vec<_>>(), 0..=4);
    let parts = (
        select(vec![0_usize, 1, 2]),
        runs,
        vec((observation(), option::of(0_u64..80)), 0..25),
        coverage(),
        select(vec![
            vec![],
            vec!["nginx"],
            vec!["nginx", "-g", "daemon off;"],
            vec!["a", "\u{202e}"],
        ]),
        any::<u8>(),
        accesses(4),
    );
    parts.prop_map(
        |(host, runs, observed, (reasons, losses), command, seed, accesses)| {
            let mut observations = Observations::default();
            for (mut observation, value) in observed {
                if !runs.is_empty() {
                    observation.instance %= u32::try_from(runs.len()).unwrap();
                    observations.add_arguments(ObservedArguments {
                        call: observation.call,
                        instance: observation.instance,
                        phase: observation.phase,
                        executable: observation.executable.clone(),
                        values: value.map(|value| [0, value, 0]),
                    });
                    observations.add(observation);
                }
            }
            let mut recording = Recording {
                schema: SCHEMA.to_owned(),
                workload: Workload {
                    name: "web".to_owned(),
                    command: command.into_iter().map(str::to_owned).collect(),
                },
                host: self::host(host),
                instances: runs.into_iter().map(|run| instance(run, seed)).collect(),
                providers: vec![Provider {
                    kind: ObservationKind::Syscalls,
                    provider: Mechanism::Other(format!("provider {}", seed % 2)),
                    cannot_see: vec![BlindSpot::IoUring],
                }],
                syscalls: observations.into_syscalls(),
                files: Vec::new(),
                capabilities: Vec::new(),
                sockets: Vec::new(),
                signals: Vec::new(),
                traces: Vec::new(),
                mounts: Vec::new(),
                selinux: Vec::new(),
                coverage: Coverage::new(reasons, losses),
                merged: None,
            };
            let runs = recording.instances.len();
            let parts = accesses.split(1, |instance| {
                ((instance as usize) < runs).then_some((0, instance))
            });
            recording.set_accesses(parts.into_iter().next().unwrap_or_default());
            if seed.is_multiple_of(5) {
                // As a version that did not record arguments.
                for syscall in &mut recording.syscalls {
                    syscall.arguments = None;
                }
            }
            recording.coverage.discovery = Some(Discovery::from_recording(&recording));
            recording
        },
    )
}

/// As many recordings as a merge may be asked for.
pub(crate) fn recordings() -> impl Strategy<Value = Vec<Recording>> {
    vec(recording(), 0..6)
}

fn host(number: usize) -> Host {
    let (kernel, machine) = [
        ("6.1.0-18-amd64", "x86_64"),
        ("6.18.44", "x86_64"),
        ("6.12.9", "aarch64"),
    ][number];
    Host {
        kernel: kernel.to_owned(),
        machine: machine.to_owned(),
        tracer: "0.1.0".to_owned(),
    }
}

/// A run; `seed` is what a recording of it at another time, or by another node, would say otherwise.
fn instance(run: u32, seed: u8) -> Instance {
    Instance {
        source: if run < 2 {
            Source::Command
        } else {
            Source::Container
        },
        host: None,
        cgroup: format!("/pods/{run}"),
        began: format!("2026-01-01T00:0{}:00Z", run % 3),
        ended: format!("2026-01-01T00:{}:00Z", 10 + seed % 3),
        start_observed: seed.is_multiple_of(2),
        container: (run >= 2).then(|| container(run, seed)),
        calls: Some(u64::from(seed)),
        failed: None,
    }
}

fn container(run: u32, seed: u8) -> Container {
    Container {
        engine: "containerd".to_owned(),
        runtime: Some(OciRuntime::Runc),
        id: format!("{run:064x}"),
        name: Some("web".to_owned()),
        pod: Some(format!("shop/web-{run}")),
        owner: Some("Deployment/web".to_owned()),
        role: None,
        labels: [("run".to_owned(), run.to_string())].into(),
        image: Some("web:1".to_owned()),
        image_digest: Some(format!("sha256:{}", run % 4)),
        security: (!seed.is_multiple_of(3)).then(Security::default),
        warnings: vec![Warning::Privileged { inferred: false }],
        unresolved: Vec::new(),
    }
}

fn observation() -> impl Strategy<Value = Observation> {
    let call = prop_oneof![
        // Often the same, so that many runs made it.
        6 => Just(SyscallId { abi: Abi::X86_64, nr: 0 }),
        4 => (0_u32..12).prop_map(|nr| SyscallId {
            abi: Abi::X86_64,
            nr
        }),
        // ioctl, whose second argument is recorded.
        3 => Just(SyscallId { abi: Abi::X86_64, nr: 16 }),
        1 => (0_u32..3).prop_map(|nr| SyscallId { abi: Abi::I386, nr }),
        1 => Just(SyscallId {
            abi: Abi::X86_64,
            nr: 999
        }),
    ];
    let phase = select(vec![
        Phase::Run,
        Phase::Run,
        Phase::Run,
        Phase::Run,
        Phase::Setup,
        Phase::RuntimeInit,
        Phase::Exec,
        Phase::Terminal,
    ]);
    let executable = prop_oneof![
        4 => Just(Executable::Path("/bin/a".to_owned())),
        1 => Just(Executable::Launcher),
        1 => Just(Executable::Unknown),
        3 => "[a-f]".prop_map(|name| Executable::Path(format!("/bin/{name}"))),
    ];
    let blocked = select(vec![
        None,
        None,
        None,
        Some(Blocked::Errno(1)),
        Some(Blocked::Signal),
    ]);
    let first = option::of((0_u64..600, 1_u32..4).prop_map(|(seconds, pid)| FirstSeen {
        after_ns: seconds * 1_000_000_000,
        pid,
        tid: pid,
        comm: "web".to_owned(),
        args: [0, 1, 2, 3, 4, u64::MAX],
    }));
    (call, 0..RUNS, phase, executable, blocked, first).prop_map(
        |(call, instance, phase, executable, blocked, first)| Observation {
            call,
            instance,
            phase,
            executable,
            blocked,
            first,
        },
    )
}

fn coverage() -> impl Strategy<Value = (Vec<Reason>, Losses)> {
    let reasons = btree_set(0_u8..5, 0..3).prop_map(|texts| {
        let reason = |text| Reason::CutShort {
            error: format!("reason {text}"),
        };
        texts.into_iter().map(reason).collect()
    });
    let losses = btree_map(0_u8..4, 1_u64..3, 0..3).prop_map(|counts| {
        let count = |which| counts.get(&which).copied().unwrap_or_default();
        Losses {
            events: count(0),
            calls: count(1),
            program_runs: count(2),
            phases: count(3),
            ..Losses::default()
        }
    });
    (reasons, losses)
}
