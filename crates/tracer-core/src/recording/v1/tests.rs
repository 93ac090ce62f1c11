//! Recordings of schema v1 are read, and nothing in them is lost.

use serde_json::{Value, json};

use crate::recording::{
    BlindSpot, ConfigType, LossKind, Mechanism, Note, NoteCode, Phase, Reason, ReasonCode,
    Recording, RecordingEnd, Unresolved, Warning,
    estimate::{Estimate, Refusal},
    json::{parse, to_json},
    merge::merge,
};

/// As tracer 0.1.0 wrote it.
const TEXT: &str = include_str!("../../../../../fuzz/corpus/recording/small.json");

fn old() -> Value {
    serde_json::from_str(TEXT).unwrap()
}

fn read(old: &Value) -> Recording {
    parse(serde_json::to_string_pretty(old).unwrap().as_bytes()).unwrap()
}

fn sentence(code: &str, text: &str) -> Value {
    json!({"code": code, "text": text})
}

#[test]
fn v1_becomes_v2() {
    let recording = parse(TEXT.as_bytes()).unwrap();
    assert_eq!(recording.schema, "tracer.recording/v2");
    assert_eq!(parse(to_json(&recording).as_bytes()).unwrap(), recording);
}

#[test]
fn the_window_phase_is_runtime_init() {
    let mut old = old();
    old["syscalls"][0]["phases"] = json!(["window"]);
    old["syscalls"][0]["evidence"][0]["phase"] = json!("window");
    let recording = read(&old);
    assert!(recording.syscalls[0].phases.contains(&Phase::RuntimeInit));
    assert_eq!(recording.syscalls[0].evidence[0].phase, Phase::RuntimeInit);
    let text = to_json(&recording);
    assert!(
        text.contains("\"runtime-init\"") && !text.contains("window"),
        "{text}"
    );
}

#[test]
fn v1_words_are_refused_in_v2() {
    let mut old = old();
    old["syscalls"][0]["evidence"][0]["phase"] = json!("window");
    let text = to_json(&read(&old)).replace("runtime-init", "window");
    let error = parse(text.as_bytes()).unwrap_err().to_string();
    assert!(
        error.contains("unknown variant `window`") && error.contains("line "),
        "{error}"
    );
}

#[test]
fn v2_words_are_refused_in_v1() {
    let text = TEXT.replacen("\"run\"", "\"runtime-init\"", 1);
    let error = parse(text.as_bytes()).unwrap_err().to_string();
    assert!(
        error.contains("unknown variant `runtime-init`") && error.contains("line "),
        "{error}"
    );
}

#[test]
fn providers() {
    let mut old = old();
    old["providers"] = json!([
        {
            "kind": "files",
            "provider": "BTF tracepoint sys_exit",
            "cannot_see": [
                "what io_uring does",
                "what goes through the hook file_open: no: reason",
                "the far side of the moon",
            ],
        },
        {"kind": "mounts", "provider": "guesswork", "cannot_see": []},
    ]);
    let recording = read(&old);
    assert_eq!(recording.providers[0].provider, Mechanism::SysExit);
    assert_eq!(
        recording.providers[0].cannot_see,
        [
            BlindSpot::IoUring,
            BlindSpot::UnusableHook {
                hook: "file_open".to_owned(),
                error: "no: reason".to_owned(),
            },
            BlindSpot::Other("the far side of the moon".to_owned()),
        ]
    );
    let other = Mechanism::Other("guesswork".to_owned());
    assert_eq!(recording.providers[1].provider, other);
}

#[test]
fn reasons() {
    let mut old = old();
    old["coverage"]["losses"]["calls"] = json!(7);
    old["coverage"]["losses"]["threads"] = json!(8);
    old["coverage"]["reasons"] = json!([
        sentence(
            "start-not-observed",
            "the workload was running before the recording began: what it did at its start was not seen; record it from its start"
        ),
        sentence(
            "still-running",
            "the command ended and left processes running; what they did later was not seen; record with --follow to wait for them"
        ),
        sentence(
            "observations-lost",
            "7 calls found the kernel side's tables full; record again with a larger --max-rows"
        ),
        sentence(
            "observations-lost",
            "what a filter stopped was not seen of 8 threads; record again with a larger --max-cgroups"
        ),
        sentence(
            "observations-lost",
            "9 calls found the kernel side's tables full; record again with a larger --max-rows"
        ),
        sentence(
            "cut-short",
            "an error ended the recording, and what came later was not seen: the disk is full"
        ),
        // The sentence of another code.
        sentence(
            "left-cgroup",
            "the command ended and left processes running; what they did later was not seen; record with --follow to wait for them"
        ),
    ]);
    let other = |about, at: usize| Reason::Other {
        about,
        text: old["coverage"]["reasons"][at]["text"]
            .as_str()
            .unwrap()
            .to_owned(),
    };
    assert_eq!(
        read(&old).coverage.reasons,
        [
            Reason::StartNotObserved {},
            Reason::StillRunning {
                after: RecordingEnd::CommandEnded,
            },
            Reason::ObservationsLost {
                lost: LossKind::Calls,
                count: 7,
            },
            Reason::ObservationsLost {
                lost: LossKind::Threads,
                count: 8,
            },
            other(ReasonCode::ObservationsLost, 4),
            Reason::CutShort {
                error: "the disk is full".to_owned(),
            },
            other(ReasonCode::LeftCgroup, 6),
        ]
    );
}

