//! Conditions on flags that hold for other arguments than those that are meant. Each is tried: what is
//! said to pass passes the filter.

use std::ops::Range;

use super::super::{Findings, Severity, fix::Edit, loaded_profile::LoadedProfile, rules};
use crate::profile::seccomp::oci::{Action, Condition, Entry, Operator};
use syscalls::flags::{self, Field};

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    for (at, entry) in profile.oci.syscalls.iter().enumerate() {
        for (which, condition) in entry.args.iter().enumerate() {
            let case = Case {
                profile,
                entry,
                condition,
                span: profile.condition(at, which),
            };
            // One mistake, one finding.
            let _found =
                case.outside(out) || case.inverted(out) || case.all_bits(out) || case.exact(out);
            case.unread(out);
        }
    }
}

/// A condition of an entry.
struct Case<'a> {
    profile: &'a LoadedProfile<'a>,
    entry: &'a Entry,
    condition: &'a Condition,
    span: Range<usize>,
}

impl Case<'_> {
    fn denies(&self) -> bool {
        !matches!(self.entry.action, Action::Allow | Action::Log)
    }

    /// The calls of the entry for which it is in force, with what the argument is made of.
    fn fields(&self) -> impl Iterator<Item = (&str, &'static Field)> {
        let names = self.entry.names.iter().map(String::as_str);
        names.filter_map(|name| Some((name, flags::field(name, self.condition.index)?)))
    }

    /// Whether a call passes with a value of the argument.
    fn allows(&self, name: &str, value: u64) -> Option<bool> {
        let mut args = [0; 6];
        // What the entry asks of other arguments holds.
        for other in &self.entry.args {
            let index = usize::try_from(other.index).ok()?;
            *args.get_mut(index)? = match other.op {
                Operator::MaskedEq => other.value_two,
                Operator::Ne | Operator::Gt => other.value.wrapping_add(1),
                Operator::Lt => other.value.wrapping_sub(1),
                Operator::Le | Operator::Eq | Operator::Ge => other.value,
            };
        }
        *args.get_mut(usize::try_from(self.condition.index).ok()?)? = value;
        let native = self.profile.context.native;
        let outcome = self.profile.outcome(native, name, args)?;
        Some(outcome.verdict.allows())
    }

    /// Compared with 0 where the bits were meant: the mask without its value.
    fn inverted(&self, out: &mut Findings<'_>) -> bool {
        let condition = self.condition;
        if condition.op != Operator::MaskedEq || condition.value == 0 {
            return false;
        }
        let mask = condition.value;
        let is_absent = !self.profile.has_value_two(&self.span);
        let first = self.entry.names.iter().find(|name| {
            let (without, with) = (self.allows(name, 0), self.allows(name, mask));
            let field = flags::field(name, condition.index);
            let always = field.map_or(0, |field| field.always);
            let is_bits = field.is_some_and(|field| field.is_flags && mask & !field.mask == 0);
            if self.denies() {
                condition.value_two == 0
                    && (without, with) == (Some(false), Some(true))
                    && (is_absent || is_bits)
            } else {
                // Let through with the bits only, and refused without them.
                !self.profile.allows_by_default()
                    && is_bits
                    && condition.value_two == mask
                    && self.allows(name, always) == Some(false)
                    && self.allows(name, always | mask) == Some(true)
            }
        });
        let Some(name) = first else { return false };
        let message = if self.denies() {
            format!(
                "{name} is denied when no bit of {mask:#x} is set in argument {}, and allowed when they are: {}",
                condition.index,
                if is_absent {
                    "valueTwo is missing"
                } else {
                    "valueTwo is 0"
                }
            )
        } else {
            format!(
                "{name} is allowed only when all bits of {mask:#x} are set in argument {}",
                condition.index
            )
        };
        let edits = if self.denies() {
            self.bit_by_bit(mask)
        } else {
            vec![self.set(mask, 0)]
        };
        let fix = if self.denies() {
            rules::INVERTED_MASK.fix
        } else {
            "Write \"valueTwo\": 0, which allows the call without these flags."
        };
        self.add(&rules::INVERTED_MASK, name, message, out)
            .severity(self.severity())
            .fix(fix)
            .edits(edits);
        true
    }

    /// Several flags at once, where each of them was meant.
    fn all_bits(&self, out: &mut Findings<'_>) -> bool {
        let condition = self.condition;
        let (mask, value) = (condition.value, condition.value_two);
        if condition.op != Operator::MaskedEq
            || !self.denies()
            || value.count_ones() < 2
            || value != mask
        {
            return false;
        }
        let found = self.fields().find_map(|(name, field)| {
            if !field.is_flags || value & !field.mask != 0 {
                return None;
            }
            let bits = (0..64)
                .map(|bit| 1_u64 << bit)
                .filter(|bit| value & bit != 0);
            let open = bits
                .into_iter()
                .find(|bit| self.allows(name, field.always | bit) == Some(true));
            Some((name, open?))
        });
        let Some((name, open)) = found else {
            return false;
        };
        let message = format!(
            "{name} is denied only when all bits of {value:#x} are set in argument {}: {open:#x} by itself is allowed",
            condition.index
        );
        self.add(&rules::COMBINED_FLAGS, name, message, out)
            .severity(self.severity())
            .edits(self.bit_by_bit(value));
        true
    }

    /// The whole argument, where other bits may be set beside those that are meant.
    fn exact(&self, out: &mut Findings<'_>) -> bool {
        let condition = self.condition;
        let is_exact = match condition.op {
            Operator::Eq => self.denies(),
            Operator::Ne => !self.denies(),
            _ => false,
        };
        if !is_exact {
            return false;
        }
        let value = condition.value;
        let found = self.fields().find_map(|(name, field)| {
            let part = value & field.mask;
            let other = if field.beside == 0 {
                field.always
            } else {
                value ^ field.beside | field.always
            };
            let other = if part == 0 { return None } else { other };
            let is_open = other & field.mask == part && other != value;
            (is_open
                && self.allows(name, other) == Some(true)
                && self.allows(name, value) == Some(false))
            .then_some((name, field, part, other))
        });
        let Some((name, field, part, other)) = found else {
            return false;
        };
        let message = format!(
            "{name} is denied with argument {} = {value:#x} only: with {other:#x} it does the same and is allowed",
            condition.index
        );
        let edits = match (field.is_flags, self.denies()) {
            (true, true) => self.bit_by_bit(part),
            (true, false) => vec![self.set(part, 0)],
            (false, true) => vec![self.set(field.mask, part)],
            (false, false) => Vec::new(),
        };
        self.add(&rules::EXACT_FLAGS, name, message, out)
            .severity(self.severity())
            .evidence([field.source.to_owned()])
            .edits(edits);
        true
    }

    /// A value with bits that are not compared.
    fn outside(&self, out: &mut Findings<'_>) -> bool {
        let condition = self.condition;
        let stray = condition.value_two & !condition.value;
        let Some(name) = self.entry.names.first() else {
            return false;
        };
        if condition.op != Operator::MaskedEq || stray == 0 {
            return false;
        }
        let is_swapped = condition.value & !condition.value_two == 0;
        let message = format!(
            "valueTwo {:#x} has bits outside of the mask {:#x}: libseccomp compares with {:#x}",
            condition.value_two,
            condition.value,
            condition.value & condition.value_two
        );
        // Of flags that are denied each was meant: to compare with all of them would let them through together.
        let is_flags = self.denies()
            && is_swapped
            && self
                .fields()
                .any(|(_, field)| field.is_flags && condition.value_two & !field.mask == 0);
        let fix = if is_flags {
            "Write an entry for each flag, with the flag as value and valueTwo."
        } else if is_swapped {
            "\"value\" is the mask and \"valueTwo\" what the masked argument must be: exchange them"
        } else {
            "\"value\" is the mask: give it all bits of valueTwo"
        };
        let edits = if is_flags {
            self.bit_by_bit(condition.value_two)
        } else if is_swapped {
            vec![self.set(condition.value_two, condition.value)]
        } else {
            vec![self.set(condition.value | condition.value_two, condition.value_two)]
        };
        self.add(&rules::VALUE_OUTSIDE_MASK, name, message, out)
            .severity(self.severity())
            .fix(fix)
            .edits(edits);
        true
    }

    /// A second value that nothing reads.
    fn unread(&self, out: &mut Findings<'_>) {
        if self.condition.op == Operator::MaskedEq || self.condition.value_two == 0 {
            return;
        }
        let Some(name) = self.entry.names.first() else {
            return;
        };
        let message = format!("valueTwo of {name} is read by SCMP_CMP_MASKED_EQ only");
        self.add(&rules::UNREAD_VALUE, name, message, out);
    }

    fn add<'out>(
        &self,
        rule: &'static rules::Rule,
        name: &str,
        message: String,
        out: &'out mut Findings<'_>,
    ) -> super::super::finding::Added<'out> {
        out.add(rule, self.span.clone(), message)
            .about(format!("{name} {}", self.condition.index))
    }

    fn severity(&self) -> Severity {
        if self.profile.is_within_default() {
            Severity::Medium
        } else {
            Severity::High
        }
    }

    fn set(&self, mask: u64, value: u64) -> Edit {
        Edit::Condition {
            at: self.span.clone(),
            condition: self.masked(mask, value),
        }
    }

    fn masked(&self, mask: u64, value: u64) -> Condition {
        Condition {
            index: self.condition.index,
            value: mask,
            value_two: value,
            op: Operator::MaskedEq,
        }
    }

    /// A condition for each bit: the first in place of this one, the others in entries of their own.
    fn bit_by_bit(&self, bits: u64) -> Vec<Edit> {
        let mut bits = (0..64)
            .map(|bit| 1_u64 << bit)
            .filter(move |bit| bits & bit != 0);
        let Some(first) = bits.next() else {
            return Vec::new();
        };
        let others = bits.map(|bit| {
            let args = self.entry.args.iter().map(|condition| {
                if condition == self.condition {
                    self.masked(bit, bit)
                } else {
                    condition.clone()
                }
            });
            Edit::Append(Entry {
                args: args.collect(),
                ..self.entry.clone()
            })
        });
        std::iter::once(self.set(first, first))
            .chain(others)
            .collect()
    }
}
