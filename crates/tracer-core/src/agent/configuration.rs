//! The configuration of an agent: what it records, where it keeps that, and when it says "enforce".

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    kubernetes::Kubernetes,
    selector::{Decision, Facts, Selector},
    span::Span,
};
use crate::recording::ObservationKind;

/// The least room of a spool: some recordings of ordinary size.
const MIN_SPOOL: u64 = 64 << 10;

/// The least size of an object: what an object takes that holds one fact.
const MIN_OBJECT: u64 = 16 << 10;

/// The largest: what readers of a store take is twice that.
const MAX_OBJECT: u64 = 8 << 20;

/// The configuration of `tracer agent`. Every key has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    /// Name of the cluster, a part of each workload's key.
    pub cluster: String,
    /// Containers to record: those that one of these selects. Without any, all are recorded.
    pub include: Vec<Selector>,
    /// Containers not to record, whatever else selects them.
    pub exclude: Vec<Selector>,
    /// Settings of single workloads. The first one that selects a container counts.
    pub workload: Vec<WorkloadRule>,
    /// How the use of files, capabilities, sockets and signals is recorded; `none` records system calls only.
    pub accesses: AccessSource,
    /// CRI socket to ask for the names and labels of pods. The known ones are asked when it is empty.
    pub cri_socket: String,
    /// Who the containers of this node are, by an API server.
    pub kubernetes: Kubernetes,
    /// Where metrics are served: an address with a port, or `unix:` and a path. Nowhere when it is empty.
    pub listen: String,
    /// How many workloads have metrics of their own at most; the others are counted together.
    pub metrics_workloads: u32,
    /// How messages are written on standard error.
    pub log_format: LogFormat,
    /// Where recordings are kept.
    pub spool: Spool,
    /// When `tracer rollout status` says "enforce".
    pub rollout: Rollout,
    /// Where recordings are shipped to, for all nodes together.
    pub ship: Ship,
}

/// Settings of the workloads that a selector selects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadRule {
    /// Whose settings these are.
    pub select: Selector,
    /// End the recording of a workload after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// End the recording of a workload when nothing new came for this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_stable: Option<Span>,
    /// What is kept besides system calls; everything when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<KindName>>,
}

/// A kind of access that may be kept or not.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum KindName {
    /// Files.
    Files,
    /// Capabilities.
    Capabilities,
    /// Sockets.
    Sockets,
    /// Signals.
    Signals,
    /// ptrace and the like.
    Traces,
    /// Changes of the mount tree.
    Mounts,
}

impl From<KindName> for ObservationKind {
    fn from(kind: KindName) -> Self {
        match kind {
            KindName::Files => Self::Files,
            KindName::Capabilities => Self::Capabilities,
            KindName::Sockets => Self::Sockets,
            KindName::Signals => Self::Signals,
            KindName::Traces => Self::Traces,
            KindName::Mounts => Self::Mounts,
        }
    }
}

/// Where recordings are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spool {
    /// The directory. It is made when it is not there, for root only.
    pub directory: String,
    /// How many bytes it may take. When it is full, recordings of replaced images go first, then the oldest.
    pub max_bytes: u64,
}

/// Where recordings are shipped to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ship {
    /// Address of the store, as `file:///var/lib/fleet` or `s3://bucket/prefix`. Nothing is shipped when it is empty.
    pub store: String,
    /// How often something new is looked for.
    pub interval: Span,
    /// How large an object may be, compressed. A larger one is split.
    pub max_bytes: u64,
    /// Name of this node. The host's name when it is empty.
    pub node: String,
}

/// When a profile may be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rollout {
    /// How many instances were recorded, at least.
    pub instances: u64,
    /// For how long nothing new came, at least.
    pub quiet: Span,
    /// How many calls may be unseen: the upper end of the estimate's interval.
    pub unseen: u64,
    /// How many losses there may be.
    pub losses: u64,
}

/// How the use of files and the like is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccessSource {
    /// The best way that the kernel has.
    #[default]
    Best,
    /// By BPF LSM.
    Lsm,
    /// At the ends of the functions that call the hooks.
    Fexit,
    /// At the ends of system calls; some accesses cannot be seen there.
    SysExit,
    /// Not at all.
    None,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object in each line.
    Json,
}

/// What is wrong with a configuration as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigurationError {
    /// The spool is too small.
    #[error("spool.max_bytes is {0}; give at least {MIN_SPOOL}")]
    SmallSpool(u64),
    /// The spool's directory is none.
    #[error("spool.directory is {0:?}; give an absolute path")]
    Directory(String),
    /// Nothing can be served there.
    #[error(
        "listen is {0:?}; give an address with a port, as in 127.0.0.1:9465, or unix: and an absolute path"
    )]
    Listen(String),
    /// It is not the address of a store.
    #[error(
        "ship.store is {0:?}; give file:///DIRECTORY, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or azure://CONTAINER/PREFIX"
    )]
    Store(String),
    /// Objects would be too small, or too large.
    #[error("ship.max_bytes is {0}; give {MIN_OBJECT} to {MAX_OBJECT}")]
    ObjectSize(u64),
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            cluster: String::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            workload: Vec::new(),
            accesses: AccessSource::default(),
            cri_socket: String::new(),
            kubernetes: Kubernetes::default(),
            listen: String::new(),
            metrics_workloads: 500,
            log_format: LogFormat::default(),
            spool: Spool::default(),
            rollout: Rollout::default(),
            ship: Ship::default(),
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            directory: "/var/lib/tracer/spool".to_owned(),
            max_bytes: 256 << 20,
        }
    }
}

