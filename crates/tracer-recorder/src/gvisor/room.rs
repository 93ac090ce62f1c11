//! How much is kept of what sandboxes say. One that was taken over may send what it likes: its guests' paths,
//! processes and calls must not fill the memory of tracer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Most pairs of a program and a call that are kept of one sandbox.
const MAX_PAIRS: usize = 1 << 16;

/// Most processes at one time, of one sandbox, whose executables are known.
const MAX_PROCESSES: usize = 1 << 16;

/// Most bytes of paths and commands, of all sandboxes, each counted as often as it is kept. A sandbox that
/// behaves has some 100 KB.
const MAX_BYTES: usize = 64 << 20;

/// What is left of something.
#[derive(Debug)]
struct Left(AtomicUsize);

impl Left {
    const fn new(most: usize) -> Self {
        Self(AtomicUsize::new(most))
    }

    /// Takes some, if there is enough.
    fn take(&self, wanted: usize) -> bool {
        let less = |left: usize| left.checked_sub(wanted);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.0.fetch_update(set, get, less).is_ok()
    }

    fn give_back(&self, count: usize) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// The room that all sandboxes share.
#[derive(Clone, Debug)]
pub(super) struct SharedRoom(Arc<Left>);

impl Default for SharedRoom {
    fn default() -> Self {
        Self(Arc::new(Left::new(MAX_BYTES)))
    }
}

impl SharedRoom {
    /// The room of another sandbox.
    pub(super) fn of_sandbox(&self) -> Room {
        Room {
            bytes: Arc::clone(&self.0),
            pairs: Arc::new(Left::new(MAX_PAIRS)),
            processes: Arc::new(Left::new(MAX_PROCESSES)),
        }
    }
}

/// The room of one sandbox, which its containers share.
#[derive(Clone, Debug)]
pub(super) struct Room {
    bytes: Arc<Left>,
    pairs: Arc<Left>,
    processes: Arc<Left>,
}

impl Room {
    /// Whether there is room for so many bytes of text more, which are then taken.
    pub(super) fn take_bytes(&self, count: usize) -> bool {
        self.bytes.take(count)
    }

    /// Whether there is room for another pair of a program and a call, with `bytes` of text. Both are then
    /// taken, or neither.
    pub(super) fn take_pair(&self, bytes: usize) -> bool {
        if !self.pairs.take(1) {
            return false;
        }
        let fits = self.bytes.take(bytes);
        if !fits {
            self.pairs.give_back(1);
        }
        fits
    }

    /// Whether there is room for another process, which is then taken.
    pub(super) fn take_process(&self) -> bool {
        self.processes.take(1)
    }

    /// A process is gone.
    pub(super) fn give_process_back(&self) {
        self.processes.give_back(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shared_and_pairs_are_not() {
        let shared = SharedRoom::default();
        let (one, other) = (shared.of_sandbox(), shared.of_sandbox());
        assert!(one.take_bytes(MAX_BYTES - 1));
        assert!(!other.take_bytes(2));
        assert!(other.take_bytes(1));
        assert!(!one.take_bytes(1));
        assert_eq!(
            (0..=MAX_PAIRS).filter(|_| one.take_pair(0)).count(),
            MAX_PAIRS
        );
        // Without the bytes, the pair is not taken either.
        assert!(!other.take_pair(1));
        assert_eq!(
            (0..=MAX_PAIRS).filter(|_| other.take_pair(0)).count(),
            MAX_PAIRS
        );
    }

    #[test]
    fn processes_that_ended_make_room() {
        let room = SharedRoom::default().of_sandbox();
        assert!((0..MAX_PROCESSES).all(|_| room.take_process()));
        assert!(!room.take_process());
        room.give_process_back();
        assert!(room.take_process());
    }
}
