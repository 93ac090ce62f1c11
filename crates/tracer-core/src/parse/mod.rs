//! Profiles as people have them: JSON, YAML of one or several documents, AppArmor text, CIL; by themselves or
//! in objects of Kubernetes. The one reader of `audit`, `diff` and `verify`. Each value keeps its place
//! in the file. Pure: files come as bytes.
//!
//! | bound | for |
//! | --- | --- |
//! | [`MAX_BYTES`] | a file; Kubernetes' limit for a profile is a quarter of it |
//! | [`MAX_DEPTH`] | lists and maps in one another |
//! | [`MAX_NODES`] | values of a file, those that YAML's aliases repeat included |

pub(crate) mod apparmor;
mod choose;
mod engines;
mod foreign;
mod form;
mod input;
mod json;
mod node;
mod object;
mod pods;
pub(crate) mod remarks;
mod seccomp;
pub(crate) mod selinux;
mod subjects;
#[cfg(test)]
mod tests;
mod unread;
mod within;
mod yaml;

pub use apparmor::AppArmor;
pub(crate) use choose::unrecognized;
pub use choose::{choose, choose_seccomp};
pub use form::Form;
pub use input::{Input, Location, ParseError};
pub(crate) use json::Extension;
pub(crate) use node::{Content, Node};
pub use remarks::remarks;
pub use seccomp::Seccomp;
pub use selinux::Selinux;
pub(crate) use subjects::Source;
pub use subjects::{Manifest, Subject, subjects};

/// The documents of a file of YAML or JSON, each with the places of all that is in it.
pub(crate) fn documents(input: &Input) -> Result<Vec<Node>, ParseError> {
    yaml::read(input)
}

/// What standard JSON does not have in a file that is JSON: a byte order mark, and comments.
pub(crate) fn json_extensions(input: &Input) -> Vec<Extension> {
    if subjects::is_json(input.text()) {
        json::extensions(input.text())
    } else {
        Vec::new()
    }
}

/// The largest file that is read.
pub const MAX_BYTES: usize = 4 << 20;
/// How deep values may lie.
pub const MAX_DEPTH: usize = 48;
/// How many values a file may have.
pub const MAX_NODES: usize = 400_000;
