//! Reading what people have: JSON, YAML of one or several documents, AppArmor text.
//!
//! | bound | for |
//! | --- | --- |
//! | [`MAX_BYTES`] | a file; Kubernetes' limit for a profile is a quarter of it |
//! | [`MAX_DEPTH`] | lists and maps in one another |
//! | [`MAX_NODES`] | values of a file, those that YAML's aliases repeat included |

pub(super) mod apparmor;
mod form;
mod input;
mod json;
mod node;
mod yaml;

pub(super) use form::subjects;
pub use form::{Form, Manifest, Seccomp, Subject};
pub use input::{Input, Malformed};
pub(crate) use node::{Content, Node};

/// The documents of a file of YAML or JSON, each with the places of all that is in it.
pub(crate) fn documents(input: &Input) -> Result<Vec<Node>, Malformed> {
    yaml::read(input)
}

/// The largest file that is read.
pub const MAX_BYTES: usize = 4 << 20;
/// How deep values may lie.
pub const MAX_DEPTH: usize = 48;
/// How many values a file may have.
pub const MAX_NODES: usize = 400_000;
