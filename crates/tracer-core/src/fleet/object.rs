//! What is shipped: a recording, whose it is, and which nodes it came from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{
    agent::SpoolKey,
    recording::{
        Coverage, Reason, Recording,
        json::{self, ParseError},
        merge::Merge,
    },
};

/// The `schema` of objects.
pub const FLEET_SCHEMA: &str = "tracer.fleet/v1";

/// What the schemas of all versions begin with.
const FAMILY: &str = "tracer.fleet/v";

/// How many nodes an object names at most: the first ones, by name. Beyond them it says that there were more.
pub const MAX_NODES: usize = 1 << 14;

/// What a node says of a workload, as of the latest time.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeState {
    /// Grows with each object of the node. Milliseconds since 1970 when its clock is right.
    pub as_of_ms: u64,
    /// Which instances still ran, or whose end was not observed. That ends when they end, so the latest counts and not
    /// the union.
    pub still_running: BTreeSet<Reason>,
}

/// What a store holds of one workload, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Whose it is.
    pub key: SpoolKey,
    /// The nodes that it came from.
    pub nodes: BTreeMap<String, NodeState>,
    /// Whether there were more nodes than are named.
    pub more_nodes: bool,
    /// Whether it was put together from others.
    pub compacted: bool,
    /// What was observed. It has no reason [`Reason::StillRunning`]: `nodes` has those.
    pub recording: Recording,
}

/// As it is written.
#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    key: &'a SpoolKey,
    nodes: &'a BTreeMap<String, NodeState>,
    more_nodes: bool,
    compacted: bool,
    recording: &'a Recording,
}

/// As it is read. The recording's schema is looked at before the rest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<'a> {
    #[serde(rename = "schema")]
    _schema: String,
    key: SpoolKey,
    nodes: BTreeMap<String, NodeState>,
    more_nodes: bool,
    compacted: bool,
    #[serde(borrow)]
    recording: &'a RawValue,
}

/// Why something is not an object.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// It is not of the schema's shape.
    #[error("not a valid object: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A newer version wrote it.
    #[error("it was written by a newer version (schema {0:?}); update tracer")]
    Newer(String),
    /// What it holds is not a recording.
    #[error(transparent)]
    Recording(ParseError),
}

/// The schema that a newer version wrote, if it is one.
pub fn newer_schema(error: &ObjectError) -> Option<&str> {
    match error {
        ObjectError::Newer(schema) => Some(schema),
        _ => None,
    }
}

impl Object {
    /// What a node has of a workload, from its spool.
    pub fn of_node(key: SpoolKey, node: &str, as_of_ms: u64, mut recording: Recording) -> Self {
        let is_running = |reason: &Reason| matches!(reason, Reason::StillRunning { .. });
        let reasons = std::mem::take(&mut recording.coverage.reasons);
        let (still_running, lasting): (Vec<_>, Vec<_>) = reasons.into_iter().partition(is_running);
        let losses = recording.coverage.losses;
        recording.coverage = Coverage {
            discovery: recording.coverage.discovery.take(),
            notes: std::mem::take(&mut recording.coverage.notes),
            ..Coverage::new(lasting, losses)
        };
        let state = NodeState {
            as_of_ms,
            still_running: still_running.into_iter().collect(),
        };
        Self {
            key,
            nodes: [(node.to_owned(), state)].into(),
            more_nodes: false,
            compacted: false,
            recording,
        }
    }

    /// Its text: the same value gives the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let written = Written {
            schema: FLEET_SCHEMA,
            key: &self.key,
            nodes: &self.nodes,
            more_nodes: self.more_nodes,
            compacted: self.compacted,
            recording: &self.recording,
        };
        // Plain structs, strings and numbers: there is nothing that JSON cannot say.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`ObjectError`]; nothing is guessed or left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, ObjectError> {
        #[derive(Deserialize)]
        struct AnySchema {
            schema: String,
        }

        let found = serde_json::from_slice::<AnySchema>(bytes)?.schema;
        if found != FLEET_SCHEMA {
            let version = found
                .strip_prefix(FAMILY)
                .and_then(|it| it.parse::<u32>().ok());
            return Err(match version {
                Some(version) if version > 1 => ObjectError::Newer(found),
                _ => ObjectError::Recording(ParseError::Schema { found }),
            });
        }
        let read: Read<'_> = serde_json::from_slice(bytes)?;
        let recording = json::parse(read.recording.get().as_bytes()).map_err(|error| {
            let version = |schema: &str| -> Option<u32> {
                schema.strip_prefix("tracer.recording/v")?.parse().ok()
            };
            match error {
                ParseError::Schema { found } if version(&found).is_some_and(|it| it > 2) => {
                    ObjectError::Newer(found)
                }
                other => ObjectError::Recording(other),
            }
        })?;
        Ok(Self {
            key: read.key,
            nodes: read.nodes,
            more_nodes: read.more_nodes,
            compacted: read.compacted,
            recording,
        })
    }

    /// The recording with what the nodes say last: what `tracer fleet pull` writes.
    pub fn into_recording(self) -> Recording {
        let mut recording = self.recording;
        let mut reasons = recording.coverage.reasons;
        let states = self.nodes.into_values();
        reasons.extend(states.flat_map(|state| state.still_running));
        recording.coverage = Coverage {
            notes: recording.coverage.notes,
            discovery: recording.coverage.discovery,
            ..Coverage::new(reasons, recording.coverage.losses)
        };
        recording
    }
}

/// The union of the objects of one workload, under way.
#[derive(Clone, Debug, Default)]
pub struct Gathering {
    key: Option<SpoolKey>,
    nodes: BTreeMap<String, NodeState>,
    more_nodes: bool,
    merge: Merge,
}

impl Gathering {
    /// Takes in an object. All are of one key.
    pub fn add(&mut self, object: Object) {
        let Object {
            key,
            nodes,
            more_nodes,
            recording,
            ..
        } = object;
        if self.key.as_ref().is_none_or(|known| key < *known) {
            self.key = Some(key);
        }
        self.more_nodes |= more_nodes;
        for (name, state) in nodes {
            match self.nodes.get_mut(&name) {
                Some(known) if *known >= state => {}
                Some(known) => *known = state,
                None => drop(self.nodes.insert(name, state)),
            }
        }
        while self.nodes.len() > MAX_NODES {
            self.nodes.pop_last();
            self.more_nodes = true;
        }
        self.merge.add(recording);
    }

    /// The one object of all; `None` when there was none.
    pub fn finish(self) -> Option<Object> {
        Some(Object {
            key: self.key?,
            nodes: self.nodes,
            more_nodes: self.more_nodes,
            compacted: true,
            recording: self.merge.finish()?,
        })
    }
}
