//! A profile as a runtime enforces it that intersects it with a baseline, as KEP-6061 has it: of the two actions for a
//! call the more restrictive one wins. So a call is made only if both let it through.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Report, VerifyInput, verify};
use crate::{
    diff::{ChangeKind, profiles},
    profile::seccomp::evaluate::Filter,
};
use syscalls::Abi;

/// What a baseline takes away from a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Intersection {
    /// What the baseline is called.
    pub baseline: String,
    /// What the baseline alone would do to the recordings. What it denies is denied, whatever the profile says.
    pub report: Report,
    /// What the profile allows and the baseline does not, or only with some arguments.
    pub restricted: Vec<Restricted>,
}

/// A call that a baseline restricts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Restricted {
    /// Its name.
    pub call: String,
    /// In which ABIs.
    pub abis: BTreeSet<Abi>,
    /// Whether some arguments are still allowed.
    pub in_part: bool,
}

/// What becomes of a profile under a baseline. `input` has the baseline in the place of the profile; the filters are both
/// on one host.
pub fn intersection(
    baseline: String,
    input: &VerifyInput<'_>,
    filters: impl IntoIterator<Item = (Filter, Filter)>,
) -> Intersection {
    let mut restricted = BTreeSet::new();
    for (profile, limit) in filters {
        for change in profiles(&profile, &limit).changes {
            if change.grants || !matches!(change.kind, ChangeKind::Removed | ChangeKind::Arguments)
            {
                continue;
            }
            restricted.insert(Restricted {
                call: change.call,
                abis: change.abis,
                in_part: change.kind == ChangeKind::Arguments,
            });
        }
    }
    Intersection {
        baseline,
        report: verify(input),
        restricted: restricted.into_iter().collect(),
    }
}

impl Intersection {
    /// Whether something that was recorded would be denied.
    pub fn denies(&self) -> bool {
        self.report.denies()
    }
}
