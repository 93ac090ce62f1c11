//! `tracer fleet` over many objects: in bounded memory, and the same bytes before and after compaction.
//!
//! `TRACER_FLEET_OBJECTS=100000 cargo test --release -p tracer --test fleet -- --nocapture` prints the figures of the goal.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a failure is to end them"
)]

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
    time::Instant,
};

use tracer_core::{
    agent::SpoolKey,
    fleet::Object,
    profile::seccomp::fixture::mixed,
    recording::{Instance, Recording},
};
use tracer_fleet::object;

/// How many workloads there are.
const WORKLOADS: usize = 20;

/// How many nodes.
const NODES: usize = 50;

fn key(workload: usize) -> SpoolKey {
    SpoolKey {
        cluster: "prod".to_owned(),
        namespace: "shop".to_owned(),
        kind: "deployment".to_owned(),
        owner: format!("app-{workload}"),
        container: "web".to_owned(),
        image: "sha256:ab".to_owned(),
        architecture: "x86_64".to_owned(),
    }
}

/// What one instance did: a part of what all do.
fn recording(number: usize) -> Recording {
    let mut recording = mixed();
    recording.workload.name = format!("app-{}", number % WORKLOADS);
    let calls = recording.syscalls.len();
    recording.syscalls.rotate_left(number % calls);
    recording.syscalls.truncate(calls / 2 + 1);
    recording.syscalls.sort_by_key(|it| it.call());
    recording.instances = vec![Instance {
        cgroup: format!("/pods/{number}"),
        ..recording.instances[0].clone()
    }];
    for evidence in recording
        .syscalls
        .iter_mut()
        .flat_map(|it| &mut it.evidence)
    {
        evidence.instance = 0;
    }
    recording
}

fn fill(store: &Path, objects: usize) {
    for number in 0..objects {
        let key = key(number % WORKLOADS);
        let node = format!("node-{}", number / WORKLOADS % NODES);
        let packed = object::pack(&Object::of_node(
            key.clone(),
            &node,
            number as u64,
            recording(number),
        ));
        let path = store.join(object::name(&key, &packed));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, packed).unwrap();
    }
}

fn fleet(store: &Path, words: &[&str]) -> Output {
    let begin = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_tracer"))
        .arg("fleet")
        .args(words)
        .args(["--store", &format!("file://{}", store.display())])
        .output()
        .unwrap();
    println!(
        "fleet {}: {:?}, {} KB at most",
        words.join(" "),
        begin.elapsed(),
        peak()
    );
    output
}

/// The most memory that a child had, in kilobytes.
fn peak() -> i64 {
    // SAFETY: a struct of numbers, which the kernel fills.
    let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
    // SAFETY: the struct outlives the call.
    let done = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    assert_eq!(done, 0);
    usage.ru_maxrss
}

#[test]
fn many_objects_are_read_in_bounded_memory() {
    let objects = env::var("TRACER_FLEET_OBJECTS").map_or(2_000, |it| it.parse().unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let store = scratch.path();
    fill(store, objects);
    let listed = fleet(store, &["list"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(text.lines().count(), WORKLOADS, "{text}");
    assert!(
        text.contains(&format!("{} objects", objects / WORKLOADS)) && text.contains("50 nodes"),
        "{text}"
    );
    let status = fleet(store, &["status", "--format", "json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["workloads"][0]["instances"], objects / WORKLOADS);
    let pulled = fleet(store, &["pull", "shop/app-3"]);
    assert!(pulled.status.success(), "{pulled:?}");
    // All of it would be several times as much.
    let peak = peak();
    assert!(peak < 256 << 10, "{peak} KB");

    assert!(fleet(store, &["compact", "--grace", "0s"]).status.success());
    assert!(fleet(store, &["compact", "--grace", "0s"]).status.success());
    let listed = fleet(store, &["list", "--names-only"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(
        text.lines().all(|line| line.contains("  1 object  ")),
        "{text}"
    );
    assert_eq!(fleet(store, &["pull", "shop/app-3"]).stdout, pulled.stdout);
}

#[test]
fn hostile_objects_are_counted_and_named() {
    let scratch = tempfile::tempdir().unwrap();
    let store = scratch.path();
    fill(store, 1);
    let put = |key: &SpoolKey, packed: &[u8]| {
        let path = store.join(object::name(key, packed));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, packed).unwrap();
    };
    put(&key(0), b"not zstd");
    put(&key(0), &frame(b"{}"));
    put(
        &key(0),
        &frame(b"{\"schema\":\"tracer.fleet/v9\",\"more\":true}"),
    );
    // Zeros pack well.
    put(&key(0), &frame(&vec![b' '; 130 << 20]));
    // Another workload's.
    let other = object::pack(&Object::of_node(key(1), "node", 1, recording(1)));
    put(&key(0), &other);
    let output = fleet(store, &["pull", "shop/app-0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for kind in ["2 broken", "1 newer", "1 too-large", "1 misplaced"] {
        assert!(said.contains(kind), "{kind}: {said}");
    }
    assert!(said.contains("5 objects were left out"), "{said}");
    let recording: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(recording["instances"].as_array().unwrap().len(), 1);
}

/// A frame of zstd with raw and repeated blocks (RFC 8878, 3.1.1.2): a decoder is tried with what no encoder here makes.
fn frame(text: &[u8]) -> Vec<u8> {
    // Magic number; a descriptor with neither size nor checksum; a window of 1 MiB (exponent 10).
    let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 10 << 3];
    let chunks: Vec<_> = text.chunks(100_000).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        let is_last = u32::from(number + 1 == chunks.len());
        let is_same = chunk.iter().all(|byte| *byte == chunk[0]);
        let kind = u32::from(is_same);
        let size = u32::try_from(chunk.len()).unwrap();
        let header = is_last | kind << 1 | size << 3;
        packed.extend_from_slice(&header.to_le_bytes()[..3]);
        packed.extend_from_slice(if is_same { &chunk[..1] } else { chunk });
    }
    packed
}
