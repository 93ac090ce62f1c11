//! What a profile that somebody wrote misses, grants for nothing, and will break.
//!
//! [`read`] takes in the forms that people have and keeps where in the file each thing stands. What is
//! open or denied is never told from the text: [`crate::profile::seccomp::evaluate`] is asked, for each
//! ABI. A family of rules is a file in [`check`]; what each rule is called and says of itself is in
//! [`rules`], the one source of `--explain` and docs/audit-rules.md.
//!
//! Pure: files come as bytes, and profiles that a manifest names are handed in by a function.

mod check;
mod context;
mod finding;
pub mod output;
pub mod read;
pub mod rules;
mod subject;

pub use context::{Context, Lookup};
pub use finding::{Finding, Findings, Severity};
pub use read::{Input, Malformed};

use crate::profile::seccomp::oci::OciSeccomp;
use read::Subject;

/// What an audit came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By file, then by place in it.
    pub findings: Vec<Finding>,
    /// Files that are none of the forms: not audited, with what they look like.
    pub foreign: Vec<String>,
    /// Files that could not be read as what they are.
    pub malformed: Vec<Malformed>,
    /// Profiles that manifests name.
    pub looked_up: Vec<Input>,
    /// How many profiles were looked at.
    pub profiles: usize,
}

/// Audits files.
pub fn run(inputs: &[Input], context: &Context<'_>) -> Report {
    let mut report = Report::default();
    for input in inputs {
        let mut findings = Findings::new(input);
        match read::subjects(input) {
            Ok(subjects) if subjects.is_empty() => report.foreign.push(input.name().to_owned()),
            Ok(subjects) => {
                for read in &subjects {
                    report.profiles += 1;
                    check::check(read, context, &mut findings);
                }
            }
            Err(malformed) if input.is_meant() => report.malformed.push(malformed),
            Err(_) => report.foreign.push(input.name().to_owned()),
        }
        report.findings.extend(findings.finish());
    }
    report
}

/// The plain profile of a file that holds one, to compare with.
///
/// # Errors
/// When the file is malformed, holds none or several, or one that says nothing certain.
pub fn plain(input: &Input, context: &Context<'_>) -> Result<OciSeccomp, Malformed> {
    let subjects = read::subjects(input)?;
    let [Subject::Seccomp(read)] = subjects.as_slice() else {
        let what = "a baseline is a file with one seccomp profile";
        return Err(input.malformed(0, what));
    };
    let resolved = read.document.resolve(&context.target());
    resolved.map_err(|error| input.malformed(read.node.span.start, error.to_string()))
}

#[cfg(test)]
mod tests;
