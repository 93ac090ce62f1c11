//! Names of objects.

use std::fmt;

use crate::profile::{NameKind, TargetError};

/// A DNS-1123 subdomain, as the names of objects are (apimachinery, pkg/util/validation:
/// `IsDNS1123Subdomain`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName(String);

/// Longest name.
const MAX: usize = 253;

impl ObjectName {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(name: &str) -> Result<Self, TargetError> {
        let is_one = name.len() <= MAX && name.split('.').all(is_part);
        if is_one {
            return Ok(Self(name.to_owned()));
        }
        Err(NameKind::KubernetesObject.refuse(name))
    }

    /// The name for a workload: its own, or for one of a pod's, `<namespace>_<kind>-<owner>_<container>`,
    /// the same with dots. A namespace and a container's name have none, so no two become one.
    ///
    /// # Errors
    /// When it is no name of an object: two workloads must not share one by chance, so no letter is
    /// changed.
    ///
    /// ```
    /// use tracer_core::profile::kubernetes::ObjectName;
    ///
    /// let name = ObjectName::of_workload("shop_deployment-cart_web").unwrap();
    /// assert_eq!(name.as_str(), "shop.deployment-cart.web");
    /// assert!(ObjectName::of_workload("Web").is_err());
    /// ```
    pub fn of_workload(workload: &str) -> Result<Self, TargetError> {
        let parts: Vec<_> = workload.split('_').collect();
        match parts[..] {
            [namespace, _, container] if is_part(namespace) && is_part(container) => {
                Self::new(&parts.join("."))
            }
            _ => Self::new(workload),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether something is a DNS-1123 label, as the names of namespaces and containers are.
pub(super) fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_part(name)
}

/// A DNS-1123 label, but for its length: a subdomain has no limit for its parts.
fn is_part(part: &str) -> bool {
    let edge = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = part.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_valid_object_names() {
        for name in ["nginx", "a.b", "redis-7", "0"] {
            assert_eq!(ObjectName::of_workload(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            "A",
            "a_b",
            "-a",
            "a-",
            "a..b",
            "a.",
            "é",
            &"a".repeat(254),
        ] {
            let error = ObjectName::of_workload(name).unwrap_err().to_string();
            assert!(error.contains("give another name"), "{error}");
        }
    }

    #[test]
    fn pod_container_name_uses_dots() {
        let name = ObjectName::of_workload("shop_deployment-cart.v2_web");
        assert_eq!(name.unwrap().as_str(), "shop.deployment-cart.v2.web");
        assert!(ObjectName::of_workload("a.b_c_d").is_err());
        assert!(ObjectName::of_workload("a_b_c_d").is_err());
    }
}
