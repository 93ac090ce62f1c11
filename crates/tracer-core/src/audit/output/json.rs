//! Findings for programs.

use serde::Serialize;

use super::super::{Finding, Report, Score};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    audited: usize,
    findings: &'a [Finding],
    scores: &'a [Score],
    ignored: usize,
    malformed: Vec<ParseError<'a>>,
}

#[derive(Serialize)]
struct ParseError<'a> {
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
}

/// A report as JSON.
pub fn json(report: &Report) -> String {
    let malformed = report.malformed.iter().map(|malformed| ParseError {
        file: &malformed.file,
        line: malformed.position.map(|(line, _)| line),
        column: malformed.position.map(|(_, column)| column),
        message: &malformed.what,
    });
    let document = Document {
        schema: "tracer.audit/v1",
        audited: report.profiles,
        findings: &report.findings,
        scores: &report.scores,
        ignored: report.ignored,
        malformed: malformed.collect(),
    };
    // Every value of it has a form in JSON.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}
