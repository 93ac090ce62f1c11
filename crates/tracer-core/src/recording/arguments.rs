//! The values that calls were given, where they are recorded (see [`syscalls::arguments`]).

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Executable, Phase, Syscall};

/// Combinations that are kept of one call in one phase.
pub const MAX_COMBINATIONS: usize = 64;

/// Executables that are named for one combination.
const MAX_EXECUTABLES: usize = 16;

/// The values that a call was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, try_from = "Unchecked")]
pub struct Arguments {
    /// Which arguments these are, by index from 0.
    pub indices: Vec<u32>,
    /// Every combination of their values that was seen, by phase. Of what runtimes do to prepare
    /// containers they are not kept.
    pub seen: Vec<Combination>,
    /// The phases of which not all is known: there were more than 64 combinations, or calls whose
    /// arguments were not recorded.
    pub cut: BTreeSet<Phase>,
}

/// One combination of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Combination {
    /// The phase.
    pub phase: Phase,
    /// The values, in the order of `indices`; bits that do not matter are 0.
    pub values: Vec<u64>,
    /// Who gave them; at most 16 are named.
    pub executables: BTreeSet<Executable>,
}

/// What a file may hold.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Arguments")]
pub(super) struct Unchecked {
    pub(super) indices: Vec<u32>,
    pub(super) seen: Vec<Combination>,
    pub(super) cut: BTreeSet<Phase>,
}

/// Why a file's arguments are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum InvalidArguments {
    #[error("arguments have the indices 0 to 5, each once, in their order")]
    Indices,
    #[error("a combination has {0} values for {1} arguments")]
    Values(usize, usize),
    #[error("nobody gave a combination")]
    Nobody,
}

impl TryFrom<Unchecked> for Arguments {
    type Error = InvalidArguments;

    fn try_from(unchecked: Unchecked) -> Result<Self, InvalidArguments> {
        let Unchecked { indices, seen, cut } = unchecked;
        let in_order = indices.is_sorted_by(|a, b| a < b);
        if indices.is_empty() || !in_order || indices.iter().any(|index| *index > 5) {
            return Err(InvalidArguments::Indices);
        }
        for combination in &seen {
            if combination.values.len() != indices.len() {
                return Err(InvalidArguments::Values(
                    combination.values.len(),
                    indices.len(),
                ));
            }
            if combination.executables.is_empty() {
                return Err(InvalidArguments::Nobody);
            }
        }
        Ok(Self { indices, seen, cut })
    }
}

/// The same as a set: a union is commutative, associative and idempotent, and bounded. What a part has
/// too much of, the whole has too much of, so forgetting changes none of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ArgumentSet {
    /// Empty when no values were recorded.
    indices: Vec<u32>,
    seen: BTreeMap<(Phase, Vec<u64>), BTreeSet<Executable>>,
    cut: BTreeSet<Phase>,
}

impl ArgumentSet {
    /// For the arguments with these indices.
    pub(super) fn new(indices: Vec<u32>) -> Self {
        Self {
            indices,
            ..Self::default()
        }
    }

    /// What a recording has of a call. Without any, nothing is known of whoever made it.
    pub(super) fn from_syscall(syscall: &Syscall) -> Self {
        let Some(arguments) = &syscall.arguments else {
            let made = syscall.evidence.iter().filter(|who| who.blocked.is_none());
            let mut set = Self::default();
            for who in made {
                set.cut(who.phase);
            }
            return set;
        };
        let mut set = Self::new(arguments.indices.clone());
        for combination in &arguments.seen {
            for executable in &combination.executables {
                set.add(
                    combination.phase,
                    combination.values.clone(),
                    executable.clone(),
                );
            }
        }
        for phase in &arguments.cut {
            set.cut(*phase);
        }
        set
    }

    /// Adds a combination.
    pub(super) fn add(&mut self, phase: Phase, values: Vec<u64>, executable: Executable) {
        if phase == Phase::Setup {
            return;
        }
        let executables = self.seen.entry((phase, values)).or_default();
        executables.insert(executable);
        if executables.len() > MAX_EXECUTABLES {
            executables.pop_last();
        }
        let of_phase = self.seen.range((phase, Vec::new())..);
        let mut of_phase = of_phase.take_while(|((of, _), _)| *of == phase);
        if let Some((beyond, _)) = of_phase.nth(MAX_COMBINATIONS) {
            // The last one: there was room before.
            let beyond = beyond.clone();
            self.seen.remove(&beyond);
            self.cut.insert(phase);
        }
    }

