//! Against numbers that were computed elsewhere, and what holds for every recording.

use proptest::prelude::*;

use super::*;
use crate::{
    profile::seccomp::fixture::{path, recording},
    recording::{Blocked, merge::merge, strategy},
};
use syscalls::Abi;

/// `counts[n]` calls, each seen in n+1 of `instances`.
fn incidence(instances: u32, counts: &[u32]) -> Incidence {
    let mut nr = 0;
    let mut seen = Vec::new();
    for (often, count) in (1..).zip(counts) {
        for _ in 0..*count {
            let call = SyscallId {
                abi: Abi::X86_64,
                nr,
            };
            seen.extend(
                (0..often).map(|instance| (call, (instance + nr) % instances, Phase::Run, false)),
            );
            nr += 1;
        }
    }
    Incidence::new(instances.into(), seen)
}

fn refusal(incidence: &Incidence) -> Refusal {
    match incidence.estimate() {
        Estimate::Refused(why) => why,
        Estimate::Chao2(unseen) => panic!("{unseen:?}"),
    }
}

/// What EstimateS and scikit-bio give for abundances: Chao1 is Chao2 of so many units that (m-1)/m is 1.
#[test]
fn chao2_agrees_with_other_programs() {
    const MANY: f64 = 1e12;
    for ((q1, q2, calls, seen), (unseen, low, high)) in [
        ((3.0, 3.0, 9.0, 22.0), (0.75, 0.07, 8.45)),
        ((0.0, 2.0, 4.0, 13.0), (0.0, 0.0, 0.95)),
    ] {
        let found = chao2(MANY, q1, q2, calls, seen);
        for (found, expected) in [(found.0, unseen), (found.1, low), (found.2, high)] {
            assert!(
                (found - expected).abs() < 0.006,
                "{found} is not {expected}"
            );
        }
    }
}

#[test]
fn estimate_has_a_confidence_interval() {
    let rare = incidence(20, &[6, 1, 0, 0, 8]);
    assert_eq!(
        rare.estimate(),
        Estimate::Chao2(Unseen {
            calls: 7,
            low: 1,
            high: 41
        })
    );
    // Nothing rare: replicas that all do the same.
    let same = incidence(5, &[0, 0, 0, 0, 60]);
    let Estimate::Chao2(unseen) = same.estimate() else {
        panic!("{same:?}");
    };
    assert_eq!((unseen.calls, unseen.low, unseen.high), (0, 0, 2));
}

#[test]
fn too_few_instances_give_no_estimate() {
    assert_eq!(refusal(&incidence(5, &[])), Refusal::NoCalls);
    assert_eq!(
        refusal(&incidence(4, &[1, 0, 9])),
        Refusal::TooFewInstances {
            instances: 4,
            needed: 5
        }
    );
    assert_eq!(
        refusal(&incidence(9, &[6, 0, 5])),
        Refusal::TooManyRareCalls
    );
    assert!(matches!(
        incidence(9, &[5, 0, 5]).estimate(),
        Estimate::Chao2(_)
    ));
}

#[test]
fn only_profiled_phases_are_counted() {
    let call = |nr| SyscallId {
        abi: Abi::X86_64,
        nr,
    };
    let incidence = Incidence::new(
        2,
        [
            (call(0), 0, Phase::Setup, false),
            (call(1), 0, Phase::RuntimeInit, false),
            (call(2), 0, Phase::Terminal, false),
            (call(3), 0, Phase::Run, true),
            (call(4), 0, Phase::Run, false),
            (call(5), 1, Phase::Exec, false),
        ],
    );
    let counted: Vec<_> = incidence.in_one().map(|call| call.nr).collect();
    assert_eq!(counted, [4, 5]);
}

