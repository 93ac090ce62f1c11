//! What a profile that somebody wrote misses, grants for nothing, and will break.
//!
//! [`crate::parse`] takes in the forms that people have and keeps where in the file each thing stands. What is
//! open or denied is never told from the text: [`crate::profile::seccomp::evaluate`] is asked, for each
//! ABI. A family of rules is a file in [`check`]; what each rule is called and says of itself is in
//! [`rules`], the one source of `--explain` and docs/rules/.
//!
//! Pure: files come as bytes, and profiles that a manifest names are handed in by a function.

pub mod apparmor_policy;
mod check;
mod context;
mod finding;
mod fix;
mod ignore;
mod known;
mod loaded_profile;
mod local_profiles;
pub mod output;
mod reference;
pub mod rule_pages;
pub mod rules;
mod score;

use std::collections::BTreeSet;

pub use apparmor_policy::Included;
pub use context::{Context, Lookup};
pub use finding::{Finding, Findings, Severity};
pub use fix::{FixError, Fixed, fixed};
pub use known::{Known, KnownError};
pub use score::Score;

pub use crate::parse::{Input, ParseError};

use crate::{
    parse::{self, Seccomp, Subject},
    profile::seccomp::oci::OciSeccomp,
};
use check::manifest::Named;
use local_profiles::LocalProfiles;

/// What an audit came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The worst first, then by file and by place in it.
    pub findings: Vec<Finding>,
    /// How much each seccomp profile leaves to an attacker.
    pub scores: Vec<Score>,
    /// How many findings comments in the files take back.
    pub ignored: usize,
    /// Files of directories that are none of the forms, and why: not audited.
    pub unrecognized: Vec<ParseError>,
    /// Files that could not be read as what they are.
    pub malformed: Vec<ParseError>,
    /// Profiles that manifests name.
    pub looked_up: Vec<Input>,
    /// How many profiles and manifests were looked at.
    pub profiles: usize,
    /// Files that are audited more than once: for containers, and by themselves.
    repeated: BTreeSet<String>,
}

/// Audits files.
///
/// ```
/// use syscalls::Abi;
/// use tracer_core::audit::{Context, Input, run};
/// use tracer_core::profile::seccomp::read::KernelVersion;
///
/// let profile = br#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;
/// let input = Input::new("seccomp.json", profile.to_vec()).unwrap();
/// let report = run(&[input], &Context::new(Abi::X86_64, KernelVersion::new(6, 12)));
/// assert_eq!(report.profiles, 1);
/// assert!(!report.findings.is_empty());
/// ```
pub fn run(inputs: &[Input], context: &Context<'_>) -> Report {
    let mut report = Report::default();
    let local_profiles = LocalProfiles::new(inputs);
    for input in inputs {
        let mut findings = Findings::new(input);
        match parse::subjects(input) {
            Ok(subjects) if subjects.is_empty() && input.is_named() => {
                report.malformed.push(parse::unrecognized(input));
            }
            Ok(subjects) if subjects.is_empty() => {
                report.unrecognized.push(parse::unrecognized(input));
            }
            Ok(subjects) => {
                check::legacy::json_extensions(&mut findings);
                for subject in &subjects {
                    check_one(
                        subject,
                        &local_profiles,
                        context,
                        &mut findings,
                        &mut report,
                    );
                }
            }
            Err(malformed) if input.is_meant() => report.malformed.push(malformed),
            Err(malformed) => report.unrecognized.push(malformed),
        }
        let ignored = ignore::by_comments(input, &mut findings);
        report.ignored += ignored;
        report.take(findings);
    }
    // Within one severity files and places keep their order.
    report
        .findings
        .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    report
}

