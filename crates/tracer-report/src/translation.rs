//! What became of the calls, when a profile is for a machine that was not recorded on.

use super::{
    escape::code,
    markdown::Document,
    rules::{executables, list},
};
use tracer_core::profile::seccomp::SeccompProfile;

/// Said at the very top: who reads no further shall know it.
pub(super) fn translated(doc: &mut Document, profile: &SeccompProfile) {
    let Some(translation) = profile.translation() else {
        return;
    };
    let from = list(translation.from().map(|abi| abi.to_string()));
    let to = translation.to();
    doc.paragraph(&format!(
        "**Translated**: recorded on {from}, generated for {to}. The workload was not observed there. Calls that its programs make only on {to} are not in this profile; test it before you rely on it."
    ));
}

/// Call by call.
pub(super) fn translation(doc: &mut Document, profile: &SeccompProfile) {
    let Some(translation) = profile.translation() else {
        return;
    };
    let to = translation.to();
    doc.heading(2, "Translated");
    doc.paragraph(&format!(
        "Calls that exist on {to} are kept, and the layers `runtime-init`, `essential` and `fallback` are those of {to}."
    ));
    let replaced = translation.replaced().map(|(name, by)| {
        let by = by.iter().map(|it| match it.only {
            None => code(it.call),
            Some(only) => format!("{} only when {}", code(it.call), only.when),
        });
        [code(name), list(by)]
    });
    let replaced: Vec<_> = replaced.collect();
    if !replaced.is_empty() {
        doc.paragraph("These calls have other names there, or more than one:");
        doc.table(["Observed", "In this profile"], replaced);
    }
    doc.list(translation.start().map(|(name, why)| {
        format!(
            "Added: {}, which every program makes at its start: it {why}.",
            code(name)
        )
    }));
    let lost: Vec<_> = translation
        .lost()
        .map(|(abi, name, lost)| {
            [
                code(name),
                abi.to_string(),
                lost.why.to_owned(),
                executables(&lost.executables),
            ]
        })
        .collect();
    if !lost.is_empty() {
        doc.paragraph("**Not translated**, and not in this profile:");
        doc.table(["Call", "ABI", "Why", "Made by"], lost);
    }
}
