//! The rules of a filter, call by call, for those who compare or explain it.

use super::{Filter, Verdict, rule::Test};
use crate::{profile::seccomp::oci::Condition, recording::SyscallId};
use syscalls::Abi;

/// A rule that decides some or all calls of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The entry of `syscalls`, counted from 0.
    pub entry: usize,
    /// What the filter returns.
    pub verdict: Verdict,
    /// What must hold of the arguments, as it is compiled for the ABI; none: every call.
    pub conditions: Vec<Condition>,
}

impl Filter {
    /// The ABIs that it has rules for. Calls of others kill their thread.
    pub fn abis(&self) -> impl Iterator<Item = Abi> {
        self.tables.keys().copied()
    }

    /// What it returns for a call of its ABIs without a rule.
    pub fn default_verdict(&self) -> Verdict {
        self.default
    }

    /// The rules of a number in the order in which they were added, which is not the one in which they are
    /// asked: [`evaluate`](Self::evaluate) knows that. None where the answer does not depend on rules.
    pub fn decisions(&self, call: SyscallId) -> Vec<Decision> {
        self.rules(call)
            .map(|rule| Decision {
                entry: rule.entry,
                verdict: rule.verdict,
                conditions: rule.tests.iter().map(Test::condition).collect(),
            })
            .collect()
    }
}
