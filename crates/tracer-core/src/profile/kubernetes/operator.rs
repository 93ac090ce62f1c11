//! Versions of the Security Profiles Operator, and how they differ.

use std::str::FromStr;

/// The group of its objects.
pub(super) const GROUP: &str = "security-profiles-operator.x-k8s.io";

/// Which objects an operator takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operator {
    /// Since 1.0: all kinds are `v1`, with `state` and `mode`.
    #[default]
    V1,
    /// 0.9 and 0.10: `v1beta1` and `v1alpha1`, with `disabled` and `complainMode`. Before 0.9 profiles
    /// had a namespace, and other paths.
    V0_10,
}

impl FromStr for Operator {
    type Err = String;

    fn from_str(version: &str) -> Result<Self, String> {
        let mut parts = version.trim_start_matches('v').split('.');
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
        match (number(parts.next()), number(parts.next())) {
            (Some(1), _) => Ok(Self::V1),
            (Some(0), Some(9 | 10)) => Ok(Self::V0_10),
            _ => Err(
                "supported versions of the operator: 1 and later, 0.10 and 0.9; update older ones"
                    .to_owned(),
            ),
        }
    }
}

impl Operator {
    /// The version of a SeccompProfile.
    pub(super) const fn seccomp(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V0_10 => "v1beta1",
        }
    }

    /// The version of the other kinds.
    pub(super) const fn others(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V0_10 => "v1alpha1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_operator_versions() {
        for (text, expected) in [
            ("1.0", Some(Operator::V1)),
            ("v1.1.0", Some(Operator::V1)),
            ("1", Some(Operator::V1)),
            ("0.10", Some(Operator::V0_10)),
            ("0.9.1", Some(Operator::V0_10)),
            ("0.8", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Operator>().ok(), expected, "{text}");
        }
    }
}
