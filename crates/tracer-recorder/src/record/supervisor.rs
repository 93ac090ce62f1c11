//! Who decides, in an endless recording of all containers, what is recorded: an agent's configuration.
//!
//! The loop stays the one of every recording ([`recording_loop`](super::recording_loop)). A [`Supervisor`] is asked
//! by it, and what has ended is handed to the [`SnapshotSink`](super::SnapshotSink) and forgotten
//! ([`conclude`](super::conclude)).

use std::time::Duration;

use crate::container::Container;
use tracer_core::recording::Losses;

/// Whether a container is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// It is.
    Wanted,
    /// It is not.
    Refused,
    /// What it is selected by is not known yet. It is recorded, and written when that is known.
    Open,
}

/// How far the recording of a workload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkloadAge {
    /// Since its first container is recorded.
    pub recorded: Duration,
    /// Since something new was seen of it.
    pub quiet: Duration,
}

/// What a recorder knows of itself, at a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecorderStatus {
    /// Containers that are recorded now.
    pub recorded: u64,
    /// Containers that have ended and are not written yet.
    pub ended: u64,
    /// Calls that the kernel side counted since the start.
    pub calls: u64,
    /// What was lost and is of no workload that is known.
    pub losses: Losses,
    /// Containers that were not written, because nothing told what they are selected by.
    pub unnamed: u64,
}

/// Decides what is recorded of all containers.
pub trait Supervisor {
    /// Whether a container is recorded. `container` is `None` when only the path of its cgroup is known.
    fn select(&self, cgroup: &str, container: Option<&Container>) -> Selection;

    /// Whether a container that is recorded goes on being recorded. Asked at each checkpoint.
    fn goes_on(&mut self, container: &Container, age: WorkloadAge) -> bool;

    /// How long the names of a container are waited for before it is written without them, or dropped when it is
    /// selected by them. Runtimes know containers that have ended for about as long.
    fn name_patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// A signal asked for the configuration to be read again. Must not wait for it.
    fn reload(&mut self);

    /// Called at each turn of the recording loop, ten times a second at most, and once a second when nothing comes. Returns whether the selection changed
    /// since the last one.
    fn turn(&mut self) -> bool;

    /// Called at each checkpoint.
    fn checkpoint(&mut self, status: &RecorderStatus);
}
