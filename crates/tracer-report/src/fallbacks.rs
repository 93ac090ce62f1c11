//! The layer `variant`: what stands in for what, and why.

use std::collections::BTreeSet;

use super::{escape::code, markdown::Document};
use syscalls::fallbacks::FALLBACK_GROUPS;
use tracer_core::profile::seccomp::SeccompProfile;

pub(super) fn fallback_layer(doc: &mut Document, profile: &SeccompProfile) {
    let mut families = BTreeSet::new();
    let rows: Vec<_> = profile
        .fallbacks()
        .map(|(name, reasons)| {
            let mut whens = BTreeSet::new();
            let mut stands_for = BTreeSet::new();
            let mut of = BTreeSet::new();
            for added in reasons {
                whens.extend(added.only.map(|only| only.when));
                let names: Vec<_> = added.stands_for.iter().map(|it| code(it)).collect();
                stands_for.insert(names.join(" with "));
                of.insert(added.family.title);
            }
            families.extend(of.iter().copied());
            [
                code(name),
                join(stands_for.iter().map(String::as_str), ", "),
                if whens.is_empty() {
                    "any".to_owned()
                } else {
                    format!("only when {}", join(whens, "; or when "))
                },
                join(of, ", "),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Added: `variant`");
    doc.paragraph("Another libc, or the same one on another kernel, does by these calls what the workload did by those that they stand in for. They let it do nothing new, where need be by a condition on their arguments. `--fallbacks none` leaves them out.");
    doc.table(["Call", "Stands in for", "Arguments", "Family"], rows);
    let reasons = FALLBACK_GROUPS
        .iter()
        .filter(|family| families.contains(family.title))
        .map(|family| {
            [
                family.title.to_owned(),
                family.need.to_owned(),
                family.grants.to_owned(),
            ]
        });
    doc.table(
        ["Family", "Who needs it", "Why it grants nothing new"],
        reasons,
    );
}

fn join<'a>(items: impl IntoIterator<Item = &'a str>, between: &str) -> String {
    items.into_iter().collect::<Vec<_>>().join(between)
}
