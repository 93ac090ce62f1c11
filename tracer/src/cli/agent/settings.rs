//! An agent's settings, from a file, the environment and flags. A later source overrides an earlier one.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::Deserialize as _;
use toml::{Table, Value};

use tracer_core::agent::Configuration;

/// The configuration file that is read when none is named, if it is there.
pub(in crate::cli) const DEFAULT_FILE: &str = "/etc/tracer/agent.toml";

/// Prefix of each variable.
const PREFIX: &str = "TRACER_";

/// Maximum size of a configuration.
const MAX_BYTES: u64 = 1 << 20;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    /// A list of texts.
    List,
    /// A list of tables, each as an inline table of TOML.
    Tables,
}

/// Every key, in the order of its flag in [`SettingsArgs`].
const KEYS: [(&str, Kind); 24] = [
    ("cluster", Kind::Text),
    ("include", Kind::List),
    ("exclude", Kind::List),
    ("workload", Kind::Tables),
    ("accesses", Kind::Text),
    ("cri_socket", Kind::Text),
    ("kubernetes.node", Kind::Text),
    ("kubernetes.kubeconfig", Kind::Text),
    ("kubernetes.namespaces", Kind::List),
    ("kubernetes.pod_uid", Kind::Text),
    ("kubernetes.wait", Kind::Text),
    ("listen", Kind::Text),
    ("metrics_workloads", Kind::Number),
    ("log_format", Kind::Text),
    ("spool.directory", Kind::Text),
    ("spool.max_bytes", Kind::Number),
    ("rollout.instances", Kind::Number),
    ("rollout.quiet", Kind::Text),
    ("rollout.unseen", Kind::Number),
    ("rollout.losses", Kind::Number),
    ("ship.store", Kind::Text),
    ("ship.interval", Kind::Text),
    ("ship.max_bytes", Kind::Number),
    ("ship.node", Kind::Text),
];

/// The settings as flags. Each is also a key of the configuration file and a variable: `--spool-max-bytes` is
/// `max_bytes` in `[spool]` and `TRACER_SPOOL_MAX_BYTES`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub(in crate::cli) struct SettingsArgs {
    /// Configuration file [default: /etc/tracer/agent.toml, if it is there; variable TRACER_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,

    /// Name of the cluster, a part of each workload's key
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Record only containers that match: FIELD=PATTERN,… (repeatable); fields: namespace, label, image,
    /// runtime, name, cgroup, unit
    #[arg(long, value_name = "SELECTOR")]
    include: Vec<String>,

    /// Do not record containers that match (repeatable)
    #[arg(long, value_name = "SELECTOR")]
    exclude: Vec<String>,

    /// Settings of single workloads, as a TOML table: {select="namespace=ci", duration="1h"} (repeatable)
    #[arg(long, value_name = "TABLE")]
    workload: Vec<String>,

    /// How file, capability, socket and signal use is recorded: best, lsm, fexit, sys-exit, none
    #[arg(long, value_name = "HOW")]
    accesses: Option<String>,

    /// CRI socket for the names and labels of pods
    #[arg(long, value_name = "PATH")]
    cri_socket: Option<String>,

    /// Name of this node in Kubernetes: read the names of containers from the API server ($NAME: from a variable)
    #[arg(long, value_name = "NAME")]
    kubernetes_node: Option<String>,

    /// kubeconfig file for the API server [default: the service account of this pod]
    #[arg(long, value_name = "FILE")]
    kubernetes_kubeconfig: Option<String>,

    /// Record pods of this namespace only (repeatable) [default: all namespaces]
    #[arg(long, value_name = "NAME")]
    kubernetes_namespaces: Vec<String>,

    /// Uid of the agent's own pod, which is not recorded ($NAME: from a variable)
    #[arg(long, value_name = "UID")]
    kubernetes_pod_uid: Option<String>,

    /// How long to keep a container without a name from the API server
    #[arg(long, value_name = "TIME")]
    kubernetes_wait: Option<String>,

    /// Serve metrics at this address and port, or at unix:/PATH, without authentication
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    /// Maximum number of workloads with their own metrics
    #[arg(long, value_name = "N")]
    metrics_workloads: Option<String>,

    /// Format of messages: text, json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,

    /// Directory where recordings are kept
    #[arg(long, value_name = "DIR")]
    spool_directory: Option<String>,

    /// Maximum size of that directory
    #[arg(long, value_name = "BYTES")]
    spool_max_bytes: Option<String>,

    /// Instances needed before `tracer rollout status` says "enforce"
    #[arg(long, value_name = "N")]
    rollout_instances: Option<String>,

    /// Time needed without new observations
    #[arg(long, value_name = "TIME")]
    rollout_quiet: Option<String>,

    /// Maximum number of unseen calls: the upper end of the estimate
    #[arg(long, value_name = "N")]
    rollout_unseen: Option<String>,

    /// Maximum number of losses
    #[arg(long, value_name = "N")]
    rollout_losses: Option<String>,

    /// Ship recordings to this store: file:///DIRECTORY, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,
    /// azure://CONTAINER/PREFIX
    #[arg(long, value_name = "URL")]
    ship_store: Option<String>,

    /// How often to look for changed recordings
    #[arg(long, value_name = "TIME")]
    ship_interval: Option<String>,

    /// Maximum size of an object in the store
    #[arg(long, value_name = "BYTES")]
    ship_max_bytes: Option<String>,

    /// Name of this node in the store [default: the host's name]
    #[arg(long, value_name = "NAME")]
    ship_node: Option<String>,
}

