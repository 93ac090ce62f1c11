//! The layer `fallback`: which call is used instead of which, and why.

use std::collections::BTreeSet;

use super::{escape::code, rules::list};
use tracer_core::profile::seccomp::SeccompProfile;

/// A row: each call with the one that it is used instead of. `tracer explain` says why it grants
/// nothing new.
pub(super) fn fallback_layer(profile: &SeccompProfile) -> Vec<[String; 2]> {
    let calls: Vec<_> = profile
        .fallbacks()
        .map(|(name, reasons)| {
            let mut whens = BTreeSet::new();
            let mut stands_for = BTreeSet::new();
            for added in reasons {
                whens.extend(added.only.map(|only| only.when));
                let names: Vec<_> = added.stands_for.iter().map(|it| code(it)).collect();
                stands_for.insert(names.join(" with "));
            }
            let when = if whens.is_empty() {
                String::new()
            } else {
                format!(", only when {}", join(whens, "; or when "))
            };
            format!("{} for {}{when}", code(name), list(stands_for))
        })
        .collect();
    let why = "another libc or kernel uses them for the same work; they grant nothing new";
    if calls.is_empty() {
        return Vec::new();
    }
    vec![[calls.join("; "), why.to_owned()]]
}

fn join<'a>(items: impl IntoIterator<Item = &'a str>, between: &str) -> String {
    items.into_iter().collect::<Vec<_>>().join(between)
}
