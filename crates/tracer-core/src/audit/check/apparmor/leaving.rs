//! How a process comes out of its profile: by executing a program, and by asking.

use std::collections::BTreeMap;

use super::{
    super::super::{
        Severity,
        apparmor_policy::{Execute, FileRule, Glob, Profile, Rule, Search},
        rules,
    },
    Asked, files,
};

pub(super) fn check(profile: &Profile, asked: &mut Asked<'_, '_>) {
    let mut weak: BTreeMap<String, Vec<(&Rule, String)>> = BTreeMap::new();
    for (rule, file) in profile.files() {
        if asked.is_spent() {
            break;
        }
        if let Some(execute) = file.permissions.execute {
            unconfined(rule, file, execute, asked);
            for (other, message) in weaker(profile, file, execute, asked) {
                weak.entry(other).or_default().push((rule, message));
            }
        }
    }
    for of_other in weak.into_values() {
        let mut of_other = of_other.into_iter();
        if let Some((rule, message)) = of_other.next() {
            let evidence: Vec<_> = of_other
                .map(|(rule, _)| format!("`{}`", rule.text))
                .collect();
            asked
                .add(&rules::APPARMOR_WEAKER_TRANSITION, rule, message)
                .evidence(evidence);
        }
    }
    change_profile(profile, asked);
}

fn unconfined(rule: &Rule, file: &FileRule, execute: Execute, asked: &mut Asked<'_, '_>) {
    let Some(path) = file.path.as_deref().filter(|_| execute.unconfined) else {
        return;
    };
    let is_fallback = execute.profile || execute.child;
    let (message, severity) = if is_fallback {
        (
            format!("{path} runs unconfined when it has no profile"),
            Severity::Medium,
        )
    } else {
        (format!("{path} runs unconfined"), Severity::High)
    };
    let keeps = execute.keeps_environment.then(|| {
        "a small letter keeps the environment: LD_PRELOAD loads a library of the caller's choice"
            .to_owned()
    });
    asked
        .add(&rules::APPARMOR_UNCONFINED_EXEC, rule, message)
        .severity(severity)
        .evidence(keeps);
}

/// Profiles of the same file that confine nothing and that programs run under, with a sentence of each.
fn weaker(
    profile: &Profile,
    file: &FileRule,
    execute: Execute,
    asked: &mut Asked<'_, '_>,
) -> Vec<(String, String)> {
    if !(execute.profile || execute.child) {
        return Vec::new();
    }
    let own: Vec<String> = match &file.target {
        Some(target) if execute.child => vec![format!("{}//{target}", profile.name)],
        Some(target) => vec![target.clone()],
        None => Vec::new(),
    };
    let all = asked.policy.profiles.iter();
    let candidates = all.filter(|other| {
        let attaches = || match file.target {
            Some(_) => own.contains(&other.name),
            None => {
                let is_near = if execute.child {
                    other.parent.is_some_and(|at| asked.is_at(at, profile))
                } else {
                    other.parent.is_none()
                };
                let short = other.name.rsplit("//").next().unwrap_or_default();
                is_near && short.starts_with(['/', '@', '{'])
            }
        };
        other.name != profile.name && attaches()
    });
    let candidates: Vec<&Profile> = candidates.collect();
    let mut weak = Vec::new();
    for other in candidates {
        if file.target.is_none() {
            let short = other.name.rsplit("//").next().unwrap_or_default();
            let globs = asked.policy.paths(short, &other.name);
            let none: [&Glob; 0] = [];
            if !matches!(
                asked.search(&[&file.globs, &globs], (profile, &[], ""), &none),
                Search::Found(_)
            ) {
                continue;
            }
        }
        if let Some(why) = weakness(other) {
            let path = file.path.as_deref().unwrap_or("every program");
            let message = format!("{path} runs under {}, {why}", other.name);
            weak.push((other.name.clone(), message));
        }
    }
    weak
}

/// Why a profile confines nothing.
fn weakness(profile: &Profile) -> Option<&'static str> {
    if profile.has_flag("unconfined") {
        return Some("which is unconfined");
    }
    if profile.has_flag("complain") {
        return Some("which is in complain mode");
    }
    if profile.has_flag("default_allow") || profile.has_flag("allow_all") {
        return Some("which allows by default");
    }
    if profile.of_keyword("all").next().is_some() {
        return Some("which allows everything");
    }
    let is_open =
        |(_, file): (&Rule, &FileRule)| files::is_blanket(file) && file.permissions.writes();
    profile
        .files()
        .any(is_open)
        .then_some("which lets every file be written")
}

/// Rules by which the process may choose another profile for itself.
fn change_profile(profile: &Profile, asked: &mut Asked<'_, '_>) {
    for (rule, parts) in profile.of_keyword("change_profile") {
        let target = parts.target.as_deref();
        let labels = match target {
            Some(target) => asked.policy.labels(target, &profile.name),
            None => Glob::new("**").into_iter().collect(),
        };
        let reaches = |label: &str| labels.iter().any(|glob| glob.matches(label.as_bytes()));
        if reaches("unconfined") {
            let message = match target {
                Some(target) => {
                    format!("the process may choose {target} for itself, and `unconfined` is one")
                }
                None => {
                    "the process may choose any profile for itself, and `unconfined`".to_owned()
                }
            };
            let message = match target {
                Some("unconfined") => "the process may become unconfined when it likes".to_owned(),
                _ => message,
            };
            asked.add(&rules::APPARMOR_CHANGE_PROFILE, rule, message);
            continue;
        }
        let others = asked.policy.profiles.iter();
        let weak = others
            .filter(|other| other.name != profile.name && reaches(&other.name))
            .find_map(|other| Some((other.name.clone(), weakness(other)?)));
        if let Some((name, why)) = weak {
            asked
                .add(
                    &rules::APPARMOR_CHANGE_PROFILE,
                    rule,
                    format!("the process may choose {name} for itself, {why}"),
                )
                .severity(Severity::Medium);
        }
    }
}
