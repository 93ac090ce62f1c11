//! The whole of REVIEW.md: system calls, files and capabilities, in one text.

use tracer_core::formats::Models;

use super::{
    apparmor::access_rules,
    apply::how_to_apply,
    gvisor,
    html::Since,
    markdown::Document,
    review::{first_screen, recorded, seccomp_rules},
    selinux::selinux_rules,
};

/// REVIEW.md of a workload.
pub fn full_review(models: &Models<'_>) -> String {
    full_review_since(models, None)
}

/// REVIEW.md of a workload, with what changed since an older recording or profile.
pub fn full_review_since(models: &Models<'_>, since: Option<&Since>) -> String {
    let mut doc = Document::default();
    let (recording, seccomp) = (models.recording, models.seccomp);
    first_screen(&mut doc, recording, seccomp, models.apparmor, since);
    if seccomp.is_for_gvisor() {
        gvisor::worth(&mut doc);
    }
    seccomp_rules(&mut doc, recording, seccomp);
    if let Some(profile) = models.apparmor {
        access_rules(&mut doc, profile, models.capabilities);
    }
    if let Some(profile) = models.selinux {
        selinux_rules(&mut doc, profile);
    }
    how_to_apply(&mut doc, models.apparmor, models.capabilities);
    recorded(&mut doc, recording);
    doc.into_text()
}
