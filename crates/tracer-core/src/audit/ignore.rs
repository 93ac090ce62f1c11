//! Findings that a comment in the file takes back: `# tracer:ignore RULE reason`.
//!
//! A comment at the end of a line is for that line; one on a line of its own is for the next line that is
//! no comment. `tracer:ignore-file` is for the whole file. A reason has to be given.

use super::{Findings, Input, rules};

/// What begins such a comment.
const MARK: &str = "tracer:ignore";

/// A comment.
struct Comment {
    /// The rule.
    id: &'static str,
    /// The line that it is for, from 1; `None`: all.
    line: Option<usize>,
}

/// Takes back what comments say. Returns how many findings are gone.
pub(super) fn by_comments(input: &Input, findings: &mut Findings<'_>) -> usize {
    if !input.text().contains(MARK) {
        return 0;
    }
    let mut comments = Vec::new();
    let lines: Vec<&str> = input.text().split('\n').collect();
    let mut offset = 0;
    for (at, line) in lines.iter().enumerate() {
        match read(&lines, at, line) {
            Some(Ok(comment)) => comments.push(comment),
            Some(Err(why)) => {
                let start = offset + line.find(MARK).unwrap_or_default();
                findings.add(
                    &rules::UNCLEAR_IGNORE,
                    start..offset + line.trim_end().len(),
                    why,
                );
            }
            None => {}
        }
        offset += line.len() + 1;
    }
    findings.retain(|finding| {
        let lines = finding.place.line..=finding.place.line;
        !comments.iter().any(|comment| {
            comment.id == finding.id && comment.line.is_none_or(|line| lines.contains(&line))
        })
    })
}

/// The comment of a line, if it has one.
fn read(lines: &[&str], at: usize, line: &str) -> Option<Result<Comment, String>> {
    let (before, rest) = line.split_once(MARK)?;
    let before = before.trim_end();
    // The forms that have comments: YAML and AppArmor, and JSON as some readers take it.
    let before = before
        .strip_suffix('#')
        .or_else(|| before.strip_suffix("//"))?;
    let (is_file, rest) = match rest.strip_prefix("-file") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let mut words = rest.split_whitespace();
    let name = words.next().unwrap_or_default();
    let Some(rule) = rules::named(name) else {
        return Some(Err(format!("{MARK} names no rule: {name:?}")));
    };
    if words.next().is_none() {
        return Some(Err(format!(
            "{MARK} {name} gives no reason, so it does nothing"
        )));
    }
    let next = || {
        let is_comment = |line: &&&str| {
            line.trim_start().starts_with(['#']) || line.trim_start().starts_with("//")
        };
        let after = lines.iter().skip(at + 1);
        at + 2 + after.take_while(is_comment).count()
    };
    let line = match (is_file, before.trim().is_empty()) {
        (true, _) => None,
        (false, true) => Some(next()),
        (false, false) => Some(at + 1),
    };
    Some(Ok(Comment { id: rule.id, line }))
}
