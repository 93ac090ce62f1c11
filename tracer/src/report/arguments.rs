//! The calls that are allowed for some arguments only.

use super::{
    escape::{code, prose},
    markdown::Document,
    rules::{executables, list, or_dash},
};
use crate::{
    profile::seccomp::{Rule, SeccompProfile},
    syscall::{
        Abi,
        condition::{Condition, Conditions},
        errno,
    },
};

pub(super) fn restricted(doc: &mut Document, profile: &SeccompProfile) {
    let rows: Vec<_> = profile
        .rules()
        .flat_map(|(name, rule)| {
            let only = rule.only().into_iter().flatten();
            only.map(|(conditions, alternative)| {
                let layers = alternative.layers().map(|layer| layer.as_str().to_owned());
                [
                    code(name),
                    alternative.when().map(prose).collect::<Vec<_>>().join("; "),
                    compared(&conditions),
                    list(layers),
                ]
            })
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Allowed for some arguments only");
    doc.paragraph(if profile.default_errno() == errno::ENOSYS {
        "Called with other arguments, these calls return ENOSYS and not EPERM, old ones too: a profile can name one error for all of a call only. It is as if the kernel did not have them, upon which libc goes back to older calls."
    } else {
        "Called with other arguments, these calls return EPERM."
    });
    if let Some(clone3) = profile.gave_way() {
        doc.paragraph(&format!(
            "`clone3`, whose flags no filter can look at, was called by {}. It returns ENOSYS here, upon which libcs and language runtimes call `clone`, which is allowed for the namespaces that clone3 made, or for none.",
            executables(clone3.executables())
        ));
    }
    let by_socketcall = profile.architectures().any(|abi| abi == Abi::I386)
        && profile.refused().all(|name| name != "socketcall");
    if by_socketcall {
        doc.paragraph("On i386, and by `int 0x80`, socket calls can be made through `socketcall`, whose arguments lie in memory: conditions on them do not bind there.");
    }
    doc.table(["Call", "Only when", "Compared", "Layers"], rows);
}

/// Calls whose arguments are recorded and are not restricted all the same.
pub(super) fn open(doc: &mut Document, profile: &SeccompProfile) {
    let rows: Vec<_> = profile
        .rules()
        .filter(|(_, rule)| rule.only().is_none())
        .filter_map(|(name, rule)| {
            let why: Vec<_> = rule.why_open().collect();
            (!why.is_empty()).then(|| [code(name), or_dash(values(rule)), why.join("; ")])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Left open: arguments");
    doc.paragraph("The profile lets these calls through with any arguments, although what they were given is recorded. `--arguments all` restricts them where that can be done, to what was seen: record what the workload does under load first.");
    doc.table(["Call", "Seen with", "Why it is open"], rows);
}

/// The values that a call was seen with.
fn values(rule: &Rule) -> String {
    /// Most that are told.
    const SHOWN: usize = 12;
    let all = rule.values();
    let shown = all.iter().take(SHOWN).map(|values| prose(values));
    let more = all.len().checked_sub(SHOWN).filter(|more| *more > 0);
    let more = more.map(|more| format!("and {more} more"));
    shown.chain(more).collect::<Vec<_>>().join("; ")
}

/// `argument 0 & 0xffffffff = 0x11`, as the filter has it.
fn compared(conditions: &Conditions) -> String {
    let one = |Condition { index, mask, value }| {
        if mask == u64::MAX {
            format!("argument {index} = {value:#x}")
        } else {
            format!("argument {index} & {mask:#x} = {value:#x}")
        }
    };
    conditions.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// The name of a call, as tables have it that do not tell for which arguments it is allowed.
pub(super) fn marked(name: &str, rule: &Rule) -> String {
    match rule.only() {
        None => code(name),
        Some(_) => format!("{} (some arguments)", code(name)),
    }
}
