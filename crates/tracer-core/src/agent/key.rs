//! Under what name a recording is kept in a spool.

use std::{fmt, fmt::Write as _};

use serde::{Deserialize, Serialize};

use crate::recording::Recording;

/// What tells the recordings of a spool apart. Containers with equal keys share one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpoolKey {
    /// The cluster, by the configuration.
    pub cluster: String,
    /// The pod's namespace; empty for a container in no pod.
    pub namespace: String,
    /// The kind of what owns the pod, as `deployment`; the engine of a container in no pod.
    pub kind: String,
    /// The name of that; the workload's name for a container in no pod.
    pub owner: String,
    /// The container's name.
    pub container: String,
    /// The image's digest, or its id; empty where nothing told it.
    pub image: String,
    /// The architecture (`uname -m`).
    pub architecture: String,
}

/// An image's digest or id as people write it: the first 12 digits; empty when it is.
///
/// # Examples
/// ```
/// # use tracer_core::agent::short_image;
/// assert_eq!(short_image("nginx@sha256:0123456789abcdef"), "0123456789ab");
/// assert_eq!(short_image(""), "");
/// ```
pub fn short_image(image: &str) -> &str {
    let digits = image.rsplit("sha256:").next().unwrap_or_default();
    digits.get(..12).unwrap_or(digits)
}

impl SpoolKey {
    /// The key of a recording that was made in a cluster of that name.
    pub fn from_recording(cluster: &str, recording: &Recording) -> Self {
        let container = recording
            .instances
            .iter()
            .find_map(|instance| instance.container.as_ref());
        let name = || recording.workload.name.clone();
        let mut key = Self {
            cluster: cluster.to_owned(),
            architecture: recording.host.machine.clone(),
            ..Self::default()
        };
        let Some(container) = container else {
            "cgroup".clone_into(&mut key.kind);
            key.owner = name();
            return key;
        };
        key.image = container.image_digest.clone().unwrap_or_default();
        key.container = container.name.clone().unwrap_or_default();
        let pod = container.pod.as_deref().and_then(|pod| pod.split_once('/'));
        let owner = container
            .owner
            .as_deref()
            .and_then(|owner| owner.split_once('/'));
        match (pod, owner) {
            (Some((namespace, _)), Some((kind, owner))) => {
                namespace.clone_into(&mut key.namespace);
                kind.clone_into(&mut key.kind);
                owner.clone_into(&mut key.owner);
            }
            _ => {
                // Plain runc and crun are no engines.
                if container.engine == "unknown" {
                    "container".clone_into(&mut key.kind);
                } else {
                    key.kind.clone_from(&container.engine);
                }
                key.owner = name();
            }
        }
        key
    }

    /// The key without the image: the recordings of a workload that a newer image replaces have the same.
    pub fn without_image(&self) -> Self {
        Self {
            image: String::new(),
            ..self.clone()
        }
    }

    /// What a person calls it: `NAMESPACE/KIND/OWNER/CONTAINER`.
    pub fn workload(&self) -> String {
        if self.namespace.is_empty() {
            return self.name();
        }
        format!("{}/{}", self.namespace, self.name())
    }

    /// The same without the namespace.
    pub fn name(&self) -> String {
        let parts = [&self.kind, &self.owner, &self.container];
        let parts: Vec<_> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        parts.join("/")
    }

    /// Whether a text that a person gave means it: the whole of [`Self::workload`], or the owner, or the owner with
    /// what is around it.
    pub fn is_called(&self, text: &str) -> bool {
        let whole = format!("/{}/", self.workload());
        whole.contains(&format!("/{text}/"))
            || text == format!("{}/{}", self.namespace, self.owner)
            || text == format!("{}/{}/{}", self.namespace, self.owner, self.container)
            || text
                == format!(
                    "{}_{}-{}_{}",
                    self.namespace, self.kind, self.owner, self.container
                )
    }
}

/// For messages; escape it before it reaches a terminal.
impl fmt::Display for SpoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.workload())
    }
}

/// What the name of a recording in a spool ends with.
const SUFFIX: &str = ".json.gz";

/// The name of a file in a spool: a digest of its key, and one of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpoolName {
    key: String,
    content: String,
}

impl SpoolName {
    /// The name of a recording whose text is `content`.
    pub fn new(key: &SpoolKey, content: &[u8]) -> Self {
        // The parts are separated by what is in no name, so that no two keys give one text.
        let parts = [
            &key.cluster,
            &key.namespace,
            &key.kind,
            &key.owner,
            &key.container,
            &key.image,
            &key.architecture,
        ];
        let mut text = String::new();
        for part in parts {
            let _ = write!(text, "{}:{part}", part.len());
        }
        Self {
            key: hex(&hmac_sha256::Hash::hash(text.as_bytes()), 16),
            content: hex(&hmac_sha256::Hash::hash(content), 32),
        }
    }

    /// A file's name, if it is one of a spool's.
    pub fn parse(name: &str) -> Option<Self> {
        let (key, content) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let is_hex = |text: &str, length: usize| {
            text.len() == length
                && text
                    .bytes()
                    .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
        };
        (is_hex(key, 32) && is_hex(content, 64)).then(|| Self {
            key: key.to_owned(),
            content: content.to_owned(),
        })
    }

    /// The digest of the key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether this is the digest of what is in the file.
    pub fn is_of(&self, content: &[u8]) -> bool {
        self.content == hex(&hmac_sha256::Hash::hash(content), 32)
    }
}

impl fmt::Display for SpoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}{SUFFIX}", self.key, self.content)
    }
}

fn hex(bytes: &[u8], length: usize) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(length) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, owner: &str) -> SpoolKey {
        SpoolKey {
            namespace: namespace.to_owned(),
            kind: "deployment".to_owned(),
            owner: owner.to_owned(),
            container: "nginx".to_owned(),
            image: "sha256:1".to_owned(),
            ..SpoolKey::default()
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let name = SpoolName::new(&key("shop", "web"), b"{}");
        assert_eq!(SpoolName::parse(&name.to_string()), Some(name.clone()));
        assert!(name.is_of(b"{}") && !name.is_of(b"{ }"));
        let other = SpoolName::new(&key("shop", "web"), b"{ }");
        assert!(other.key() == name.key() && other != name);
        // Parts that run together are other keys.
        let keys = [
            key("a", "bc"),
            key("ab", "c"),
            key("", "abc"),
            key("abc", ""),
        ];
        let digests: std::collections::BTreeSet<_> = keys
            .iter()
            .map(|key| SpoolName::new(key, b"").key().to_owned())
            .collect();
        assert_eq!(digests.len(), keys.len());
        for wrong in ["", "a-b.json.gz", "recording.json", &name.to_string()[1..]] {
            assert_eq!(SpoolName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_person_names_a_workload_by_what_tells_it_apart() {
        let key = key("shop", "web");
        for text in [
            "web",
            "shop/web",
            "shop/web/nginx",
            "shop/deployment/web/nginx",
            "deployment/web",
            "shop_deployment-web_nginx",
        ] {
            assert!(key.is_called(text), "{text}");
        }
        for text in ["we", "", "/", "shop/we", "shop/nginx"] {
            assert!(!key.is_called(text), "{text}");
        }
    }
}
