//! What makes one run of a workload the same run in every recording of it, and what a merged
//! recording keeps of runs that it does not list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Container, Host, Instance, Source};

/// What only a merged recording has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    /// The hosts besides the recording's `host`, in order.
    pub hosts: Vec<Host>,
    /// The commands besides the workload's `command`, in order; at most 15.
    pub commands: Vec<Vec<String>>,
    /// The runs that are not among `instances`, in order: there is room for 100 there, and more would
    /// tell nothing new. Evidence refers to them by the indices after the last of `instances`.
    pub folded: Vec<RunId>,
    /// Whether there were still more, which are not even counted.
    pub uncounted: bool,
    /// What held for runs and does not for any of `instances`.
    pub kinds: Vec<InstanceKind>,
}

impl Merged {
    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a run was, without what tells it from others of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceKind {
    /// How it was recorded.
    pub source: Source,
    /// Whether it was recorded from its first call.
    pub start_observed: bool,
    /// The container that it was; id, name and pod, labels and what was not found out are left out.
    pub container: Option<Container>,
}

impl InstanceKind {
    /// The kind of an instance.
    pub(super) fn from_instance(instance: &Instance) -> Self {
        Self {
            source: instance.source,
            start_observed: instance.start_observed,
            container: instance.container.as_ref().map(|container| Container {
                id: String::new(),
                name: None,
                pod: None,
                labels: [].into(),
                unresolved: Vec::new(),
                ..container.clone()
            }),
        }
    }
}

/// Names a run: a digest of its host, how it was recorded, its cgroup, the time at which its recording
/// began, and its container's id.
///
/// The time has nanoseconds, so two runs have one name only by a collision of 64 bits. A recording that
/// was copied, or that an agent wrote several times while the run went on, names the same run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(into = "String", try_from = "String")]
pub struct RunId(u64);

impl RunId {
    /// The last one, for evidence of a run that a recording does not name.
    pub(super) const UNKNOWN: Self = Self(u64::MAX);

    /// The name of an instance that ran on `host`.
    pub(crate) fn from_instance(instance: &Instance, host: &Host) -> Self {
        let source = match instance.source {
            Source::Command => "command",
            Source::Cgroup => "cgroup",
            Source::Container => "container",
            Source::Log => "log",
        };
        let id = instance.container.as_ref().map_or("", |it| it.id.as_str());
        let mut digest = Fnv::default();
        for field in [
            &host.kernel,
            &host.machine,
            &host.tracer,
            source,
            &instance.cgroup,
            &instance.began,
            id,
        ] {
            digest.add(&field.len().to_le_bytes());
            digest.add(field.as_bytes());
        }
        Self(digest.0)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        format!("{:016x}", id.0)
    }
}

/// A name of a run that is none.
#[derive(Debug, Error)]
#[error("the name of a run has 16 hexadecimal digits, not {0:?}")]
pub struct InvalidRunId(String);

impl TryFrom<String> for RunId {
    type Error = InvalidRunId;

    fn try_from(text: String) -> Result<Self, InvalidRunId> {
        let digits =
            text.len() == 16 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(&text, 16)
            .ok()
            .filter(|_| digits)
            .map(Self)
            .ok_or(InvalidRunId(text))
    }
}

/// FNV-1a with 64 bits (draft-eastlake-fnv-21): the same on every machine and in every version, which the standard
/// library does not promise of its own hashes.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_fnv_1a() {
        let mut digest = Fnv::default();
        digest.add(b"foobar");
        assert_eq!(digest.0, 0x8594_4171_f739_67e8);
    }

    #[test]
    fn only_canonical_ids_parse() {
        let id = RunId(0x00ab);
        assert_eq!(RunId::try_from(String::from(id)).unwrap(), id);
        for wrong in [
            "",
            "ab",
            "+0000000000000ab",
            "00000000000000AB",
            "00000000000000abc",
        ] {
            assert!(RunId::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }
}
