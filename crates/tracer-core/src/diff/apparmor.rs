//! What one AppArmor profile says and another does not, rule by rule.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, ChangeKind, Diff, Kind, rank};
use crate::parse::{
    AppArmor, Form,
    apparmor::{Rule, Statement},
};
use syscalls::capability::Capability;

/// What changed from one AppArmor profile to another. Rules are compared as they are written: a path by
/// its text, permissions letter by letter, and one that a wider rule of the other profile covers grants
/// nothing new. Includes are not followed.
pub fn apparmor(before: &AppArmor, after: &AppArmor) -> Diff {
    let (old, new) = (Rules::of(before), Rules::of(after));
    let subjects: BTreeSet<_> = old.said.keys().chain(new.said.keys()).collect();
    let differ = subjects
        .into_iter()
        .filter_map(|subject| change(subject, &old, &new));
    let mut changes: Vec<_> = differ.collect();
    changes.sort_by_key(rank);
    Diff {
        of: Kind::AppArmor,
        changes,
        notes: notes(before, after),
    }
}

/// What rules are about: rules that say different things of one subject are one change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    /// The profile in the file; empty when each file has one.
    profile: String,
    /// The profile itself, and its flags.
    is_head: bool,
    denies: bool,
    /// The path, or the whole rule; with `audit`, `owner` and the profile of an exec.
    text: String,
}

/// What is said of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RuleMeaning {
    /// Letters; of rules without permissions none.
    permissions: BTreeSet<char>,
    /// How programs are executed, `ix`, `Px` and so on.
    exec: BTreeSet<String>,
    /// Flags of a profile.
    flags: BTreeSet<String>,
}

struct Rules<'a> {
    said: BTreeMap<Subject, RuleMeaning>,
    allowed: Vec<(String, Rule<'a>)>,
}

impl<'a> Rules<'a> {
    fn of(read: &'a AppArmor) -> Self {
        let names = names(&read.statements);
        let mut rules = Self {
            said: BTreeMap::new(),
            allowed: Vec::new(),
        };
        for statement in &read.statements {
            let profile = names.get(&statement.profile).cloned().unwrap_or_default();
            let rule = Rule::from_statement(statement);
            if statement.is_head {
                rules.head(profile, statement);
            } else {
                rules.add(&profile, &rule);
                if !rule.denies {
                    rules.allowed.push((profile, rule));
                }
            }
        }
        rules
    }

    fn head(&mut self, profile: String, head: &Statement) {
        let words = head.words.join(" ");
        let flags = words.split_once("flags=(").map_or("", |(_, rest)| rest);
        let flags = flags.split(')').next().unwrap_or_default();
        let flags = flags.split([',', ' ']).filter(|flag| !flag.is_empty());
        let subject = Subject {
            profile,
            is_head: true,
            denies: false,
            text: "the profile".to_owned(),
        };
        let said = self.said.entry(subject).or_default();
        said.flags.extend(flags.map(str::to_owned));
    }

    fn add(&mut self, profile: &str, rule: &Rule<'_>) {
        let qualifiers: BTreeSet<_> = rule
            .qualifiers
            .iter()
            .map(String::as_str)
            .filter(|it| !matches!(*it, "allow" | "deny"))
            .collect();
        let mut put = |text: &str, said: RuleMeaning| {
            let words = qualifiers.iter().copied().chain([text]);
            let subject = Subject {
                profile: profile.to_owned(),
                is_head: false,
                denies: rule.denies,
                text: words.collect::<Vec<_>>().join(" "),
            };
            let known = self.said.entry(subject).or_default();
            known.permissions.extend(said.permissions);
            known.exec.extend(said.exec);
        };
        match (rule.path, rule.words) {
            (Some(path), _) => {
                let text = std::iter::once(path).chain(rule.rest.iter().map(String::as_str));
                put(
                    &text.collect::<Vec<_>>().join(" "),
                    RuleMeaning::of(rule.permissions),
                );
            }
            (None, [kind, names @ ..]) if kind == "capability" && !names.is_empty() => {
                for name in names {
                    put(&format!("capability {name}"), RuleMeaning::default());
                }
            }
            (None, words) => put(&words.join(" "), RuleMeaning::default()),
        }
    }

    /// Whether a rule allows all that is said of a path by another.
    fn covers(&self, subject: &Subject, said: &RuleMeaning, of: &Rules<'_>) -> bool {
        let same = |(profile, rule): &&(String, Rule<'_>)| {
            *profile == subject.profile
                && rule.path.is_some_and(|path| subject.text.ends_with(path))
        };
        let Some((_, wanted)) = of.allowed.iter().find(same) else {
            return false;
        };
        let wide = self.allowed.iter().filter(|(profile, rule)| {
            *profile == subject.profile && rule.qualifiers.is_empty() && rule.covers(wanted)
        });
        let mut have = RuleMeaning::default();
        for (_, rule) in wide {
            let its = RuleMeaning::of(rule.permissions);
            have.permissions.extend(its.permissions);
            have.exec.extend(its.exec);
        }
        said.permissions.is_subset(&have.permissions) && said.exec.is_subset(&have.exec)
    }
}

impl RuleMeaning {
    fn of(permissions: &str) -> Self {
        let is_access = |c: &char| matches!(c, 'r' | 'w' | 'a' | 'm' | 'l' | 'k');
        let exec: String = permissions.chars().filter(|c| !is_access(c)).collect();
        Self {
            permissions: permissions.chars().filter(is_access).collect(),
            exec: Some(exec)
                .filter(|exec| !exec.is_empty())
                .into_iter()
                .collect(),
            flags: BTreeSet::new(),
        }
    }

