//! AppArmor text.

use super::{
    super::{Findings, Severity, rules},
    legacy,
};
use crate::parse::{
    AppArmor, Form,
    apparmor::{Rule, Statement, is_known},
};

pub(in super::super) fn check(read: &AppArmor, out: &mut Findings<'_>) {
    let rules: Vec<_> = read.statements.iter().map(Rule::from_statement).collect();
    heads(read, out);
    if let Some(object) = &read.object {
        legacy::old_resource(object, out);
    }
    not_understood(read, out);
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
                && (rule.covers(other) || other.covers(rule))
        };
        if let Some(other) = allowed().find(same) {
            // The narrower of the two.
            let narrow = if rule.covers(other) { other } else { rule };
            let path = narrow.path.unwrap_or_default();
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
                format!("this revokes `{}`", other.statement.words.join(" ")),
            );
        }
    }
}

fn not_understood(read: &AppArmor, out: &mut Findings<'_>) {
    for statement in read.statements.iter().filter(|it| !is_known(it)) {
        let text = statement.words.join(" ");
        let message = format!("`{text}` was not understood, and not audited");
        out.add(
            &rules::APPARMOR_NOT_UNDERSTOOD,
            statement.span.clone(),
            message,
        );
    }
}

fn heads(read: &AppArmor, out: &mut Findings<'_>) {
    let heads: Vec<_> = read.statements.iter().filter(|it| it.is_head).collect();
    let is_abi = |it: &Statement| it.words.first().is_some_and(|word| word == "abi");
    // The operator writes the text of an object.
    let has_abi = read.form != Form::AppArmor || read.statements.iter().any(is_abi);
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
            .fix("remove unconfined from flags");
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
                &rules::APPARMOR_ALLOWS_EVERYTHING,
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
        &rules::APPARMOR_ALLOWS_EVERYTHING,
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
