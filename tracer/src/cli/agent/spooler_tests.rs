//! Tests of what becomes of recordings in a spool.

use std::{sync::RwLock, time::Duration};

use super::*;
use tracer_core::{
    profile::{apparmor::fixture::web, seccomp::fixture::mixed},
    recording::{Container, RecordingEnd, Source, merge::merge},
};

const FILTERED: Reason = Reason::FilterInPlace {
    loaded_by: Vec::new(),
};

const RUNS: Reason = Reason::StillRunning {
    after: RecordingEnd::Attached,
};

struct Place {
    _scratch: tempfile::TempDir,
    path: std::path::PathBuf,
    settings: Settings,
    metrics: Arc<Metrics>,
}

impl Place {
    fn new(text: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        Self {
            path: scratch.path().join("spool"),
            _scratch: scratch,
            settings: Arc::new(RwLock::new(toml::from_str(text).unwrap())),
            metrics: Arc::new(Metrics::new(100)),
        }
    }

    fn spooler(&self) -> Spooler {
        let spool = Arc::new(Spool::begin(&self.path).unwrap());
        let mut spooler =
            Spooler::new(spool, Arc::clone(&self.settings), Arc::clone(&self.metrics));
        spooler.load().unwrap();
        spooler
    }

    fn all(&self) -> Vec<Recording> {
        let spool = Spool::open(&self.path).unwrap();
        let entries = spool.entries().unwrap();
        entries
            .iter()
            .map(|it| spool.read(&it.name).unwrap())
            .collect()
    }

    fn only(&self) -> Recording {
        let mut all = self.all();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }
}

/// One instance of a workload, that is told apart by when it began.
fn instance(name: &str, began: u32, reasons: &[Reason]) -> Recording {
    let mut recording = web();
    recording.syscalls = mixed().syscalls;
    recording.workload.name = name.to_owned();
    recording.instances[0].source = Source::Container;
    recording.instances[0].began = format!("2026-01-01T00:00:{began:02}Z");
    recording.instances[0].ended = format!("2026-01-01T00:01:{began:02}Z");
    recording.coverage.reasons = reasons.to_vec();
    recording.coverage.complete = reasons.is_empty();
    recording
}

/// A container in no pod.
fn of_image(image: &str) -> Container {
    Container {
        engine: "docker".to_owned(),
        runtime: None,
        id: "a".repeat(64),
        name: None,
        pod: None,
        owner: None,
        role: None,
        labels: BTreeMap::new(),
        image: None,
        image_digest: Some(image.to_owned()),
        security: None,
        warnings: Vec::new(),
        unresolved: Vec::new(),
    }
}

fn part(is_final: bool) -> WorkloadPart {
    WorkloadPart {
        image: String::new(),
        is_final,
    }
}

#[test]
fn what_holds_while_it_runs_goes_when_it_has_ended() {
    let place = Place::new("");
    let mut spooler = place.spooler();
    let mut keep = |parts: Vec<(Recording, bool)>| {
        spooler.take(parts.into_iter().map(|(it, end)| (it, part(end))).collect());
        spooler.write();
        assert!(spooler.is_written());
    };
    keep(vec![(instance("web", 1, &[RUNS]), false)]);
    assert_eq!(place.only().coverage.reasons, [RUNS]);
    // A second one comes; the first one ends.
    keep(vec![(
        merge([instance("web", 1, &[RUNS]), instance("web", 2, &[RUNS])]).unwrap(),
        false,
    )]);
    keep(vec![
        (instance("web", 2, &[RUNS]), false),
        (instance("web", 1, &[]), true),
    ]);
    assert_eq!(
        (place.only().coverage.reasons, place.only().runs()),
        (vec![RUNS], 2)
    );
    keep(vec![(instance("web", 2, &[]), true)]);
    let ended = place.only();
    assert!(ended.coverage.complete, "{:?}", ended.coverage);
    assert_eq!(ended.runs(), 2);
    // What holds for ever stays.
    keep(vec![(instance("web", 3, &[FILTERED, RUNS]), false)]);
    keep(vec![(instance("web", 3, &[FILTERED]), true)]);
    keep(vec![(instance("web", 4, &[RUNS]), false)]);
    keep(vec![(instance("web", 4, &[]), true)]);
    assert_eq!(place.only().coverage.reasons, [FILTERED]);
}

