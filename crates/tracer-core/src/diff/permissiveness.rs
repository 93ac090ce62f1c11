//! Whether one filter lets through a call that another stops: found by trying.
//!
//! What a filter says changes only at the values that it compares with. So each of these is tried, with
//! those beside it, and of a mask with each of its bits the other way round, and what it leaves out as
//! the other conditions have it; and every combination of that where several arguments are compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    profile::seccomp::{
        evaluate::Filter,
        oci::{Condition, Operator},
    },
    recording::SyscallId,
};
use syscalls::arguments::recorded;

/// Most combinations that are tried of one call; some 20 ms.
const LIMIT: usize = 100_000;

/// Whether `after` lets through what `before` does not.
pub(super) fn is_more_permissive(before: &Filter, after: &Filter, call: SyscallId) -> bool {
    let decisions = [before.decisions(call), after.decisions(call)];
    let mut conditions: BTreeMap<u32, Vec<Condition>> = BTreeMap::new();
    for condition in decisions.iter().flatten().flat_map(|it| &it.conditions) {
        let known = conditions.entry(condition.index).or_default();
        if !known.contains(condition) {
            known.push(condition.clone());
        }
    }
    let mut tried: Vec<_> = conditions
        .into_iter()
        .map(|(index, known)| (index, values(call, index, &known)))
        .collect();
    let combinations = |tried: &[(u32, Vec<u64>)]| {
        let counts = tried.iter().map(|(_, values)| values.len());
        counts.fold(1_usize, usize::saturating_mul)
    };
    while combinations(&tried) > LIMIT {
        // The last ones are the single bits: see `values`.
        for (_, values) in &mut tried {
            values.truncate((values.len() / 2).max(1));
        }
    }
    (0..combinations(&tried)).any(|number| {
        let args = arguments(&tried, number);
        let allows = |filter: &Filter| filter.evaluate(call, args).verdict.allows();
        allows(after) && !allows(before)
    })
}

/// The combination with a number.
fn arguments(tried: &[(u32, Vec<u64>)], mut number: usize) -> [u64; 6] {
    let mut args = [0; 6];
    for (index, values) in tried {
        let many = values.len().max(1);
        let place = args.get_mut(*index as usize);
        if let (Some(place), Some(value)) = (place, values.get(number % many)) {
            *place = *value;
        }
        number /= many;
    }
    args
}

/// What is tried of an argument, the more telling first.
fn values(call: SyscallId, index: u32, conditions: &[Condition]) -> Vec<u64> {
    let mut values = Vec::new();
    for one in conditions {
        let Some((mask, value)) = masked(one) else {
            values.extend([
                one.value,
                one.value.wrapping_sub(1),
                one.value.wrapping_add(1),
            ]);
            continue;
        };
        values.extend([value, value | !mask]);
        for (its_mask, its_value) in conditions.iter().filter_map(masked) {
            values.push(value | (its_value & !mask));
            values.push(value | (!its_value & its_mask & !mask));
        }
    }
    values.extend([0, u64::MAX]);
    for (mask, value) in conditions.iter().filter_map(masked) {
        let bits = (0..u64::BITS).map(|bit| 1 << bit);
        values.extend(bits.filter(|bit| mask & bit != 0).map(|bit| value ^ bit));
    }
    let read = read_by_the_kernel(call, index);
    let mut known = BTreeSet::new();
    values
        .into_iter()
        .map(|value| value & read)
        .filter(|value| known.insert(*value))
        .collect()
}

fn masked(condition: &Condition) -> Option<(u64, u64)> {
    (condition.op == Operator::MaskedEq).then_some((condition.value, condition.value_two))
}

/// Of an `int` the lower half: another value above it is the same call to the kernel.
fn read_by_the_kernel(call: SyscallId, index: u32) -> u64 {
    let name = call.abi.syscall_name(call.nr);
    let known = name.and_then(|name| recorded(call.abi, name));
    let known = known.filter(|it| !it.behind_pointer);
    let argument = known.and_then(|it| it.arguments.iter().find(|it| it.index == index));
    match argument {
        Some(it) if it.mask <= u64::from(u32::MAX) => u64::from(u32::MAX),
        _ => u64::MAX,
    }
}
