//! What an OCI bundle's `config.json` says (OCI runtime-spec, config.md). Pure.
//!
//! A part that has the wrong type is left out and named in [`Bundle::problems`]; the rest counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use syscalls::capability::Capability;
use tracer_core::recording::{ConfigType, Unresolved};

use super::files::text;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// `annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `process.args`.
    pub args: Vec<String>,
    /// `hostname`.
    pub hostname: Option<String>,
    /// `linux.cgroupsPath`.
    pub cgroups_path: Option<String>,
    /// What it may do.
    pub security: Security,
    /// What could not be read, each a sentence on one line.
    pub problems: Vec<Unresolved>,
}

/// What a container may do, by its bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// `process.user.uid`; absent means 0.
    pub uid: Option<u32>,
    /// `process.user.gid`.
    pub gid: Option<u32>,
    /// `process.noNewPrivileges`; absent means false.
    pub no_new_privileges: Option<bool>,
    /// `process.capabilities`.
    pub capabilities: Capabilities,
    /// `linux.seccomp`.
    pub seccomp: Seccomp,
    /// `process.apparmorProfile`.
    pub apparmor: Option<String>,
    /// `root.readonly`; absent means false.
    pub read_only_root: Option<bool>,
    /// Whether it has a user namespace: its root is not the host's.
    pub user_namespace: bool,
    /// Whether it is privileged, and by what.
    pub privileged: Option<Privileged>,
}

/// Names of capabilities, `CAP_…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What the process and its children can ever have.
    pub bounding: BTreeSet<String>,
    /// What is in force.
    pub effective: BTreeSet<String>,
    /// What can be put in force.
    pub permitted: BTreeSet<String>,
}

/// The filter that a bundle asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// The bundle was not read, or this part of it could not be.
    #[default]
    Unknown,
    /// None: the container runs unconfined.
    Unconfined,
    /// One.
    Filter {
        /// `defaultAction`, `SCMP_ACT_…`.
        default_action: String,
        /// Whether it lets everything through: the default action allows or logs, and so does
        /// every rule.
        allows_all: bool,
    },
}

/// How a container is known to be privileged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileged {
    /// The engine wrote so.
    Told,
    /// By its bundle: every capability up to CAP_AUDIT_READ in the bounding set, no seccomp filter,
    /// no masked and no read-only paths. That is what Docker, containerd, CRI-O and Podman make of
    /// `privileged`, and of nothing else.
    ByBundle,
}

/// How many capabilities every kernel with BPF recorders has: 0 (CAP_CHOWN) to 37 (CAP_AUDIT_READ). The
/// three later ones are left out by engines that do not know them.
const KNOWN_TO_ENGINES: usize = 38;

/// Keys by which engines say that a container is privileged: Podman
/// (libpod/define/annotations.go), CRI-O of its sandboxes (pkg/annotations).
const PRIVILEGED_KEYS: [&str; 2] = [
    "io.podman.annotations.privileged",
    "io.kubernetes.cri-o.PrivilegedRuntime",
];

impl Bundle {
    /// Reads the JSON of a `config.json`.
    pub fn read(config: &Value) -> Self {
        if !config.is_object() {
            return Self {
                problems: vec![Unresolved::InvalidConfig {}],
                ..Self::default()
            };
        }
        let mut reader = Reader {
            config,
            problems: Vec::new(),
        };
        let annotations = reader.map("/annotations");
        let seccomp = reader.seccomp();
        let capabilities = Capabilities {
            bounding: reader.capabilities("/process/capabilities/bounding"),
            effective: reader.capabilities("/process/capabilities/effective"),
            permitted: reader.capabilities("/process/capabilities/permitted"),
        };
        let shown = |pointer: &str| {
            config
                .pointer(pointer)
                .is_none_or(|paths| paths.as_array().is_some_and(Vec::is_empty) || paths.is_null())
        };
        let told = PRIVILEGED_KEYS.iter().any(|key| {
            annotations
                .get(*key)
                .is_some_and(|v| v.eq_ignore_ascii_case("true"))
        });
        let by_bundle = seccomp == Seccomp::Unconfined
            && shown("/linux/maskedPaths")
            && shown("/linux/readonlyPaths")
            && Capability::all()
                .take(KNOWN_TO_ENGINES)
                .all(|capability| capabilities.bounding.contains(&capability.to_string()));
        let privileged = match (told, by_bundle) {
            (true, _) => Some(Privileged::Told),
            (false, true) => Some(Privileged::ByBundle),
            (false, false) => None,
        };
        let namespaces = config
            .pointer("/linux/namespaces")
            .and_then(Value::as_array);
        let namespaces = namespaces.map_or(&[][..], Vec::as_slice);
        let security = Security {
            uid: reader.number("/process/user/uid"),
            gid: reader.number("/process/user/gid"),
            no_new_privileges: reader.flag("/process/noNewPrivileges"),
            capabilities,
            seccomp,
            apparmor: reader.text("/process/apparmorProfile"),
            read_only_root: reader.flag("/root/readonly"),
            user_namespace: namespaces
                .iter()
                .any(|namespace| text(namespace, "/type") == Some("user")),
            privileged,
        };
        Self {
            annotations,
            args: reader.list("/process/args"),
            hostname: reader.text("/hostname"),
            cgroups_path: reader.text("/linux/cgroupsPath"),
            security,
            problems: reader.problems,
        }
    }
}

