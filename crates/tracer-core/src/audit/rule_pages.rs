//! The documents about the rules: a page for each, and one that lists them.

use super::{
    Severity,
    rules::{self, Rule, RuleGroup},
};

/// The documents, each with its path below `docs/`.
///
/// ```
/// let pages = tracer_core::audit::rule_pages::all();
/// assert!(pages.iter().any(|(path, _)| path == "audit-rules.md"));
/// assert!(pages.iter().any(|(path, text)| path == "rules/io-uring.md" && text.starts_with("# io-uring\n")));
/// ```
pub fn all() -> Vec<(String, String)> {
    let page = |rule: &&Rule| (format!("rules/{}.md", rule.id), page(rule));
    let index = ("audit-rules.md".to_owned(), index());
    [index]
        .into_iter()
        .chain(rules::ALL.iter().map(page))
        .collect()
}

/// The book's table of contents with these rules below the page that lists them, in place of those that it had.
pub fn with_rules(summary: &str) -> String {
    let is_rule = |line: &&str| line.trim_start().starts_with("- [") && line.contains("](rules/");
    let mut out = String::new();
    for line in summary.lines().filter(|line| !is_rule(line)) {
        out += line;
        out.push('\n');
        if line.ends_with("](audit-rules.md)") {
            let depth = line.len() - line.trim_start().len() + 2;
            for rule in rules::ALL {
                out += &format!("{:depth$}- [{}](rules/{}.md)\n", "", rule.id, rule.id);
            }
        }
    }
    out
}

fn index() -> String {
    let mut index = "# Rules of `tracer audit`\n\nEach rule has a page; `tracer audit --explain ID` prints it. A finding may be more or less severe than its rule, since cases differ.\n".to_owned();
    for family in RuleGroup::ALL {
        index += &format!(
            "\n## {}\n\n| rule | severity | finds |\n| --- | --- | --- |\n",
            family.title()
        );
        for rule in rules::ALL.iter().filter(|rule| rule.family == family) {
            let Rule {
                id,
                severity,
                title,
                ..
            } = rule;
            index += &format!(
                "| [{id}](rules/{id}.md) | {} | {title} |\n",
                severity.as_str()
            );
        }
    }
    index
}

fn page(rule: &Rule) -> String {
    let Rule {
        id,
        severity,
        title,
        explanation,
        fix,
        family,
    } = rule;
    let mut page = format!(
        "# {id}\n\n**{}** {title}\n\n{explanation}\n\n## How to fix\n\n{fix}\n\n## How to ignore\n\nIf a finding is right as it is, say so where the next reader sees it: `# tracer:ignore {id} REASON` in YAML and in AppArmor profiles, `--ignore {id}` elsewhere.\n",
        capital(*severity)
    );
    let old: Vec<String> = rules::old_names(id).map(|it| format!("`{it}`")).collect();
    if !old.is_empty() {
        page += &format!("\nOld names that still work: {}.\n", old.join(", "));
    }
    page + &format!("\n[All rules](../audit-rules.md) · {}\n", family.title())
}

fn capital(severity: Severity) -> String {
    let name = severity.as_str();
    let (first, rest) = name.split_at(1);
    format!("{}{rest}.", first.to_uppercase())
}
