//! How a store with many objects of a workload gets small again.
//!
//! Whoever likes to compacts, at any time, and several may at once. First one object of all is written. What it
//! replaces is deleted later, by another run, and only on proof: an object goes when newer objects, which have been
//! there for a while, say all that it says. An object may only be replaced by newer ones, so no two can replace each
//! other, whatever two runs saw.

use super::{Gathering, Object};

/// An object in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<I> {
    /// What the caller knows it by. The order decides between objects of one time.
    pub id: I,
    /// When it was written, by the store's clock, in milliseconds since 1970.
    pub written_ms: u64,
    /// What it holds.
    pub object: Object,
}

/// What is to be done. Write first, then delete.
#[derive(Debug)]
pub struct Compaction<I> {
    /// The one object of all that stay, when there are several. It may be too large, and have to be split.
    pub write: Option<Object>,
    /// What others replace since longer than the grace time.
    pub delete: Vec<I>,
}

/// What compacting these objects of one key takes at `now_ms`. What replaces others was there for `grace_ms`: whoever
/// listed the store before that has read it by then.
pub fn plan<I: Clone + Ord>(
    mut objects: Vec<Kept<I>>,
    now_ms: u64,
    grace_ms: u64,
) -> Compaction<I> {
    // The newest first; at one time, what was put together is newer than what it was made from.
    objects.sort_by(|a, b| {
        let order = |it: &Kept<I>| (it.written_ms, it.object.compacted, it.id.clone());
        order(b).cmp(&order(a))
    });
    let mut delete = Vec::new();
    let mut kept = Gathering::default();
    let mut proof = Proof::default();
    let mut remaining = 0_usize;
    let mut pending: Vec<Kept<I>> = Vec::new();
    for object in objects {
        let is_old = now_ms.saturating_sub(object.written_ms) >= grace_ms;
        if object.object.compacted {
            delete.extend(settle(&mut pending, &proof, &mut kept, &mut remaining));
            let is_replaced = proof.covers(std::slice::from_ref(&object.object));
            if is_replaced {
                delete.push(object.id);
                continue;
            }
            if is_old {
                proof.add(&object.object);
            }
            remaining += 1;
            kept.add(object.object);
        } else {
            pending.push(object);
        }
    }
    delete.extend(settle(&mut pending, &proof, &mut kept, &mut remaining));
    let write = (remaining > 1).then(|| kept.finish()).flatten();
    delete.sort();
    Compaction { write, delete }
}

/// Decides about objects that the same newer ones may replace.
fn settle<I: Clone>(
    pending: &mut Vec<Kept<I>>,
    proof: &Proof,
    kept: &mut Gathering,
    remaining: &mut usize,
) -> Vec<I> {
    let mut deleted = Vec::new();
    let mut groups = vec![std::mem::take(pending)];
    while let Some(mut group) = groups.pop() {
        let objects: Vec<_> = group.iter().map(|it| it.object.clone()).collect();
        if proof.covers(&objects) {
            deleted.extend(group.into_iter().map(|it| it.id));
        } else if group.len() == 1 {
            for object in group {
                *remaining += 1;
                kept.add(object.object);
            }
        } else if !group.is_empty() {
            // Most often either all are covered, or the newest are not.
            let half = group.split_off(group.len() / 2);
            groups.push(half);
            groups.push(group);
        }
    }
    deleted
}

/// What may replace others.
#[derive(Default)]
struct Proof {
    gathering: Gathering,
    whole: Option<Object>,
}

impl Proof {
    fn add(&mut self, object: &Object) {
        self.gathering.add(object.clone());
        self.whole = self.gathering.clone().finish();
    }

    /// Whether these say nothing more.
    fn covers(&self, objects: &[Object]) -> bool {
        if self.whole.is_none() {
            return false;
        }
        let mut all = self.gathering.clone();
        objects.iter().cloned().for_each(|it| all.add(it));
        all.finish() == self.whole
    }
}
