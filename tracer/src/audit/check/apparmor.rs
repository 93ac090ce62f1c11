//! AppArmor text.

use super::super::{
    Findings, Severity,
    read::{
        Input,
        apparmor::{self, Statement},
    },
    rules,
};

pub(in super::super) fn check(input: &Input, out: &mut Findings<'_>) {
    let statements = apparmor::read(input.text());
    let rules: Vec<_> = statements.iter().map(Rule::of).collect();
    heads(&statements, out);
    for rule in &rules {
        blanket(rule, out);
        unconfined_exec(rule, out);
        proc_and_sys(rule, out);
    }
    let allowed = || rules.iter().filter(|rule| !rule.denies);
    for rule in allowed().filter(|rule| rule.writes()) {
        let same = |other: &&Rule<'_>| {
            other.executes()
                && other.statement.profile == rule.statement.profile
                && rule.covers(other)
        };
        if let Some(other) = allowed().find(same) {
            let path = other.path.unwrap_or_default();
            out.add(
                &rules::APPARMOR_WRITE_EXEC,
                rule.statement.span.clone(),
                format!("{path} can be written and executed"),
            );
        }
    }
    for deny in rules.iter().filter(|rule| rule.denies) {
        let same = |other: &&Rule<'_>| {
            other.statement.profile == deny.statement.profile && deny.takes_back(other)
        };
        if let Some(other) = allowed().find(same) {
            out.add(
                &rules::APPARMOR_DENY_OVERLAP,
                deny.statement.span.clone(),
                format!("this takes back `{}`", other.statement.words.join(" ")),
            );
        }
    }
}

/// A rule by its parts.
struct Rule<'a> {
    statement: &'a Statement,
    denies: bool,
    /// The words behind the qualifiers.
    words: &'a [String],
    path: Option<&'a str>,
    permissions: &'a str,
}

impl<'a> Rule<'a> {
    fn of(statement: &'a Statement) -> Self {
        let is_qualifier = |word: &String| {
            matches!(
                word.as_str(),
                "audit" | "deny" | "allow" | "owner" | "quiet" | "other"
            )
        };
        let count = statement
            .words
            .iter()
            .take_while(|word| is_qualifier(word))
            .count();
        let (qualifiers, words) = statement.words.split_at(count);
        let mut rule = Self {
            statement,
            denies: qualifiers.iter().any(|word| word == "deny"),
            words,
            path: None,
            permissions: "",
        };
        let file = match words.split_first() {
            Some((first, rest)) if first == "file" && !rest.is_empty() => rest,
            _ => words,
        };
        // `PATH PERMISSIONS` or `PERMISSIONS PATH`, and perhaps a target behind an arrow.
        if let [first, second, ..] = file
            && !statement.is_head
        {
            if is_path(first) && is_permissions(second) {
                (rule.path, rule.permissions) = (Some(first.as_str()), second);
            } else if is_path(second) && is_permissions(first) {
                (rule.path, rule.permissions) = (Some(second.as_str()), first);
            }
        }
        rule
    }

    fn writes(&self) -> bool {
        self.path.is_some() && self.permissions.contains(['w', 'a'])
    }

    fn executes(&self) -> bool {
        self.path.is_some() && self.permissions.contains('x')
    }

    /// Whether a path of another rule is one of this one's, as far as can be told from the texts.
    fn covers(&self, other: &Self) -> bool {
        let (Some(own), Some(its)) = (self.path, other.path) else {
            return false;
        };
        own == its
            || own
                .strip_suffix("**")
                .is_some_and(|before| its.len() > before.len() && its.starts_with(before))
    }

    /// Whether this one, a deny rule, denies something that another allows in so many words.
    fn takes_back(&self, other: &Self) -> bool {
        if self.path.is_some() {
            let both = |c: char| other.permissions.contains(c);
            return self.covers(other) && self.permissions.contains(both);
        }
        let kind = self.words.first().map(String::as_str);
        matches!(kind, Some("capability" | "network"))
            && other.words.first() == self.words.first()
            && other.words.len() > 1
            && (self.words.len() == 1 || self.words == other.words)
    }
}

