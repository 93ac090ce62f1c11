//! What is said of a profile when it is signed: an in-toto statement (in-toto attestation framework, Statement v1). It names
//! the profile by its digest, and says what it was made from and how sure that is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::recording::{
    Losses, Reason, Recording,
    estimate::{Discovery, Estimate},
};

/// The `_type` of statements.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The `predicateType` of ours.
pub const PREDICATE_TYPE: &str = "urn:tracer:profile:v1";

/// The largest text that is read as one, in bytes.
pub const MAX_STATEMENT: usize = 1 << 20;

/// An in-toto statement about a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Always [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// The profile.
    pub subject: Vec<Subject>,
    /// Always [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said.
    pub predicate: Predicate,
}

/// A file by its digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its name, for people.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
}

/// A digest, as in-toto writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// SHA-256, in lower case.
    pub sha256: String,
}

/// What a profile was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// The workload.
    pub workload: String,
    /// The digests of the images that were recorded.
    pub images: BTreeSet<String>,
    /// The recordings, by the digests of their files.
    pub recordings: BTreeSet<Subject>,
    /// The kernels (`uname -r`).
    pub kernels: BTreeSet<String>,
    /// The architectures (`uname -m`).
    pub architectures: BTreeSet<String>,
    /// The OCI runtimes, or engines where those are not known.
    pub runtimes: BTreeSet<String>,
    /// The versions of tracer that recorded.
    pub tracer: BTreeSet<String>,
    /// How many instances.
    pub instances: u64,
    /// Whether all of them were observed from start to end, and nothing was lost.
    pub complete: bool,
    /// Why not.
    pub reasons: Vec<Reason>,
    /// What was lost.
    pub losses: Losses,
    /// How much may be unseen.
    pub unseen: Estimate,
}

/// Why a text is not a statement about a profile.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatementError {
    /// It is not of the shape.
    #[error("not a statement about a profile: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is of another type.
    #[error("its {field} is {found:?}, not {expected:?}")]
    Type {
        /// Which type.
        field: &'static str,
        /// The one that it has.
        found: String,
        /// The one that is read.
        expected: &'static str,
    },
    /// It is about another file.
    #[error("it is about another file: no subject has the digest {0}")]
    Subject(String),
}

impl Statement {
    /// About a profile that was made from these recordings, each with its name and the bytes of its file; they are of one
    /// workload, and `merged` is all of them.
    pub fn new(
        (name, profile): (&str, &[u8]),
        recordings: &[(String, Vec<u8>)],
        merged: &Recording,
    ) -> Self {
        let containers: Vec<_> = merged
            .kinds()
            .into_iter()
            .filter_map(|it| it.container)
            .collect();
        let listed = merged
            .instances
            .iter()
            .filter_map(|it| it.container.as_ref());
        let images = listed
            .chain(&containers)
            .filter_map(|it| it.image_digest.clone());
        let runtimes = containers.iter().map(|it| match it.runtime {
            Some(runtime) => runtime.as_str().to_owned(),
            None => it.engine.clone(),
        });
        let discovery = Discovery::from_recording(merged);
        let hosts = || merged.hosts();
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![Subject::new(name, profile)],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                workload: merged.workload.name.clone(),
                images: images.collect(),
                recordings: recordings
                    .iter()
                    .map(|(name, bytes)| Subject::new(name, bytes))
                    .collect(),
                kernels: hosts().map(|it| it.kernel.clone()).collect(),
                architectures: hosts().map(|it| it.machine.clone()).collect(),
                runtimes: runtimes.collect(),
                tracer: hosts().map(|it| it.tracer.clone()).collect(),
                instances: discovery.instances,
                complete: merged.coverage.complete,
                reasons: merged.coverage.reasons.clone(),
                losses: merged.coverage.losses,
                unseen: discovery.unseen,
            },
        }
    }

    /// Its text: the same value gives the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        // Plain structs, strings and numbers: there is nothing that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads one, and checks that it is about `profile`.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn parse_for(text: &[u8], profile: &[u8]) -> Result<Self, StatementError> {
        #[derive(Deserialize)]
        struct Types {
            #[serde(rename = "_type")]
            kind: String,
            #[serde(rename = "predicateType")]
            predicate_type: String,
        }

        // First and alone: another type may have other fields.
        let types: Types = serde_json::from_slice(text)?;
        for (field, found, expected) in [
            ("_type", types.kind, STATEMENT_TYPE),
            ("predicateType", types.predicate_type, PREDICATE_TYPE),
        ] {
            if found != expected {
                return Err(StatementError::Type {
                    field,
                    found,
                    expected,
                });
            }
        }
        let statement: Self = serde_json::from_slice(text)?;
        let digest = sha256(profile);
        let mut subjects = statement.subject.iter();
        if subjects.any(|it| it.digest.sha256 == digest) {
            Ok(statement)
        } else {
            Err(StatementError::Subject(digest))
        }
    }
}

impl Subject {
    /// A file of that name.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            digest: Digest {
                sha256: sha256(bytes),
            },
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    super::name::hex(&hmac_sha256::Hash::hash(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::seccomp::fixture::mixed;

    #[test]
    fn says_what_a_profile_was_made_from() {
        let recordings = [("web/recording.json".to_owned(), b"{}".to_vec())];
        let statement = Statement::new(("seccomp.json", b"profile"), &recordings, &mixed());
        let read = Statement::parse_for(&statement.to_json(), b"profile").unwrap();
        assert_eq!(read, statement);
        let predicate = &statement.predicate;
        assert_eq!(predicate.workload, mixed().workload.name);
        assert_eq!(predicate.kernels.len(), mixed().hosts().count());
        assert_eq!(
            predicate.recordings.first().unwrap().digest.sha256,
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }

    #[test]
    fn other_files_and_types_are_refused() {
        let statement = Statement::new(("seccomp.json", b"profile"), &[], &mixed());
        let text = statement.to_json();
        let refused = |text: &[u8], profile: &[u8]| {
            Statement::parse_for(text, profile).unwrap_err().to_string()
        };
        assert!(refused(&text, b"other").contains("another file"));
        assert!(refused(b"[]", b"profile").contains("not a statement"));
        let other = Statement {
            predicate_type: "https://slsa.dev/provenance/v1".to_owned(),
            ..statement.clone()
        };
        assert!(refused(&other.to_json(), b"profile").contains("predicateType"));
        let mut more: serde_json::Value = serde_json::from_slice(&text).unwrap();
        more["predicate"]["more"] = 1.into();
        assert!(refused(more.to_string().as_bytes(), b"profile").contains("unknown field"));
    }
}
