//! Conditions that a program gets around.

use std::collections::BTreeSet;

use super::super::{
    Findings, Severity,
    fix::{Edit, entry_text},
    loaded_profile::{LoadedProfile, SyscallState},
    rules,
};
use crate::profile::seccomp::oci::{Action, Condition, Entry, Operator};
use syscalls::{
    Abi,
    registers::{Register, register},
};

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    pointers(profile, out);
    let mut names = BTreeSet::new();
    for entry in profile
        .oci
        .syscalls
        .iter()
        .filter(|entry| !entry.args.is_empty())
    {
        names.extend(entry.names.iter().map(String::as_str));
    }
    for name in names {
        narrow(profile, name, out);
        multiplexer(profile, name, out);
    }
}

fn pointers(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    for (at, entry) in profile.oci.syscalls.iter().enumerate() {
        for (which, condition) in entry.args.iter().enumerate() {
            let names: Vec<_> = entry
                .names
                .iter()
                .filter(|name| register(name, condition.index) == Some(Register::Pointer))
                // Whether a pointer is null cannot be changed behind the filter's back.
                .filter(|_| condition.value != 0)
                .map(String::as_str)
                .collect();
            if !names.is_empty() {
                out.add(
                    &rules::POINTER_ARGUMENT,
                    profile.condition(at, which),
                    format!(
                        "argument {} of {} is a pointer",
                        condition.index,
                        names.join(", ")
                    ),
                );
            }
        }
    }
}

/// A call that is denied, and let through with a bit that the kernel does not read.
fn narrow(profile: &LoadedProfile<'_>, name: &str, out: &mut Findings<'_>) {
    let native = profile.context.native;
    if native.is_32_bit() || profile.state(native, name) != SyscallState::Conditional {
        return;
    }
    let Some(nr) = native.syscall_number(name) else {
        return;
    };
    let mut indices: Vec<_> = profile
        .entries_of(name)
        .flat_map(|(_, entry)| entry.args.iter().map(|condition| condition.index))
        .collect();
    indices.sort_unstable();
    indices.dedup();
    for index in indices {
        let Some(Register::Cut(bits)) = register(name, index) else {
            continue;
        };
        let Ok(at) = usize::try_from(index) else {
            continue;
        };
        let read = (1_u64 << bits) - 1;
        let around = profile.probes(name).into_iter().find_map(|args| {
            let before = *args.get(at)?;
            // Only what the kernel takes for what it says.
            if before & !read != 0 || profile.evaluate(native, nr, args).verdict.allows() {
                return None;
            }
            let mut other = args;
            *other.get_mut(at)? = before | (1 << bits);
            let outcome = profile.evaluate(native, nr, other);
            outcome
                .verdict
                .allows()
                .then_some((before, outcome.decider))
        });
        if let Some((value, decider)) = around {
            let edits = cut(profile, name, index, read);
            use crate::profile::seccomp::evaluate::Decider;
            let span = match decider {
                Decider::Entry(entry) => profile.part(entry, "args"),
                _ => profile.named(name),
            };
            out.add(
                &rules::UNCHECKED_ARGUMENT_BITS,
                span,
                format!(
                    "{name} with argument {index} = {value} is denied, and with {:#x} let through, which is {value} to the kernel",
                    value | (1 << bits)
                ),
            )
            .about(format!("{name} {index}"))
            .severity(if profile.is_within_default() {
                Severity::Medium
            } else {
                rules::UNCHECKED_ARGUMENT_BITS.severity
            })
            .evidence([format!("the kernel reads {bits} bits of this argument, the filter 64")])
            .fix(advice(&edits, read))
            .edits(edits);
        }
    }
}

/// What the changes come to, in words.
fn advice(edits: &[Edit], read: u64) -> String {
    let above = edits.iter().find_map(|edit| match edit {
        Edit::Append(entry) => Some(entry_text(entry)),
        Edit::Remove { .. } | Edit::Condition { .. } => None,
    });
    match above {
        Some(entry) => format!("deny what is above, too: {entry}"),
        None => format!(
            "compare with SCMP_CMP_MASKED_EQ and \"value\": {read}, or allow the values that are wanted by SCMP_CMP_EQ"
        ),
    }
}

/// The conditions that deny a value, on the bits alone that the kernel reads; of an order, all that is above them.
fn cut(profile: &LoadedProfile<'_>, name: &str, index: u32, read: u64) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (at, entry) in profile.entries_of(name) {
        if matches!(entry.action, Action::Allow | Action::Log) {
            continue;
        }
        for (which, condition) in entry.args.iter().enumerate() {
            if condition.index != index {
                continue;
            }
            match condition.op {
                Operator::Eq => edits.push(Edit::Condition {
                    at: profile.condition(at, which),
                    condition: Condition {
                        index,
                        value: read,
                        value_two: condition.value & read,
                        op: Operator::MaskedEq,
                    },
                }),
                Operator::Lt | Operator::Le => {
                    let mut args = entry.args.clone();
                    if let Some(own) = args.get_mut(which) {
                        *own = Condition {
                            index,
                            value: read,
                            value_two: 0,
                            op: Operator::Gt,
                        };
                    }
                    edits.push(Edit::Append(Entry {
                        names: vec![name.to_owned()],
                        args,
                        ..entry.clone()
                    }));
                }
                _ => {}
            }
        }
    }
    edits
}

/// Calls of `socketcall` (include/uapi/linux/net.h) that take arguments worth a condition.
const SOCKETCALL: &[(&str, u64)] = &[
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("socketpair", 8),
    ("sendto", 11),
    ("recvfrom", 12),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
];

fn multiplexer(profile: &LoadedProfile<'_>, name: &str, out: &mut Findings<'_>) {
    let Some((_, operation)) = SOCKETCALL.iter().find(|(it, _)| *it == name) else {
        return;
    };
    if profile.context.native != Abi::X86_64
        || profile.state(Abi::X86_64, name) != SyscallState::Conditional
        || !profile.is_for(Abi::I386)
    {
        return;
    }
    let outcome = profile.outcome(Abi::I386, "socketcall", [*operation, 0, 0, 0, 0, 0]);
    if outcome.is_some_and(|outcome| outcome.verdict.allows()) {
        out.add(
            &rules::MULTIPLEXER,
            profile.named(name),
            format!("{name} is restricted by its arguments, and socketcall({operation}, …) of i386 does it with any"),
        )
        .severity(Severity::Medium);
    }
}
