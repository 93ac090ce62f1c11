//! Several rules for one number: libseccomp joins them to one decision tree.
//!
//! A filter compares 32 bits at a time, so a condition on a 64-bit argument is two or three nodes,
//! the upper half first. Nodes of a level that ask the same are one; the others are asked one after
//! the other, in an order of their own and not in that of the profile, until one leads to a verdict
//! (libseccomp 2.5.4, src/db.c: `_db_rule_gen_64`, `_db_chain_lt`, `_db_tree_add`).

use std::cmp::{Ordering, Reverse};

use super::{
    super::oci::Operator,
    rule::{Rule, Test},
};

/// The rules of one number, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// Adds one, as `seccomp_rule_add` does.
    ///
    /// # Errors
    ///
    /// With an earlier rule that says something else of the same calls.
    pub(super) fn add(&mut self, rule: Rule) -> Result<(), Rule> {
        // The first rule without a condition replaces those before it, and makes libseccomp drop
        // those after it, whatever they say (src/db.c, `db_rule_add`).
        if self.rules.first().is_some_and(|rule| rule.tests.is_empty()) {
            return Ok(());
        }
        if rule.tests.is_empty() {
            self.rules = vec![rule];
            return Ok(());
        }
        let different = |earlier: &&Rule| earlier.verdict != rule.verdict;
        let clash = self
            .rules
            .iter()
            .filter(different)
            .find(|earlier| clashes(earlier.start(), rule.start()));
        let lost = self
            .rules
            .iter()
            .any(|earlier| taken_for_redundant(earlier.start(), rule.start()));
        if lost {
            return Ok(());
        }
        if let Some(earlier) = clash {
            return Err(earlier.clone());
        }
        if !self
            .rules
            .iter()
            .any(|earlier| covers(earlier.start(), rule.start()))
        {
            self.rules
                .retain(|earlier| !covers(rule.start(), earlier.start()));
            self.rules.push(rule);
        }
        Ok(())
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The rule that decides a call, and the entries that match it with another verdict.
    pub(super) fn decide(&self, args: &[u64; 6]) -> Option<(&Rule, Vec<usize>)> {
        let matching = || self.rules.iter().filter(|rule| rule.matches(args));
        // Of equals the first: in the order in which they were added.
        let first = matching().reduce(|one, other| match asked_first(one, other, args) {
            Ordering::Greater => other,
            Ordering::Less | Ordering::Equal => one,
        })?;
        let mut contested: Vec<usize> = matching()
            .filter(|rule| rule.verdict != first.verdict)
            .map(|rule| rule.entry)
            .collect();
        contested.dedup();
        Some((first, contested))
    }
}

/// What a node asks of a half of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The argument, and whether it is the upper half.
    pub(super) half: (usize, bool),
    pub(super) asks: Asks,
    pub(super) mask: u32,
    pub(super) value: u32,
}

/// Nodes only ask these; what a rule says otherwise, it says of the answer no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Equal,
    MaskedEqual,
    Greater,
    GreaterOrEqual,
}

/// The half of an argument, the kind of the comparison, and the value, of some kinds the smaller.
pub(super) type Priority = ((usize, bool), u8, u32, Reverse<u32>);

/// A node of the path that one rule makes through the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'rule> {
    pub(super) rule: &'rule Rule,
    /// Which of the rule's tests.
    test: usize,
    /// Which of its nodes.
    stage: u8,
}

/// Where an answer leads.
pub(super) enum Next<'rule> {
    /// Out of the rule: on to the next node of a level.
    Away,
    To(Node<'rule>),
    Verdict,
}

impl Rule {
    pub(super) fn start(&self) -> Node<'_> {
        Node {
            rule: self,
            test: 0,
            stage: 0,
        }
    }
}

