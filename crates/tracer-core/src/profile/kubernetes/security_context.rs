//! A container's `securityContext`: as a snippet, and as a strategic-merge patch.

use super::{ObjectName, Placement, head};
use crate::profile::{
    Omission, PlacementOmission, Rendering, TargetError,
    capabilities::Capabilities,
    hardening::{Hardening, Setting},
    yaml::{Map, Value},
};

/// The annotation that names an AppArmor profile before Kubernetes 1.30.
pub(crate) const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Who puts the profiles on the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Localhost {
    /// The operator: `operator/<name>.json`, and an AppArmor profile of the object's name.
    #[default]
    Operator,
    /// Somebody, who put the seccomp profile at this path below the kubelet's directory (`/var/lib/kubelet/seccomp`),
    /// and loaded apparmor.profile.
    File(String),
}

impl Localhost {
    /// Checks a path as an API server does (kubernetes, pkg/apis/core/validation:
    /// `validateLocalDescendingPath`).
    ///
    /// # Errors
    /// When it leads out of the kubelet's directory.
    pub fn file(path: &str) -> Result<Self, String> {
        let leads_out = path.starts_with('/') || path.split('/').any(|part| part == "..");
        if path.is_empty() || leads_out || path.chars().any(char::is_control) {
            return Err(
                "give the path below the kubelet's seccomp directory, as profiles/web.json: it must not begin with / nor have .. in it"
                    .to_owned(),
            );
        }
        Ok(Self::File(path.to_owned()))
    }

    /// `localhostProfile` of a seccomp profile.
    pub fn seccomp(&self, name: &ObjectName) -> String {
        match self {
            Self::Operator => format!("operator/{name}.json"),
            Self::File(path) => path.clone(),
        }
    }
}

/// What a container's `securityContext` is to hold.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The workload.
    pub workload: &'a str,
    /// `localhostProfile` of the seccomp profile.
    pub seccomp: String,
    /// The AppArmor profile, if there is one.
    pub apparmor: Option<String>,
    /// Whether AppArmor is left out on purpose.
    pub seccomp_only: bool,
    /// Whether the cluster is older than 1.30 and wants an annotation for it.
    pub old_cluster: bool,
    /// The capabilities that it needs, if they were observed.
    pub capabilities: Option<&'a Capabilities>,
    /// What else it may have.
    pub hardening: &'a Hardening,
}