    fn lines(&self) -> Vec<String> {
        if !self.flags.is_empty() {
            let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
            return vec![format!("flags=({})", flags.join(", "))];
        }
        let access = ['r', 'w', 'a', 'm', 'l', 'k'];
        let mut text: String = access
            .into_iter()
            .filter(|letter| self.permissions.contains(letter))
            .collect();
        text.extend(self.exec.iter().map(String::as_str));
        Some(text)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect()
    }

    fn has_more_than(&self, other: &Self) -> bool {
        !self.permissions.is_subset(&other.permissions) || !self.exec.is_subset(&other.exec)
    }
}

/// What profiles are called, with those around them; one that is alone has no name.
fn names(statements: &[Statement]) -> BTreeMap<usize, String> {
    let heads: Vec<_> = statements.iter().filter(|it| it.is_head).collect();
    let alone = heads.iter().filter(|head| head.outer == 0).count() == 1;
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    for head in heads {
        let outer = names.get(&head.outer).cloned().unwrap_or_default();
        let own = head.profile_name();
        let name = match (outer.as_str(), head.outer) {
            (_, 0) if alone => String::new(),
            ("", _) => own.to_owned(),
            (outer, _) => format!("{outer}//{own}"),
        };
        names.insert(head.profile, name);
    }
    names
}

fn change(subject: &Subject, old: &Rules<'_>, new: &Rules<'_>) -> Option<Change> {
    let (was, is) = (old.said.get(subject), new.said.get(subject));
    if was == is {
        return None;
    }
    let none = RuleMeaning::default();
    let (had, has) = (was.unwrap_or(&none), is.unwrap_or(&none));
    let weakens = |flag: &&String| matches!(flag.as_str(), "complain" | "unconfined");
    let grants = if subject.is_head {
        has.flags.difference(&had.flags).any(|flag| weakens(&flag))
    } else if subject.denies {
        is.is_none() || had.has_more_than(has)
    } else {
        let more = was.is_none() || has.has_more_than(had);
        more && is.is_some() && !old.covers(subject, has, new)
    };
    let allows_what = if grants && !subject.denies { has } else { had };
    Some(Change {
        headroom: None,
        call: subject.words(),
        abis: BTreeSet::new(),
        kind: match (was, is) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ if subject.is_head => ChangeKind::Action,
            _ => ChangeKind::Arguments,
        },
        grants,
        before: had.lines(),
        after: has.lines(),
        risk: known_against(subject, allows_what),
        capabilities: BTreeSet::new(),
    })
}

impl Subject {
    fn words(&self) -> String {
        let denies = if self.denies { "deny " } else { "" };
        let place = if self.profile.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.profile)
        };
        format!("{place}{denies}{}", self.text)
    }
}

/// What a rule gives to somebody who has taken over the workload.
fn known_against(subject: &Subject, said: &RuleMeaning) -> Option<&'static str> {
    let words: Vec<_> = subject.text.split(' ').collect();
    if subject.is_head {
        let weakens = said.flags.contains("complain") || said.flags.contains("unconfined");
        return weakens.then_some("complain and unconfined deny nothing");
    }
    match words.as_slice() {
        ["capability", name] => {
            return name.parse::<Capability>().ok()?.grants();
        }
        ["all"] => return Some("everything is allowed"),
        ["file"] => return Some("every access to every file"),
        ["capability"] => return Some("every capability"),
        ["network"] => return Some("every socket"),
        ["mount", ..] => return Some("a mount can put any file in the place of another"),
        ["ptrace", ..] => return Some("reads and controls other processes"),
        ["change_profile", ..] => return Some("the process can leave this profile"),
        _ => {}
    }
    let path = words.iter().find(|word| word.starts_with(['/', '@']))?;
    let writes = said.permissions.contains(&'w') || said.permissions.contains(&'a');
    let is_below = |roots: &[&str]| roots.iter().any(|root| path.starts_with(root));
    if said.exec.iter().any(|how| how.contains(['u', 'U'])) {
        return Some("a program is executed without a profile");
    }
    if writes && !said.exec.is_empty() {
        return Some("what can be written there can be executed");
    }
    if writes && is_below(&["/proc/", "/sys/", "@{PROC}", "@{sys}"]) {
        return Some("files there change the kernel or other processes");
    }
    matches!(*path, "/**" | "/*" | "/").then_some("every file")
}

fn notes(before: &AppArmor, after: &AppArmor) -> Vec<String> {
    let both = || [before, after].into_iter();
    // Tunables are variables, and no rules.
    let is_include = |it: &Statement| {
        let first = it.words.first().map(String::as_str);
        let has_rules = it.words.get(1).is_none_or(|it| !it.contains("tunables/"));
        matches!(first, Some("include" | "#include")) && has_rules
    };
    let mut notes = Vec::new();
    if both().any(|it| it.statements.iter().any(is_include)) {
        notes.push("includes are compared by name; what is in them is not".to_owned());
    }
    if before.form != after.form && both().any(|it| it.form == Form::AppArmorResource) {
        notes.push(
            "the operator adds an include of abstractions/base and denials of its own to an AppArmorProfile; they are not compared".to_owned(),
        );
    }
    if let (Some(old), Some(new)) = (&before.name, &after.name)
        && old != new
    {
        notes.push(format!("the profile {old} is called {new} now"));
    }
    notes
}
