//! Findings for code scanning: SARIF 2.1.0 (OASIS, sarif-v2.1.0-os), of which this is the part that
//! GitHub and GitLab read.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::{
    Finding, Report, Severity,
    rules::{self, Rule},
};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

/// A report as SARIF.
pub fn sarif(report: &Report) -> String {
    let used: Vec<&Rule> = rules::ALL
        .iter()
        .copied()
        .filter(|rule| report.findings.iter().any(|finding| finding.id == rule.id))
        .collect();
    let results: Vec<_> = report
        .findings
        .iter()
        .map(|finding| result(finding, &used))
        .collect();
    let notifications: Vec<_> = report
        .malformed
        .iter()
        .map(|malformed| {
            let mut location = json!({"artifactLocation": {"uri": uri(&malformed.file)}});
            if let Some((line, column)) = malformed.position {
                location["region"] = json!({"startLine": line, "startColumn": column});
            }
            json!({
                "level": "error",
                "message": {"text": malformed.what},
                "locations": [{"physicalLocation": location}],
            })
        })
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tracer",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": used.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            // Columns count characters.
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": report.malformed.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.explanation},
        "help": {"text": format!("{} How to fix: {}", rule.explanation, rule.fix)},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"security-severity": score(rule.severity), "tags": ["security"]},
    })
}

fn result(finding: &Finding, used: &[&Rule]) -> Value {
    let place = &finding.place;
    let region = Region {
        start_line: place.line,
        start_column: place.column,
        end_line: place.end_line,
        end_column: place.end_column,
    };
    let mut text = finding.message.clone();
    for evidence in &finding.evidence {
        text += &format!("\n- {evidence}");
    }
    text += &format!("\nHow to fix: {}", finding.fix);
    let mut result = json!({
        "ruleId": finding.id,
        "level": level(finding.severity),
        "message": {"text": text},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&finding.file)},
            "region": region,
        }}],
        "properties": {"severity": finding.severity},
    });
    if let Some(index) = used.iter().position(|rule| rule.id == finding.id) {
        result["ruleIndex"] = index.into();
    }
    result
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// GitHub ranks by this number: over 9 critical, over 7 high, over 4 medium, else low.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.0",
        Severity::Low => "3.0",
        Severity::Info => "0.1",
    }
}

/// A path as a URI reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.strip_prefix("./").unwrap_or(path).bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri += &format!("%{byte:02X}");
        }
    }
    if path.starts_with('/') {
        format!("file://{uri}")
    } else {
        uri
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("./a/b c.json"), "a/b%20c.json");
        assert_eq!(uri("/etc/ö"), "file:///etc/%C3%B6");
    }
}
