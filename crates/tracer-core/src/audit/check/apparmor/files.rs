//! What can be done with files, and what that leads to.

use std::collections::BTreeMap;

use super::{
    super::super::{
        Severity,
        apparmor_policy::{FileRule, Glob, Profile, Rule, Search},
        rules,
    },
    Asked,
    dangers::{DANGERS, Danger},
    write_exec,
};

pub(super) fn check(profile: &Profile, asked: &mut Asked<'_, '_>) {
    write_exec::check(profile, asked);
    for (rule, file) in profile.files() {
        if asked.is_spent() {
            return;
        }
        if is_blanket(file) {
            blanket(profile, rule, file, asked);
        } else {
            dangers(profile, rule, file, asked);
        }
    }
}

/// Whether a rule is about every file, however it says so.
pub(super) fn is_blanket(file: &FileRule) -> bool {
    const ANY: [&[u8]; 6] = [
        b"/q",
        b"/q/w",
        b"/etc/q/w.e",
        b"/proc/q",
        b"/usr/bin/q",
        b"/home/q/w",
    ];
    ANY.iter()
        .all(|path| file.globs.iter().any(|glob| glob.matches(path)))
}

/// Dangers that a rule opens, with a path of each.
fn open<'a>(
    profile: &Profile,
    rule: &Rule,
    file: &FileRule,
    asked: &mut Asked<'_, '_>,
) -> Vec<(&'a Danger, String)> {
    let is_of_homes = file.path.as_deref().is_some_and(|it| it.contains("@{HOME"));
    let mut all = Vec::new();
    let known = asked.dangers;
    let dotted: Vec<Glob> = Glob::new("/**.*").into_iter().collect();
    for (danger, globs) in known {
        let has = match danger.letter {
            'w' => file.permissions.writes(),
            letter => file.permissions.has(letter),
        };
        if !has || (danger.of_root && is_of_homes) {
            continue;
        }
        let letter = if danger.letter == 'w' { "a" } else { "r" };
        let none: Vec<&Glob> = dotted.iter().filter(|_| danger.without_dots).collect();
        let of = (profile, &[rule][..], letter);
        if let Search::Found(path) = asked.search(&[&file.globs, globs], of, &none) {
            // /var/run is a symbolic link: only a rule that means it is about what is behind it.
            let is_meant = |glob: &Glob| glob.begins_with("/var/run/");
            if !path.starts_with("/var/run/") || file.globs.iter().any(is_meant) {
                all.push((*danger, path));
            }
        }
    }
    all
}

/// One finding for each kind of danger that a rule opens.
fn dangers(profile: &Profile, rule: &Rule, file: &FileRule, asked: &mut Asked<'_, '_>) {
    let all = open(profile, rule, file, asked);
    let mut by_rule: BTreeMap<&str, Vec<(&Danger, String)>> = BTreeMap::new();
    for (danger, path) in all {
        by_rule
            .entry(danger.rule.id)
            .or_default()
            .push((danger, path));
    }
    let has_kernel = by_rule.contains_key(rules::APPARMOR_PROC_SYS.id);
    for mut of_rule in by_rule.into_values() {
        of_rule.sort_by_key(|(danger, _)| std::cmp::Reverse(danger.severity));
        let Some((first, path)) = of_rule.first() else {
            continue;
        };
        let verb = if of_rule.iter().any(|(danger, _)| danger.letter == 'w') {
            "written"
        } else {
            "read"
        };
        let message = format!("{path} can be {verb}: {}", first.gain);
        let more = of_rule.iter().skip(1);
        let more: Vec<_> = more
            .map(|(danger, path)| format!("{path}: {}", danger.gain))
            .collect();
        asked
            .add(first.rule, rule, message)
            .severity(first.severity)
            .evidence(more);
    }
    if !has_kernel {
        proc_and_sys(rule, file, asked);
    }
}

/// Other files of the kernel that can be written.
fn proc_and_sys(rule: &Rule, file: &FileRule, asked: &mut Asked<'_, '_>) {
    let Some(path) = file.path.as_deref() else {
        return;
    };
    let is_there = |glob: &Glob| glob.begins_with("/proc/") || glob.begins_with("/sys/");
    if !file.permissions.writes() || !file.globs.iter().any(is_there) {
        return;
    }
    let below = ["/proc/", "@{PROC}/", "@{PROC}"]
        .iter()
        .find_map(|root| path.strip_prefix(root));
    // What a process writes of itself.
    let is_own = below.is_some_and(|below| {
        [
            "@{pid}/",
            "@{pids}/",
            "self/",
            "thread-self/",
            "[0-9]*/",
            "*/",
        ]
        .iter()
        .any(|own| below.starts_with(own))
    });
    asked
        .add(
            &rules::APPARMOR_PROC_SYS,
            rule,
            format!("{path} can be written"),
        )
        .severity(if is_own {
            Severity::Low
        } else {
            Severity::Medium
        });
}

/// A rule about every file.
fn blanket(profile: &Profile, rule: &Rule, file: &FileRule, asked: &mut Asked<'_, '_>) {
    if !file.permissions.writes() {
        return;
    }
    let open = open(profile, rule, file, asked);
    let text = &rule.text;
    let message = match file.path {
        Some(_) => format!("`{text}` lets every file be written"),
        None => format!("`{text},` allows every access to every file"),
    };
    let severity = blanket_severity(&open);
    let evidence = open
        .iter()
        .map(|(danger, path)| format!("{path}: {}", danger.gain));
    asked
        .add(&rules::APPARMOR_ALLOWS_EVERYTHING, rule, message)
        .severity(severity)
        .evidence(evidence);
}

/// No more than the runtimes' own default leaves open is no worse than the default.
fn blanket_severity(open: &[(&Danger, String)]) -> Severity {
    let is_more = |(danger, _): &(&Danger, String)| !danger.by_default;
    if open.iter().any(is_more) {
        Severity::High
    } else {
        Severity::Medium
    }
}

/// Whether a profile has a rule about every file and denies what the runtimes' default denies.
pub(super) fn is_as_default(profile: &Profile, asked: &mut Asked<'_, '_>) -> bool {
    let blankets: Vec<_> = profile
        .files()
        .filter(|(_, file)| is_blanket(file) && file.permissions.writes())
        .collect();
    !blankets.is_empty()
        && profile.of_keyword("mount").next().is_none()
        && blankets.iter().all(|(rule, file)| {
            let open = open(profile, rule, file, asked);
            blanket_severity(&open) == Severity::Medium
        })
}

/// The dangers with their patterns.
pub(super) fn compiled() -> Vec<(&'static Danger, Vec<Glob>)> {
    let globs = |danger: &Danger| danger.paths.iter().filter_map(|path| Glob::new(path).ok());
    DANGERS
        .iter()
        .map(|danger| (danger, globs(danger).collect()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_danger_has_valid_patterns() {
        for (danger, globs) in compiled() {
            assert_eq!(globs.len(), danger.paths.len(), "{:?}", danger.paths);
        }
    }
}
