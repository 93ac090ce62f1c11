//! Findings that are known already: the report of an earlier audit, as `--format json` printed it.

use serde::Deserialize;
use std::collections::BTreeSet;
use thiserror::Error;

use super::Report;

/// Known findings: rule, file and message. Lines move, so they do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    findings: BTreeSet<(String, String, String)>,
}

/// Why a file is no such report.
#[derive(Debug, Error)]
#[error("this is not a report of an audit as JSON: {0}")]
pub struct KnownError(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Document {
    findings: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    id: String,
    file: String,
    message: String,
}

impl Known {
    /// Reads a report.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_json(text: &str) -> Result<Self, KnownError> {
        let document: Document = serde_json::from_str(text)?;
        let findings = document.findings.into_iter();
        Ok(Self {
            findings: findings.map(|it| (it.id, it.file, it.message)).collect(),
        })
    }

    /// Takes what is known out of a report. Returns how many findings are gone.
    pub fn take_from(&self, report: &mut Report) -> usize {
        let before = report.findings.len();
        report.findings.retain(|it| {
            let key = (it.id.to_owned(), it.file.clone(), it.message.clone());
            !self.findings.contains(&key)
        });
        before - report.findings.len()
    }
}