impl Report {
    /// Takes in what was found; a profile that several containers name, or that is audited by itself too,
    /// is told once.
    fn take(&mut self, findings: Findings<'_>) {
        let fresh = findings.finish();
        let mut fresh = fresh.into_iter().peekable();
        let repeated = fresh
            .peek()
            .is_some_and(|first| self.repeated.contains(&first.file));
        for finding in fresh {
            if !repeated || !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }
}

fn check_one(
    subject: &Subject,
    local_profiles: &LocalProfiles<'_>,
    context: &Context<'_>,
    findings: &mut Findings<'_>,
    report: &mut Report,
) {
    report.profiles += 1;
    match subject {
        Subject::Seccomp(read) => {
            let mut score = None;
            let before = findings.count();
            check::seccomp(read, context, findings, |view| {
                score = Some(score::of(view))
            });
            if read.is_embedded {
                findings.without_edits(before);
            }
            report.scores.extend(score.map(|score| Score {
                file: findings.input().name().to_owned(),
                profile: read.name.clone(),
                score,
            }));
        }
        Subject::AppArmor(read) => check::apparmor::check(read, context, findings),
        Subject::Selinux(read) => check::selinux::check(read, findings),
        Subject::Manifest(manifest) => {
            for named in check::manifest::check(manifest, findings) {
                named_profile(&named, local_profiles, context, findings, report);
            }
        }
    }
}

/// Audits a profile that a container names, for that container.
fn named_profile(
    named: &Named,
    local_profiles: &LocalProfiles<'_>,
    context: &Context<'_>,
    findings: &mut Findings<'_>,
    report: &mut Report,
) {
    if let Some((input, read)) = local_profiles.named(&named.profile) {
        return in_container((input, &read), named, context, findings, report);
    }
    if !named.is_kubernetes {
        let what = format!("{} is not among the files that are audited", named.profile);
        findings
            .add(&rules::PROFILE_MISSING, named.span.clone(), what)
            .severity(Severity::Info)
            .fix("Audit it together with this file.");
        return;
    }
    let mut missing = |what: String| {
        findings.add(&rules::PROFILE_MISSING, named.span.clone(), what);
    };
    let input = match (context.lookup)(&named.profile) {
        Lookup::Found(input) => input,
        Lookup::Missing(place) => return missing(format!("there is no {place}")),
        Lookup::ParseError(malformed) => {
            missing(malformed.to_string());
            return report.malformed.push(malformed);
        }
    };
    let subjects = match parse::subjects(&input) {
        Ok(subjects) => subjects,
        Err(malformed) => {
            missing(malformed.to_string());
            return report.malformed.push(malformed);
        }
    };
    let [Subject::Seccomp(read)] = subjects.as_slice() else {
        return missing(format!("{} is not a seccomp profile", input.name()));
    };
    in_container((&input, read), named, context, findings, report);
    if !report.looked_up.iter().any(|it| it.name() == input.name()) {
        report.profiles += 1;
        report.looked_up.push(input);
    }
}

fn in_container(
    (input, read): (&Input, &Seccomp),
    named: &Named,
    context: &Context<'_>,
    findings: &mut Findings<'_>,
    report: &mut Report,
) {
    let context = Context {
        capabilities: &named.capabilities,
        in_container: true,
        no_new_privileges: Some(named.no_new_privileges),
        ..*context
    };
    let mut of_profile = Findings::new(input);
    check::seccomp(read, &context, &mut of_profile, |view| {
        check::capabilities::added(view, named, findings);
        check::runtime_default::check(view, named, findings);
    });
    report.repeated.insert(input.name().to_owned());
    report.take(of_profile);
}

/// The plain profile of a file, to compare with; `name` chooses one of several.
///
/// # Errors
/// When the file is malformed, holds none or several, or one that says nothing certain.
pub fn plain(
    input: &Input,
    name: Option<&str>,
    context: &Context<'_>,
) -> Result<OciSeccomp, ParseError> {
    let read = parse::choose_seccomp(input, name)?;
    let resolved = read.document.resolve(&context.target());
    resolved.map_err(|error| input.malformed(read.node.span.start, error.to_string()))
}

#[cfg(test)]
mod tests;
