//! `tracer explain` for people.

use super::words::{phases, sighting};
use tracer_core::{
    explain::{AccessByKind, AccessExplanation, Allowed, Capability, Explanation, Seen},
    recording::plain_text::{executables, plain},
};

/// Most combinations of arguments that are shown of a call.
const MAX_SHOWN: usize = 12;

/// What is known of a call, as plain text.
pub fn explanation(it: &Explanation) -> String {
    let mut text = headline(it);
    for number in &it.numbers {
        line(
            &mut text,
            &format!("number {} on {}", number.nr, number.abi),
        );
    }
    section(&mut text, "Why");
    for reason in &it.why {
        line(&mut text, &format!("{}: {}", reason.layer, reason.text));
        for only in &reason.only {
            line(&mut text, &format!("    only when {only}"));
        }
    }
    if let Some(why_not) = &it.why_not {
        line(&mut text, why_not);
    }
    section(&mut text, "Observed");
    if it.seen.is_empty() {
        line(&mut text, "never");
    }
    for seen in &it.seen {
        told(&mut text, seen, it.instances);
    }
    section(&mut text, "What it can do");
    let known = [it.risk, it.allowed_by_argument].into_iter().flatten();
    let mut nothing = true;
    for sentence in known {
        nothing = false;
        line(&mut text, sentence);
    }
    for capability in &it.capabilities {
        nothing = false;
        line(&mut text, &takes(capability));
    }
    if nothing {
        line(&mut text, "no known risk");
    }
    section(
        &mut text,
        if it.allowed == Allowed::No {
            "Currently"
        } else {
            "Without it"
        },
    );
    for sentence in &it.without {
        line(&mut text, sentence);
    }
    text
}

/// What is known of a file, a capability, sockets or a signal, as plain text.
pub fn access_explanation(it: &AccessExplanation) -> String {
    let how = if it.allowed {
        "is allowed"
    } else {
        "is not allowed"
    };
    let mut text = format!(
        "{} {how} in the AppArmor profile of {}\n",
        plain(&it.what),
        plain(&it.workload)
    );
    section(&mut text, "Why");
    for (at, rule) in it.rules.iter().enumerate() {
        line(&mut text, &format!("{}: {}", rule.layer, plain(&rule.rule)));
        let next = it.rules.get(at + 1);
        // What holds for several rules is told once, below them.
        if next.is_some_and(|next| next.reasons == rule.reasons) {
            continue;
        }
        for reason in &rule.reasons {
            line(&mut text, &format!("    {reason}"));
        }
    }
    if let Some(why_not) = &it.why_not {
        line(&mut text, why_not);
    }
    section(&mut text, "Observed");
    if it.seen.is_empty() {
        line(&mut text, "never");
    }
    for done in &it.seen {
        access_told(&mut text, done, it.instances);
    }
    section(&mut text, "What it can do");
    for known in &it.known {
        line(&mut text, known);
    }
    if it.known.is_empty() {
        line(&mut text, "no known risk");
    }
    section(
        &mut text,
        if it.allowed {
            "Without it"
        } else {
            "Currently"
        },
    );
    for sentence in &it.without {
        line(&mut text, &plain(sentence));
    }
    text
}

fn access_told(text: &mut String, done: &AccessByKind, instances: usize) {
    let calls: Vec<_> = done.calls.iter().copied().collect();
    let by = if calls.is_empty() {
        String::new()
    } else {
        format!(", in {}", calls.join(", "))
    };
    line(text, &format!("{}{by}", plain(&done.what)));
    for by in &done.by {
        line(text, &format!("    {}", sighting(by, instances)));
        if let (Some(since), Some(until)) = (&by.since, &by.until) {
            line(
                text,
                &format!("        between {} and {}", plain(since), plain(until)),
            );
        }
    }
}

fn headline(it: &Explanation) -> String {
    let how = match it.allowed {
        Allowed::Any => "is allowed",
        Allowed::Some => "is allowed for some arguments only",
        Allowed::No => "is not allowed",
    };
    format!(
        "{} {how} in the profile of {}\n",
        it.call,
        plain(&it.workload)
    )
}

fn told(text: &mut String, seen: &Seen, instances: usize) {
    for by in &seen.by {
        line(text, &format!("{}: {}", seen.abi, sighting(by, instances)));
        if let (Some(since), Some(until)) = (&by.since, &by.until) {
            line(
                text,
                &format!("    between {} and {}", plain(since), plain(until)),
            );
        }
    }
    for given in seen.given.iter().take(MAX_SHOWN) {
        line(
            text,
            &format!(
                "with {} ({}, by {})",
                given.text,
                given.phase.as_str(),
                executables(&given.executables)
            ),
        );
    }
    let more = seen.given.len().saturating_sub(MAX_SHOWN);
    if more > 0 {
        line(
            text,
            &format!("and with {more} more; --format json has all"),
        );
    }
    if !seen.given_more.is_empty() {
        line(
            text,
            &format!(
                "not all of its arguments are known in: {}",
                phases(&seen.given_more)
            ),
        );
    }
}

fn takes(capability: &Capability) -> String {
    match capability.when {
        None => format!("requires {}", capability.name),
        Some(when) => format!("requires {} ({when})", capability.name),
    }
}

fn section(text: &mut String, title: &str) {
    text.push('\n');
    text.push_str(title);
    text.push('\n');
}

fn line(text: &mut String, what: &str) {
    text.push_str("  ");
    text.push_str(what);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::{
        explain::explain,
        profile::seccomp::{Options, fixture::mixed},
    };

    fn text(name: &str) -> String {
        explanation(&explain(&mixed(), &Options::default(), name).unwrap())
    }

    #[test]
    fn observed_call() {
        insta::assert_snapshot!(text("ptrace"));
    }

    #[test]
    fn call_in_several_layers() {
        insta::assert_snapshot!(text("openat"));
    }

    #[test]
    fn denied_call() {
        insta::assert_snapshot!(text("mount"));
    }

    #[test]
    fn hostile_path_stays_on_one_line() {
        let text = text("socketcall");
        assert!(text.contains("/opt/legacy|\\n# Approved"), "{text}");
    }
}
