//! The one profile of a file that is meant.

use super::{
    AppArmor, Input, Manifest, Node, ParseError, Seccomp, Subject,
    subjects::{self, subjects},
};

/// The profile of a file that is called `name`, or the only one that it holds. A number counts the
/// profiles of the file from 1.
///
/// # Errors
///
/// When the file cannot be read, holds none or several, or none that is called so; the message lists
/// those that are there.
pub fn choose(input: &Input, name: Option<&str>) -> Result<Subject, ParseError> {
    pick(input, name, |_| true, "a profile")
}

/// The seccomp profile of a file; others in it do not count.
///
/// # Errors
///
/// As [`choose`], and when the profile builds upon one that is not in the file.
pub fn choose_seccomp(input: &Input, name: Option<&str>) -> Result<Seccomp, ParseError> {
    let is_one = |subject: &Subject| matches!(subject, Subject::Seccomp(_));
    let Subject::Seccomp(read) = pick(input, name, is_one, "a seccomp profile")? else {
        return Err(input.malformed(0, "this is not a seccomp profile"));
    };
    whole(input, &read)?;
    Ok(*read)
}

/// Refuses a profile that is only a part of what will be in force.
fn whole(input: &Input, read: &Seccomp) -> Result<(), ParseError> {
    let Some(base) = &read.base else {
        return Ok(());
    };
    let what = format!(
        "the operator adds this profile to {:?}, which is not in this file; put both into one, with --- between them",
        base.name
    );
    Err(input.malformed(base.span.start, what))
}

fn pick(
    input: &Input,
    name: Option<&str>,
    counts: impl Fn(&Subject) -> bool,
    what: &str,
) -> Result<Subject, ParseError> {
    let all = subjects(input)?;
    let is_profile = |it: &&Subject| it.profile().is_some();
    let profiles: Vec<_> = all
        .iter()
        .filter(is_profile)
        .filter(|it| counts(it))
        .collect();
    if profiles.is_empty() {
        return Err(input.malformed(0, none(input, &all, what)));
    }
    let Some(name) = name else {
        let [only] = profiles.as_slice() else {
            let what = format!(
                "there are {} profiles; choose one by FILE#NAME: {}",
                profiles.len(),
                listed(input, &profiles)
            );
            return Err(input.malformed(0, what));
        };
        return checked(input, only);
    };
    let named: Vec<_> = profiles
        .iter()
        .filter(|it| it.profile().is_some_and(|(_, its)| its == Some(name)))
        .collect();
    let by_number = || {
        let at = name.parse::<usize>().ok()?.checked_sub(1)?;
        profiles.get(at)
    };
    match (named.as_slice(), by_number()) {
        ([only], _) => checked(input, only),
        ([], Some(at)) => checked(input, at),
        ([], None) => {
            let what = format!(
                "no profile is called {name:?}; there are {}",
                listed(input, &profiles)
            );
            Err(input.malformed(0, what))
        }
        (several, _) => {
            let what = format!(
                "{} profiles are called {name:?}; choose one by its number, FILE#1: {}",
                several.len(),
                listed(input, &profiles)
            );
            Err(input.malformed(0, what))
        }
    }
}

fn checked(input: &Input, subject: &Subject) -> Result<Subject, ParseError> {
    if let Subject::Seccomp(read) = subject {
        whole(input, read)?;
    }
    Ok(subject.clone())
}

/// What to do with a file that holds no profile.
fn none(input: &Input, all: &[Subject], what: &str) -> String {
    let manifests = all.iter().filter_map(|it| match it {
        Subject::Manifest(manifest) => Some(manifest),
        Subject::Seccomp(_) | Subject::AppArmor(_) | Subject::Selinux(_) => None,
    });
    let (kubernetes, engines): (Vec<_>, Vec<_>) = manifests.partition(|it| it.is_kubernetes());
    for (manifests, place) in [
        (kubernetes, " of the node's /var/lib/kubelet/seccomp"),
        (engines, ""),
    ] {
        let names: Vec<_> = manifests.into_iter().flat_map(named_by).collect();
        if !names.is_empty() {
            return format!(
                "this names profiles and holds none; give {}{place} instead",
                names.join(", ")
            );
        }
    }
    if all.iter().any(|it| matches!(it, Subject::AppArmor(_))) {
        return format!(
            "this is an AppArmor profile and not {what}; tracer audit and tracer diff read those"
        );
    }
    if all.iter().any(|it| matches!(it, Subject::Selinux(_))) {
        return format!("this is an SELinux profile and not {what}; tracer audit reads those");
    }
    if all.is_empty()
        && let Some(known) = subjects::recognized(input)
    {
        return known;
    }
    format!("this is not {what}: {FORMS}")
}

/// By what each form is told.
const FORMS: &str = "seccomp has defaultAction, an object of Kubernetes apiVersion and kind, AppArmor text begins with abi, include or profile, CIL with (block or (allow";

/// What is said of a file in which there is nothing for an audit.
pub(crate) fn unrecognized(input: &Input) -> ParseError {
    let unknown = || {
        match is_recording(input.text()) {
        true => "this is a recording, not a profile; audit the profile that was made of it: seccomp.json in the same directory".to_owned(),
        false => format!("this is neither a profile nor a manifest: {FORMS}"),
    }
    };
    input.malformed(0, subjects::recognized(input).unwrap_or_else(unknown))
}

/// Whether a text is a recording, by its schema.
fn is_recording(text: &str) -> bool {
    const LOOKED_AT: usize = 4096;
    let start: String = text.chars().take(LOOKED_AT).collect();
    start.contains("\"tracer.recording/") || start.contains("\"tracer.run/")
}

/// The profiles that a manifest names.
fn named_by(manifest: &Manifest) -> Vec<String> {
    let Some(spec) = manifest.pod.get("spec") else {
        return Vec::new();
    };
    let kinds = ["initContainers", "containers", "ephemeralContainers"];
    let containers = kinds
        .iter()
        .filter_map(|kind| spec.get(kind))
        .flat_map(Node::items);
    let keys = ["securityContext", "seccompProfile", "localhostProfile"];
    std::iter::once(spec)
        .chain(containers)
        .filter_map(|it| it.at(&keys)?.text())
        .map(|name| format!("{name:?}"))
        .collect()
}

fn listed(input: &Input, profiles: &[&Subject]) -> String {
    let one = |(at, subject): (usize, &&Subject)| {
        let (form, name) = subject.profile()?;
        let name = name.map_or_else(|| (at + 1).to_string(), |name| format!("{name:?}"));
        let line = input.place(subject.begin()..subject.begin()).line;
        Some(format!("{name} (line {line}, {form})"))
    };
    let all: Vec<_> = profiles.iter().enumerate().filter_map(one).collect();
    all.join(", ")
}

impl Subject {
    /// The AppArmor profile that it is.
    pub fn apparmor(&self) -> Option<&AppArmor> {
        match self {
            Self::AppArmor(read) => Some(read),
            Self::Seccomp(_) | Self::Selinux(_) | Self::Manifest(_) => None,
        }
    }
}
