//! A container's `securityContext.capabilities` in Kubernetes.

use super::Capabilities;

impl Capabilities {
    /// A container's security context, YAML. Names are without `CAP_`, as its API has them.
    pub fn to_kubernetes(&self) -> String {
        let mut text = "securityContext:\n  capabilities:\n    drop:\n      - ALL\n".to_owned();
        let mut names = self.names().peekable();
        if names.peek().is_some() {
            text.push_str("    add:\n");
        }
        for name in names {
            text.push_str(&format!("      - {name}\n"));
        }
        text
    }
}
