//! What deny rules take back, and what they do not reach.

use super::{
    super::super::{
        Severity,
        apparmor_policy::{FileRule, Glob, Profile, Rule, Search, What},
        rules,
    },
    Asked, files,
};

pub(super) fn check(profile: &Profile, asked: &mut Asked<'_, '_>) {
    overlaps(profile, asked);
    let wide: Vec<(&Rule, &FileRule)> = profile
        .files()
        .filter(|(_, file)| files::is_blanket(file))
        .collect();
    let allows_all = is_open(profile);
    let denials: Vec<(&Rule, &FileRule)> = profile
        .rules
        .iter()
        .filter(|rule| rule.qualifiers.denies)
        .filter_map(|rule| Some((rule, rule.file()?)))
        .filter(|(_, file)| !files::is_blanket(file))
        .collect();
    if denials.is_empty() {
        return;
    }
    by_rename(profile, &denials, asked);
    if !allows_all && wide.is_empty() {
        return;
    }
    by_mount(profile, &denials, allows_all, asked);
    by_link(profile, &denials, asked);
    for (rule, file) in &denials {
        if asked.is_spent() {
            return;
        }
        other_name(profile, rule, file, asked);
        for_owners(rule, asked);
        by_copy(profile, (rule, file), &wide, asked);
    }
}

/// Whether a profile allows what no rule denies.
fn is_open(profile: &Profile) -> bool {
    ["default_allow", "allow_all"]
        .iter()
        .any(|flag| profile.has_flag(flag))
        || profile.of_keyword("all").next().is_some()
}

/// Deny rules that take back what another rule allows in so many words.
fn overlaps(profile: &Profile, asked: &mut Asked<'_, '_>) {
    for deny in profile.rules.iter().filter(|rule| rule.qualifiers.denies) {
        let mut allowing = profile.allowing();
        let same = allowing.find(|other| takes_back(deny, other));
        if let Some(other) = same {
            asked.add(
                &rules::APPARMOR_DENY_OVERLAP,
                deny,
                format!("this revokes `{}`", other.text),
            );
        }
    }
}

fn takes_back(deny: &Rule, other: &Rule) -> bool {
    // What somebody else's file allows is often denied on purpose.
    if other.from.is_some() || deny.from.is_some() {
        return false;
    }
    if other.qualifiers.priority > deny.qualifiers.priority {
        return false;
    }
    match (&deny.what, &other.what) {
        (What::File(deny), What::File(other)) => {
            let both = "rwalkmx"
                .chars()
                .any(|it| deny.permissions.has(it) && other.permissions.has(it));
            let is_whole = match (&deny.path, &other.path) {
                (Some(deny), Some(other)) => covers(deny, other),
                _ => false,
            };
            both && is_whole
        }
        (What::Other(deny), What::Other(other)) => {
            matches!(deny.keyword, "capability" | "network")
                && deny.keyword == other.keyword
                && !other.words.is_empty()
                && (deny.words.is_empty() || deny.words == other.words)
        }
        _ => false,
    }
}

/// Whether all paths of one pattern are of another, by their texts.
fn covers(own: &str, its: &str) -> bool {
    own == its
        || own
            .strip_suffix("**")
            .is_some_and(|before| its.len() > before.len() && its.starts_with(before))
}

/// A file system that is mounted a second time has its files under other paths.
fn by_mount(
    profile: &Profile,
    denials: &[(&Rule, &FileRule)],
    allows_all: bool,
    asked: &mut Asked<'_, '_>,
) {
    let is_wide = profile.of_keyword("mount").any(|(_, parts)| {
        let bind = ["bind", "rbind", "move"];
        parts.conditions.is_empty() || parts.condition("options").any(|it| bind.contains(&it))
    });
    let denies_mount = profile.rules.iter().any(|rule| {
        rule.qualifiers.denies
            && rule
                .parts("mount")
                .is_some_and(|parts| parts.words.is_empty() && parts.conditions.is_empty())
    });
    if !(is_wide || (allows_all && !denies_mount)) {
        return;
    }
    let Some((first, file)) = denials.first() else {
        return;
    };
    let path = file.path.clone().unwrap_or_default();
    asked
        .add(
            &rules::APPARMOR_DENY_BYPASS,
            first,
            format!("{path} is denied under this path alone; mounted at another, it is open"),
        )
        .severity(Severity::High)
        .fix("Add `deny mount,`, or allow only the mounts that are needed.")
        .evidence(others(denials));
}

