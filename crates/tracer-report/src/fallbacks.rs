//! The layer `fallback`: which call is used instead of which, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::{escape::code, rules::list};
use tracer_core::profile::seccomp::SeccompProfile;

/// A row for each kind of work: its calls, each with the call that it is used instead of, and why they
/// grant nothing new.
pub(super) fn fallback_layer(profile: &SeccompProfile) -> Vec<[String; 2]> {
    let mut rows: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (name, reasons) in profile.fallbacks() {
        let mut whens = BTreeSet::new();
        let mut stands_for = BTreeSet::new();
        let mut family = None;
        for added in reasons {
            whens.extend(added.only.map(|only| only.when));
            let names: Vec<_> = added.stands_for.iter().map(|it| code(it)).collect();
            stands_for.insert(names.join(" with "));
            family = Some((added.family.title, added.family.grants));
        }
        let when = if whens.is_empty() {
            String::new()
        } else {
            format!(", only when {}", join(whens, "; or when "))
        };
        let call = format!("{} for {}{when}", code(name), list(stands_for));
        rows.entry(family.unwrap_or_default())
            .or_default()
            .push(call);
    }
    let row = |((title, grants), calls): ((&str, &str), Vec<String>)| {
        [calls.join("; "), format!("{title}: {grants}")]
    };
    rows.into_iter().map(row).collect()
}

fn join<'a>(items: impl IntoIterator<Item = &'a str>, between: &str) -> String {
    items.into_iter().collect::<Vec<_>>().join(between)
}
