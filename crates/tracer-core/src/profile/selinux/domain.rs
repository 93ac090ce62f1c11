//! The domain that a workload is recorded in: permissive, so that the policy reports what it would deny and
//! denies nothing.

use std::fmt::Write as _;

use super::{Base, cil::base_statements, names::is_identifier};
use crate::profile::{NameKind, TargetError};

/// What the domain is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingDomain {
    /// The name of its block; its type is `NAME.process`.
    pub name: String,
    /// What it starts from: the same as the profile will.
    pub base: Base,
    /// Who may start programs in it, besides those that the policy lets.
    pub callers: Vec<String>,
}

/// The CIL of a permissive domain for a recording. It has no rule but those that `callers` need to enter it.
///
/// # Errors
/// When a name is none that a policy may hold.
///
/// ```
/// use tracer_core::profile::selinux::{Base, RecordingDomain, recording_domain};
///
/// let domain = RecordingDomain {
///     name: "tracer_record".to_owned(),
///     base: Base::Standalone,
///     callers: vec!["unconfined_t".to_owned()],
/// };
/// let text = recording_domain(&domain).unwrap();
/// assert!(text.contains("(typepermissive process)"));
/// assert!(text.contains("(allow unconfined_t process (process (transition"));
/// ```
pub fn recording_domain(domain: &RecordingDomain) -> Result<String, TargetError> {
    let block = match &domain.base {
        Base::Block(block) => Some(block),
        Base::Standalone => None,
    };
    for name in [&domain.name]
        .into_iter()
        .chain(block)
        .chain(&domain.callers)
    {
        if !is_identifier(name) {
            return Err(NameKind::SelinuxIdentifier.refuse(name));
        }
    }
    if domain.name.contains('.') {
        return Err(NameKind::SelinuxBlock.refuse(&domain.name));
    }
    let name = &domain.name;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "; A permissive domain for recording, printed by `tracer selinux domain`. Remove it afterwards:\n\
         ; semodule -r {name}\n\
         (block {name}"
    );
    text += &base_statements(&domain.base);
    text += "  (typepermissive process)\n";
    for caller in &domain.callers {
        // What execve(2) asks when the domain changes (`selinux_bprm_creds_for_exec`, security/selinux/hooks.c);
        // the second line is for noNewPrivileges and nosuid mounts.
        let _ = writeln!(
            text,
            "  (allow {caller} process (process (transition siginh rlimitinh noatsecure)))\n  \
             (allow {caller} process (process2 (nnp_transition nosuid_transition)))"
        );
    }
    text += ")\n";
    Ok(text)
}
