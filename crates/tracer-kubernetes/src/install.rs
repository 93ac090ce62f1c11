//! The manifests of an installation: the kustomize base in `packaging/kubernetes`, byte for byte.

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, TypeMeta},
    core::{GroupVersion, gvk::ParseGroupVersionError},
};
use thiserror::Error;

/// The base, in the order in which it is applied.
const BASE: [&str; 4] = [
    include_str!("../../../packaging/kubernetes/base/namespace.yaml"),
    RBAC,
    CONFIGURATION,
    include_str!("../../../packaging/kubernetes/base/daemonset.yaml"),
];

const RBAC: &str = include_str!("../../../packaging/kubernetes/base/rbac.yaml");

const CONFIGURATION: &str = include_str!("../../../packaging/kubernetes/base/configuration.yaml");

/// Replaces the ClusterRole and its binding if the agent reads single namespaces.
const ROLE: &str = include_str!("../../../packaging/kubernetes/overlays/namespaced/role.yaml");

/// The namespace of the base.
pub const NAMESPACE: &str = "tracer";

/// The image of the base.
pub const IMAGE: &str = "localhost/tracer:0.1.0";

/// The namespace that the overlay `namespaced` is for.
const SEEN: &str = "shop";

/// Name of the applier for the API server (`fieldManager`).
const MANAGER: &str = "tracer-install";

/// An installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The namespace of tracer.
    pub namespace: String,
    /// The image.
    pub image: String,
    /// The namespaces that the agent may read; empty for all.
    pub seen: Vec<String>,
}