fn is_path(word: &str) -> bool {
    word.starts_with('/')
        || word.starts_with("@{")
        || word.starts_with("{/")
        || word.starts_with("**")
}

fn is_permissions(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| "rwamlkxipPcCuU".contains(c))
}

fn heads(statements: &[Statement], out: &mut Findings<'_>) {
    let heads: Vec<_> = statements.iter().filter(|it| it.is_head).collect();
    let has_abi = statements
        .iter()
        .any(|it| it.words.first().is_some_and(|word| word == "abi"));
    if let Some(first) = heads.first().filter(|_| !has_abi) {
        out.add(
            &rules::APPARMOR_NO_ABI,
            first.span.clone(),
            "no abi is given",
        );
    }
    for head in heads {
        let flags = head.words.join(" ");
        let is_flag = |flag: &str| {
            flags.split_once("flags=(").is_some_and(|(_, rest)| {
                let rest = rest.split(')').next().unwrap_or_default();
                rest.split([',', ' ']).any(|it| it == flag)
            })
        };
        if is_flag("complain") {
            out.add(
                &rules::APPARMOR_COMPLAIN,
                head.span.clone(),
                "flags has complain",
            );
        }
        if is_flag("unconfined") {
            out.add(
                &rules::APPARMOR_COMPLAIN,
                head.span.clone(),
                "flags has unconfined",
            )
            .severity(Severity::High)
            .mend("take unconfined out of flags");
        }
    }
}

fn blanket(rule: &Rule<'_>, out: &mut Findings<'_>) {
    let [word] = rule.words else {
        // `/** rwlkmix` says as much as `file,`.
        let all = matches!(rule.path, Some("/**" | "/{,**}" | "**"));
        if all && !rule.denies && rule.writes() && !rule.statement.is_head {
            let text = rule.statement.words.join(" ");
            let message = format!("`{text}` lets every file be written");
            out.add(
                &rules::APPARMOR_BLANKET,
                rule.statement.span.clone(),
                message,
            );
        }
        return;
    };
    if rule.denies || rule.statement.is_head {
        return;
    }
    let (what, severity) = match word.as_str() {
        "all" => ("everything", Severity::High),
        "file" => ("every access to every file", Severity::High),
        "capability" => ("every capability", Severity::High),
        "network" => ("every socket", Severity::Medium),
        "mount" => ("every mount", Severity::High),
        "ptrace" => ("reading and controlling every process", Severity::Medium),
        _ => return,
    };
    out.add(
        &rules::APPARMOR_BLANKET,
        rule.statement.span.clone(),
        format!("`{word},` allows {what}"),
    )
    .severity(severity);
}

fn unconfined_exec(rule: &Rule<'_>, out: &mut Findings<'_>) {
    if rule.denies || !rule.executes() || !rule.permissions.contains(['u', 'U']) {
        return;
    }
    let path = rule.path.unwrap_or_default();
    let is_fallback = rule.permissions.contains(['p', 'P', 'c', 'C']);
    let message = if is_fallback {
        format!("{path} runs unconfined when it has no profile")
    } else {
        format!("{path} runs unconfined")
    };
    out.add(
        &rules::APPARMOR_UNCONFINED_EXEC,
        rule.statement.span.clone(),
        message,
    )
    .severity(if is_fallback {
        Severity::Medium
    } else {
        Severity::High
    });
}

fn proc_and_sys(rule: &Rule<'_>, out: &mut Findings<'_>) {
    let path = rule.path.unwrap_or_default();
    let is_there = ["/proc/", "/sys/", "@{PROC}/", "@{sys}/"]
        .iter()
        .find_map(|root| path.strip_prefix(root));
    let Some(below) = is_there.filter(|_| !rule.denies && rule.writes()) else {
        return;
    };
    // What a process writes of itself.
    let is_own = ["@{pid}/", "self/", "thread-self/", "@{pids}/"]
        .iter()
        .any(|own| below.starts_with(own));
    out.add(
        &rules::APPARMOR_PROC_SYS,
        rule.statement.span.clone(),
        format!("{path} can be written"),
    )
    .severity(if is_own {
        Severity::Low
    } else {
        Severity::High
    });
}
