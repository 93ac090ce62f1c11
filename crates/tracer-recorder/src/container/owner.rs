//! Which object of Kubernetes owns a pod, from the pod's name, labels and annotations. Pure.
//!
//! There may be no API server to ask. Each rule rests on what a controller of Kubernetes writes:
//!
//! | owner | rule | source |
//! | --- | --- | --- |
//! | static pod | annotation `kubernetes.io/config.source` that is not `api`, or `kubernetes.io/config.mirror`; the name without `-<node>` | pkg/kubelet/types/pod_update.go, pkg/kubelet/config/common.go |
//! | Job | label `batch.kubernetes.io/job-name` (1.27) or `job-name` | pkg/controller/job/indexed_job_utils.go, pkg/apis/batch/v1 |
//! | CronJob | a Job whose name ends in `-<minutes since 1970>`, 8 digits until 2160 | pkg/controller/cronjob/utils.go: getJobName |
//! | StatefulSet | label `statefulset.kubernetes.io/pod-name`, or `controller-revision-hash` of the form `<set>-<hash>`; the name without `-<ordinal>` | pkg/controller/statefulset/stateful_set_utils.go |
//! | DaemonSet | label `controller-revision-hash` and no ordinal; the name without its random suffix | pkg/controller/daemon/util/daemonset_util.go |
//! | Deployment | label `pod-template-hash`; the pod is `<deployment>-<hash>-<suffix>` | pkg/controller/deployment/sync.go |
//! | Rollout (Argo) | label `rollouts-pod-template-hash`, the same way | argo-rollouts, pkg/apis/rollouts/v1alpha1/types.go |
//! | bare pod | none of these | |
//!
//! A random suffix has 5 of `bcdfghjklmnpqrstvwxz2456789`, and the name before it is cut at 58
//! bytes (apimachinery, pkg/util/rand; apiserver, pkg/storage/names/generate.go).

use std::collections::BTreeMap;

/// Names and values of labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// The kind of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerKind {
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
    /// A Job that no CronJob made.
    Job,
    /// A CronJob.
    CronJob,
    /// An Argo Rollout.
    Rollout,
    /// A ReplicaSet that no Deployment made.
    ReplicaSet,
    /// Another controller. Its name begins with its kind, as `cluster-db`.
    Other,
    /// A pod from a file on the node.
    StaticPod,
    /// A pod of its own, or of a controller that leaves no mark.
    Pod,
}

impl OwnerKind {
    /// The name in recordings and directories, lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Job => "job",
            Self::CronJob => "cronjob",
            Self::Rollout => "rollout",
            Self::ReplicaSet => "replicaset",
            Self::Other => "other",
            Self::StaticPod => "staticpod",
            Self::Pod => "pod",
        }
    }
}

/// An owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Its kind.
    pub kind: OwnerKind,
    /// Its name.
    pub name: String,
    /// Whether labels or annotations say so. Without them the shape of the name alone tells, and
    /// somebody's own pod may be called like one of a Deployment's.
    pub certain: bool,
}

/// The owner of a pod. `labels` are the pod's, `None` when they are not known; `node` is the node's
/// name, which static pods carry.
pub fn owner(
    pod: &str,
    labels: Option<&Labels>,
    annotations: &Labels,
    node: Option<&str>,
) -> Owner {
    let certain = |kind, name: &str| Owner {
        kind,
        name: name.to_owned(),
        certain: true,
    };
    if is_static(annotations) {
        let node = node.map(str::to_ascii_lowercase);
        let name = node
            .and_then(|node| pod.strip_suffix(node.as_str())?.strip_suffix('-'))
            .unwrap_or(pod);
        return certain(OwnerKind::StaticPod, name);
    }
    let Some(labels) = labels else {
        return by_shape(pod);
    };
    let label = |name: &str| {
        labels
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    };
    if let Some(job) = label("batch.kubernetes.io/job-name").or(label("job-name")) {
        return match cron_job(job) {
            Some(name) => certain(OwnerKind::CronJob, name),
            None => certain(OwnerKind::Job, job),
        };
    }
    let revision = label("controller-revision-hash");
    if let Some(set) = ordinal(pod) {
        // The label's value is the name of a ControllerRevision: the set's name and a hash.
        let by_revision = revision.is_some_and(|revision| {
            revision
                .strip_prefix(set)
                .is_some_and(|rest| rest.starts_with('-'))
        });
        if by_revision || label("statefulset.kubernetes.io/pod-name") == Some(pod) {
            return certain(OwnerKind::StatefulSet, set);
        }
    }
    if revision.is_some()
        && let Some(set) = generated(pod)
    {
        return certain(OwnerKind::DaemonSet, set);
    }
    for (key, kind) in [
        ("rollouts-pod-template-hash", OwnerKind::Rollout),
        ("pod-template-hash", OwnerKind::Deployment),
    ] {
        if let Some(name) = label(key).and_then(|hash| of_replica_set(pod, hash)) {
            return certain(kind, name);
        }
    }
    certain(OwnerKind::Pod, pod)
}

