//! What is known of the container that an instance is.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syscalls::OciRuntime;

/// What is known of the container that an instance is. Names are what others wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The engine that made it: docker, containerd, …
    pub engine: String,
    /// The OCI runtime that runs it.
    pub runtime: Option<OciRuntime>,
    /// Its id.
    pub id: String,
    /// Its name in its pod or engine.
    pub name: Option<String>,
    /// Its pod, as NAMESPACE/NAME.
    pub pod: Option<String>,
    /// What owns the pod, as KIND/NAME.
    pub owner: Option<String>,
    /// What it is in its pod: main, init, sidecar, ephemeral.
    pub role: Option<String>,
    /// Labels: the pod's, else the engine's.
    pub labels: BTreeMap<String, String>,
    /// The image as it was asked for.
    pub image: Option<String>,
    /// The image's digest, or its id.
    pub image_digest: Option<String>,
    /// What it was allowed to do while it was recorded; `null` when its `config.json` was not found.
    pub security: Option<Security>,
    /// What a reader of its profile has to know.
    pub warnings: Vec<Warning>,
    /// What could not be found out, and why.
    pub unresolved: Vec<Unresolved>,
}

/// What a container was allowed to do, by its `config.json`.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// User id of its first process.
    pub uid: Option<u32>,
    /// Whether it has a user namespace: its root is not the host's.
    pub user_namespace: bool,
    /// `noNewPrivileges`.
    pub no_new_privileges: Option<bool>,
    /// Whether it is privileged.
    pub privileged: bool,
    /// The capabilities that its processes could have (the bounding set), `CAP_…`.
    pub capabilities: BTreeSet<String>,
    /// Default action of the seccomp filter that it ran under; `null` for none, or not known.
    pub seccomp: Option<String>,
    /// The AppArmor profile that it ran under.
    pub apparmor: Option<String>,
    /// Whether its root file system is read-only.
    pub read_only_root: Option<bool>,
}

/// What a reader of a container's profile has to know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Warning {
    /// It is privileged: Docker, containerd, CRI-O and Podman then ignore a seccomp profile, unless
    /// one is named outright.
    Privileged {
        /// Whether that is concluded from all that it may do, and not what its engine says.
        inferred: bool,
    },
    /// It runs as root, without a user namespace.
    RootUser {},
    /// It runs without a seccomp filter.
    SeccompUnconfined {},
    /// It runs under a filter that stops nothing.
    FilterAllowsAll {},
    /// It runs under a filter: what that stops, the program never got to do.
    FilterInPlace {
        /// The filter's default action, as the container's files name it.
        default_action: String,
    },
    /// Another one, in words: from a recording of schema v1.
    Other {
        /// Its code there.
        about: String,
        /// What it says.
        text: String,
    },
}

/// Something about a container that could not be found out, and why. Names and paths are what others
/// wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Unresolved {
    /// Its id may not become a part of a path.
    InvalidId {
        /// The id.
        id: String,
    },
    /// No runtime's files name it.
    UnknownToRuntimes {},
    /// Its bundle's `config.json` was not found.
    NoConfig {},
    /// Its `config.json` is not a JSON object.
    InvalidConfig {},
    /// A part of its `config.json` has another type than it should.
    InvalidConfigField {
        /// Where, with dots: `process.user.uid`.
        field: String,
        /// What it should be.
        expected: ConfigType,
    },
    /// A path in a runtime's state that leads elsewhere was not followed.
    UnsafePath {
        /// The path.
        path: String,
    },
    /// A file could not be read.
    UnreadableFile {
        /// Its path.
        path: String,
        /// Why.
        error: String,
    },
    /// A file was not read, for what it is.
    RefusedFile {
        /// Its path.
        path: String,
        /// What it is.
        found: String,
    },
    /// A file is not the JSON that it should be.
    InvalidJson {
        /// Its path.
        path: String,
        /// Where and why.
        error: String,
    },
    /// The cgroup is of another pod than the container's files say.
    PodMismatch {
        /// The pod's uid by the cgroup.
        cgroup: String,
        /// The pod's uid by the files.
        files: String,
    },
    /// The name of its pod was not found.
    NoPodName {
        /// The pod's uid.
        uid: String,
    },
    /// The owner of its pod is a guess from the pod's name, since the pod's labels are not known.
    GuessedOwner {
        /// The pod.
        pod: String,
        /// Kind of the owner.
        kind: String,
        /// Name of the owner.
        owner: String,
    },
    /// Another one, in words.
    Other {
        /// What it says.
        text: String,
    },
}

impl Unresolved {
    /// Whether it is about the container's names: its pod, and what owns the pod.
    pub const fn is_about_names(&self) -> bool {
        matches!(
            self,
            Self::PodMismatch { .. } | Self::NoPodName { .. } | Self::GuessedOwner { .. }
        )
    }
}

/// What a part of a `config.json` should be.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigType {
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A user or group id.
    Id,
    /// A list.
    List,
    /// A list of text.
    ListOfText,
    /// An object.
    Object,
    /// An object of text.
    ObjectOfText,
    /// A seccomp filter with a `defaultAction`.
    SeccompFilter,
}