impl Context<'_> {
    /// The fields that name the profiles.
    pub(crate) fn references(&self) -> Map {
        let localhost = |path: &str| {
            Map::new()
                .with("type", "Localhost")
                .with("localhostProfile", path)
        };
        let fields = Map::new().with("seccompProfile", localhost(&self.seccomp));
        match &self.apparmor {
            Some(name) if !self.old_cluster => fields.with("appArmorProfile", localhost(name)),
            _ => fields,
        }
    }

    /// All fields, with a comment for each that is not set.
    fn fields(&self) -> Map {
        let mut fields = self.references();
        if self.seccomp_only {
            fields = fields.comment("appArmorProfile is not set: --only seccomp.");
        } else if self.apparmor.is_none() {
            fields = fields.comment("appArmorProfile is not set: files were not observed.");
        }
        fields = match self.capabilities {
            Some(needed) => {
                let add = needed.names().map(str::to_owned).collect();
                let drop = Map::new().with_texts("drop", vec!["ALL".to_owned()]);
                fields
                    .comment("Granted by the kernel while recording.")
                    .with("capabilities", drop.with_texts("add", add))
            }
            None => fields.comment("capabilities are not set: they were not observed."),
        };
        let hardening = self.hardening;
        let fields = setting(
            fields,
            "allowPrivilegeEscalation",
            false,
            &hardening.no_new_privileges,
        );
        let fields = setting(fields, "runAsNonRoot", true, &hardening.non_root);
        setting(
            fields,
            "readOnlyRootFilesystem",
            true,
            &hardening.read_only_root,
        )
    }

    fn omissions(&self) -> Vec<Omission> {
        if self.hardening.complete {
            return Vec::new();
        }
        vec![PlacementOmission::Incomplete.into()]
    }

    /// The fields as they stand in a container.
    pub fn snippet(&self) -> Rendering {
        let omissions = self.omissions();
        let mut text = head(self.workload, &omissions)
            .comment("For the container in a pod, or in the template of a workload.")
            .to_text();
        if let (Some(name), true) = (&self.apparmor, self.old_cluster) {
            let line = format!(
                "Before Kubernetes 1.30, in the pod's metadata.annotations: {ANNOTATION}CONTAINER: localhost/{name}"
            );
            text += &Map::new().comment(&line).to_text();
        }
        text += &Map::new().with("securityContext", self.fields()).to_text();
        Rendering { text, omissions }
    }

    /// A strategic-merge patch for `kubectl patch --patch-file` and kustomize.
    ///
    /// # Errors
    /// When the container's name is not known.
    pub fn patch(&self, placement: &Placement) -> Result<Rendering, TargetError> {
        let name = placement.container()?;
        let container = Map::new()
            .with("name", name)
            .with("securityContext", self.fields());
        let containers = Value::Maps(vec![(String::new(), container)]);
        let spec = Map::new().with(placement.list(), containers);
        let annotations = match (&self.apparmor, self.old_cluster) {
            (Some(profile), true) => Map::new().with(
                &format!("{ANNOTATION}{name}"),
                format!("localhost/{profile}"),
            ),
            _ => Map::new(),
        };
        let metadata = Map::new().with_map("annotations", annotations);
        let pod = Map::new()
            .with_map("metadata", metadata.clone())
            .with("spec", spec.clone());
        let (kind, owner) = match &placement.owner {
            Some((kind, owner)) => (kind.as_str(), Some(owner.as_str())),
            None => ("deployment", None),
        };
        let (version, title) = api(kind);
        let named = |map: Map| match owner {
            Some(owner) => Map::new().with("name", owner).and(map),
            None => map,
        };
        let body = match title {
            "Pod" => Map::new()
                .with_map("metadata", named(metadata))
                .with("spec", spec),
            "CronJob" => {
                let job = Map::new().with("spec", Map::new().with("template", pod));
                Map::new()
                    .with_map("metadata", named(Map::new()))
                    .with("spec", Map::new().with("jobTemplate", job))
            }
            _ => Map::new()
                .with_map("metadata", named(Map::new()))
                .with("spec", Map::new().with("template", pod)),
        };
        let mut omissions = self.omissions();
        if title == "Rollout" {
            omissions.push(PlacementOmission::RolloutLists.into());
        }
        if placement.list() == "ephemeralContainers" {
            omissions.push(PlacementOmission::EphemeralContainer.into());
        }
        let mut head = head(self.workload, &omissions);
        if owner.is_none() {
            head = head.comment(
                "The owner of its pods is unknown. This is for a Deployment or any other object with a pod template.",
            );
        }
        // kustomize finds the object by these.
        let object = match owner {
            Some(_) => head.with("apiVersion", version).with("kind", title),
            None => head,
        };
        Ok(Rendering {
            text: object.and(body).to_text(),
            omissions,
        })
    }
}

/// The version and kind of an owner, by the kind in small letters.
fn api(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "statefulset" => ("apps/v1", "StatefulSet"),
        "daemonset" => ("apps/v1", "DaemonSet"),
        "job" => ("batch/v1", "Job"),
        "cronjob" => ("batch/v1", "CronJob"),
        "rollout" => ("argoproj.io/v1alpha1", "Rollout"),
        "pod" | "staticpod" => ("v1", "Pod"),
        _ => ("apps/v1", "Deployment"),
    }
}

fn setting(fields: Map, key: &str, value: bool, setting: &Setting) -> Map {
    if setting.holds {
        fields
            .comment(&format!("Because {}.", setting.reason))
            .with(key, value)
    } else {
        fields.comment(&format!("{key} is not set: {}.", setting.reason))
    }
}