/// What else of the profile a finding is about.
fn others(denials: &[(&Rule, &FileRule)]) -> Vec<String> {
    const MOST: usize = 8;
    let rest = denials.iter().skip(1);
    let mut all: Vec<_> = rest
        .filter_map(|(_, file)| Some(format!("so is {}", file.path.as_ref()?)))
        .collect();
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

/// File systems in which nothing can be renamed.
const FIXED: [&str; 3] = ["/proc/", "/sys/", "/dev/"];

/// A directory that is renamed takes its files to other paths.
fn by_rename(profile: &Profile, denials: &[(&Rule, &FileRule)], asked: &mut Asked<'_, '_>) {
    let all: Vec<(&Rule, &FileRule)> = denials
        .iter()
        .filter(|(rule, file)| movable(profile, (rule, file), asked).is_some())
        .copied()
        .collect();
    let Some((first, file)) = all.first() else {
        return;
    };
    let path = file.path.clone().unwrap_or_default();
    let directory = movable(profile, (first, file), asked).unwrap_or_default();
    asked
        .add(
            &rules::APPARMOR_DENY_BYPASS,
            first,
            format!("{path} is denied by its name alone; renaming {directory} gives it another"),
        )
        .evidence(others(&all));
}

/// A directory above a denied file that can be renamed, the nearest first.
fn movable(
    profile: &Profile,
    (denial, file): (&Rule, &FileRule),
    asked: &mut Asked<'_, '_>,
) -> Option<String> {
    if asked.is_spent() || !(file.permissions.has('r') || file.permissions.writes()) {
        return None;
    }
    let prefix = file.globs.first()?.fixed_beginning();
    if FIXED.iter().any(|fixed| prefix.starts_with(fixed)) {
        return None;
    }
    let ends = prefix.match_indices('/').map(|(at, _)| at + 1).skip(1);
    let mut directories: Vec<&str> = ends.filter_map(|end| prefix.get(..end)).collect();
    directories.reverse();
    directories
        .into_iter()
        .find(|directory| {
            let Ok(glob) = Glob::new(directory) else {
                return false;
            };
            let globs = [glob];
            profile.files().any(|(rule, wide)| {
                let renames = wide.permissions.write && wide.permissions.read;
                // Of narrow rules only the profile's own are compared: files that many profiles include deny
                // something of what they each allow.
                let is_own = rule.from.is_none() && denial.from.is_none();
                if !renames || !(is_own || files::is_blanket(wide)) {
                    return false;
                }
                let of = (profile, &[rule][..], "wr");
                matches!(
                    asked.search(&[&wide.globs, &globs], of, &[]),
                    Search::Found(_)
                )
            })
        })
        .map(str::to_owned)
}

/// A hard link is another name. The kernel lets `l` make links that allow no more than the file does
/// (security/apparmor/file.c, `profile_path_link`); a link rule without `subset` has no such limit.
fn by_link(profile: &Profile, denials: &[(&Rule, &FileRule)], asked: &mut Asked<'_, '_>) {
    let is_link = |rule: &&Rule| matches!(&rule.what, What::Link { subset: false, .. });
    let Some(link) = profile.allowing().find(is_link) else {
        return;
    };
    let What::Link { targets, .. } = &link.what else {
        return;
    };
    for (rule, file) in denials {
        let found = asked.search(&[targets, &file.globs], (profile, &[], ""), &[]);
        let is_fixed = file
            .globs
            .iter()
            .any(|glob| FIXED.iter().any(|fixed| glob.begins_with(fixed)));
        if let (Search::Found(path), false) = (found, is_fixed) {
            asked
                .add(
                    &rules::APPARMOR_DENY_BYPASS,
                    rule,
                    format!(
                        "{path} is denied by its name alone; `{}` gives it another",
                        link.text
                    ),
                )
                .severity(Severity::High)
                .fix("Write `link subset`, so that a link allows no more than its file.");
            return;
        }
    }
}

/// Directories that are symbolic links in most systems: the kernel asks about where they lead.
const LINKS: [(&str, &str); 6] = [
    ("/var/run/", "/run/"),
    ("/var/lock/", "/run/lock/"),
    ("/bin/", "/usr/bin/"),
    ("/sbin/", "/usr/sbin/"),
    ("/lib/", "/usr/lib/"),
    ("/lib64/", "/usr/lib64/"),
];

/// A denial of a symbolic link's path denies nothing where the link is one.
fn other_name(profile: &Profile, rule: &Rule, file: &FileRule, asked: &mut Asked<'_, '_>) {
    let Some(path) = file.path.as_deref() else {
        return;
    };
    let Some((link, place)) = LINKS.iter().find(|(link, _)| path.starts_with(link)) else {
        return;
    };
    let real = path.replacen(link, place, 1);
    let globs = asked.policy.paths(&real, &profile.name);
    let letters = "rwx".chars().filter(|it| file.permissions.has(*it));
    for letter in letters {
        for (other, wide) in profile.files() {
            if !wide.permissions.has(letter) {
                continue;
            }
            let letter = letter.to_string();
            let of = (profile, &[other][..], letter.as_str());
            if let Search::Found(path) = asked.search(&[&wide.globs, &globs], of, &[]) {
                let message = format!(
                    "{link} is a symbolic link on most systems, and {path} is open: the kernel asks about that name"
                );
                asked
                    .add(&rules::APPARMOR_DENY_BYPASS, rule, message)
                    .fix(format!("Deny {real}, too."));
                return;
            }
        }
    }
}

/// A denial for owners does not bind those who are not.
fn for_owners(rule: &Rule, asked: &mut Asked<'_, '_>) {
    if rule.qualifiers.owner {
        asked
            .add(
                &rules::APPARMOR_DENY_BYPASS,
                rule,
                "only the file's owner is denied; root, who does not own it, is not".to_owned(),
            )
            .fix("Remove owner from the deny rule.");
    }
}

/// A program that may be read may be copied to where it may be executed, or mapped.
fn by_copy(
    profile: &Profile,
    (rule, file): (&Rule, &FileRule),
    wide: &[(&Rule, &FileRule)],
    asked: &mut Asked<'_, '_>,
) {
    let is_fixed = |glob: &Glob| FIXED.iter().any(|fixed| glob.begins_with(fixed));
    if file.permissions.execute.is_none()
        || file.permissions.read
        || file.globs.iter().any(is_fixed)
    {
        return;
    }
    let is_copy = |(_, it): &&(&Rule, &FileRule)| {
        it.permissions.read && it.permissions.writes() && it.permissions.execute.is_some()
    };
    if let Some((other, everywhere)) = wide.iter().find(is_copy) {
        let of = (profile, &[*other][..], "r");
        if let Search::Found(path) = asked.search(&[&everywhere.globs, &file.globs], of, &[]) {
            asked
                .add(
                    &rules::APPARMOR_DENY_BYPASS,
                    rule,
                    format!("{path} cannot be executed, but its copy under another name can"),
                )
                .fix("Deny r and m as well, and allow execution by name alone.");
        }
    }
}
