use std::{cell::Cell, convert::Infallible, ops::ControlFlow};

use super::*;
use crate::{Directory, Listed, object};
use tracer_core::profile::seccomp::fixture::mixed;

fn key() -> SpoolKey {
    SpoolKey {
        owner: "web".to_owned(),
        ..SpoolKey::default()
    }
}

fn objects(store: &dyn Store) -> Vec<Object> {
    let mut names = Vec::new();
    store
        .list("", &mut |it: Listed| {
            names.push(it.name);
            ControlFlow::Continue(())
        })
        .unwrap();
    names
        .iter()
        .map(|it| object::read(store, it).unwrap())
        .collect()
}

/// A store that is away for some requests.
struct Away<'a> {
    store: &'a Directory,
    answers: Cell<u32>,
}

/// Makes it what the trait asks for.
struct Single<T>(std::sync::Mutex<T>);

impl Store for Single<Away<'_>> {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        let away = self.0.lock().unwrap();
        let left = away.answers.get();
        if left == 0 {
            return Err(StoreError::Unavailable {
                reason: "away".to_owned(),
                retry_after: None,
            });
        }
        away.answers.set(left - 1);
        away.store.put(name, bytes)
    }

    fn has(&self, name: &str) -> Result<bool, StoreError> {
        self.0.lock().unwrap().store.has(name)
    }

    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        self.0.lock().unwrap().store.get(name, limit)
    }

    fn list(
        &self,
        prefix: &str,
        each: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.0.lock().unwrap().store.list(prefix, each)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().store.delete(name)
    }
}

struct Scratch {
    directory: tempfile::TempDir,
    store: Directory,
}

impl Scratch {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let store = Directory::open(path.to_str().unwrap(), true).unwrap();
        Self { directory, store }
    }

    fn shipper(&self, max_bytes: u64) -> Shipper {
        self.shipper_to("memory:", max_bytes)
    }

    fn shipper_to(&self, store: &str, max_bytes: u64) -> Shipper {
        let notes = self.directory.path().join("notes");
        Shipper::new(notes.to_str().unwrap(), store, "node-1", max_bytes).unwrap()
    }

    /// The notes, of whatever store.
    fn notes(&self) -> Vec<std::path::PathBuf> {
        let stores = std::fs::read_dir(self.directory.path().join("notes")).unwrap();
        let stores = stores.map(|store| std::fs::read_dir(store.unwrap().path()).unwrap());
        stores.flatten().map(|note| note.unwrap().path()).collect()
    }
}

fn ship(
    shipper: &mut Shipper,
    store: &dyn Store,
    version: &str,
    written_ms: u64,
    recording: &Recording,
) -> Result<Shipped, ShipError> {
    let key = key();
    let item = Item {
        key: &key,
        version,
        written_ms,
    };
    shipper.ship(store, &item, || Ok::<_, Infallible>(recording.clone()))
}

#[test]
fn only_what_is_new_is_shipped_also_after_a_restart() {
    let scratch = Scratch::new();
    let mut first = mixed();
    first.syscalls.pop().unwrap();
    let mut shipper = scratch.shipper(1 << 20);
    let shipped = ship(&mut shipper, &scratch.store, "a", 1_000, &first).unwrap();
    assert_eq!((shipped.objects, shipped.present), (1, 0));
    // The same again, and by another process.
    let none = Shipped::default();
    assert_eq!(
        ship(&mut shipper, &scratch.store, "a", 1_000, &first).unwrap(),
        none
    );
    let mut shipper = scratch.shipper(1 << 20);
    assert_eq!(
        ship(&mut shipper, &scratch.store, "a", 1_000, &first).unwrap(),
        none
    );
    // Later and nothing else.
    assert_eq!(
        ship(&mut shipper, &scratch.store, "b", 601_000, &first).unwrap(),
        none
    );
    // With a clock that was set back.
    let shipped = ship(&mut shipper, &scratch.store, "c", 10, &mixed()).unwrap();
    assert_eq!(shipped.objects, 1);
    let objects = objects(&scratch.store);
    assert_eq!(objects.len(), 2);
    assert!(objects.iter().any(|it| it.recording.syscalls.len() == 1));
    let mut all = Gathering::default();
    objects.into_iter().for_each(|it| all.add(it));
    let all = all.finish().unwrap();
    assert_eq!(all.recording.syscalls.len(), mixed().syscalls.len());
    assert_eq!(all.nodes["node-1"].as_of_ms, 1_001);
}

