//! What a reader of a container's profile has to know. Pure. io_uring is not among these: only the
//! recording itself shows it.

use tracer_core::recording::Warning;

use super::bundle::{Privileged, Seccomp, Security};

/// The warnings that a container's bundle gives.
pub fn warnings(security: &Security) -> Vec<Warning> {
    let mut warnings = Vec::new();
    warnings.extend(security.privileged.map(|how| Warning::Privileged {
        inferred: how == Privileged::ByBundle,
    }));
    if security.uid == Some(0) && !security.user_namespace {
        warnings.push(Warning::RootUser {});
    }
    match &security.seccomp {
        Seccomp::Unknown => {}
        Seccomp::Unconfined => warnings.push(Warning::SeccompUnconfined {}),
        Seccomp::Filter {
            allows_all: true, ..
        } => warnings.push(Warning::FilterAllowsAll {}),
        Seccomp::Filter { default_action, .. } => warnings.push(Warning::FilterInPlace {
            default_action: default_action.clone(),
        }),
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::container::bundle::Bundle;

    #[test]
    fn warnings_are_derived_from_the_bundle() {
        let of = |config: Value| warnings(&Bundle::read(&config).security);
        assert_eq!(
            of(json!({})),
            [Warning::RootUser {}, Warning::SeccompUnconfined {}]
        );
        assert_eq!(
            of(json!({
                "process": {"user": {"uid": 5}},
                "annotations": {"io.podman.annotations.privileged": "TRUE"},
                "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}
            })),
            [
                Warning::Privileged { inferred: false },
                Warning::FilterInPlace {
                    default_action: "SCMP_ACT_ERRNO".to_owned()
                },
            ]
        );
        assert_eq!(
            of(json!({"linux": {
                "namespaces": [{"type": "user"}],
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}
            }})),
            [Warning::FilterAllowsAll {}]
        );
        // What could not be read warns of nothing.
        assert!(of(json!(7)).is_empty());
    }
}