    /// Notes that not all is known of a phase.
    pub(super) fn cut(&mut self, phase: Phase) {
        if phase != Phase::Setup {
            self.cut.insert(phase);
        }
    }

    /// Takes in another one. Of two that are of other arguments, made by other versions, one stays;
    /// of the other it is only known that there was something.
    pub(super) fn merge(&mut self, mut other: Self) {
        if self.indices < other.indices {
            std::mem::swap(self, &mut other);
        }
        let same = self.indices == other.indices;
        for ((phase, values), executables) in other.seen {
            if !same {
                self.cut.insert(phase);
                continue;
            }
            for executable in executables {
                self.add(phase, values.clone(), executable);
            }
        }
        self.cut.extend(other.cut);
    }

    /// For a recording; `None` when no values were recorded.
    pub(super) fn finish(self) -> Option<Arguments> {
        (!self.indices.is_empty()).then(|| Arguments {
            indices: self.indices,
            seen: self
                .seen
                .into_iter()
                .map(|((phase, values), executables)| Combination {
                    phase,
                    values,
                    executables,
                })
                .collect(),
            cut: self.cut,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn set() -> impl Strategy<Value = ArgumentSet> {
        let indices = select(vec![vec![], vec![0], vec![0], vec![0], vec![0, 1]]);
        let phase = || {
            select(vec![
                Phase::Run,
                Phase::Exec,
                Phase::RuntimeInit,
                Phase::Setup,
            ])
        };
        let one = (phase(), 0_u64..90, 0_u8..20);
        (indices, vec(one, 0..150), vec(phase(), 0..2)).prop_map(|(indices, seen, cut)| {
            let mut set = ArgumentSet::new(indices.clone());
            for (phase, value, executable) in seen {
                let values = vec![value; indices.len()];
                if !indices.is_empty() {
                    set.add(phase, values, Executable::Path(format!("/{executable}")));
                }
            }
            for phase in cut {
                set.cut(phase);
            }
            set
        })
    }

    fn united(mut a: ArgumentSet, b: ArgumentSet) -> ArgumentSet {
        a.merge(b);
        a
    }

    proptest! {
        #[test]
        fn union_is_commutative_associative_and_idempotent(a in set(), b in set(), c in set()) {
            prop_assert_eq!(united(a.clone(), b.clone()), united(b.clone(), a.clone()));
            prop_assert_eq!(
                united(united(a.clone(), b.clone()), c.clone()),
                united(a.clone(), united(b, c))
            );
            prop_assert_eq!(united(a.clone(), a.clone()), a);
        }

        #[test]
        fn combinations_per_phase_are_bounded(set in set()) {
            for phase in [Phase::Run, Phase::Exec, Phase::RuntimeInit] {
                let kept = set.seen.keys().filter(|(of, _)| *of == phase).count();
                prop_assert!(kept <= MAX_COMBINATIONS);
            }
            prop_assert!(set.seen.keys().all(|(phase, _)| *phase != Phase::Setup));
            prop_assert!(!set.cut.contains(&Phase::Setup));
        }
    }

    #[test]
    fn more_than_64_combinations_are_marked_as_cut() {
        let mut set = ArgumentSet::new(vec![1]);
        for value in (0..65).rev() {
            assert!(set.cut.is_empty());
            set.add(Phase::Run, vec![value], Executable::Unknown);
        }
        assert_eq!(set.seen.len(), 64);
        assert_eq!(set.cut, [Phase::Run].into());
        let arguments = set.finish().unwrap();
        assert_eq!(arguments.seen[0].values, [0]);
    }

    #[test]
    fn invalid_arguments_are_rejected() {
        let read = |text: &str| serde_json::from_str::<Arguments>(text).map_err(|e| e.to_string());
        let fine = r#"{"indices":[0,2],"seen":[{"phase":"run","values":[1,2],"executables":["unknown"]}],"cut":[]}"#;
        assert_eq!(serde_json::to_string(&read(fine).unwrap()).unwrap(), fine);
        for (from, to, says) in [
            ("[0,2]", "[2,0]", "in their order"),
            ("[0,2]", "[]", "in their order"),
            ("[0,2]", "[0,6]", "0 to 5"),
            ("[1,2]", "[1]", "1 values for 2 arguments"),
            ("\"cut\"", "\"more\"", "unknown field"),
            ("[\"unknown\"]", "[]", "nobody"),
        ] {
            let error = read(&fine.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
