//! The laws: however objects are split, delayed, doubled, reordered and compacted, the same bytes come out.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::{
    agent::SpoolKey,
    recording::{
        Reason, Recording, RecordingEnd,
        json::to_json,
        merge::{Merge, merge},
        strategy,
    },
};

fn key() -> SpoolKey {
    SpoolKey {
        owner: "web".to_owned(),
        ..SpoolKey::default()
    }
}

fn object(node: &str, at: u64, recording: Recording) -> Object {
    Object::of_node(key(), node, at, recording)
}

/// All of some objects, as the bytes of an object.
fn bytes(objects: impl IntoIterator<Item = Object>) -> Option<String> {
    let mut gathering = Gathering::default();
    objects.into_iter().for_each(|it| gathering.add(it));
    let object = gathering.finish()?;
    Some(String::from_utf8(object.to_json()).unwrap() + &to_json(&object.into_recording()))
}

fn running(mut recording: Recording, is_running: bool) -> Recording {
    if is_running {
        recording.coverage.reasons.push(Reason::StillRunning {
            after: RecordingEnd::Attached,
        });
        recording.coverage.complete = false;
    }
    recording
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// A node records more.
    Record(usize, Box<Recording>, bool),
    /// A node ships. Before it notes that, it may be killed.
    Ship { node: usize, killed: bool },
    /// An object that was sent arrives again.
    Again(Index),
    /// Somebody compacts, and may be killed before deleting.
    Compact { grace: u64, killed: bool },
    /// Somebody else compacts by an older list.
    StaleCompact,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, strategy::recording(), any::<bool>())
            .prop_map(|(node, recording, is_running)| Step::Record(node, Box::new(recording), is_running)),
        4 => (0..3_usize, any::<bool>()).prop_map(|(node, killed)| Step::Ship { node, killed }),
        1 => any::<Index>().prop_map(Step::Again),
        2 => (select_grace(), any::<bool>()).prop_map(|(grace, killed)| Step::Compact { grace, killed }),
        1 => Just(Step::StaleCompact),
    ]
}

fn select_grace() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0_u64), Just(1), Just(3)]
}

#[derive(Default)]
struct Node {
    spool: Option<Recording>,
    shipped: Option<Object>,
    written: u64,
}

/// A store and its nodes, without either.
#[derive(Default)]
struct World {
    now: u64,
    nodes: [Node; 3],
    store: BTreeMap<Vec<u8>, (u64, Object)>,
    sent: Vec<Object>,
    /// What another compactor has listed.
    stale: Option<Vec<Kept<Vec<u8>>>>,
    limit: usize,
}

impl World {
    fn put(&mut self, object: Object) {
        let now = self.now;
        self.store.entry(object.to_json()).or_insert((now, object));
    }

    fn put_split(&mut self, object: Object) {
        let limit = self.limit;
        let whole = bytes([object.clone()]);
        let parts = split(object, &mut |it| it.to_json().len() <= limit).parts;
        assert_eq!(bytes(parts.clone()), whole);
        for part in parts {
            self.sent.push(part.clone());
            self.put(part);
        }
    }

    fn ship(&mut self, number: usize, killed: bool) {
        let name = format!("node-{number}");
        let node = &self.nodes[number];
        let Some(spool) = node.spool.clone() else {
            return;
        };
        let now = object(&name, node.written, spool);
        let to_ship = match news(node.shipped.as_ref(), &now) {
            News::Nothing => return,
            News::Later(object) | News::Facts(object) => *object,
        };
        self.put_split(to_ship);
        if !killed {
            let shipped = self.nodes[number].shipped.take();
            let mut all = Gathering::default();
            shipped.into_iter().chain([now]).for_each(|it| all.add(it));
            self.nodes[number].shipped = all.finish();
        }
    }

    fn list(&self) -> Vec<Kept<Vec<u8>>> {
        self.store
            .iter()
            .map(|(id, (written_ms, object))| Kept {
                id: id.clone(),
                written_ms: *written_ms,
                object: object.clone(),
            })
            .collect()
    }

    fn compact(&mut self, listed: Vec<Kept<Vec<u8>>>, grace: u64, killed: bool) {
        let before = bytes(self.store.values().map(|(_, it)| it.clone()));
        let todo = plan(listed, self.now, grace);
        if let Some(write) = todo.write {
            self.put_split(write);
        }
        if !killed {
            for id in todo.delete {
                self.store.remove(&id);
            }
        }
        assert_eq!(bytes(self.store.values().map(|(_, it)| it.clone())), before);
    }

    fn step(&mut self, step: Step) {
        self.now += 1;
        match step {
            Step::Record(number, recording, is_running) => {
                let node = &mut self.nodes[number];
                let mut spool = node.spool.take();
                if let Some(spool) = &mut spool {
                    // What still ran is said again, or ended.
                    spool
                        .coverage
                        .reasons
                        .retain(|it| !matches!(it, Reason::StillRunning { .. }));
                }
                let more = running(*recording, is_running);
                node.spool = merge(spool.into_iter().chain([more]));
                node.written = self.now;
            }
            Step::Ship { node, killed } => self.ship(node, killed),
            Step::Again(index) => {
                if !self.sent.is_empty() {
                    let object = index.get(&self.sent).clone();
                    self.put(object);
                }
            }
            Step::Compact { grace, killed } => {
                let listed = self.list();
                self.stale.get_or_insert_with(|| listed.clone());
                self.compact(listed, grace, killed);
            }
            Step::StaleCompact => {
                if let Some(listed) = self.stale.take() {
                    self.compact(listed, 0, false);
                }
            }
        }
    }
}