fn is_static(annotations: &Labels) -> bool {
    annotations.contains_key("kubernetes.io/config.mirror")
        || annotations
            .get("kubernetes.io/config.source")
            .is_some_and(|source| source != "api")
}

/// `<cronjob>-<minutes>` → cronjob.
fn cron_job(job: &str) -> Option<&str> {
    let (name, minutes) = job.rsplit_once('-')?;
    let fits = minutes.len() == 8 && minutes.bytes().all(|b| b.is_ascii_digit());
    (fits && !name.is_empty()).then_some(name)
}

/// `<set>-<ordinal>` → set.
fn ordinal(pod: &str) -> Option<&str> {
    let (set, ordinal) = pod.rsplit_once('-')?;
    let fits = !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit());
    (fits && !set.is_empty()).then_some(set)
}

/// Whether a text has only characters that Kubernetes makes random names of.
pub(super) fn is_random(text: &str) -> bool {
    text.bytes()
        .all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
}

/// `<base>-<suffix>` → base. The dash may be cut off with the end of a long base.
fn generated(pod: &str) -> Option<&str> {
    const SUFFIX: usize = 5;
    const CUT: usize = 58;
    let at = pod.len().checked_sub(SUFFIX)?;
    let (base, suffix) = pod.split_at_checked(at)?;
    let base = match base.strip_suffix('-') {
        Some(base) => base,
        None if base.len() == CUT => base,
        None => return None,
    };
    (is_random(suffix) && !base.is_empty()).then_some(base)
}

/// `<name>-<hash>-<suffix>` → name; of a long name, the hash is cut.
fn of_replica_set<'a>(pod: &'a str, hash: &str) -> Option<&'a str> {
    let base = generated(pod)?;
    let whole = base
        .strip_suffix(hash)
        .and_then(|name| name.strip_suffix('-'));
    if let Some(name) = whole.filter(|name| !name.is_empty()) {
        return Some(name);
    }
    if pod.len() < 63 {
        return None;
    }
    let cut = (0..hash.len())
        .rev()
        .filter_map(|length| hash.get(..length))
        .find_map(|start| base.strip_suffix(start)?.strip_suffix('-'));
    Some(cut.unwrap_or(base))
}

