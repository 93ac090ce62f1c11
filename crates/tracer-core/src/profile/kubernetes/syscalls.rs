//! The calls of a seccomp profile as the operator's objects, and those made after them, have them:
//! like the OCI form, but for the error of the default action and values of 2^63 and more.

use std::collections::BTreeSet;

use crate::profile::{
    Omission, SyscallOmission,
    omissions::by_words,
    seccomp::{
        MULTIPLEXERS, SeccompProfile,
        oci::{self, Action, Condition, Entry, OciSeccomp, Operator},
    },
    yaml::{Map, Value},
};
use syscalls::{Abi, errno};

/// Largest value: the schema's are of 64 bits with a sign.
const MAX: u64 = i64::MAX as u64;

/// `defaultAction`, `architectures`, `syscalls`, and what they cannot say.
pub(super) fn calls(profile: &SeccompProfile) -> (Map, Vec<Omission>) {
    let plain = OciSeccomp::from(profile);
    let mut omissions = BTreeSet::new();
    let mut entries = Vec::new();
    for (layer, entry) in oci::allowed(profile) {
        let comment = if entry.args.is_empty() {
            layer.as_str().to_owned()
        } else {
            format!("{}, for these arguments only", layer.as_str())
        };
        entries.push((comment, self::entry(&entry, &mut omissions)));
    }
    if profile.complain() {
        return (map(&plain, entries), by_words(omissions));
    }
    if profile.default_errno() == errno::EPERM {
        // What the runtimes return when nothing is said.
        let multiplexers: Vec<_> = profile.absent().map(str::to_owned).collect();
        entries.extend(absent("closed on i386", multiplexers));
        return (map(&plain, entries), by_words(omissions));
    }
    omissions.insert(SyscallOmission::DefaultError);
    let conditional: Vec<_> = profile
        .rules()
        .filter(|(_, rule)| rule.only().is_some())
        .map(|(name, _)| name.to_owned())
        .collect();
    if !conditional.is_empty() {
        omissions.insert(SyscallOmission::ErrorForOtherArguments { calls: conditional });
    }
    let multiplexers = multiplexers(profile);
    if !multiplexers.is_empty() {
        omissions.insert(SyscallOmission::ErrorForMultiplexed {
            calls: multiplexers.clone(),
        });
    }
    let mut probed = probed(profile);
    probed.extend(multiplexers);
    entries.extend(absent("not there, to those who probe", probed));
    (map(&plain, entries), by_words(omissions))
}

fn map(plain: &OciSeccomp, entries: Vec<(String, Map)>) -> Map {
    let map = Map::new()
        .with("defaultAction", default_action(plain.default_action))
        .with_texts("architectures", plain.architectures.clone());
    if entries.is_empty() {
        return map;
    }
    map.with("syscalls", Value::Maps(entries))
}

/// The two that profiles are made with.
const fn default_action(action: Action) -> &'static str {
    match action {
        Action::Log => "SCMP_ACT_LOG",
        _ => "SCMP_ACT_ERRNO",
    }
}

/// The entry of `names` that return ENOSYS, if there are any, with its comment.
fn absent(comment: &str, names: Vec<String>) -> Option<(String, Map)> {
    if names.is_empty() {
        return None;
    }
    let entry = Map::new()
        .with("action", "SCMP_ACT_ERRNO")
        .with("errnoRet", u64::from(errno::ENOSYS))
        .with_texts("names", names);
    Some((comment.to_owned(), entry))
}

/// The calls that are denied and whose callers take EPERM for a reason to give up. With those that an
/// old libseccomp does not know: there is no default that would answer them.
fn probed(profile: &SeccompProfile) -> Vec<String> {
    let names: BTreeSet<_> = profile
        .architectures()
        .flat_map(errno::probed_syscalls)
        .filter(|name| profile.rule(name).is_none())
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

/// The calls of i386 that stand for many others, when they are not allowed; see [`oci`].
fn multiplexers(profile: &SeccompProfile) -> Vec<String> {
    let is_there = profile.architectures().any(|abi| abi == Abi::I386);
    let names = MULTIPLEXERS.into_iter();
    let denied = names.filter(|name| is_there && profile.rule(name).is_none());
    denied.map(str::to_owned).collect()
}

/// An entry that allows. Its names are those of the tables, each once.
fn entry(entry: &Entry, omissions: &mut BTreeSet<SyscallOmission>) -> Map {
    let args: Vec<_> = entry
        .args
        .iter()
        .map(|condition| {
            let fitting = fitting(condition);
            if fitting != *condition {
                omissions.insert(SyscallOmission::HighestBit {
                    argument: condition.index,
                    calls: entry.names.clone(),
                });
            }
            (String::new(), argument(&fitting))
        })
        .collect();
    let map = Map::new()
        .with("action", "SCMP_ACT_ALLOW")
        .with_texts("names", entry.names.clone());
    if args.is_empty() {
        map
    } else {
        map.with("args", Value::Maps(args))
    }
}

fn argument(condition: &Condition) -> Map {
    let op = match condition.op {
        Operator::Ne => "SCMP_CMP_NE",
        Operator::Lt => "SCMP_CMP_LT",
        Operator::Le => "SCMP_CMP_LE",
        Operator::Eq => "SCMP_CMP_EQ",
        Operator::Ge => "SCMP_CMP_GE",
        Operator::Gt => "SCMP_CMP_GT",
        Operator::MaskedEq => "SCMP_CMP_MASKED_EQ",
    };
    let map = Map::new()
        .with("index", u64::from(condition.index))
        .with("op", op)
        .with("value", condition.value);
    if condition.value_two == 0 {
        map
    } else {
        map.with("valueTwo", condition.value_two)
    }
}

/// The condition without the highest bit of the argument, where a value has it. That is the least
/// widening there is: without the condition everything would be allowed, without the entry nothing.
fn fitting(condition: &Condition) -> Condition {
    if condition.value <= MAX && condition.value_two <= MAX {
        return condition.clone();
    }
    let (mask, value) = match condition.op {
        Operator::MaskedEq => (condition.value, condition.value_two),
        // The model makes no others; see `impl From<condition::Condition>`.
        _ => (u64::MAX, condition.value),
    };
    Condition {
        index: condition.index,
        value: mask & MAX,
        value_two: value & MAX,
        op: Operator::MaskedEq,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_values_lose_only_their_top_bit() {
        let condition = |op, value, value_two| Condition {
            index: 1,
            value,
            value_two,
            op,
        };
        let fine = condition(Operator::Eq, MAX, 0);
        assert_eq!(fitting(&fine), fine);
        assert_eq!(
            fitting(&condition(Operator::Eq, u64::MAX, 0)),
            condition(Operator::MaskedEq, MAX, MAX)
        );
        assert_eq!(
            fitting(&condition(Operator::MaskedEq, !7, 1 << 63)),
            condition(Operator::MaskedEq, MAX & !7, 0)
        );
    }
}