struct Reader<'a> {
    config: &'a Value,
    problems: Vec<Unresolved>,
}

impl<'a> Reader<'a> {
    /// The value there; absent and `null` are the same.
    fn value(&self, pointer: &str) -> Option<&'a Value> {
        self.config
            .pointer(pointer)
            .filter(|value| !value.is_null())
    }

    fn wrong<T>(&mut self, pointer: &str, expected: ConfigType) -> Option<T> {
        self.problems.push(Unresolved::InvalidConfigField {
            field: pointer.trim_start_matches('/').replace('/', "."),
            expected,
        });
        None
    }

    fn text(&mut self, pointer: &str) -> Option<String> {
        match self.value(pointer)? {
            Value::String(text) => (!text.is_empty()).then(|| text.clone()),
            _ => self.wrong(pointer, ConfigType::Text),
        }
    }

    fn flag(&mut self, pointer: &str) -> Option<bool> {
        match self.value(pointer) {
            None => Some(false),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => self.wrong(pointer, ConfigType::Boolean),
        }
    }

    fn number(&mut self, pointer: &str) -> Option<u32> {
        match self.value(pointer) {
            None => Some(0),
            Some(value) => match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
                Some(number) => Some(number),
                None => self.wrong(pointer, ConfigType::Id),
            },
        }
    }

    fn list(&mut self, pointer: &str) -> Vec<String> {
        let Some(value) = self.value(pointer) else {
            return Vec::new();
        };
        let Some(values) = value.as_array() else {
            return self.wrong(pointer, ConfigType::List).unwrap_or_default();
        };
        let texts: Vec<String> = values
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        if texts.len() < values.len() {
            self.wrong::<()>(pointer, ConfigType::ListOfText);
        }
        texts
    }

    fn map(&mut self, pointer: &str) -> BTreeMap<String, String> {
        let Some(value) = self.value(pointer) else {
            return BTreeMap::new();
        };
        let Some(values) = value.as_object() else {
            return self.wrong(pointer, ConfigType::Object).unwrap_or_default();
        };
        let texts: BTreeMap<String, String> = values
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        if texts.len() < values.len() {
            self.wrong::<()>(pointer, ConfigType::ObjectOfText);
        }
        texts
    }

    fn capabilities(&mut self, pointer: &str) -> BTreeSet<String> {
        self.list(pointer).into_iter().collect()
    }

    fn seccomp(&mut self) -> Seccomp {
        let pointer = "/linux/seccomp";
        let Some(value) = self.value(pointer) else {
            return Seccomp::Unconfined;
        };
        let Some(default_action) = text(value, "/defaultAction") else {
            return self
                .wrong(pointer, ConfigType::SeccompFilter)
                .unwrap_or_default();
        };
        let allows = |rule: &Value| text(rule, "/action").is_some_and(passes);
        let rules = value.pointer("/syscalls").and_then(Value::as_array);
        Seccomp::Filter {
            default_action: default_action.to_owned(),
            allows_all: passes(default_action)
                && rules.is_none_or(|rules| rules.iter().all(allows)),
        }
    }
}

fn passes(action: &str) -> bool {
    matches!(action, "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG")
}

#[cfg(test)]
mod tests;
