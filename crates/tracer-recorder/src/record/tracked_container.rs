//! What is known of one instance: which container it is, and whether it was asked for.

use std::time::{Duration, Instant};

use crate::container::Container;

/// How long a container that was started may stay unknown before it is taken for none: runtimes write
/// their files before they start the program.
pub(super) const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(2);

/// How often what is not known yet is looked up again.
const LOOKUP_INTERVAL: Duration = Duration::from_millis(200);

/// An instance that is recorded, or that the kernel side found and that is not known yet.
#[derive(Debug, Default)]
pub(super) struct TrackedContainer {
    /// Whether it is one that was asked for.
    pub(super) wanted: bool,
    pub(super) container: Option<Container>,
    /// When its program was started.
    pub(super) started: Option<Instant>,
    pub(super) looked: Option<Instant>,
    pub(super) removed: bool,
    /// Whether its beginning was told.
    pub(super) announced: bool,
    /// It is gone, and CRI, which may know whether it was asked for, has not answered since.
    pub(super) undecided: bool,
    /// Whether it was found to be the sandbox of its pod.
    pub(super) is_sandbox: bool,
}

/// What is known of a container after a later look; `None` when that told nothing new. What was known
/// before is not forgotten because its files are gone by now.
pub(super) fn newer(known: Option<&Container>, later: Container) -> Option<Container> {
    match known.filter(|known| known.known && !later.known) {
        Some(known) if later.is_named() && !known.is_named() => Some(known.with_names_of(&later)),
        Some(_) => None,
        None => Some(later),
    }
}

impl TrackedContainer {
    /// Whether a runtime's files tell of it.
    pub(super) fn is_known(&self) -> bool {
        self.container
            .as_ref()
            .is_some_and(|container| container.known)
    }

    /// Whether it is to be looked up again: because there is news, or because its runtime may just be
    /// writing its files. One that nobody knew for so long is looked up once more when it is gone.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        if self.removed {
            // CRI has answered since.
            return self.looked.is_none();
        }
        if self.started.is_none() && !self.announced {
            return false;
        }
        let Some(looked) = self.looked else {
            return true;
        };
        let fresh = self
            .started
            .is_some_and(|at| looked.duration_since(at) <= IDENTIFY_TIMEOUT);
        !self.wanted && fresh && now.duration_since(looked) >= LOOKUP_INTERVAL
    }
}
