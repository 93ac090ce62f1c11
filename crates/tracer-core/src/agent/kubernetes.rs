//! The part of an agent's configuration for a node of Kubernetes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::span::Span;

/// Who the containers of a node are, by an API server. It is asked for the pods of this node alone.
///
/// Then containers of pods are recorded and no others, and runtimes are asked only by the `cri_socket` that is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kubernetes {
    /// The node's name; `$NODE_NAME` takes it from that variable. Without one, no API server is asked.
    pub node: String,
    /// How the API server is reached; by the service account of the agent's own pod when it is empty.
    pub kubeconfig: String,
    /// Namespaces to ask for pods of; all when there are none. Each takes a Role in it, and no ClusterRole.
    pub namespaces: Vec<String>,
    /// The uid of the agent's own pod, which is not recorded; `$POD_UID` takes it from that variable.
    pub pod_uid: String,
    /// How long a container is kept whose name the API server has not told. Then it is dropped and counted.
    pub wait: Span,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            node: String::new(),
            kubeconfig: String::new(),
            namespaces: Vec::new(),
            pod_uid: String::new(),
            wait: Span::seconds(600),
        }
    }
}

impl Kubernetes {
    /// Whether an API server is asked.
    pub const fn is_used(&self) -> bool {
        !self.node.is_empty()
    }

    /// Replaces `$NAME` by the value of that variable, in what differs from pod to pod.
    ///
    /// # Errors
    /// The name of a variable that is not set.
    pub fn expand(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), String> {
        for text in [&mut self.node, &mut self.pod_uid] {
            if let Some(name) = text.strip_prefix('$') {
                *text = variable(name)
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| name.to_owned())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_taken_from_the_environment() {
        let mut settings = Kubernetes {
            node: "$NODE_NAME".to_owned(),
            pod_uid: "7".to_owned(),
            ..Kubernetes::default()
        };
        assert_eq!(
            settings.clone().expand(|_| None),
            Err("NODE_NAME".to_owned())
        );
        let set = |name: &str| (name == "NODE_NAME").then(|| "n1".to_owned());
        assert_eq!(settings.expand(set), Ok(()));
        assert_eq!(
            (settings.node.as_str(), settings.pod_uid.as_str()),
            ("n1", "7")
        );
        assert!(settings.is_used() && !Kubernetes::default().is_used());
    }
}
