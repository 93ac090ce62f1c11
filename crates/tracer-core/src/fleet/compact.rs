//! How a store with many objects of a workload gets small again.
//!
//! Whoever likes to compacts, at any time, and several may at once. First one object of all is written. What it
//! replaces is deleted later, by another run, and only on proof: an object goes when newer objects, which have been
//! there for a while, say all that it says. An object may only be replaced by newer ones, so no two can replace each
//! other, whatever two runs saw.

use super::{Gathering, Object};

/// How many objects wait for the same proof at most, and how many facts they have together: so much is in memory.
const MAX_PENDING: usize = 256;
const MAX_FACTS: usize = 100_000;

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
    let mut planner = Planner::new(now_ms, grace_ms);
    objects.into_iter().for_each(|it| planner.add(it));
    planner.finish()
}

/// The same, one object after the other.
pub struct Planner<I> {
    now_ms: u64,
    grace_ms: u64,
    /// What stays, united.
    kept: Gathering,
    remaining: usize,
    proof: Proof,
    pending: Vec<Kept<I>>,
    /// Those of what is pending.
    facts: usize,
    delete: Vec<I>,
}

impl<I: Clone + Ord> Planner<I> {
    /// As [`plan`].
    pub fn new(now_ms: u64, grace_ms: u64) -> Self {
        Self {
            now_ms,
            grace_ms,
            kept: Gathering::default(),
            remaining: 0,
            proof: Proof::default(),
            pending: Vec::new(),
            facts: 0,
            delete: Vec::new(),
        }
    }

    /// Takes an object. The newest come first; one that does not is kept longer than it had to be, and no harm is done.
    pub fn add(&mut self, object: Kept<I>) {
        if !object.object.compacted {
            self.facts += facts(&object.object);
            self.pending.push(object);
            if self.pending.len() >= MAX_PENDING || self.facts >= MAX_FACTS {
                self.settle();
            }
            return;
        }
        self.settle();
        if self.proof.covers(std::slice::from_ref(&object.object)) {
            self.delete.push(object.id);
            return;
        }
        if self.now_ms.saturating_sub(object.written_ms) >= self.grace_ms {
            self.proof.add(&object.object);
        }
        self.keep(object.object);
    }

    /// What is to be done.
    pub fn finish(mut self) -> Compaction<I> {
        self.settle();
        self.delete.sort();
        Compaction {
            write: (self.remaining > 1).then(|| self.kept.finish()).flatten(),
            delete: self.delete,
        }
    }

    fn keep(&mut self, object: Object) {
        self.remaining += 1;
        self.kept.add(object);
    }

    /// Decides about objects that the same newer ones may replace.
    fn settle(&mut self) {
        self.facts = 0;
        let mut groups = vec![std::mem::take(&mut self.pending)];
        while let Some(mut group) = groups.pop() {
            if self.proof.covers(group.iter().map(|it| &it.object)) {
                self.delete.extend(group.into_iter().map(|it| it.id));
            } else if self.proof.whole.is_none() || group.len() == 1 {
                group.into_iter().for_each(|it| self.keep(it.object));
            } else {
                // Most often either all are covered, or the newest are not.
                let half = group.split_off(group.len() / 2);
                groups.push(half);
                groups.push(group);
            }
        }
    }
}

/// How much an object says.
fn facts(object: &Object) -> usize {
    let it = &object.recording;
    let (calls, files) = (it.syscalls.len(), it.files.len());
    calls + files + it.sockets.len() + it.signals.len() + it.mounts.len() + object.nodes.len()
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
    fn covers<'a>(&self, objects: impl IntoIterator<Item = &'a Object>) -> bool {
        if self.whole.is_none() {
            return false;
        }
        let mut all = self.gathering.clone();
        objects.into_iter().for_each(|it| all.add(it.clone()));
        all.finish() == self.whole
    }
}
