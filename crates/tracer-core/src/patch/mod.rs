//! Manifests of Kubernetes: puts what names a profile into the container that it is for, and tells what
//! in the manifest contradicts it. Pure.
//!
//! The text is changed where it has to be and nowhere else, so comments, order and layout stay. What came
//! out is read again and compared with what was to come out: a manifest that is written in a way that
//! this cannot follow is refused, and never broken.

mod contradictions;
mod edit;
mod find;
mod warn;

#[cfg(test)]
mod tests;

use serde_json::Value;
use thiserror::Error;

pub use crate::parse::{Input, ParseError};
use crate::{
    parse::documents,
    profile::{
        kubernetes::{ANNOTATION, Context, Placement},
        yaml::{Map, scalar},
    },
};
use edit::Edits;
use find::ContainerMatch;

/// A manifest with what names the profile in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The whole text.
    pub text: String,
    /// The containers that it was put into, by object and name.
    pub containers: Vec<String>,
    /// What contradicts the profile.
    pub warnings: Vec<String>,
    /// What the recording supports beside it.
    pub advice: Vec<String>,
}

/// Why nothing was put into a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("{0}; render a template first")]
    ParseError(#[from] ParseError),
    /// It has no pod.
    #[error(
        "{file} has no pod: give a Pod, or a Deployment, StatefulSet, DaemonSet, Job, CronJob or another object with a template of one"
    )]
    NoPod {
        /// The file.
        file: String,
    },
    /// Several containers may be meant.
    #[error("{file} has {} containers; choose one of {}", .known.len(), .known.join(", "))]
    Several {
        /// The file.
        file: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// No container has the name.
    #[error("{file} has no container {name}; it has {}", .known.join(", "))]
    NoContainer {
        /// The file.
        file: String,
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Several objects have a container of the name.
    #[error(
        "several objects of {file} have a container {name}: {}. Give the one that it is for in a file of its own",
        .objects.join(", ")
    )]
    Objects {
        /// The file.
        file: String,
        /// The name.
        name: String,
        /// The objects.
        objects: Vec<String>,
    },
    /// It is written in a way that cannot be followed.
    #[error(
        "{file} is written in a way that tracer cannot change safely ({why}); apply the patch instead"
    )]
    Unsafe {
        /// The file.
        file: String,
        /// What stands against it.
        why: &'static str,
    },
}

/// Puts the references of `context` into a container of a manifest: the one that `chosen` names, else the
/// recorded one, else the only one.
///
/// # Errors
/// [`Error`]: nothing is guessed.
///
/// ```
/// use tracer_core::patch::{Input, apply};
/// use tracer_core::profile::kubernetes::{Context, Placement};
/// # use tracer_core::profile::{hardening::Hardening, seccomp::ExecPolicy};
/// # let recording = tracer_core::profile::apparmor::fixture::web();
/// # let hardening = Hardening::from_recording(&recording, ExecPolicy::default(), None);
///
/// let manifest = b"apiVersion: v1
/// kind: Pod
/// metadata:
///   name: web
/// spec:
///   containers:
///   - name: web
///     image: nginx
/// ";
/// let input = Input::new("pod.yaml", manifest.to_vec()).unwrap();
/// let context = Context {
///     workload: "web",
///     seccomp: "operator/web.json".to_owned(),
///     apparmor: None,
///     seccomp_only: true,
///     old_cluster: false,
///     capabilities: None,
///     hardening: &hardening,
/// };
/// let applied = apply(&input, &context, &Placement::default(), None).unwrap();
/// assert!(applied.text.contains("localhostProfile: operator/web.json"), "{}", applied.text);
/// ```
pub fn apply(
    input: &Input,
    context: &Context<'_>,
    placement: &Placement,
    chosen: Option<&str>,
) -> Result<Applied, Error> {
    let roots = documents(input)?;
    let found = find::choose(input, &roots, placement, chosen)?;
    let mut edits = Edits::default();
    let mut expected: Vec<Value> = roots.iter().map(crate::parse::Node::value).collect();
    let unsafe_because = |why| Error::Unsafe {
        file: input.name().to_owned(),
        why,
    };
    let fields = context.references();
    let wanted = Map::new().with("securityContext", fields);
    for (pointer, wanted) in [
        (&found.container, wanted),
        (&found.pod, annotations(context, &found)),
    ] {
        let node = pointer
            .node(&roots)
            .ok_or_else(|| unsafe_because("a place is lost"))?;
        edits
            .merge(input.text(), node, &wanted)
            .map_err(unsafe_because)?;
        let value = pointer
            .value(&mut expected)
            .ok_or_else(|| unsafe_because("a place is lost"))?;
        edit::merge_value(value, &wanted);
    }
    let text = edits.apply(input.text());
    let read = Input::new(input.name(), text.clone().into_bytes()).and_then(|it| documents(&it));
    let same = read.is_ok_and(|roots| roots.iter().map(crate::parse::Node::value).eq(expected));
    if !same {
        return Err(unsafe_because(
            "an alias, a merge key or a layout that is read in another way",
        ));
    }
    Ok(Applied {
        text,
        containers: vec![found.label.clone()],
        warnings: warn::warnings(&roots, &found, context),
        advice: found
            .pod
            .node(&roots)
            .and_then(|pod| contradictions::own_users(pod, &shown(&found.name), context))
            .into_iter()
            .collect(),
    })
}

/// What a cluster before 1.30 wants in the pod's metadata.
fn annotations(context: &Context<'_>, found: &ContainerMatch) -> Map {
    match (&context.apparmor, context.old_cluster) {
        (Some(profile), true) => {
            let key = format!("{ANNOTATION}{}", found.name);
            let annotation = Map::new().with(&key, format!("localhost/{profile}"));
            Map::new().with("metadata", Map::new().with("annotations", annotation))
        }
        _ => Map::new(),
    }
}

/// What a name of somebody's is in a message.
fn shown(name: &str) -> String {
    scalar(name)
}
