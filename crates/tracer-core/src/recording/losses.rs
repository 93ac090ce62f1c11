//! What a recorder counted as lost.

use std::ops::Add;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;

/// Everything that was lost, each by its own counter. All zero is the ordinary case.
///
/// Of a merged recording, each is the most that one of its recordings lost: a sum would grow when the
/// same recording is merged twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// Events that did not fit into the ring: who made a call first, and with which arguments, is
    /// not known for that many observations. The observations themselves are kept.
    pub events: u64,
    /// How often a task or process could not be filed under its executable, or the executable's path
    /// could not be kept. What they did is kept, under an unknown executable.
    pub executables: u64,
    /// Calls that no table had room for.
    pub calls: u64,
    /// Child cgroups that could not be followed from their start.
    pub cgroups: u64,
    /// Runs of a kernel program that the kernel skipped.
    pub program_runs: u64,
    /// Threads under a filter whose blocked calls were not told, for want of room.
    pub threads: u64,
    /// How often what a runtime did, or a program that was put in later, found no row and was filed as
    /// the workload's.
    pub phases: u64,
    /// Calls whose arguments found no room: that they are not all known is noted with each such call.
    pub values: u64,
    /// Accesses to files, capabilities, sockets and the like that found no room, or whose path could
    /// not be read.
    pub accesses: u64,
    /// Accesses whose file was not looked up: the workload's file system did not answer in time, or too
    /// many waited for it. They are kept under the name that was given, with links in it unfollowed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub paths: u64,
    /// Messages of gVisor's runtime monitoring that did not arrive, or could not be read. Each may have
    /// been a call.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub messages: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A counter of [`Losses`], by its name there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// [`Losses::calls`].
    Calls,
    /// [`Losses::accesses`].
    Accesses,
    /// [`Losses::paths`].
    Paths,
    /// [`Losses::messages`].
    Messages,
    /// [`Losses::cgroups`].
    Cgroups,
    /// [`Losses::program_runs`].
    ProgramRuns,
    /// [`Losses::threads`].
    Threads,
    /// [`Losses::phases`].
    Phases,
    /// [`Losses::values`].
    Values,
    /// [`Losses::executables`].
    Executables,
    /// [`Losses::events`].
    Events,
}

impl Losses {
    /// What was lost, the worst first; kinds of which nothing was lost are left out.
    ///
    /// ```
    /// use tracer_core::recording::{LossKind, Losses};
    ///
    /// let losses = Losses { accesses: 2, ..Losses::default() };
    /// assert!(losses.iter().eq([(LossKind::Accesses, 2)]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (LossKind, u64)> + use<> {
        // Without `..`, so that a new counter cannot be forgotten here.
        let Self {
            events,
            executables,
            calls,
            cgroups,
            program_runs,
            threads,
            phases,
            values,
            accesses,
            paths,
            messages,
        } = *self;
        [
            (LossKind::Calls, calls),
            (LossKind::Messages, messages),
            (LossKind::Accesses, accesses),
            (LossKind::Paths, paths),
            (LossKind::Cgroups, cgroups),
            (LossKind::ProgramRuns, program_runs),
            (LossKind::Threads, threads),
            (LossKind::Phases, phases),
            (LossKind::Values, values),
            (LossKind::Executables, executables),
            (LossKind::Events, events),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
    }

    /// The counter of one kind.
    pub const fn counter_mut(&mut self, kind: LossKind) -> &mut u64 {
        match kind {
            LossKind::Calls => &mut self.calls,
            LossKind::Accesses => &mut self.accesses,
            LossKind::Paths => &mut self.paths,
            LossKind::Messages => &mut self.messages,
            LossKind::Cgroups => &mut self.cgroups,
            LossKind::ProgramRuns => &mut self.program_runs,
            LossKind::Threads => &mut self.threads,
            LossKind::Phases => &mut self.phases,
            LossKind::Values => &mut self.values,
            LossKind::Executables => &mut self.executables,
            LossKind::Events => &mut self.events,
        }
    }

    /// The reasons that follow: lost evidence is told but is no lost observation.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        self.iter()
            .filter_map(|(lost, count)| match lost {
                LossKind::Calls
                | LossKind::Messages
                | LossKind::Accesses
                | LossKind::Paths
                | LossKind::Cgroups
                | LossKind::Threads
                | LossKind::Values => Some(Reason::ObservationsLost { lost, count }),
                LossKind::ProgramRuns => Some(Reason::ProgramSkipped { count }),
                LossKind::Phases => Some(Reason::PhasesMixed { count }),
                LossKind::Executables | LossKind::Events => None,
            })
            .collect()
    }

    /// The larger one of each counter.
    #[must_use]
    pub(crate) fn most(self, other: Self) -> Self {
        Self {
            events: self.events.max(other.events),
            executables: self.executables.max(other.executables),
            calls: self.calls.max(other.calls),
            cgroups: self.cgroups.max(other.cgroups),
            program_runs: self.program_runs.max(other.program_runs),
            threads: self.threads.max(other.threads),
            phases: self.phases.max(other.phases),
            values: self.values.max(other.values),
            accesses: self.accesses.max(other.accesses),
            paths: self.paths.max(other.paths),
            messages: self.messages.max(other.messages),
        }
    }

    /// Whether nothing at all was lost.
    pub fn is_none(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Add for Losses {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let sum = |field: fn(&Self) -> u64| field(&self).saturating_add(field(&other));
        Self {
            events: sum(|it| it.events),
            executables: sum(|it| it.executables),
            calls: sum(|it| it.calls),
            cgroups: sum(|it| it.cgroups),
            program_runs: sum(|it| it.program_runs),
            threads: sum(|it| it.threads),
            phases: sum(|it| it.phases),
            values: sum(|it| it.values),
            accesses: sum(|it| it.accesses),
            paths: sum(|it| it.paths),
            messages: sum(|it| it.messages),
        }
    }
}