#[test]
fn a_new_agent_merges_into_what_a_killed_one_left() {
    let place = Place::new("");
    let mut first = place.spooler();
    first.take(vec![(instance("web", 1, &[RUNS]), part(false))]);
    first.write();
    drop(first);
    let mut second = place.spooler();
    second.take(vec![(instance("web", 2, &[]), part(true))]);
    second.write();
    // That the first one was cut off is not forgotten.
    let merged = place.only();
    assert_eq!((merged.runs(), merged.coverage.reasons), (2, vec![RUNS]));
    // The same again changes no byte.
    let names = |place: &Place| -> Vec<_> {
        let entries = Spool::open(&place.path).unwrap().entries().unwrap();
        entries.into_iter().map(|it| it.name).collect()
    };
    let before = names(&place);
    second.take(vec![(instance("web", 2, &[]), part(true))]);
    second.write();
    assert_eq!(names(&place), before);
}

#[test]
fn a_full_spool_gives_up_replaced_images_first_and_then_the_oldest() {
    let place = Place::new("");
    let mut spooler = place.spooler();
    let mut bytes = 0;
    let mut put = |name: &str, image: &str| {
        let mut recording = instance(name, 1, &[]);
        recording.instances[0].container = Some(of_image(image));
        spooler.take(vec![(recording, part(true))]);
        spooler.write();
        // So that their times differ, as far as the file system tells them apart.
        std::thread::sleep(Duration::from_millis(20));
        bytes = spooler.bytes();
        bytes
    };
    put("oldest", "sha256:1");
    put("web", "sha256:1");
    put("cart", "sha256:1");
    let all = put("web", "sha256:2");
    place.settings.write().unwrap().spool.max_bytes = all;
    // One more goes over the bound: the replaced image goes, though it is not the oldest.
    put("db", "sha256:1");
    let left = |place: &Place| -> Vec<(String, String)> {
        let entries = Spool::open(&place.path).unwrap().entries().unwrap();
        entries
            .into_iter()
            .map(|it| (it.key.owner, it.key.image))
            .collect()
    };
    let pair = |name: &str, image: &str| (name.to_owned(), format!("sha256:{image}"));
    assert_eq!(
        left(&place),
        [
            pair("cart", "1"),
            pair("db", "1"),
            pair("oldest", "1"),
            pair("web", "2")
        ]
    );
    put("mail", "sha256:1");
    assert_eq!(
        left(&place),
        [
            pair("cart", "1"),
            pair("db", "1"),
            pair("mail", "1"),
            pair("web", "2")
        ]
    );
    let text = place.metrics.text();
    for line in [
        "tracer_spool_removed_total{reason=\"oldest\"} 1",
        "tracer_spool_removed_total{reason=\"superseded\"} 1",
        "tracer_spool_files 4",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

#[test]
fn kinds_that_are_not_wanted_are_not_kept() {
    let place = Place::new("[[workload]]\nselect = \"cgroup=*\"\nkinds = [\"sockets\"]");
    let mut spooler = place.spooler();
    spooler.take(vec![(instance("web", 1, &[]), part(true))]);
    spooler.write();
    let kept = place.only();
    assert!(kept.files.is_empty() && !web().files.is_empty());
    assert_eq!(kept.sockets.len(), web().sockets.len());
}

#[test]
fn what_cannot_be_written_is_written_later_and_what_is_damaged_is_recorded_anew() {
    let place = Place::new("");
    let mut spooler = place.spooler();
    spooler.take(vec![(instance("web", 1, &[]), part(true))]);
    spooler.write();
    let entry = Spool::open(&place.path)
        .unwrap()
        .entries()
        .unwrap()
        .remove(0);
    let path = place.path.join(entry.name.to_string());
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    spooler.take(vec![(instance("web", 2, &[]), part(true))]);
    spooler.write();
    assert_eq!(place.only().runs(), 1);
    // Somebody may still repair it.
    assert!(place.path.join(format!("{}.damaged", entry.name)).exists());
    // The directory is gone, and another is not taken for it.
    std::fs::remove_dir_all(&place.path).unwrap();
    spooler.take(vec![(instance("web", 3, &[]), part(true))]);
    spooler.write();
    assert!(!spooler.is_written());
    assert!(place.metrics.missing().is_some());
}

#[test]
fn two_recordings_of_one_key_are_merged_whichever_is_newer() {
    let place = Place::new("");
    let mut spooler = place.spooler();
    let file = || {
        let entries = Spool::open(&place.path).unwrap().entries().unwrap();
        place.path.join(entries[0].name.to_string())
    };
    spooler.take(vec![(instance("web", 1, &[]), part(true))]);
    spooler.write();
    let (first, content) = (file(), std::fs::read(file()).unwrap());
    // An agent that could not read the first began another.
    std::fs::remove_file(&first).unwrap();
    drop(spooler);
    let mut spooler = place.spooler();
    spooler.take(vec![(instance("web", 2, &[]), part(true))]);
    spooler.write();
    drop(spooler);
    std::fs::write(&first, content).unwrap();
    drop(place.spooler());
    assert_eq!(place.only().runs(), 2);
}
