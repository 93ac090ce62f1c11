//! The calls that are allowed for some arguments only.

use super::{
    escape::{code, prose},
    markdown::Document,
    rules::list,
};
use crate::{
    profile::seccomp::{Rule, SeccompProfile},
    syscall::{
        condition::{Condition, Conditions},
        errno,
    },
};

pub(super) fn arguments(doc: &mut Document, profile: &SeccompProfile) {
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
    doc.table(["Call", "Only when", "Compared", "Layers"], rows);
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