impl SettingsArgs {
    /// The flags for each of [`KEYS`].
    fn given(&self) -> [Vec<String>; KEYS.len()] {
        let one = |value: &Option<String>| value.iter().cloned().collect();
        [
            one(&self.cluster),
            self.include.clone(),
            self.exclude.clone(),
            self.workload.clone(),
            one(&self.accesses),
            one(&self.cri_socket),
            one(&self.kubernetes_node),
            one(&self.kubernetes_kubeconfig),
            self.kubernetes_namespaces.clone(),
            one(&self.kubernetes_pod_uid),
            one(&self.kubernetes_wait),
            one(&self.listen),
            one(&self.metrics_workloads),
            one(&self.log_format),
            one(&self.spool_directory),
            one(&self.spool_max_bytes),
            one(&self.rollout_instances),
            one(&self.rollout_quiet),
            one(&self.rollout_unseen),
            one(&self.rollout_losses),
            one(&self.ship_store),
            one(&self.ship_interval),
            one(&self.ship_max_bytes),
            one(&self.ship_node),
        ]
    }

    /// The settings of a command that has only these two flags.
    pub(in crate::cli) fn of_spool(config: Option<PathBuf>, directory: Option<String>) -> Self {
        Self {
            config,
            spool_directory: directory,
            ..Self::default()
        }
    }

    /// Reads all sources.
    ///
    /// # Errors
    /// The error, and its place.
    pub(in crate::cli) fn load(&self) -> anyhow::Result<Configuration> {
        let (path, is_named) = match (&self.config, env::var_os("TRACER_CONFIG")) {
            (Some(path), _) => (path.clone(), true),
            (None, Some(path)) => (PathBuf::from(path), true),
            (None, None) => (PathBuf::from(DEFAULT_FILE), false),
        };
        let file = match read(&path) {
            Err(error) if !is_named && error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let variable = |name: &str| env::var(name).ok();
        resolve(&path, &file, variable, self.given())
    }
}

fn read(path: &Path) -> io::Result<String> {
    let bytes = crate::store::read_up_to(path, MAX_BYTES)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("the configuration is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The settings of all sources.
fn resolve(
    path: &Path,
    file: &str,
    variable: impl Fn(&str) -> Option<String>,
    flags: [Vec<String>; KEYS.len()],
) -> anyhow::Result<Configuration> {
    // Only for its errors, which have the line and column.
    toml::from_str::<Configuration>(file).map_err(|error| at_its_place(path, file, &error))?;
    let mut table: Table = file
        .parse()
        .map_err(|error| at_its_place(path, file, &error))?;
    for ((key, kind), flag) in KEYS.into_iter().zip(flags) {
        let name = variable_name(key);
        let (given, source) = match variable(&name).filter(|_| flag.is_empty()) {
            Some(text) => (split(&text, kind), name),
            None => (flag, format!("--{}", flag_name(key))),
        };
        if given.is_empty() {
            continue;
        }
        let value = value(&given, kind).with_context(|| source.clone())?;
        set(&mut table, key, value);
        let checked = Configuration::deserialize(table.clone());
        checked.map_err(|error| anyhow::anyhow!("{source}: {}", one_line(error.message())))?;
    }
    let mut settings =
        Configuration::deserialize(table).context("invalid combination of settings")?;
    settings.kubernetes.expand(variable).map_err(|name| {
        anyhow::anyhow!("the variable {name} is not set, but [kubernetes] uses it")
    })?;
    settings.check()?;
    Ok(settings)
}

fn variable_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn flag_name(key: &str) -> String {
    key.replace(['.', '_'], "-")
}

/// The values in a variable. Semicolons separate those of a list.
fn split(text: &str, kind: Kind) -> Vec<String> {
    match kind {
        Kind::Text | Kind::Number => vec![text.to_owned()],
        Kind::List | Kind::Tables => text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect(),
    }
}

fn value(given: &[String], kind: Kind) -> anyhow::Result<Value> {
    let text = given.first().map_or("", String::as_str);
    Ok(match kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Number => {
            let number = text.parse::<i64>();
            Value::Integer(number.with_context(|| format!("{text:?} is not a number"))?)
        }
        Kind::List => Value::Array(given.iter().cloned().map(Value::String).collect()),
        Kind::Tables => Value::Array(given.iter().map(|it| table(it)).collect::<Result<_, _>>()?),
    })
}

fn table(text: &str) -> anyhow::Result<Value> {
    let parsed: Result<Table, _> = format!("it = {text}").parse();
    match parsed.map(|mut table| table.remove("it")) {
        Ok(Some(table @ Value::Table(_))) => Ok(table),
        _ => bail!(
            "{text:?} is not a TOML table; write it as in {{select=\"namespace=ci\", duration=\"1h\"}}"
        ),
    }
}

/// Sets a key of at most two parts.
fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((outer, inner)) => {
            let entry = table
                .entry(outer)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(table) = entry {
                table.insert(inner.to_owned(), value);
            }
        }
    }
}

/// An error with its line and column.
fn at_its_place(path: &Path, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let message = one_line(error.message());
    anyhow::anyhow!("{}:{line}:{column}: {message}", path.display())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The file that is read, for messages.
pub(in crate::cli) fn describe(args: &SettingsArgs) -> String {
    match (&args.config, env::var_os("TRACER_CONFIG")) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(path)) => PathBuf::from(path).display().to_string(),
        (None, None) if fs::exists(DEFAULT_FILE).unwrap_or(false) => DEFAULT_FILE.to_owned(),
        (None, None) => "the defaults".to_owned(),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
