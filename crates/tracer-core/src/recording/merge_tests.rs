//! The laws of merging, what it keeps, and what it shows.

use proptest::prelude::*;

use super::*;
use crate::{
    profile::seccomp::{
        Options, SeccompProfile,
        fixture::{path, recording},
    },
    recording::{
        LossKind, Note,
        estimate::Incidence,
        json::{parse, to_json},
        strategy,
    },
};
use syscalls::Abi;

/// So small that five generated recordings are too many for each of them.
const TIGHT: Limits = Limits {
    listed: 2,
    witnesses: 3,
    executables: 2,
    runs: 4,
    kinds: 3,
    reasons: 3,
    commands: 2,
};

fn limits() -> impl Strategy<Value = Limits> {
    // Three runs fit, or all of them but not all executables, and so on.
    prop_oneof![
        Just(Limits::default()),
        Just(TIGHT),
        Just(Limits {
            witnesses: 1,
            runs: 100,
            ..TIGHT
        }),
        Just(Limits { runs: 100, ..TIGHT }),
        Just(Limits {
            listed: 5,
            executables: 64,
            runs: 7,
            ..TIGHT
        }),
    ]
}

/// The merge under `limits`, as the bytes of its file.
fn bytes(recordings: &[Recording], limits: Limits) -> Option<String> {
    let mut merge = Merge {
        limits,
        ..Merge::default()
    };
    for recording in recordings {
        merge.add(recording.clone());
        // As if there had been many since.
        merge.compact();
    }
    merge.finish().map(|recording| to_json(&recording))
}

fn read(text: &str) -> Recording {
    parse(text.as_bytes()).unwrap()
}

fn all(recordings: &[Recording]) -> Recording {
    merge(recordings.iter().cloned()).unwrap()
}

proptest! {
    #[test]
    fn merge_is_commutative(
        (recordings, shuffled) in strategy::recordings()
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        limits in limits(),
    ) {
        prop_assert_eq!(bytes(&recordings, limits), bytes(&shuffled, limits));
    }

    /// Merges of merges, by way of their files.
    #[test]
    fn merge_is_associative(
        recordings in strategy::recordings(),
        at in any::<prop::sample::Index>(),
        limits in limits(),
    ) {
        let (left, right) = recordings.split_at(at.index(recordings.len() + 1));
        let halves: Vec<_> = [left, right]
            .iter()
            .filter_map(|half| bytes(half, limits))
            .map(|text| read(&text))
            .collect();
        prop_assert_eq!(bytes(&halves, limits), bytes(&recordings, limits));
    }

    #[test]
    fn merge_is_idempotent(recordings in strategy::recordings(), limits in limits()) {
        let once = bytes(&recordings, limits);
        let twice: Vec<_> = recordings.iter().chain(&recordings).cloned().collect();
        prop_assert_eq!(&once, &bytes(&twice, limits));
        if let Some(once) = once {
            let with_its_parts: Vec<_> = std::iter::once(read(&once)).chain(recordings).collect();
            prop_assert_eq!(bytes(&with_its_parts, limits), Some(once));
        }
    }

    /// Compacting now and then or once, at the end, comes to the same.
    #[test]
    fn compaction_time_does_not_matter(
        recordings in strategy::recordings(),
        limits in limits(),
    ) {
        let mut merge = Merge { limits, ..Merge::default() };
        for recording in &recordings {
            merge.add(recording.clone());
            merge.since_compacted = 0;
        }
        let late = merge.finish().map(|recording| to_json(&recording));
        prop_assert_eq!(late, bytes(&recordings, limits));
    }

    /// The profile allows what the recordings' own would, and no other call.
    #[test]
    fn merge_keeps_the_profile(recordings in strategy::recordings(), limits in limits()) {
        prop_assume!(!recordings.is_empty());
        let options = Options::default();
        let apart = SeccompProfile::from_recordings(&recordings, &options).unwrap();
        let merged = read(&bytes(&recordings, limits).unwrap());
        let together = SeccompProfile::from_recordings(&[merged], &options).unwrap();
        prop_assert_eq!(apart.to_oci_json().unwrap(), together.to_oci_json().unwrap());
    }

    /// What is folded changes no estimate.
    #[test]
    fn folding_keeps_rare_call_counts(recordings in strategy::recordings()) {
        prop_assume!(!recordings.is_empty());
        let whole = Incidence::from_recording(&all(&recordings));
        let folded = read(&bytes(&recordings, Limits { runs: 100, ..TIGHT }).unwrap());
        let folded = Incidence::from_recording(&folded);
        prop_assert_eq!(whole.calls(), folded.calls());
        for instances in [1, 2] {
            prop_assert_eq!(whole.seen_in(instances), folded.seen_in(instances));
        }
    }

    #[test]
    fn merge_is_complete_if_all_parts_are(recordings in strategy::recordings()) {
        prop_assume!(!recordings.is_empty());
        let complete = recordings.iter().all(|recording| recording.coverage.complete);
        let merged = all(&recordings);
        prop_assert_eq!(merged.coverage.complete, complete);
        let each_sentence_once: BTreeSet<_> = merged.coverage.reasons.iter().collect();
        prop_assert_eq!(each_sentence_once.len(), merged.coverage.reasons.len());
    }
}