impl<'rule> Node<'rule> {
    /// The test, whose place in the rule is valid by construction.
    pub(super) fn test(self) -> Option<&'rule Test> {
        self.rule.tests.get(self.test)
    }

    pub(super) fn question(self) -> Option<Question> {
        let test = self.test()?;
        let upper = test.wide() && self.stage < test.stages() - 1;
        let ordered = match test.operator() {
            Operator::Gt | Operator::Le => Asks::Greater,
            Operator::Ge | Operator::Lt => Asks::GreaterOrEqual,
            Operator::Eq | Operator::Ne => Asks::Equal,
            Operator::MaskedEq => Asks::MaskedEqual,
        };
        let asks = match (ordered, self.stage, test.wide()) {
            (Asks::Greater | Asks::GreaterOrEqual, 0, true) => Asks::Greater,
            (Asks::Greater | Asks::GreaterOrEqual, 1, true) => Asks::Equal,
            _ => ordered,
        };
        Some(Question {
            half: (test.index(), upper),
            asks,
            mask: half(test.mask(), upper),
            value: half(test.value(), upper),
        })
    }

    /// What makes a node of a level come before another: the larger is asked first.
    pub(super) fn priority(self) -> Option<Priority> {
        let value = self.question()?.value;
        let (class, larger, smaller) = match self.test()?.operator() {
            Operator::Eq | Operator::Ne | Operator::MaskedEq => (3, value, 0),
            Operator::Lt | Operator::Le => (2, 0, value),
            Operator::Gt | Operator::Ge => (1, value, 0),
        };
        Some((self.question()?.half, class, larger, Reverse(smaller)))
    }

    pub(super) fn answer(self, yes: bool) -> Next<'rule> {
        let Some(test) = self.test() else {
            return Next::Away;
        };
        let last = self.stage == test.stages() - 1;
        // Which way the rule goes on, by operator, half and answer.
        let (holds, stays) = match (test.operator(), last) {
            (Operator::Eq | Operator::MaskedEq, false) => (false, yes),
            (Operator::Ne, false) => (!yes, yes),
            (Operator::Gt | Operator::Ge, false) if self.stage == 0 => (yes, !yes),
            (Operator::Lt | Operator::Le, false) if self.stage == 0 => (false, !yes),
            (Operator::Gt | Operator::Ge, false) => (false, yes),
            (Operator::Lt | Operator::Le, false) => (!yes, yes),
            (Operator::Eq | Operator::MaskedEq | Operator::Gt | Operator::Ge, true) => (yes, false),
            (Operator::Ne | Operator::Lt | Operator::Le, true) => (!yes, false),
        };
        if stays {
            Next::To(Node {
                stage: self.stage + 1,
                ..self
            })
        } else if !holds {
            Next::Away
        } else if self.test + 1 < self.rule.tests.len() {
            Next::To(Node {
                test: self.test + 1,
                stage: 0,
                ..self
            })
        } else {
            Next::Verdict
        }
    }

    fn is_leaf(self) -> bool {
        ![true, false]
            .into_iter()
            .any(|yes| matches!(self.answer(yes), Next::To(_)))
    }

    /// The answer for a call.
    fn is_yes(self, args: &[u64; 6]) -> bool {
        let Some(question) = self.question() else {
            return false;
        };
        let (index, upper) = question.half;
        let argument = half(args.get(index).copied().unwrap_or_default(), upper) & question.mask;
        match question.asks {
            Asks::Equal | Asks::MaskedEqual => argument == question.value,
            Asks::Greater => argument > question.value,
            Asks::GreaterOrEqual => argument >= question.value,
        }
    }
}

/// The upper or the lower half.
fn half(value: u64, upper: bool) -> u32 {
    let value = if upper {
        value >> 32
    } else {
        value & 0xffff_ffff
    };
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Which of two rules that match a call is asked first; an earlier rule comes first.
fn asked_first(earlier: &Rule, later: &Rule, args: &[u64; 6]) -> Ordering {
    let (mut one, mut other) = (earlier.start(), later.start());
    loop {
        if one.question() != other.question() {
            return other.priority().cmp(&one.priority());
        }
        let yes = one.is_yes(args);
        match (one.answer(yes), other.answer(yes)) {
            (Next::To(one_next), Next::To(other_next)) => (one, other) = (one_next, other_next),
            (Next::To(_), _) => return Ordering::Greater,
            (Next::Verdict, Next::Verdict) => {
                // `_db_tree_add`: of two that go by the upper half, the larger value.
                let value = |node: Node<'_>| node.test().map(|test| test.value());
                let larger = yes && one.question().is_some_and(|question| question.half.1);
                return if larger {
                    value(other).cmp(&value(one))
                } else {
                    Ordering::Equal
                };
            }
            _ => return Ordering::Less,
        }
    }
}

/// Whether libseccomp refuses the later rule, given that the two say different things.
fn clashes(earlier: Node<'_>, later: Node<'_>) -> bool {
    earlier.question() == later.question()
        && [true, false]
            .into_iter()
            .any(|yes| match (earlier.answer(yes), later.answer(yes)) {
                (Next::To(earlier), Next::To(later)) => clashes(earlier, later),
                (Next::To(_), Next::Verdict) => true,
                (Next::Verdict, Next::Verdict) => earlier.is_leaf() || later.is_leaf(),
                _ => false,
            })
}

/// Whether a rule decides all that another would.
fn covers(rule: Node<'_>, other: Node<'_>) -> bool {
    rule.question() == other.question()
        && [true, false]
            .into_iter()
            .all(|yes| match (rule.answer(yes), other.answer(yes)) {
                (_, Next::Away) | (Next::Verdict, Next::To(_)) => true,
                (Next::To(rule), Next::To(other)) => covers(rule, other),
                (Next::Verdict, Next::Verdict) => rule.rule.verdict == other.rule.verdict,
                _ => false,
            })
}

/// Whether libseccomp drops a later rule because an earlier one asks the questions that it ends
/// with.
fn taken_for_redundant(earlier: Node<'_>, later: Node<'_>) -> bool {
    if earlier.question() == later.question() || earlier.priority() < later.priority() {
        return false;
    }
    [true, false]
        .into_iter()
        .any(|yes| match later.answer(yes) {
            Next::To(next) => asks_to_the_end(earlier, next) || taken_for_redundant(earlier, next),
            _ => false,
        })
}

/// Whether a later rule asks all that an earlier one does, and goes on wherever that does, the last
/// question aside.
fn asks_to_the_end(earlier: Node<'_>, later: Node<'_>) -> bool {
    if earlier.question() != later.question() {
        return false;
    }
    if earlier.is_leaf() {
        return true;
    }
    let both = [true, false].map(|yes| (earlier.answer(yes), later.answer(yes)));
    let goes_on = both
        .iter()
        .all(|(earlier, later)| matches!(earlier, Next::Away) || !matches!(later, Next::Away));
    goes_on
        && both.into_iter().any(|both| match both {
            (Next::To(earlier), Next::To(later)) => asks_to_the_end(earlier, later),
            _ => false,
        })
}