proptest! {
    /// Loss is a node that is killed, lateness a node that ships at the end only. The command for 10,000 schedules:
    /// `PROPTEST_CASES=10000 cargo test --release -p tracer-core fleet::tests::any_schedule`.
    #[test]
    fn any_schedule_gives_the_same_bytes(steps in vec(step(), 0..14), limit in 2_000_usize..30_000) {
        let mut world = World { limit, ..World::default() };
        for step in steps {
            world.step(step);
        }
        // The store is back for everybody.
        for number in 0..3 {
            world.now += 1;
            world.ship(number, false);
        }
        let nodes = world.nodes.iter().enumerate().filter_map(|(number, node)| {
            Some(object(&format!("node-{number}"), node.written, node.spool.clone()?))
        });
        // What a node had said before it said something else may be there too: reasons that ended do not count.
        let expected = bytes(nodes);
        prop_assert_eq!(bytes(world.store.into_values().map(|(_, it)| it)), expected);
    }

    #[test]
    fn order_and_repetition_change_nothing(
        (objects, shuffled) in vec((0..3_usize, 0..4_u64, strategy::recording()), 0..5)
            .prop_map(|all| all.into_iter().map(|(node, at, it)| object(&format!("{node}"), at, it)).collect::<Vec<_>>())
            .prop_flat_map(|all| {
                let twice: Vec<_> = all.iter().chain(&all).cloned().collect();
                (Just(all), Just(twice).prop_shuffle())
            })
    ) {
        prop_assert_eq!(bytes(objects), bytes(shuffled));
    }

    #[test]
    fn news_is_what_is_missing_and_no_more(a in strategy::recording(), b in strategy::recording()) {
        let shipped = object("n", 1, a.clone());
        let shipped = {
            let mut all = Gathering::default();
            all.add(shipped);
            all.finish().unwrap()
        };
        prop_assert_eq!(news(Some(&shipped), &shipped), News::Nothing);
        let now = object("n", 2, merge([a, b]).unwrap());
        let whole = bytes([shipped.clone(), now.clone()]);
        match news(Some(&shipped), &now) {
            News::Nothing => prop_assert_eq!(bytes([shipped.clone()]), whole),
            News::Later(part) | News::Facts(part) => {
                prop_assert!(part.recording.syscalls.len() <= now.recording.syscalls.len());
                prop_assert_eq!(bytes([shipped, *part]), whole);
            }
        }
    }

    #[test]
    fn text_is_read_back(recording in strategy::recording(), at in any::<u64>()) {
        let object = object("node", at, recording);
        let read = Object::parse(&object.to_json()).unwrap();
        prop_assert_eq!(read.to_json(), object.to_json());
    }

    #[test]
    fn hostile_text_is_refused_and_never_panics(text in "[{}\\[\\]\":,a-z0-9]{0,60}") {
        prop_assert!(Object::parse(text.as_bytes()).is_err());
    }

    #[test]
    fn altered_objects_are_merged_without_a_panic(
        recording in strategy::recording(), at in any::<Index>(), byte in any::<u8>(),
    ) {
        let mut text = object("node", 1, recording).to_json();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(object) = Object::parse(&text) {
            let parts = split(object, &mut |it| it.to_json().len() < 1_000).parts;
            prop_assert!(bytes(parts).is_some());
        }
    }
}

#[test]
fn a_second_time_only_what_is_new_is_shipped() {
    use crate::profile::seccomp::fixture::mixed;

    let mut first = mixed();
    let last = first.syscalls.pop().unwrap();
    let shipped = object("n", 1, first);
    let now = object("n", 2, mixed());
    let News::Facts(delta) = news(Some(&shipped), &now) else {
        panic!("there is something new");
    };
    assert_eq!(delta.recording.syscalls.len(), 1);
    assert_eq!(delta.recording.syscalls[0].call(), last.call());
    let mut all = Merge::default();
    all.add(shipped.recording.clone());
    all.add(delta.recording.clone());
    let all = all.finish().unwrap();
    assert_eq!(all.syscalls.len(), mixed().syscalls.len());
}

#[test]
fn an_instance_that_only_runs_on_is_no_new_fact() {
    use crate::profile::seccomp::fixture::mixed;

    let shipped = object("n", 1, mixed());
    let mut later = mixed();
    for instance in &mut later.instances {
        "2099-01-01T00:00:00Z".clone_into(&mut instance.ended);
    }
    let News::Later(delta) = news(Some(&shipped), &object("n", 2, later)) else {
        panic!("it is later only");
    };
    assert!(delta.recording.syscalls.is_empty());
    let hour = 3_600_000;
    assert!(!is_due(0, 10, 11));
    assert!(is_due(0, 10, 10 + hour));
    assert!(!is_due(0, 10 * hour, 19 * hour) && is_due(0, 10 * hour, 20 * hour));
    // A running instance is not taken for garbage.
    let day = 24 * hour;
    assert!(is_due(0, 64 * day, 71 * day));
    assert!(!may_be_deleted(64 * day, 76 * day) && may_be_deleted(64 * day, 77 * day));
}

#[test]
fn newer_versions_are_told_from_damaged_objects() {
    let text = |schema: &str| format!("{{\"schema\":\"{schema}\",\"more\":1}}");
    let newer = Object::parse(text("tracer.fleet/v2").as_bytes()).unwrap_err();
    assert_eq!(newer_schema(&newer), Some("tracer.fleet/v2"));
    for other in ["tracer.fleet/v0", "tracer.recording/v2", "x"] {
        let error = Object::parse(text(other).as_bytes()).unwrap_err();
        assert_eq!(newer_schema(&error), None);
    }
}
