//! The whole of REVIEW.md: what is said of each profile, in one text.

use tracer_core::formats::Models;

use super::{apparmor, review};

/// REVIEW.md of a workload: the system calls, then files and capabilities if they were observed.
pub fn full_review(models: &Models<'_>) -> String {
    let mut text = review(std::slice::from_ref(models.recording), models.seccomp);
    if let Some(profile) = models.apparmor {
        text.push('\n');
        text.push_str(&apparmor(profile, models.capabilities));
    }
    text
}
