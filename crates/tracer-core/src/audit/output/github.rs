//! Findings as annotations of GitHub: workflow commands, one a line
//! (docs.github.com, "Workflow commands for GitHub Actions").

use super::super::{Report, Severity};

/// A report as workflow commands.
pub fn github(report: &Report) -> String {
    let mut text = String::new();
    for malformed in &report.malformed {
        let place = malformed
            .position
            .map_or_else(String::new, |(line, column)| {
                format!(",line={line},col={column}")
            });
        text += &format!(
            "::error file={}{place},title=tracer audit::{}\n",
            property(&malformed.file),
            data(&malformed.what)
        );
    }
    for finding in &report.findings {
        let command = match finding.severity {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low | Severity::Info => "notice",
        };
        let place = &finding.place;
        let mut message = finding.message.clone();
        for evidence in &finding.evidence {
            message += &format!("\n- {evidence}");
        }
        message += &format!("\nHow to fix: {}", finding.fix);
        text += &format!(
            "::{command} file={},line={},endLine={},col={},endColumn={},title={}::{}\n",
            property(&finding.file),
            place.line,
            place.end_line,
            place.column,
            place.end_column,
            property(&format!("{} ({})", finding.id, finding.severity)),
            data(&message)
        );
    }
    text
}

/// What would end a command or begin another.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(data("50%\nof it"), "50%25%0Aof it");
        assert_eq!(property("a,b:c"), "a%2Cb%3Ac");
    }
}