/// Why something was not installed.
#[derive(Debug, Error)]
pub enum InstallError {
    /// A manifest is invalid.
    #[error("invalid manifest: {0}")]
    Manifest(String),
    /// It has no valid version.
    #[error("a manifest has no valid apiVersion")]
    Version(#[from] ParseGroupVersionError),
    /// The API server rejected it.
    #[error("cannot apply {object}")]
    Refused {
        /// The rejected object.
        object: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

impl Default for Installation {
    fn default() -> Self {
        Self {
            namespace: NAMESPACE.to_owned(),
            image: IMAGE.to_owned(),
            seen: Vec::new(),
        }
    }
}

impl Installation {
    /// The manifests, as one YAML stream.
    pub fn manifests(&self) -> String {
        let mut documents: Vec<String> = Vec::new();
        for file in BASE {
            let of_file = file.split("---\n").map(str::to_owned);
            if file == RBAC && !self.seen.is_empty() {
                documents.extend(of_file.filter(|it| !it.contains("kind: ClusterRole")));
                documents.extend(self.roles());
            } else if file == CONFIGURATION && !self.seen.is_empty() {
                documents.extend(of_file.map(|it| with_namespaces(&it, &self.seen)));
            } else {
                documents.extend(of_file);
            }
        }
        let documents: Vec<_> = documents.iter().map(|it| self.named(it)).collect();
        documents.join("---\n")
    }

    fn roles(&self) -> Vec<String> {
        let of = |seen: &String| {
            let text = replace_lines(ROLE, &[("namespace", SEEN, seen)]);
            text.split("---\n").map(str::to_owned).collect::<Vec<_>>()
        };
        self.seen.iter().flat_map(of).collect()
    }

    /// A document with the namespace and the image of this installation.
    fn named(&self, document: &str) -> String {
        let mut values = vec![
            ("namespace", NAMESPACE, self.namespace.as_str()),
            ("image", IMAGE, self.image.as_str()),
        ];
        if document.contains("kind: Namespace\n") {
            values.push(("name", NAMESPACE, &self.namespace));
        }
        replace_lines(document, &values)
    }
}

/// Replaces the values of whole lines `KEY: OLD`.
fn replace_lines(text: &str, values: &[(&str, &str, &str)]) -> String {
    let line = |line: &str| {
        let content = line.trim_start();
        for (key, old, new) in values {
            if content == format!("{key}: {old}") {
                let indentation = line.strip_suffix(content).unwrap_or_default();
                return format!("{indentation}{key}: {new}\n");
            }
        }
        format!("{line}\n")
    };
    text.lines().map(line).collect()
}

fn with_namespaces(configuration: &str, namespaces: &[String]) -> String {
    let head = "    [kubernetes]\n";
    configuration.replace(head, &format!("{head}    namespaces = {namespaces:?}\n"))
}

/// Applies manifests by server-side apply, one after the other. Returns the names of the applied objects.
///
/// # Errors
/// [`InstallError`]. Objects that were applied before it stay applied.
pub async fn apply(client: &Client, manifests: &str) -> Result<Vec<String>, InstallError> {
    let mut applied = Vec::new();
    for document in manifests.split("---\n") {
        let object: DynamicObject = serde_saphyr::from_str(document)
            .map_err(|error| InstallError::Manifest(error.to_string()))?;
        let types = object.types.clone().unwrap_or_default();
        let name = object.metadata.name.clone().unwrap_or_default();
        let api = api(client, &types, object.metadata.namespace.as_deref())?;
        let refused = |source| InstallError::Refused {
            object: format!("{} {name}", types.kind),
            source: Box::new(source),
        };
        let settings = PatchParams::apply(MANAGER);
        let patch = Patch::Apply(&object);
        api.patch(&name, &settings, &patch).await.map_err(refused)?;
        applied.push(format!("{} {name}", types.kind));
    }
    Ok(applied)
}

fn api(
    client: &Client,
    types: &TypeMeta,
    namespace: Option<&str>,
) -> Result<Api<DynamicObject>, InstallError> {
    let version: GroupVersion = types.api_version.parse()?;
    let resource = ApiResource::from_gvk(&version.with_kind(&types.kind));
    Ok(match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::Value;

    use super::*;

    fn documents(text: &str) -> Vec<Value> {
        text.split("---\n")
            .map(|it| serde_saphyr::from_str(it).unwrap())
            .collect()
    }

    #[test]
    fn every_document_is_an_object_in_the_namespace() {
        let installation = Installation {
            namespace: "security".to_owned(),
            image: "registry.example/tracer:1".to_owned(),
            seen: Vec::new(),
        };
        let all = documents(&installation.manifests());
        assert_eq!(all.len(), 6);
        for object in &all {
            let namespaced = &object["metadata"]["namespace"];
            assert!(namespaced.is_null() || namespaced == "security", "{object}");
            if object["kind"] == "Namespace" {
                assert_eq!(object["metadata"]["name"], "security");
            }
            if object["kind"] == "ClusterRoleBinding" {
                assert_eq!(object["subjects"][0]["namespace"], "security");
            }
        }
        let daemon = all.iter().find(|it| it["kind"] == "DaemonSet").unwrap();
        let pod = &daemon["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], "registry.example/tracer:1");
    }

    #[test]
    fn agent_has_two_capabilities_and_no_socket_of_the_runtime() {
        let all = documents(&Installation::default().manifests());
        let daemon = all.iter().find(|it| it["kind"] == "DaemonSet").unwrap();
        let pod = &daemon["spec"]["template"]["spec"];
        let context = &pod["containers"][0]["securityContext"];
        assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
        assert_eq!(
            context["capabilities"]["add"],
            serde_json::json!(["BPF", "PERFMON"])
        );
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert!(context["privileged"].is_null());
        let volumes = pod["volumes"].as_array().unwrap();
        let paths: Vec<_> = volumes
            .iter()
            .filter_map(|it| it["hostPath"]["path"].as_str())
            .collect();
        assert_eq!(paths, ["/var/lib/tracer", "/sys/fs/cgroup"]);
        // It reads, and only what it asks for.
        let role = all.iter().find(|it| it["kind"] == "ClusterRole").unwrap();
        for rule in role["rules"].as_array().unwrap() {
            for verb in rule["verbs"].as_array().unwrap() {
                assert!(["get", "list", "watch"].contains(&verb.as_str().unwrap()));
            }
        }
    }

    #[test]
    fn one_namespace_takes_no_cluster_role() {
        let installation = Installation {
            seen: vec!["a".to_owned(), "b".to_owned()],
            ..Installation::default()
        };
        let all = documents(&installation.manifests());
        let kinds: Vec<_> = all.iter().map(|it| it["kind"].as_str().unwrap()).collect();
        assert!(!kinds.contains(&"ClusterRole") && !kinds.contains(&"ClusterRoleBinding"));
        let bindings: Vec<_> = all
            .iter()
            .filter(|it| it["kind"] == "RoleBinding")
            .map(|it| {
                (
                    &it["metadata"]["namespace"],
                    &it["subjects"][0]["namespace"],
                )
            })
            .collect();
        let tracer = Value::from("tracer");
        assert_eq!(
            bindings,
            [(&Value::from("a"), &tracer), (&Value::from("b"), &tracer)]
        );
        let configuration = all.iter().find(|it| it["kind"] == "ConfigMap").unwrap();
        let text = configuration["data"]["agent.toml"].as_str().unwrap();
        assert!(
            text.contains("[kubernetes]\nnamespaces = [\"a\", \"b\"]\n"),
            "{text}"
        );
    }

    /// The chart's templates are the base with values in the place of names. `TRACER_UPDATE=1` writes them.
    #[test]
    fn chart_is_made_of_the_base() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/kubernetes");
        for name in ["rbac", "configuration", "daemonset"] {
            let base = fs::read_to_string(place.join(format!("base/{name}.yaml"))).unwrap();
            let template = replace_lines(
                &base,
                &[
                    ("namespace", NAMESPACE, "{{ .Release.Namespace }}"),
                    ("image", IMAGE, "{{ .Values.image | quote }}"),
                ],
            );
            let template = template.replace(
                "      terminationGracePeriodSeconds",
                "      {{- with .Values.imagePullSecrets }}\n      imagePullSecrets:\n        \
                 {{- toYaml . | nindent 8 }}\n      {{- end }}\n      terminationGracePeriodSeconds",
            );
            let file = place.join(format!("chart/templates/{name}.yaml"));
            if std::env::var_os("TRACER_UPDATE").is_some() {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, &template).unwrap();
            }
            let written = fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(written, template, "run it with TRACER_UPDATE=1");
        }
        let values = fs::read_to_string(place.join("chart/values.yaml")).unwrap();
        let values: Value = serde_saphyr::from_str(&values).unwrap();
        assert_eq!(values["image"], IMAGE);
        let version = IMAGE.rsplit(':').next().unwrap();
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        let chart = fs::read_to_string(place.join("chart/Chart.yaml")).unwrap();
        assert!(chart.contains(&format!("\nversion: {version}\n")));
    }
}