/// Only Deployments have two generated parts; hashes have 8 to 10 characters of the same alphabet
/// (pkg/controller/controller_utils.go: ComputeHash).
fn by_shape(pod: &str) -> Owner {
    let deployment = generated(pod).and_then(|base| {
        let (name, hash) = base.rsplit_once('-')?;
        ((8..=10).contains(&hash.len()) && is_random(hash) && !name.is_empty()).then_some(name)
    });
    let (kind, name) = match deployment {
        Some(name) => (OwnerKind::Deployment, name),
        None => (OwnerKind::Pod, pod),
    };
    Owner {
        kind,
        name: name.to_owned(),
        certain: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn check(pod: &str, labels: &[(&str, &str)], kind: OwnerKind, name: &str) {
        let owner = owner(pod, Some(&map(labels)), &Labels::new(), None);
        assert_eq!(
            (owner.kind, owner.name.as_str(), owner.certain),
            (kind, name, true),
            "{pod}"
        );
    }

    #[test]
    fn every_controller_is_recognised() {
        let hash = ("pod-template-hash", "5d8f9c7b6d");
        check(
            "web-5d8f9c7b6d-x2x4z",
            &[hash],
            OwnerKind::Deployment,
            "web",
        );
        check(
            "a-b-5d8f9c7b6d-x2x4z",
            &[hash],
            OwnerKind::Deployment,
            "a-b",
        );
        let rollout = ("rollouts-pod-template-hash", "7d8f9c7b6d");
        check(
            "web-7d8f9c7b6d-x2x4z",
            &[rollout],
            OwnerKind::Rollout,
            "web",
        );
        check(
            "db-0",
            &[("statefulset.kubernetes.io/pod-name", "db-0")],
            OwnerKind::StatefulSet,
            "db",
        );
        check(
            "my-db-12",
            &[("controller-revision-hash", "my-db-6f8d7")],
            OwnerKind::StatefulSet,
            "my-db",
        );
        check(
            "fluentd-x2x4z",
            &[
                ("controller-revision-hash", "6f8d7c"),
                ("pod-template-generation", "1"),
            ],
            OwnerKind::DaemonSet,
            "fluentd",
        );
        // A random suffix may be all digits.
        check(
            "fluentd-22456",
            &[("controller-revision-hash", "6f8d7c")],
            OwnerKind::DaemonSet,
            "fluentd",
        );
        check("pi-x2x4z", &[("job-name", "pi")], OwnerKind::Job, "pi");
        check(
            "pi-0-x2x4z",
            &[("batch.kubernetes.io/job-name", "pi")],
            OwnerKind::Job,
            "pi",
        );
        check(
            "b-29012345-x2x4z",
            &[("job-name", "b-29012345")],
            OwnerKind::CronJob,
            "b",
        );
        check(
            "b-2026-x2x4z",
            &[("job-name", "b-2026")],
            OwnerKind::Job,
            "b-2026",
        );
        check("shell", &[("app", "shell")], OwnerKind::Pod, "shell");
        // A mark that does not fit the name is no mark.
        check("shell", &[hash], OwnerKind::Pod, "shell");
        check(
            "shell-0",
            &[("statefulset.kubernetes.io/pod-name", "other-0")],
            OwnerKind::Pod,
            "shell-0",
        );
    }

    #[test]
    fn truncated_names_agree_across_replicas() {
        let hash = ("pod-template-hash", "5d8f9c7b6d");
        for length in [47, 50, 53, 57, 58, 70] {
            let deployment = "d".repeat(length);
            let base: String = format!("{deployment}-{}-", hash.1)
                .chars()
                .take(58)
                .collect();
            let name: String = deployment.chars().take(58).collect();
            check(
                &format!("{base}x2x4z"),
                &[hash],
                OwnerKind::Deployment,
                &name,
            );
            check(
                &format!("{base}bcdfg"),
                &[hash],
                OwnerKind::Deployment,
                &name,
            );
        }
    }

    #[test]
    fn static_pods_are_recognised_by_annotation() {
        let annotations = map(&[("kubernetes.io/config.source", "file")]);
        let found = owner(
            "etcd-node-1",
            Some(&Labels::new()),
            &annotations,
            Some("Node-1"),
        );
        assert_eq!(
            (found.kind, found.name.as_str()),
            (OwnerKind::StaticPod, "etcd")
        );
        let found = owner("etcd-node-1", None, &annotations, None);
        assert_eq!(
            (found.kind, found.name.as_str()),
            (OwnerKind::StaticPod, "etcd-node-1")
        );
        let api = map(&[("kubernetes.io/config.source", "api")]);
        assert_eq!(
            owner("x", Some(&Labels::new()), &api, None).kind,
            OwnerKind::Pod
        );
    }

    #[test]
    fn owner_is_a_guess_without_labels() {
        for (pod, kind, name) in [
            ("web-5d8f9c7b6d-x2x4z", OwnerKind::Deployment, "web"),
            ("web-x2x4z", OwnerKind::Pod, "web-x2x4z"),
            ("web", OwnerKind::Pod, "web"),
            ("", OwnerKind::Pod, ""),
        ] {
            let owner = owner(pod, None, &Labels::new(), None);
            assert_eq!(
                (owner.kind, owner.name.as_str(), owner.certain),
                (kind, name, false)
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn every_pod_has_an_owner(pod in "[a-z0-9-]{0,70}|\\PC{0,20}", hash in "\\PC{0,12}", key in 0_usize..5) {
            let key = ["job-name", "pod-template-hash", "controller-revision-hash", "x", "statefulset.kubernetes.io/pod-name"][key];
            let found = owner(&pod, Some(&map(&[(key, &hash)])), &Labels::new(), Some(&hash));
            proptest::prop_assert!(found.name == hash || pod.starts_with(&found.name) || hash.starts_with(&found.name));
        }
    }
}
