//! What a filter does to a call of which not every register is known.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    Decider, Filter,
    rule::{Rule, Test},
};
use crate::{
    profile::seccomp::{evaluate::Verdict, oci::Operator},
    recording::SyscallId,
};

/// What is known of a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// The bits that are known.
    pub known: u64,
    /// Their values; no other bit is set.
    pub value: u64,
}

impl Register {
    /// One that is known whole.
    pub const fn whole(value: u64) -> Self {
        Self {
            known: u64::MAX,
            value,
        }
    }
}

/// What may happen to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PossibleVerdicts {
    /// What the filter may return, with what would decide.
    pub verdicts: BTreeMap<Verdict, Decider>,
    /// The arguments whose unknown bits it depends on, from 0.
    pub depends_on: BTreeSet<usize>,
}

impl Filter {
    /// What may happen to a call, by what is known of its registers.
    ///
    /// Never too little: each verdict that some values of the unknown bits lead to is there. Where rules
    /// hide one another there may be one too many.
    pub fn possible_verdicts(
        &self,
        call: SyscallId,
        registers: &[Register; 6],
    ) -> PossibleVerdicts {
        let args = registers.map(|register| register.value);
        let rules = self.rules(call);
        let unsure = |rule: &Rule| -> BTreeSet<usize> {
            let tests = rule.tests.iter();
            tests
                .filter(|test| test.known_to_hold(registers).is_none())
                .map(Test::index)
                .collect()
        };
        let may_match: Vec<_> = rules
            .filter(|rule| {
                let mut tests = rule.tests.iter();
                tests.all(|test| test.known_to_hold(registers) != Some(false))
            })
            .map(|rule| (rule, unsure(rule)))
            .collect();
        if may_match.iter().all(|(_, unsure)| unsure.is_empty()) {
            let outcome = self.evaluate(call, args);
            return PossibleVerdicts {
                verdicts: [(outcome.verdict, outcome.decider)].into(),
                depends_on: BTreeSet::new(),
            };
        }
        let mut verdicts = BTreeMap::new();
        for (rule, _) in &may_match {
            verdicts
                .entry(rule.verdict)
                .or_insert(Decider::Entry(rule.entry));
        }
        if may_match.iter().all(|(_, unsure)| !unsure.is_empty()) {
            verdicts.entry(self.default).or_insert(Decider::Default);
        }
        let depends_on = if verdicts.len() > 1 {
            may_match
                .into_iter()
                .flat_map(|(_, unsure)| unsure)
                .collect()
        } else {
            BTreeSet::new()
        };
        PossibleVerdicts {
            verdicts,
            depends_on,
        }
    }
}

impl Test {
    /// Whether it holds, if what is known decides that.
    fn known_to_hold(&self, registers: &[Register; 6]) -> Option<bool> {
        // The index is below 6 by construction.
        let register = registers.get(self.index()).copied().unwrap_or_default();
        let least = register.value & self.mask();
        let most = (register.value | !register.known) & self.mask();
        let differs = (register.value ^ self.value()) & register.known & self.mask() != 0;
        let is_equal = if differs {
            Some(false)
        } else {
            (least == most).then_some(true)
        };
        let (below, above) = (most.cmp(&self.value()), least.cmp(&self.value()));
        match self.operator() {
            Operator::Eq | Operator::MaskedEq => is_equal,
            Operator::Ne => is_equal.map(|it| !it),
            Operator::Lt => ordered(below == Ordering::Less, above != Ordering::Less),
            Operator::Le => ordered(below != Ordering::Greater, above == Ordering::Greater),
            Operator::Gt => ordered(above == Ordering::Greater, below != Ordering::Greater),
            Operator::Ge => ordered(above != Ordering::Less, below == Ordering::Less),
        }
    }
}

fn ordered(always: bool, never: bool) -> Option<bool> {
    match (always, never) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}