/// A replica: another run than that of every other number.
fn replica(number: usize) -> Recording {
    let mut replica = recording(&[
        (Abi::X86_64, 0, Phase::Run, path("/bin/web")),
        (Abi::X86_64, 1, Phase::Run, path("/bin/web")),
    ]);
    replica.instances[0].cgroup = format!("/pods/{number}");
    replica
}

#[test]
fn single_recording_is_unchanged() {
    let mut one = replica(0);
    one.coverage.discovery = Some(Discovery::from_recording(&one));
    assert_eq!(all(std::slice::from_ref(&one)), one);
    assert_eq!(all(&[one.clone(), one.clone()]), one);
    assert_eq!(merge([]), None);
}

#[test]
fn replicas_become_instances_with_their_evidence() {
    let merged = all(&[replica(1), replica(0)]);
    let cgroups: Vec<_> = merged
        .instances
        .iter()
        .map(|it| it.cgroup.as_str())
        .collect();
    assert_eq!(cgroups, ["/pods/0", "/pods/1"]);
    let who: Vec<_> = merged.syscalls[0]
        .evidence
        .iter()
        .map(|it| it.instance)
        .collect();
    assert_eq!(who, [0, 1]);
    assert!(merged.coverage.complete && merged.coverage.notes.is_empty());
    assert_eq!(merged.merged, None);
}

#[test]
fn other_kernels_and_architectures_stay_visible() {
    let mut arm = replica(1);
    arm.host.kernel = "6.1.0".to_owned();
    arm.host.machine = "aarch64".to_owned();
    for syscall in &mut arm.syscalls {
        syscall.abi = Abi::Aarch64;
    }
    let merged = all(&[replica(0), arm]);
    assert_eq!(merged.hosts().count(), 2);
    let elsewhere: Vec<_> = merged
        .instances
        .iter()
        .map(|it| it.host.is_some())
        .collect();
    assert_eq!(
        elsewhere,
        [true, false],
        "the recording's own host is the first in order"
    );
    assert_eq!(
        merged.coverage.notes,
        [
            Note::SeveralMachines {
                count: 2,
                values: vec!["aarch64".to_owned(), "x86_64".to_owned()],
            },
            Note::SeveralKernels {
                count: 2,
                values: vec!["6.1.0".to_owned(), "6.18.44".to_owned()],
            },
        ]
    );
    let profile = SeccompProfile::from_recordings(&[merged], &Options::default()).unwrap();
    let architectures: Vec<_> = profile.architectures().collect();
    assert_eq!(architectures, [Abi::X86_64, Abi::Aarch64]);
}

