//! How to apply the profiles of a workload.

use super::{escape::visible, markdown::Document};
use tracer_core::profile::{apparmor::AppArmorProfile, capabilities::Capabilities};

/// The commands that apply the files beside the review.
pub(super) fn how_to_apply(
    doc: &mut Document,
    apparmor: Option<&AppArmorProfile>,
    needed: Option<&Capabilities>,
) {
    doc.heading(2, "How to apply it");
    doc.code_block("sh", &commands(apparmor, needed));
    doc.paragraph("Kubernetes: `tracer generate --for MANIFEST`, or `kubernetes/securitycontext.yaml`. systemd: `tracer generate --format systemd`.");
}

/// The commands for Docker and Podman, one a line.
pub(crate) fn commands(
    apparmor: Option<&AppArmorProfile>,
    needed: Option<&Capabilities>,
) -> String {
    let mut load = String::new();
    let mut options = "--security-opt seccomp=seccomp.json".to_owned();
    if let Some(profile) = apparmor {
        load.push_str("apparmor_parser --replace apparmor.profile\n");
        options.push_str(&format!(
            " --security-opt apparmor={}",
            visible(profile.name())
        ));
    }
    if let Some(needed) = needed {
        options.push_str(&format!(" {}", needed.to_engine_flags().trim_end()));
    }
    format!("{load}docker run {options} IMAGE\npodman run {options} IMAGE")
}
