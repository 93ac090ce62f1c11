//! What a reader of a container's profile has to know. Pure.

use std::fmt;

use super::bundle::{Privileged, Seccomp, Security};

/// A warning. io_uring is not among these: only the recording itself shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// It is privileged: Docker, containerd, CRI-O and Podman then ignore a seccomp profile, unless
    /// one is named outright.
    Privileged(Privileged),
    /// It runs as root, without a user namespace.
    RootUser,
    /// It runs without a seccomp filter.
    Unconfined,
    /// It runs under a filter that stops nothing.
    FilterAllowsAll,
    /// It runs under a filter: what that stops, the program never got to do.
    FilterInPlace(String),
}

impl Warning {
    /// The warnings that a container's bundle gives.
    pub fn from_security(security: &Security) -> Vec<Self> {
        let mut warnings = Vec::new();
        warnings.extend(security.privileged.map(Self::Privileged));
        if security.uid == Some(0) && !security.user_namespace {
            warnings.push(Self::RootUser);
        }
        match &security.seccomp {
            Seccomp::Unknown => {}
            Seccomp::Unconfined => warnings.push(Self::Unconfined),
            Seccomp::Filter {
                allows_all: true, ..
            } => warnings.push(Self::FilterAllowsAll),
            Seccomp::Filter { default_action, .. } => {
                warnings.push(Self::FilterInPlace(default_action.clone()));
            }
        }
        warnings
    }

    /// The code in recordings.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Privileged(_) => "privileged",
            Self::RootUser => "root-user",
            Self::Unconfined => "seccomp-unconfined",
            Self::FilterAllowsAll => "filter-allows-all",
            Self::FilterInPlace(_) => "filter-in-place",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privileged(how) => {
                f.write_str("the container is privileged")?;
                if *how == Privileged::ByBundle {
                    f.write_str(" (all capabilities, no filter, nothing masked)")?;
                }
                f.write_str(": its engine ignores a seccomp profile; take privileged away first")
            }
            Self::RootUser => f.write_str(
                "the container runs as root: give it a user of its own (runAsNonRoot, --user)",
            ),
            Self::Unconfined => f.write_str("the container runs without a seccomp filter"),
            Self::FilterAllowsAll => {
                f.write_str("the container runs under a seccomp filter that stops nothing")
            }
            Self::FilterInPlace(action) => write!(
                f,
                "a seccomp filter was in place (default action {action:?}): what it stops the program did not get to do"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::bundle::Bundle;

    #[test]
    fn warnings_are_derived_from_the_bundle() {
        let codes = |config: serde_json::Value| -> Vec<&'static str> {
            let security = Bundle::read(&config).security;
            Warning::from_security(&security)
                .iter()
                .map(Warning::code)
                .collect()
        };
        use serde_json::json;
        assert_eq!(codes(json!({})), ["root-user", "seccomp-unconfined"]);
        assert_eq!(
            codes(json!({
                "process": {"user": {"uid": 5}},
                "annotations": {"io.podman.annotations.privileged": "TRUE"},
                "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}
            })),
            ["privileged", "filter-in-place"]
        );
        assert_eq!(
            codes(json!({"linux": {
                "namespaces": [{"type": "user"}],
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}
            }})),
            ["filter-allows-all"]
        );
        // What could not be read warns of nothing.
        assert!(codes(json!(7)).is_empty());
    }

    #[test]
    fn hostile_text_stays_on_one_line() {
        let text = Warning::FilterInPlace("\u{1b}[2J\n".to_owned()).to_string();
        assert!(!text.contains(['\n', '\u{1b}']), "{text:?}");
    }
}
