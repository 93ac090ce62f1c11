//! Changes that close what findings report, and a file with them applied.

use std::{collections::BTreeMap, ops::Range};

use thiserror::Error;

use super::{Context, Finding, Findings, Input, ParseError, Severity, check, rules};
use crate::{
    parse::{self, Node, Seccomp, Subject},
    profile::seccomp::oci::{Condition, Entry},
};

/// A change to a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Adds an entry behind all others.
    Append(Entry),
    /// Takes a name out of the entry at a place.
    Remove {
        /// Where the entry is.
        entry: Range<usize>,
        /// The name.
        name: String,
    },
    /// Writes another condition at a place.
    Condition {
        /// Where the condition is.
        at: Range<usize>,
        /// What it is to be.
        condition: Condition,
    },
}

/// Why a file cannot be fixed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FixError {
    /// It cannot be read.
    #[error(transparent)]
    ParseError(#[from] ParseError),
    /// It holds no seccomp profile whose text can be changed.
    #[error("{0}: only seccomp profiles can be fixed, by themselves or as a SeccompProfile")]
    Form(String),
    /// An entry is not text that can be changed, such as an alias of YAML.
    #[error("{0}: the entry of {1} cannot be changed in place; take {1} out of it by hand")]
    Entry(String, String),
    /// A finding is still there after its changes. Nothing is printed then.
    #[error("{0}: the changes do not close a finding ({1}); fix it by hand")]
    Remains(String, String),
    /// What came out is worse. Nothing is printed then.
    #[error("{0}: the fixed profile has a new finding ({1}); fix it by hand")]
    New(String, String),
}

/// A file with its findings fixed, as far as a change of the file does.
#[derive(Debug)]
pub struct Fixed {
    /// The file's text.
    pub text: String,
    /// How many changes were made.
    pub changes: usize,
}

/// How often a file is fixed: a condition that is put right may show what else has to have it.
const MAX_ROUNDS: usize = 4;