#[test]
fn notes_are_what_follows_from_the_recording() {
    let mut old = old();
    let mut host = old["host"].clone();
    host["kernel"] = json!("5.10.0");
    old["merged"] =
        json!({"hosts": [host], "commands": [], "folded": [], "uncounted": false, "kinds": []});
    old["coverage"]["notes"] = json!([
        sentence("several-kernels", "2 kernels were recorded on: …"),
        sentence("several-images", "two images"),
    ]);
    let recording = read(&old);
    let mut kernels = vec!["5.10.0".to_owned(), recording.host.kernel.clone()];
    kernels.sort();
    assert_eq!(
        recording.coverage.notes,
        [
            Note::SeveralKernels {
                count: 2,
                values: kernels,
            },
            Note::Other {
                about: NoteCode::SeveralImages,
                text: "two images".to_owned(),
            },
        ]
    );
}

#[test]
fn refusals_of_an_estimate() {
    let prefix = "how many calls are unseen is not estimated: ";
    for (why, refusal) in [
        ("none was seen", Refusal::NoCalls),
        (
            "that takes 5 instances (replicas, restarts, further recordings), not 3",
            Refusal::TooFewInstances {
                instances: 3,
                needed: 5,
            },
        ),
        ("no", Refusal::Other(format!("{prefix}no"))),
    ] {
        let mut old = old();
        old["coverage"]["discovery"] = json!({
            "calls": 1, "instances": 3, "in_one": 1, "in_two": 0,
            "recorded_s": null, "quiet_s": null,
            "unseen": {"refused": format!("{prefix}{why}")},
        });
        let unseen = read(&old).coverage.discovery.unwrap().unseen;
        assert_eq!(unseen, Estimate::Refused(refusal));
    }
}

#[test]
fn containers() {
    let mut old = old();
    old["instances"][0]["container"] = json!({
        "engine": "containerd", "runtime": "crun", "id": "1", "name": null, "pod": null,
        "owner": null, "role": null, "labels": {}, "image": null, "image_digest": null,
        "security": null,
        "warnings": [
            sentence("privileged", "the container is privileged (all capabilities, no filter, nothing masked): its engine ignores a seccomp profile; take privileged away first"),
            sentence("filter-in-place", "a seccomp filter was in place (default action \"SCMP_ACT_ERRNO\"): what it stops the program did not get to do"),
            sentence("haunted", "it is haunted"),
        ],
        "unresolved": [
            "its bundle's config.json was not found",
            "process.user.uid of config.json is not an id",
            "the name of pod \"a-b\" was not found",
            "the cgroup is of pod \"a\", the container's files say \"b\"",
            "the labels of pod \"web-1\" are not known: that it belongs to ReplicaSet \"web\" is a guess from its name",
            "nobody was at home",
        ],
    });
    let recording = read(&old);
    let container = recording.instances[0].container.as_ref().unwrap();
    assert_eq!(container.runtime, Some(syscalls::OciRuntime::Crun));
    assert_eq!(
        container.warnings,
        [
            Warning::Privileged { inferred: true },
            Warning::FilterInPlace {
                default_action: "SCMP_ACT_ERRNO".to_owned(),
            },
            Warning::Other {
                about: "haunted".to_owned(),
                text: "it is haunted".to_owned(),
            },
        ]
    );
    assert_eq!(
        container.unresolved,
        [
            Unresolved::NoConfig {},
            Unresolved::InvalidConfigField {
                field: "process.user.uid".to_owned(),
                expected: ConfigType::Id,
            },
            Unresolved::NoPodName {
                uid: "a-b".to_owned(),
            },
            Unresolved::PodMismatch {
                cgroup: "a".to_owned(),
                files: "b".to_owned(),
            },
            Unresolved::GuessedOwner {
                pod: "web-1".to_owned(),
                kind: "ReplicaSet".to_owned(),
                owner: "web".to_owned(),
            },
            Unresolved::Other {
                text: "nobody was at home".to_owned(),
            },
        ]
    );
}

#[test]
fn v1_merges_with_v2() {
    let old = parse(TEXT.as_bytes()).unwrap();
    let new = parse(to_json(&old).as_bytes()).unwrap();
    let mut other = new.clone();
    other.instances[0].cgroup.push_str("-other");
    let both = merge([old.clone(), other.clone()]);
    assert_eq!(both, merge([new.clone(), other]));
    assert_eq!(merge([old, new.clone()]), merge([new]));
}

#[test]
fn unknown_codes_have_a_position() {
    let good = to_json(&parse(TEXT.as_bytes()).unwrap());
    let mut json: Value = serde_json::from_str(&good).unwrap();
    json["coverage"]["reasons"] = json!([{"code": "io-uring"}]);
    json["coverage"]["complete"] = json!(false);
    let good = serde_json::to_string_pretty(&json).unwrap();
    assert!(parse(good.as_bytes()).is_ok());
    for (known, wrong) in [
        ("\"kind\": \"syscalls\"", "\"kind\": \"auras\""),
        ("\"sys-enter-and-exit\"", "\"telepathy\""),
        ("\"code\": \"io-uring\"", "\"code\": \"bad-weather\""),
        (
            "\"code\": \"io-uring\"",
            "\"code\": \"io-uring\", \"text\": \"x\"",
        ),
    ] {
        let bad = good.replacen(known, wrong, 1);
        assert_ne!(bad, good, "{known}");
        let error = parse(bad.as_bytes()).unwrap_err().to_string();
        assert!(
            error.contains("unknown ") && error.contains("line ") && !error.contains("line 0"),
            "{error}"
        );
    }
}
