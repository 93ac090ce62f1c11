//! The whole of REVIEW.md: what is said of each profile, in one text.

use tracer_core::formats::Models;

use super::{apparmor, review::review_at};

/// REVIEW.md of a workload: the system calls, then files and capabilities if they were observed.
pub fn full_review(models: &Models<'_>) -> String {
    let recordings = std::slice::from_ref(models.recording);
    let mut text = review_at(recordings, models.seccomp, &models.localhost());
    if let Some(profile) = models.apparmor {
        text.push('\n');
        text.push_str(&apparmor(profile, models.capabilities));
    }
    text
}
