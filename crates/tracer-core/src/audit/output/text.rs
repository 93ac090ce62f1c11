//! Findings for people: the offending line, what is wrong with it, and what mends it.

use std::{collections::BTreeMap, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::super::{Finding, Input, Report, Severity};
use crate::recording::plain_text::{counted, plain};

/// Longest line that is shown, in bytes: a profile on one line may have millions.
const MAX_LINE_LEN: usize = 2_000;

/// Most lines of evidence that are shown of a finding.
const LIMIT: usize = 10;

/// A report with the lines of the files. `colour` is for a terminal.
pub fn text(report: &Report, inputs: &[Input], colour: bool) -> String {
    let all = inputs.iter().chain(&report.looked_up);
    let by_name: BTreeMap<_, _> = all.map(|input| (input.name(), input)).collect();
    let known = report
        .findings
        .iter()
        .filter_map(|finding| Some((finding, by_name.get(finding.file.as_str())?)));
    known
        .map(|(finding, input)| one(finding, input, colour))
        .collect()
}

/// One sentence about all of it.
pub fn summary(report: &Report) -> String {
    let count = |severity| {
        let findings = report.findings.iter();
        findings
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let counts: Vec<_> = Severity::ALL
        .into_iter()
        .rev()
        .map(|severity| (count(severity), severity))
        .filter(|(count, _)| *count > 0)
        .map(|(count, severity)| format!("{count} {severity}"))
        .collect();
    let found = if counts.is_empty() {
        "nothing found".to_owned()
    } else {
        format!(
            "{}. Run \"tracer audit --explain ID\" for details",
            counts.join(", ")
        )
    };
    if report.profiles == 0 {
        return "no profile could be read; give a seccomp, AppArmor or SELinux profile, a Kubernetes manifest, or a directory with some"
            .to_owned();
    }
    let what = counted(report.profiles, "file or object", "files and objects");
    let mut text = format!("{what} checked: {found}");
    if let [only] = report.scores.as_slice() {
        text += &format!("; score {} of 100", only.score);
    } else if let Some(least) = report.scores.iter().min_by_key(|score| score.score) {
        text += &format!(
            "; lowest score {} of 100 ({})",
            least.score,
            plain(&least.file)
        );
    }
    if report.ignored > 0 {
        text += &format!("; {} ignored", report.ignored);
    }
    text
}

fn one(finding: &Finding, input: &Input, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let level = match finding.severity {
        Severity::Critical | Severity::High => Level::ERROR,
        Severity::Medium => Level::WARNING,
        Severity::Low | Severity::Info => Level::NOTE,
    };
    let level = level.with_name(finding.severity.as_str());
    let evidence = finding.evidence.iter().take(LIMIT);
    let mut evidence: Vec<String> = evidence.cloned().collect();
    if let Some(more @ 1..) = finding.evidence.len().checked_sub(LIMIT) {
        evidence.push(format!("and {more} more, which --format json has"));
    }
    let title = level.primary_title(finding.message.as_str()).id(finding.id);
    let (line, span) = line(input.text(), finding.place.bytes);
    let place = &finding.place;
    let name = plain(input.name());
    let group = Group::with_title(title);
    let group = if line.len() > MAX_LINE_LEN {
        let origin = Origin::path(name.as_str()).line(place.line);
        group.element(origin.char_column(place.column))
    } else {
        let snippet = Snippet::source(line)
            .path(name.as_str())
            .line_start(place.line);
        group.element(snippet.annotation(AnnotationKind::Primary.span(span)))
    };
    let group = group
        .elements(
            evidence
                .iter()
                .map(|evidence| Level::NOTE.message(evidence.as_str())),
        )
        .element(Level::HELP.message(finding.fix.as_str()));
    renderer.render(&[group]) + "\n\n"
}

/// The line in which something begins, and where in it; what is longer is shown by its first line.
fn line(text: &str, (begin, end): (usize, usize)) -> (&str, Range<usize>) {
    let before = text.get(..begin).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    let end = end.saturating_sub(start).min(line.len());
    (line, (begin - start).min(end)..end)
}
