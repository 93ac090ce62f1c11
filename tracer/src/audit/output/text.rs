//! Findings for people: the offending line, what is wrong with it, and what mends it.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::super::{Finding, Input, Report, Severity};

/// Most lines of evidence that are shown of a finding.
const MOST: usize = 10;

/// A report with the lines of the files. `colour` is for a terminal.
pub fn text(report: &Report, inputs: &[Input], colour: bool) -> String {
    let all = || inputs.iter().chain(&report.looked_up);
    let mut text = String::new();
    for finding in &report.findings {
        if let Some(input) = all().find(|input| input.name() == finding.file) {
            text += &one(finding, input, colour);
        }
    }
    text
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
        format!("found {}", counts.join(", "))
    };
    let what = match report.profiles {
        1 => "1 profile or manifest".to_owned(),
        count => format!("{count} profiles and manifests"),
    };
    format!("audited {what}: {found}")
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
    let (begin, end) = finding.place.bytes;
    let snippet = Snippet::source(input.text())
        .path(input.name())
        .annotation(AnnotationKind::Primary.span(begin..one_line(input.text(), begin, end)));
    let evidence = finding.evidence.iter().take(MOST);
    let mut evidence: Vec<String> = evidence.cloned().collect();
    if let Some(more @ 1..) = finding.evidence.len().checked_sub(MOST) {
        evidence.push(format!("and {more} more, which --format json has"));
    }
    let group = Group::with_title(level.primary_title(finding.message.as_str()).id(finding.id))
        .element(snippet)
        .elements(
            evidence
                .iter()
                .map(|evidence| Level::NOTE.message(evidence.as_str())),
        )
        .element(Level::HELP.message(finding.mend.as_str()));
    renderer.render(&[group]) + "\n\n"
}

/// What is longer than a line is shown by its first one.
fn one_line(text: &str, begin: usize, end: usize) -> usize {
    let line = text.get(begin..end).and_then(|text| text.find('\n'));
    line.map_or(end, |length| begin + length)
}