#[test]
fn other_image_digest_survives_folding() {
    let versions = |odd: Option<usize>| {
        (0..150).map(move |number| {
            let mut version = replica(number);
            let digest = if odd == Some(number) { "b" } else { "a" };
            version.instances[0].container = Some(container(digest));
            version
        })
    };
    let alike = merge(versions(None)).unwrap();
    let listed: BTreeSet<_> = alike.instances.iter().map(|it| &it.cgroup).collect();
    let folded = (0..150).find(|number| !listed.contains(&format!("/pods/{number}")));
    let merged = merge(versions(folded)).unwrap();
    assert_eq!((merged.instances.len(), merged.runs()), (100, 150));
    assert_eq!(
        merged.coverage.notes,
        [
            Note::SeveralImages {
                count: 2,
                values: vec!["web:1 (sha256:a)".to_owned(), "web:1 (sha256:b)".to_owned()],
            },
            Note::InstancesFolded {
                listed: 100,
                instances: 150,
                uncounted: false,
            },
        ]
    );
}

fn container(digest: &str) -> crate::recording::Container {
    crate::recording::Container {
        engine: "containerd".to_owned(),
        runtime: None,
        id: "0".repeat(64),
        name: None,
        pod: None,
        owner: None,
        role: None,
        labels: [].into(),
        image: Some("web:1".to_owned()),
        image_digest: Some(format!("sha256:{digest}")),
        security: None,
        warnings: Vec::new(),
        unresolved: Vec::new(),
    }
}

#[test]
fn later_copy_of_the_same_run_wins() {
    let (mut early, mut late) = (replica(0), replica(0));
    early.instances[0].ended = "2026-01-01T00:00:30Z".to_owned();
    early.instances[0].calls = Some(99999);
    late.instances[0].ended = "2026-01-01T00:00:30.5Z".to_owned();
    late.syscalls[0].nr = 3;
    let merged = all(&[late.clone(), early]);
    assert_eq!(merged.instances, late.instances);
    let numbers: Vec<_> = merged.syscalls.iter().map(|it| it.nr).collect();
    assert_eq!(numbers, [0, 1, 3]);
}

#[test]
fn losses_are_merged_with_their_reasons() {
    let lost = |calls| {
        let mut lost = replica(0);
        let losses = Losses {
            calls,
            ..Losses::default()
        };
        lost.coverage = Coverage::new(Vec::new(), losses);
        lost
    };
    let merged = all(&[lost(3), lost(5), replica(1)]);
    assert_eq!(merged.coverage.losses.calls, 5);
    assert_eq!(
        merged.coverage.reasons,
        [Reason::ObservationsLost {
            lost: LossKind::Calls,
            count: 5,
        }]
    );
}

#[test]
fn evidence_of_a_missing_instance_is_kept() {
    let mut odd = replica(0);
    odd.syscalls[0].evidence[0].instance = 7;
    let merged = all(&[odd]);
    assert_eq!((merged.instances.len(), merged.runs()), (1, 2));
    assert_eq!(merged.syscalls[0].evidence[0].instance, 1);
}

#[test]
fn memory_does_not_grow_with_recordings() {
    let size = |recordings: usize| {
        let mut merge = Merge::default();
        for number in 0..recordings {
            let mut one = replica(number);
            // As a build would that runs in a directory of its own.
            let own = path(&format!("/tmp/{number}/a.out"));
            one.syscalls[0].evidence[0].executable = own;
            one.workload.command = vec![format!("/tmp/{number}/a.out")];
            merge.add(one);
            assert!(merge.runs.values().flatten().count() <= 202);
        }
        let merged = merge.finish().unwrap();
        assert_eq!(merged.runs(), recordings);
        to_json(&merged).len()
    };
    let (some, many) = (size(500), size(3000));
    // A name of 16 digits and what JSON puts around it, for each.
    assert!(
        many < some + 2500 * 40,
        "{some} bytes for 500, {many} for 3,000"
    );
}