/// Applies the changes that findings propose, except those of `ignored` rules.
///
/// # Errors
/// When the file cannot be read or is of another form, when a finding remains although its changes were made, or when
/// the result would have a new finding.
pub fn fixed(
    input: &Input,
    context: &Context<'_>,
    ignored: &dyn Fn(&str) -> bool,
) -> Result<Fixed, FixError> {
    let mut before: Vec<(&'static str, String)> = Vec::new();
    let mut text = input.text().to_owned();
    let mut changes = 0;
    for round in 0..=MAX_ROUNDS {
        let here = Input::new(input.name(), text.clone().into())?;
        let mut splices: Vec<(Range<usize>, String)> = Vec::new();
        for (read, findings) in profiles(&here, context)? {
            let mut edits = edits(&findings, ignored);
            let has_edits = !edits.is_empty();
            // An entry that is there already closes nothing when it is added again.
            let present = entries(&read);
            edits.retain(|edit| !matches!(edit, Edit::Append(entry) if present.contains(entry)));
            if has_edits && (edits.is_empty() || round == MAX_ROUNDS) {
                return Err(remains(input, &findings, ignored));
            }
            changes += edits.len();
            splices.extend(splices_of(&here, &read, &edits)?);
            if round == 0 {
                before.extend(findings.into_iter().map(|it| (it.id, it.subject)));
            }
        }
        if splices.is_empty() {
            break;
        }
        text = splice(&text, splices);
    }
    has_no_new_finding(input, &text, context, &before, ignored)?;
    Ok(Fixed { text, changes })
}

/// The error that names the worst finding that there are changes for.
fn remains(input: &Input, findings: &[Finding], ignored: &dyn Fn(&str) -> bool) -> FixError {
    let worst = findings
        .iter()
        .filter(|finding| !finding.edits.is_empty() && !ignored(finding.id))
        .max_by_key(|finding| finding.severity);
    FixError::Remains(
        input.name().to_owned(),
        worst.map(brief).unwrap_or_default(),
    )
}

/// The entries of a profile.
fn entries(read: &Seccomp) -> Vec<Entry> {
    let list = read.node.get("syscalls").into_iter().flat_map(Node::items);
    list.filter_map(|entry| serde_json::from_value(entry.value()).ok())
        .collect()
}

fn brief(finding: &Finding) -> String {
    format!("{}: {}", finding.id, finding.message)
}

/// A finding that was there before: its rule, and its text.
type Known = (&'static str, String);

/// A seccomp profile of a file, and what is found in it.
type Audited = (Box<Seccomp>, Vec<Finding>);

/// The seccomp profiles of a file.
fn profiles(input: &Input, context: &Context<'_>) -> Result<Vec<Audited>, FixError> {
    let mut all = Vec::new();
    for subject in parse::subjects(input)? {
        if let Subject::Seccomp(read) = subject {
            let mut findings = Findings::new(input);
            check::seccomp(&read, context, &mut findings, |_| {});
            all.push((read, findings.finish()));
        }
    }
    if all.is_empty() {
        return Err(FixError::Form(input.name().to_owned()));
    }
    Ok(all)
}

/// The changes of findings: each once, and one for a place.
fn edits(findings: &[Finding], ignored: &dyn Fn(&str) -> bool) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut places = Vec::new();
    let mut rewritten = Vec::new();
    let mut all: Vec<&Finding> = findings
        .iter()
        .filter(|finding| !ignored(finding.id))
        .collect();
    // What is written anew first: what is to be added beside it shows in the next round.
    all.sort_by_key(|finding| !rewrites(finding));
    for finding in all {
        if finding
            .edits
            .iter()
            .any(|edit| adds_condition(edit, &rewritten))
            && !rewrites(finding)
        {
            continue;
        }
        if rewrites(finding) {
            rewritten.extend(finding.subject.split(' ').next());
        }
        let place = |edit: &Edit| match edit {
            Edit::Condition { at, .. } => Some(at.start),
            Edit::Append(_) | Edit::Remove { .. } => None,
        };
        let taken: Vec<usize> = finding.edits.iter().filter_map(place).collect();
        if taken.iter().any(|at| places.contains(at)) {
            continue;
        }
        places.extend(taken);
        for edit in &finding.edits {
            if !edits.contains(edit) {
                edits.push(edit.clone());
            }
        }
    }
    edits
}

/// Whether a finding is about a condition that is to be another.
fn rewrites(finding: &Finding) -> bool {
    let mut edits = finding.edits.iter();
    edits.any(|edit| matches!(edit, Edit::Condition { .. }))
}

/// Whether an edit adds an entry with conditions for one of some calls.
fn adds_condition(edit: &Edit, calls: &[&str]) -> bool {
    match edit {
        Edit::Append(entry) => {
            let mut names = entry.names.iter();
            !entry.args.is_empty() && names.any(|name| calls.contains(&name.as_str()))
        }
        Edit::Remove { .. } | Edit::Condition { .. } => false,
    }
}

/// Rules that say what a denial does not reach. Such calls were open before the denial was there too.
const OPEN_BEFORE: [&str; 3] = [
    rules::EQUIVALENT_SYSCALL_ALLOWED.id,
    rules::CONDITION_BYPASS.id,
    rules::NEWER_THAN_LIBSECCOMP.id,
];

/// Refuses a result that has a finding of medium severity or above that the file did not have before.
fn has_no_new_finding(
    input: &Input,
    text: &str,
    context: &Context<'_>,
    before: &[Known],
    ignored: &dyn Fn(&str) -> bool,
) -> Result<(), FixError> {
    let fixed = Input::new(input.name(), text.into())?;
    let findings = profiles(&fixed, context)?
        .into_iter()
        .flat_map(|(_, all)| all);
    for finding in findings.filter(|it| it.severity > Severity::Low && !ignored(it.id)) {
        if finding.edits.is_empty() && OPEN_BEFORE.contains(&finding.id) {
            continue;
        }
        if !before.contains(&(finding.id, finding.subject.clone())) {
            return Err(FixError::New(input.name().to_owned(), brief(&finding)));
        }
    }
    Ok(())
}

fn splice(text: &str, mut splices: Vec<(Range<usize>, String)>) -> String {
    splices.sort_by_key(|(range, _)| range.start);
    let mut out = String::new();
    let mut at = 0;
    for (range, new) in splices {
        out += text.get(at..range.start).unwrap_or_default();
        out += &new;
        at = range.end;
    }
    out + text.get(at..).unwrap_or_default()
}

/// What to replace where.
fn splices_of(
    input: &Input,
    read: &Seccomp,
    edits: &[Edit],
) -> Result<Vec<(Range<usize>, String)>, FixError> {
    let text = input.text();
    // The profile is not text of its own, as in a ConfigMap.
    let form = || FixError::Form(input.name().to_owned());
    if read.is_embedded && !edits.is_empty() {
        return Err(form());
    }
    let mut splices = Vec::new();
    let mut appended: Vec<String> = Vec::new();
    let mut removed: BTreeMap<usize, (Range<usize>, Vec<&str>)> = BTreeMap::new();
    for edit in edits {
        match edit {
            Edit::Append(entry) => appended.push(entry_text(entry)),
            Edit::Remove { entry, name } => {
                let of = removed.entry(entry.start);
                of.or_insert_with(|| (entry.clone(), Vec::new()))
                    .1
                    .push(name);
            }
            Edit::Condition { at, condition } => {
                splices.push((at.clone(), condition_text(condition)));
            }
        }
    }
    let list = read.node.get("syscalls");
    let entries: Vec<&Node> = list.into_iter().flat_map(Node::items).collect();
    for (span, names) in removed.into_values() {
        let unchangeable = || FixError::Entry(input.name().to_owned(), names.join(", "));
        let found = entries.iter().position(|entry| entry.span == span);
        let at = found.ok_or_else(form)?;
        let list = entries.get(at).and_then(|entry| entry.get("names"));
        let list = list.ok_or_else(unchangeable)?;
        if list.span == span {
            return Err(form());
        }
        let left: Vec<_> = list
            .items()
            .filter_map(Node::text)
            .filter(|name| !names.contains(name))
            .map(quoted)
            .collect();
        if !left.is_empty() {
            splices.push((list.span.clone(), format!("[{}]", left.join(", "))));
            continue;
        }
        // Runtimes refuse an entry without names: another takes its place, or it goes.
        let end = trimmed_end(text, &span).ok_or_else(unchangeable)?;
        if let Some(new) = appended.pop() {
            splices.push((span.start..end, new));
        } else {
            let previous = at.checked_sub(1).and_then(|at| entries.get(at));
            let start = previous.and_then(|it| trimmed_end(text, &it.span));
            splices.push((start.ok_or_else(unchangeable)?..end, String::new()));
        }
    }
    if !appended.is_empty() {
        splices.push(append(text, &read.node, &entries, &appended).ok_or_else(form)?);
    }
    Ok(splices)
}

/// Where a value ends, without the space behind it.
fn trimmed_end(text: &str, span: &Range<usize>) -> Option<usize> {
    Some(span.start + text.get(span.clone())?.trim_end().len())
}

/// Where entries are added to a list, and as which text.
fn append(
    text: &str,
    profile: &Node,
    entries: &[&Node],
    new: &[String],
) -> Option<(Range<usize>, String)> {
    if let Some(last) = entries.last() {
        let end = trimmed_end(text, &last.span)?;
        let before = text.get(..last.span.start)?;
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        let lead = before.get(line..)?;
        let indent: String = lead.chars().take_while(|c| c.is_whitespace()).collect();
        let is_block = lead.trim() == "-" && !text.get(last.span.clone())?.is_empty();
        let all = new.iter().map(|entry| {
            if is_block {
                format!("\n{indent}- {entry}")
            } else if lead.trim().is_empty() {
                format!(",\n{indent}{entry}")
            } else {
                format!(",\n{indent}  {entry}")
            }
        });
        // A value of its own, not one that an alias or a block of text has put there.
        let is_value = is_block || text.get(last.span.start..)?.starts_with('{');
        return is_value.then(|| (end..end, all.collect()));
    }
    let entries = new.join(",\n    ");
    if let Some(list) = profile.get("syscalls") {
        let is_list = text.get(list.span.clone())?.starts_with(['[', 'n']);
        return is_list.then(|| (list.span.clone(), format!("[\n    {entries}\n  ]")));
    }
    let action = profile.get("defaultAction")?;
    let key = profile.key("defaultAction")?;
    if key.start == action.span.start {
        return None;
    }
    let at = action.span.end;
    Some(if text.get(key.start..)?.starts_with('"') {
        (at..at, format!(",\n  \"syscalls\": [\n    {entries}\n  ]"))
    } else {
        let line = text.get(..key.start)?.rfind('\n').map_or(0, |at| at + 1);
        let indent = " ".repeat(key.start - line);
        (
            at..at,
            format!("\n{indent}syscalls: [\n    {entries}\n{indent}  ]"),
        )
    })
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

/// An entry on one line.
pub(super) fn entry_text(entry: &Entry) -> String {
    let names: Vec<_> = entry.names.iter().map(|name| quoted(name)).collect();
    let action = serde_json::to_value(entry.action).unwrap_or_default();
    let mut text = format!("{{\"names\": [{}], \"action\": {action}", names.join(", "));
    if let Some(errno) = entry.errno_ret {
        text += &format!(", \"errnoRet\": {errno}");
    }
    if !entry.args.is_empty() {
        let args: Vec<_> = entry.args.iter().map(condition_text).collect();
        text += &format!(", \"args\": [{}]", args.join(", "));
    }
    text + "}"
}

/// A condition on one line. `valueTwo` is written where it counts, though it be 0.
fn condition_text(condition: &Condition) -> String {
    use crate::profile::seccomp::oci::Operator;

    let operator = serde_json::to_value(condition.op).unwrap_or_default();
    let second = match condition.op {
        Operator::MaskedEq => format!("\"valueTwo\": {}, ", condition.value_two),
        _ => String::new(),
    };
    format!(
        "{{\"index\": {}, \"value\": {}, {second}\"op\": {operator}}}",
        condition.index, condition.value
    )
}