impl Default for Ship {
    fn default() -> Self {
        Self {
            store: String::new(),
            interval: Span::seconds(30),
            max_bytes: 512 << 10,
            node: String::new(),
        }
    }
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            instances: 5,
            quiet: Span::seconds(86_400),
            unseen: 3,
            losses: 0,
        }
    }
}

impl Configuration {
    /// Checks what no single key can say.
    ///
    /// # Errors
    /// [`ConfigurationError`].
    pub fn check(&self) -> Result<(), ConfigurationError> {
        if self.spool.max_bytes < MIN_SPOOL {
            return Err(ConfigurationError::SmallSpool(self.spool.max_bytes));
        }
        if !self.spool.directory.starts_with('/') {
            return Err(ConfigurationError::Directory(self.spool.directory.clone()));
        }
        let is_address = self.listen.parse::<std::net::SocketAddr>().is_ok();
        let is_path = self
            .listen
            .strip_prefix("unix:")
            .is_some_and(|path| path.starts_with('/'));
        if !self.listen.is_empty() && !is_address && !is_path {
            return Err(ConfigurationError::Listen(self.listen.clone()));
        }
        if !self.ship.store.is_empty() && !self.ship.store.contains("://") {
            return Err(ConfigurationError::Store(self.ship.store.clone()));
        }
        if !(MIN_OBJECT..=MAX_OBJECT).contains(&self.ship.max_bytes) {
            return Err(ConfigurationError::ObjectSize(self.ship.max_bytes));
        }
        Ok(())
    }

    /// Whether a container is recorded. What is not known yet may still change the answer.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let excluded = any(&self.exclude, facts);
        let included = if self.include.is_empty() {
            Decision::Yes
        } else {
            any(&self.include, facts)
        };
        match (excluded, included) {
            (Decision::Yes, _) | (_, Decision::No) => Decision::No,
            (Decision::No, Decision::Yes) => Decision::Yes,
            (Decision::Unknown, _) | (_, Decision::Unknown) => Decision::Unknown,
        }
    }

    /// The settings of a container's workload, if it has any of its own.
    pub fn rule(&self, facts: &Facts<'_>) -> Option<&WorkloadRule> {
        self.workload
            .iter()
            .find(|rule| rule.select.decide(facts) == Decision::Yes)
    }
}

/// Whether one of several selectors means a container.
fn any(selectors: &[Selector], facts: &Facts<'_>) -> Decision {
    let mut decision = Decision::No;
    for selector in selectors {
        match selector.decide(facts) {
            Decision::Yes => return Decision::Yes,
            Decision::Unknown => decision = Decision::Unknown,
            Decision::No => {}
        }
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selectors(texts: &[&str]) -> Vec<Selector> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn exclusion_wins_and_nothing_included_means_all() {
        let decide = |include: &[&str], exclude: &[&str], namespace| {
            let configuration = Configuration {
                include: selectors(include),
                exclude: selectors(exclude),
                ..Configuration::default()
            };
            configuration.decide(&Facts {
                namespace,
                ..Facts::default()
            })
        };
        let shop = Some("shop");
        for (include, exclude, namespace, expected) in [
            (&[][..], &[][..], None, Decision::Yes),
            (&["namespace=shop"], &[], shop, Decision::Yes),
            (&["namespace=a", "namespace=sh*"], &[], shop, Decision::Yes),
            (&["namespace=a"], &[], shop, Decision::No),
            (&["namespace=shop"], &["namespace=s*"], shop, Decision::No),
            (&["namespace=shop"], &[], None, Decision::Unknown),
            (&[], &["namespace=shop"], None, Decision::Unknown),
            (&["runtime=crun"], &["namespace=shop"], None, Decision::No),
        ] {
            assert_eq!(
                decide(include, exclude, namespace),
                expected,
                "{include:?} {exclude:?} {namespace:?}"
            );
        }
    }

    #[test]
    fn first_rule_that_selects_counts() {
        let rule = |select: &str, seconds| WorkloadRule {
            select: select.parse().unwrap(),
            duration: Some(Span::seconds(seconds)),
            until_stable: None,
            kinds: None,
        };
        let configuration = Configuration {
            workload: vec![rule("name=a", 1), rule("name=*", 2)],
            ..Configuration::default()
        };
        let of = |name| {
            let facts = Facts {
                name: Some(name),
                ..Facts::default()
            };
            configuration.rule(&facts).and_then(|rule| rule.duration)
        };
        assert_eq!(of("a"), Some(Span::seconds(1)));
        assert_eq!(of("b"), Some(Span::seconds(2)));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let default = Configuration::default();
        assert_eq!(default.check(), Ok(()));
        for listen in ["127.0.0.1:9465", "[::1]:1", "unix:/run/tracer.sock"] {
            let listen = listen.to_owned();
            assert_eq!(
                Configuration {
                    listen,
                    ..default.clone()
                }
                .check(),
                Ok(())
            );
        }
        for listen in ["9465", "unix:run", "localhost", "127.0.0.1"] {
            let wrong = Configuration {
                listen: listen.to_owned(),
                ..default.clone()
            };
            assert_eq!(
                wrong.check(),
                Err(ConfigurationError::Listen(listen.to_owned()))
            );
        }
        let mut small = default.clone();
        small.spool.max_bytes = 1;
        assert_eq!(small.check(), Err(ConfigurationError::SmallSpool(1)));
        let mut relative = default;
        relative.spool.directory = "spool".to_owned();
        assert!(matches!(
            relative.check(),
            Err(ConfigurationError::Directory(_))
        ));
    }
}
