//! The rules: a file a family, each of one shape.

mod abis;
pub(super) mod apparmor;
mod arguments;
mod baseline;
mod breakage;
mod bypass;
pub(super) mod capabilities;
mod closing;
mod defaults;
mod errno;
mod flags;
mod gaps;
mod grants;
pub(super) mod legacy;
pub(super) mod manifest;
mod names;
mod refused;
pub(super) mod runtime_default;
pub(super) mod selinux;

use super::{
    Context, Findings, Severity,
    loaded_profile::{LoadError, LoadedProfile},
    rules,
};
use crate::parse::Seccomp;

/// Checks a profile. What is to be said of it elsewhere, `and` says.
pub(super) fn seccomp(
    read: &Seccomp,
    context: &Context<'_>,
    out: &mut Findings<'_>,
    and: impl FnOnce(&LoadedProfile<'_>),
) {
    legacy::check(read, context, out);
    let profile = match LoadedProfile::new(read, context) {
        Ok(profile) => profile,
        Err(why) => {
            let why = match why {
                LoadError::Unclear(error) => error.to_string(),
                LoadError::Refused(refusal) => refusal.to_string(),
            };
            let span = read.place_of(&why);
            out.add(&rules::REFUSED_PROFILE, span, why);
            return;
        }
    };
    if let Some(refusal) = &profile.refusal {
        let why = refusal.to_string();
        let span = read.place_of(&why);
        out.add(
            &rules::REFUSED_PROFILE,
            span,
            format!("{why} (another runtime takes it)"),
        )
        .severity(Severity::High);
    }
    for check in [
        gaps::check,
        bypass::check,
        flags::check,
        abis::check,
        arguments::check,
        names::check,
        errno::check,
        defaults::check,
        capabilities::check,
        grants::check,
        breakage::check,
        baseline::check,
    ] {
        check(&profile, out);
    }
    and(&profile);
}

/// Names with commas between them, and how many more.
fn list<'a>(names: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let names: Vec<_> = names.into_iter().collect();
    let shown = names
        .iter()
        .take(most)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