#[test]
fn killed_before_it_was_noted_nothing_is_sent_twice() {
    let scratch = Scratch::new();
    let mut shipper = scratch.shipper(1 << 20);
    ship(&mut shipper, &scratch.store, "a", 1_000, &mixed()).unwrap();
    for note in scratch.notes() {
        std::fs::remove_file(note).unwrap();
    }
    let mut shipper = scratch.shipper(1 << 20);
    let shipped = ship(&mut shipper, &scratch.store, "a", 1_000, &mixed()).unwrap();
    assert_eq!((shipped.objects, shipped.present), (0, 1));
    assert_eq!(objects(&scratch.store).len(), 1);
}

#[test]
fn no_object_is_larger_than_the_limit_and_a_store_that_was_away_gets_the_rest() {
    let scratch = Scratch::new();
    let limit = 1_000;
    let whole = {
        let apart = Scratch::new();
        ship(&mut apart.shipper(1 << 20), &apart.store, "a", 1, &mixed()).unwrap();
        objects(&apart.store)
    };
    assert!(pack(&whole[0]).len() as u64 > limit);
    let away = Single(std::sync::Mutex::new(Away {
        store: &scratch.store,
        answers: Cell::new(1),
    }));
    let mut shipper = scratch.shipper(limit);
    let error = ship(&mut shipper, &away, "a", 1, &mixed()).unwrap_err();
    assert!(
        matches!(error, ShipError::Store(StoreError::Unavailable { .. })),
        "{error}"
    );
    assert_eq!(objects(&scratch.store).len(), 1);
    let shipped = ship(&mut shipper, &scratch.store, "a", 1, &mixed()).unwrap();
    assert!(shipped.objects >= 1 && shipped.present == 1 && shipped.oversize == 0);
    let objects = objects(&scratch.store);
    let mut all = Gathering::default();
    for object in objects {
        assert!(pack(&object).len() as u64 <= limit);
        all.add(object);
    }
    let mut one = Gathering::default();
    whole.into_iter().for_each(|it| one.add(it));
    assert_eq!(all.finish(), one.finish());
}

#[test]
fn what_was_shipped_of_workloads_that_are_gone_is_forgotten() {
    let scratch = Scratch::new();
    let mut shipper = scratch.shipper(1 << 20);
    ship(&mut shipper, &scratch.store, "a", 1_000, &mixed()).unwrap();
    let notes = || scratch.notes().len();
    shipper.keep_only(&[&key()]).unwrap();
    assert_eq!(notes(), 1);
    shipper.keep_only(&[]).unwrap();
    assert_eq!(notes(), 0);
    // A note that is damaged is as none.
    ship(&mut shipper, &scratch.store, "b", 2_000, &mixed()).unwrap();
    for note in scratch.notes() {
        std::fs::write(note, "damaged").unwrap();
    }
    let mut shipper = scratch.shipper(1 << 20);
    ship(&mut shipper, &scratch.store, "c", 3_000, &mixed()).unwrap();
}

#[test]
fn what_a_store_may_not_have_is_shipped_again() {
    let day = 24 * 3_600_000;
    let scratch = Scratch::new();
    let mut shipper = scratch.shipper(1 << 20);
    ship(&mut shipper, &scratch.store, "a", day, &mixed()).unwrap();
    let all = objects(&scratch.store);
    assert_eq!(all.len(), 1);
    // Another store has nothing of it.
    let other = Scratch::new();
    let mut to_other = scratch.shipper_to("other:", 1 << 20);
    ship(&mut to_other, &other.store, "a", day, &mixed()).unwrap();
    assert_eq!(objects(&other.store).len(), 1);
    // And what was not heard of for so long may have been deleted.
    let mut shipper = scratch.shipper(1 << 20);
    let shipped = ship(&mut shipper, &scratch.store, "b", 5 * day, &mixed()).unwrap();
    assert!(shipped.bytes < packed_of(&all), "{shipped:?}");
    let shipped = ship(&mut shipper, &scratch.store, "c", 20 * day, &mixed()).unwrap();
    assert!(shipped.bytes >= packed_of(&all), "{shipped:?}");
}

/// The size of objects as they are stored.
fn packed_of(objects: &[Object]) -> u64 {
    objects.iter().map(|it| pack(it).len() as u64).sum()
}
