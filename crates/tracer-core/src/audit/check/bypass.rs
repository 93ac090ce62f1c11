//! Ways around a denied call: which of [`syscalls::bypass`] a profile leaves open.
//!
//! Decided by the evaluator with the arguments that reach the end, so conditions count as they do in a
//! container.

use std::collections::BTreeSet;

use super::{
    super::{
        Findings, Severity,
        loaded_profile::{LoadedProfile, SyscallState},
        rules,
    },
    closing::{self, Closing},
    list,
};
use crate::profile::seccomp::{
    evaluate::{Decider, Verdict},
    oci::{Condition, Operator},
};
use syscalls::{
    Abi,
    bypass::{self, End, Gain, Parameter, Step, Way},
    errno, introduced,
};

/// What is denied of an end, and reached all the same.
pub(super) struct Gap {
    pub(super) end: &'static End,
    /// The calls that are denied.
    pub(super) denied: Vec<&'static Step>,
    /// Whether they are denied for all values of the end's parameter.
    pub(super) is_whole: bool,
    /// The values that are denied.
    pub(super) values: BTreeSet<u64>,
    pub(super) open: Vec<Way>,
}

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    for end in bypass::ends() {
        if let Some(gap) = find(profile, profile.context.native, end) {
            report(profile, &gap, out);
        }
    }
}

/// The gap of an end in an ABI, where there is one.
pub(super) fn find(profile: &LoadedProfile<'_>, abi: Abi, end: &'static End) -> Option<Gap> {
    let mut denied = Vec::new();
    let mut values = BTreeSet::new();
    let mut is_whole = false;
    for call in end.denied().filter(|call| profile.exists(abi, call.name)) {
        let of_call = denied_values(profile, abi, end, call);
        if !of_call.is_empty() {
            is_whole |= profile.state(abi, call.name) == SyscallState::Denied;
            values.extend(of_call);
            denied.push(call);
        }
    }
    if denied.is_empty() {
        return None;
    }
    let open: Vec<_> = end
        .ways()
        // The call itself with other arguments matters where it is denied for some.
        .filter(|way| way.label.is_empty() || denied.iter().any(|call| way.has(call.name)))
        .filter(|way| {
            !denied
                .iter()
                .any(|call| way.has(call.name) && is_same(call, way))
        })
        .filter(|way| {
            values
                .iter()
                .any(|value| is_open(profile, abi, end, way, *value))
        })
        .collect();
    (!open.is_empty()).then_some(Gap {
        end,
        denied,
        is_whole,
        values,
        open,
    })
}

/// Whether a way is the denied call itself, and no other use of it.
fn is_same(call: &Step, way: &Way) -> bool {
    way.calls
        .iter()
        .any(|one| one.name == call.name && one.args == call.args)
}

/// The values of an end's parameter for which a call is denied on purpose.
fn denied_values(profile: &LoadedProfile<'_>, abi: Abi, end: &End, call: &Step) -> BTreeSet<u64> {
    let state = profile.state(abi, call.name);
    let is_conditional = state == SyscallState::Conditional;
    // A profile that denies by default means nothing by what it does not name.
    if (!profile.allows_by_default() || end.only_conditional) && !is_conditional {
        return BTreeSet::new();
    }
    let is_denied = |value: &u64| {
        let outcome = profile.outcome(abi, call.name, call.arguments(*value));
        outcome.is_some_and(|outcome| {
            !outcome.verdict.allows()
                && outcome.decider != Decider::Architecture
                && !is_fallback(outcome.verdict, call.name)
        })
    };
    let denied: BTreeSet<u64> = candidates(profile, end, call)
        .into_iter()
        .filter(is_denied)
        .collect();
    // What is denied for each value is denied because of something else: another argument.
    if is_conditional && matches!(call.parameter, Parameter::Argument(_)) {
        let conditions = profile
            .entries_of(call.name)
            .flat_map(|(_, entry)| &entry.args);
        let Parameter::Argument(index) = call.parameter else {
            return denied;
        };
        let mut indices = conditions.filter_map(|condition| usize::try_from(condition.index).ok());
        if !indices.any(|it| it == index) {
            return BTreeSet::new();
        }
    }
    denied
}

/// ENOSYS for a call that its callers probe for makes them fall back: nothing is meant to be prevented.
fn is_fallback(verdict: Verdict, name: &str) -> bool {
    let enosys = u16::try_from(errno::ENOSYS).unwrap_or_default();
    verdict == Verdict::Errno(enosys) && errno::is_probed(name)
}

/// Values to try: those that reach the end, and those that the profile compares with.
fn candidates(profile: &LoadedProfile<'_>, end: &End, call: &Step) -> BTreeSet<u64> {
    let mut values: BTreeSet<u64> = end.values.iter().copied().collect();
    let Parameter::Argument(index) = call.parameter else {
        return values;
    };
    for condition in profile
        .entries_of(call.name)
        .flat_map(|(_, entry)| &entry.args)
    {
        if usize::try_from(condition.index) == Ok(index) {
            // No flag at all is nothing; the number 0 is one as any other.
            let is_number = condition.op != Operator::MaskedEq || condition.value >= end.mask;
            let counts = |value: &u64| value & !end.mask == 0 && (*value != 0 || is_number);
            values.extend(named(condition).filter(counts));
        }
    }
    values
}

