//! The owner of a pod. For objects between a pod and its owner, only the metadata is requested, once each.

use std::collections::HashMap;

use k8s_openapi::{
    api::{apps::v1::ReplicaSet, batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Api, Client};

use super::{Owner, containers::MIRROR};

/// Maximum number of remembered ReplicaSets and Jobs.
const MAX_KNOWN: usize = 10_000;

/// Statuses of the API server that a retry does not change: Forbidden, NotFound.
const FINAL: [u16; 2] = [403, 404];

/// Finds owners, and remembers them.
pub(super) struct Owners {
    client: Client,
    /// The controllers of ReplicaSets and Jobs, by the uid of the ReplicaSet or Job.
    known: HashMap<String, Option<OwnerReference>>,
}

/// An object that may have a controller of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    ReplicaSet,
    Job,
}

impl Owners {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            known: HashMap::new(),
        }
    }

    /// The owner of a pod; `None` if the API server does not report it, for example because of RBAC.
    ///
    /// # Errors
    /// If the API server does not answer now.
    pub(super) async fn of(&mut self, pod: &Pod) -> Result<Option<Owner>, kube::Error> {
        if let Some(owner) = of_static(pod) {
            return Ok(Some(owner));
        }
        let Some(first) = controller(&pod.metadata) else {
            return Ok(pod.metadata.name.clone().map(|name| Owner {
                kind: "pod".to_owned(),
                name,
            }));
        };
        let Some(between) = between(first) else {
            return Ok(Some(owner(first)));
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        match self.controller_of(between, namespace, first).await {
            Ok(Some(outer)) => Ok(Some(owner(&outer))),
            Ok(None) => Ok(Some(owner(first))),
            Err(kube::Error::Api(status)) if FINAL.contains(&status.code) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn controller_of(
        &mut self,
        between: Between,
        namespace: &str,
        object: &OwnerReference,
    ) -> Result<Option<OwnerReference>, kube::Error> {
        if let Some(known) = self.known.get(&object.uid) {
            return Ok(known.clone());
        }
        let client = self.client.clone();
        let metadata = match between {
            Between::ReplicaSet => {
                let api = Api::<ReplicaSet>::namespaced(client, namespace);
                api.get_metadata(&object.name).await?.metadata
            }
            Between::Job => {
                let api = Api::<Job>::namespaced(client, namespace);
                api.get_metadata(&object.name).await?.metadata
            }
        };
        // A newer object of the same name says nothing about this one.
        let found = (metadata.uid.as_ref() == Some(&object.uid))
            .then(|| controller(&metadata).cloned())
            .flatten();
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(object.uid.clone(), found.clone());
        Ok(found)
    }
}

/// The controller of an object; it has one at most.
fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let owners = metadata.owner_references.as_ref()?;
    owners.iter().find(|owner| owner.controller == Some(true))
}

fn between(reference: &OwnerReference) -> Option<Between> {
    let (group, _) = reference.api_version.split_once('/')?;
    match (group, reference.kind.as_str()) {
        ("apps", "ReplicaSet") => Some(Between::ReplicaSet),
        ("batch", "Job") => Some(Between::Job),
        _ => None,
    }
}

fn owner(reference: &OwnerReference) -> Owner {
    Owner {
        kind: reference.kind.to_lowercase(),
        name: reference.name.clone(),
    }
}

/// The owner of a pod from a file on the node: its name without the node's. kubelet says that the Node owns it.
fn of_static(pod: &Pod) -> Option<Owner> {
    pod.metadata.annotations.as_ref()?.get(MIRROR)?;
    let name = pod.metadata.name.as_deref()?;
    let node = pod.spec.as_ref()?.node_name.as_deref()?.to_lowercase();
    let bare = name
        .strip_suffix(node.as_str())
        .and_then(|name| name.strip_suffix('-'));
    Some(Owner {
        kind: "staticpod".to_owned(),
        name: bare.unwrap_or(name).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reference(api_version: &str, kind: &str, controller: bool) -> OwnerReference {
        OwnerReference {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: "web".to_owned(),
            controller: Some(controller),
            ..OwnerReference::default()
        }
    }

    #[test]
    fn only_replica_sets_and_jobs_are_followed() {
        let of = |version: &str, kind: &str| between(&reference(version, kind, true));
        assert_eq!(of("apps/v1", "ReplicaSet"), Some(Between::ReplicaSet));
        assert_eq!(of("batch/v1", "Job"), Some(Between::Job));
        assert_eq!(of("apps/v1", "StatefulSet"), None);
        assert_eq!(of("v1", "ReplicationController"), None);
        assert_eq!(of("example.com/v1", "ReplicaSet"), None);
    }

    #[test]
    fn controller_is_the_owner_and_others_are_not() {
        let metadata = ObjectMeta {
            owner_references: Some(vec![
                reference("v1", "ConfigMap", false),
                reference("postgresql.cnpg.io/v1", "Cluster", true),
            ]),
            ..ObjectMeta::default()
        };
        let found = controller(&metadata).map(owner).unwrap();
        assert_eq!(
            (found.kind.as_str(), found.name.as_str()),
            ("cluster", "web")
        );
        assert_eq!(controller(&ObjectMeta::default()), None);
    }

    #[test]
    fn static_pod_is_named_without_its_node() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "etcd-n1.example", "annotations": {MIRROR: "0"}},
            "spec": {"nodeName": "N1.example", "containers": []},
        }))
        .unwrap();
        let found = of_static(&pod).unwrap();
        assert_eq!(
            (found.kind.as_str(), found.name.as_str()),
            ("staticpod", "etcd")
        );
        assert_eq!(of_static(&Pod::default()), None);
    }
}
