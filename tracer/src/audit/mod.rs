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
use check::manifest::Named;
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
    /// How many profiles and manifests were looked at.
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
                for subject in &subjects {
                    check_one(subject, input, context, &mut findings, &mut report);
                }
            }
            Err(malformed) if input.is_meant() => report.malformed.push(malformed),
            Err(_) => report.foreign.push(input.name().to_owned()),
        }
        report.findings.extend(findings.finish());
    }
    report
}

fn check_one(
    subject: &Subject,
    input: &Input,
    context: &Context<'_>,
    findings: &mut Findings<'_>,
    report: &mut Report,
) {
    match subject {
        Subject::Seccomp(read) => {
            report.profiles += 1;
            check::seccomp(read, context, findings, |_| {});
        }
        Subject::AppArmor => {
            report.profiles += 1;
            check::apparmor::check(input, findings);
        }
        Subject::Manifest(manifest) => {
            report.profiles += 1;
            for named in check::manifest::check(manifest, findings) {
                named_profile(&named, context, findings, report);
            }
        }
    }
}

/// Audits a profile that a container names, for that container.
fn named_profile(
    named: &Named,
    context: &Context<'_>,
    findings: &mut Findings<'_>,
    report: &mut Report,
) {
    let mut missing = |what: String| {
        findings.add(&rules::PROFILE_MISSING, named.span.clone(), what);
    };
    let input = match (context.lookup)(&named.profile) {
        Lookup::Found(input) => input,
        Lookup::Missing(place) => return missing(format!("there is no {place}")),
        Lookup::Malformed(malformed) => {
            missing(malformed.to_string());
            return report.malformed.push(malformed);
        }
    };
    let subjects = match read::subjects(&input) {
        Ok(subjects) => subjects,
        Err(malformed) => {
            missing(malformed.to_string());
            return report.malformed.push(malformed);
        }
    };
    let [Subject::Seccomp(read)] = subjects.as_slice() else {
        return missing(format!("{} is no seccomp profile", input.name()));
    };
    let context = Context {
        capabilities: &named.capabilities,
        in_container: true,
        no_new_privileges: Some(named.no_new_privileges),
        ..*context
    };
    let mut of_profile = Findings::new(&input);
    check::seccomp(read, &context, &mut of_profile, |view| {
        check::capabilities::added(view, named, findings);
    });
    // Containers of one kind say the same of it.
    let of_profile = of_profile.finish().into_iter();
    let fresh: Vec<_> = of_profile
        .filter(|finding| !report.findings.contains(finding))
        .collect();
    report.findings.extend(fresh);
    if !report.looked_up.iter().any(|it| it.name() == input.name()) {
        report.profiles += 1;
        report.looked_up.push(input);
    }
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