fn discovery(edit: impl FnOnce(&mut Recording)) -> Discovery {
    let mut recording = recording(&[
        (Abi::X86_64, 0, Phase::Run, path("/bin/a")),
        (Abi::X86_64, 1, Phase::Run, path("/bin/a")),
        (Abi::X86_64, 1, Phase::Run, path("/bin/b")),
        (Abi::X86_64, 2, Phase::Setup, path("/bin/runc")),
    ]);
    for (syscall, seconds) in recording
        .syscalls
        .iter_mut()
        .zip([[1, 0], [18, 50], [55, 0]])
    {
        for (evidence, seconds) in syscall.evidence.iter_mut().zip(seconds) {
            let first = evidence.first.as_mut().unwrap();
            first.after_ns = seconds * 1_000_000_000;
        }
    }
    edit(&mut recording);
    Discovery::from_recording(&recording)
}

#[test]
fn quiet_time_follows_the_last_new_call() {
    // Of a minute; not the second executable's, and not the runtime's.
    let plain = discovery(|_| ());
    assert_eq!((plain.recorded_s, plain.quiet_s), (Some(60), Some(42)));
    let unknown = discovery(|it| it.syscalls[0].evidence[0].first = None);
    assert_eq!((unknown.recorded_s, unknown.quiet_s), (Some(60), None));
    // The other executable's is known: it was no later than that.
    let later = discovery(|it| it.syscalls[1].evidence[0].first = None);
    assert_eq!(later.quiet_s, Some(10));
    let blocked = discovery(|it| {
        for evidence in &mut it.syscalls[1].evidence {
            evidence.blocked = Some(Blocked::Signal);
        }
    });
    assert_eq!((blocked.calls, blocked.quiet_s), (1, Some(59)));
    let no_time = discovery(|it| it.instances[0].ended = "soon".to_owned());
    assert_eq!((no_time.recorded_s, no_time.quiet_s), (None, None));
}

/// A second instance, an hour after the first one.
#[test]
fn gaps_between_instances_are_not_quiet_time() {
    let twice = discovery(|it| {
        let mut second = it.instances[0].clone();
        second.began = "2026-01-01T01:00:00Z".to_owned();
        second.ended = "2026-01-01T01:00:20Z".to_owned();
        it.instances.push(second);
    });
    assert_eq!((twice.recorded_s, twice.quiet_s), (Some(80), Some(62)));
    assert_eq!((twice.in_one, twice.instances), (2, 2));
}

#[test]
fn several_architectures_give_no_estimate() {
    let mixed = discovery(|it| {
        let mut arm = it.host.clone();
        arm.machine = "aarch64".to_owned();
        it.merged = Some(crate::recording::Merged {
            hosts: vec![arm],
            ..crate::recording::Merged::default()
        });
    });
    assert_eq!(
        mixed.unseen,
        Estimate::Refused(Refusal::SeveralArchitectures)
    );
}

#[test]
fn until_stable_counts_down_the_quiet_time() {
    let seconds = Duration::from_secs;
    assert_eq!(until_stable(seconds(60), None), None);
    assert_eq!(
        until_stable(seconds(60), Some(seconds(18))),
        Some(seconds(42))
    );
    assert_eq!(
        until_stable(seconds(60), Some(seconds(61))),
        Some(seconds(0))
    );
}

proptest! {
    #[test]
    fn estimate_lies_in_its_interval(m in 5_u32..200, counts in proptest::collection::vec(0_u32..40, 0..5)) {
        let incidence = incidence(m, &counts);
        if let Estimate::Chao2(unseen) = incidence.estimate() {
            prop_assert!(unseen.low <= unseen.calls && unseen.calls <= unseen.high, "{unseen:?}");
        }
    }

    /// The order of instances means nothing.
    #[test]
    fn replica_order_does_not_matter(recordings in strategy::recordings()) {
        prop_assume!(!recordings.is_empty());
        let there = merge(recordings.iter().cloned()).unwrap();
        let back = merge(recordings.iter().rev().cloned()).unwrap();
        prop_assert_eq!(Discovery::from_recording(&there), Discovery::from_recording(&back));
        prop_assert_eq!(there.coverage.discovery, Some(Discovery::from_recording(&back)));
    }
}