/// The values that a condition speaks of.
fn named(condition: &Condition) -> impl Iterator<Item = u64> + use<> {
    let (mask, value) = match condition.op {
        Operator::MaskedEq => (condition.value, condition.value_two),
        _ => (0, condition.value),
    };
    let bits = (0..64).map(|bit| 1_u64 << bit);
    let beside = [value.wrapping_sub(1), value, value.wrapping_add(1)];
    bits.filter(move |bit| mask & bit != 0).chain(beside)
}

/// Whether a way reaches the end for a value.
fn is_open(profile: &LoadedProfile<'_>, abi: Abi, end: &End, way: &Way, value: u64) -> bool {
    if !way.exists(abi) || way.since.is_some_and(|since| !profile.is_reached(since)) {
        return false;
    }
    let takes_any = way
        .calls
        .iter()
        .any(|call| call.parameter != Parameter::None);
    // A call that takes no value does what the first one stands for.
    if !takes_any && end.values.first() != Some(&value) {
        return false;
    }
    way.calls.iter().all(|call| {
        profile.exists(abi, call.name)
            && profile
                .outcome(abi, call.name, call.arguments(value))
                .is_some_and(|outcome| outcome.verdict.allows())
    })
}

fn report(profile: &LoadedProfile<'_>, gap: &Gap, out: &mut Findings<'_>) {
    let closing = closing::of(profile, gap);
    let names: Vec<_> = gap.denied.iter().map(|call| call.name).collect();
    let Some(first) = names.first() else { return };
    let ways: Vec<_> = gap.open.iter().map(Way::words).collect();
    // By what the file says first: what a fix adds behind it makes no other finding of it.
    let is_whole = gap
        .denied
        .iter()
        .filter_map(|call| Some((profile.entries_of(call.name).next()?.0, call)))
        .min_by_key(|(at, _)| *at)
        .map_or(gap.is_whole, |(_, call)| {
            profile.state(profile.context.native, call.name) == SyscallState::Denied
        });
    let rule = if is_whole {
        &rules::EQUIVALENT_SYSCALL_ALLOWED
    } else {
        &rules::CONDITION_BYPASS
    };
    let denied = if is_whole {
        format!("{} {} denied", names.join(", "), verb(names.len()))
    } else {
        format!(
            "{} {} denied for some arguments{}",
            names.join(", "),
            verb(names.len()),
            example(gap)
        )
    };
    out.add(
        rule,
        profile.named(first),
        format!(
            "{denied}, but a program can still {} by {}",
            gap.end.words,
            list(ways.iter().map(String::as_str), 12)
        ),
    )
    .about(gap.end.name)
    .severity(severity(profile, gap, &closing))
    .evidence(evidence(profile, gap))
    .fix(closing.words(gap.end))
    .edits(closing.edits);
}

/// Arguments for which a call is denied, in brackets.
fn example(gap: &Gap) -> String {
    let with_parameter = gap
        .denied
        .iter()
        .any(|call| matches!(call.parameter, Parameter::Argument(_)));
    if with_parameter {
        let value = gap.values.iter().next().copied().unwrap_or_default();
        return format!(" ({value:#x})");
    }
    let arguments = gap.denied.iter().flat_map(|call| call.args);
    let said: Vec<_> = arguments
        .map(|(index, bits)| format!("argument {index} = {bits:#x}"))
        .collect();
    match said.as_slice() {
        [] => String::new(),
        said => format!(" ({})", said.join(", ")),
    }
}

fn verb(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// How bad a gap is: what an attacker gains, unless nothing in the profile can prevent it.
fn severity(profile: &LoadedProfile<'_>, gap: &Gap, closing: &Closing) -> Severity {
    let is_closed = !closing.edits.is_empty();
    let severity = match (gap.end.gain, is_closed) {
        (Gain::Much, true) => Severity::High,
        (Gain::Much, false) | (Gain::Some, true) => Severity::Medium,
        (Gain::Nothing, true) if !gap.is_whole => Severity::Medium,
        (Gain::Some | Gain::Nothing, _) => Severity::Low,
    };
    // What is nowhere weaker than the default is no worse than the default, which has no such rule.
    if profile.is_within_default() {
        severity.min(Severity::Medium)
    } else {
        severity
    }
}

fn evidence(profile: &LoadedProfile<'_>, gap: &Gap) -> Vec<String> {
    let mut evidence = vec![format!("{}: {}", gap.end.name, gap.end.source)];
    let mut needs: Vec<(&str, Vec<String>)> = Vec::new();
    for way in gap.open.iter().filter(|way| !way.needs.is_empty()) {
        match needs.iter_mut().find(|(what, _)| *what == way.needs) {
            Some((_, ways)) => ways.push(way.words()),
            None => needs.push((way.needs, vec![way.words()])),
        }
    }
    for (what, ways) in needs {
        let verb = if ways.len() == 1 { "needs" } else { "need" };
        evidence.push(format!("{} {verb} {what}", ways.join(", ")));
    }
    let versions = gap.open.iter().flat_map(|way| {
        let calls = way.calls.iter().filter_map(|call| {
            let version = introduced::introduced_in(call.name)?;
            profile
                .is_missed(version)
                .then(|| format!("{} since Linux {version}", call.name))
        });
        let own = way.since.filter(|version| profile.is_missed(*version));
        calls.chain(own.map(|version| format!("{} since Linux {version}", way.needs)))
    });
    let versions: BTreeSet<_> = versions.collect();
    if !versions.is_empty() {
        let versions: Vec<_> = versions.into_iter().collect();
        evidence.push(versions.join(", "));
    }
    evidence
}
