//! Which of the containers that exist are meant.

use std::{
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    Container, ContainerError, MetadataSources, Role, path::identify, resolve::resolve_in,
    state::Scan,
};
use crate::cgroup::{Cgroup, Hierarchy};

/// Which containers are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Those of that name, in their engine or in their pod, and those whose id begins so.
    Container(String),
    /// The containers of a pod.
    Pod {
        /// The namespace.
        namespace: String,
        /// The pod.
        name: String,
    },
    /// All containers.
    All,
}

impl Selector {
    /// A container as `--container` takes it.
    ///
    /// # Errors
    /// [`ContainerError::Selector`] when it is empty or too long.
    pub fn container(text: &str) -> Result<Self, ContainerError> {
        if text.is_empty() || text.len() > 255 {
            return Err(ContainerError::Selector(
                text.chars().take(80).collect(),
                "the beginning of a container's id, or its name",
            ));
        }
        Ok(Self::Container(text.to_owned()))
    }

    /// A pod as `--pod` takes it: `NAMESPACE/NAME`.
    ///
    /// # Errors
    /// [`ContainerError::Selector`] when it is anything else.
    pub fn pod(text: &str) -> Result<Self, ContainerError> {
        match text.split_once('/') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
            {
                Ok(Self::Pod {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err(ContainerError::Selector(
                text.chars().take(80).collect(),
                "a pod as NAMESPACE/NAME, as in default/web-0",
            )),
        }
    }

    /// The id that it may be, if it is one as a whole.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Container(text) => Some(text),
            Self::Pod { .. } | Self::All => None,
        }
    }

    /// Whether it is said by the container's name or pod, which may be told later than its id.
    pub fn matches_by_name(&self) -> bool {
        !matches!(self, Self::All)
    }

    /// Whether it means a container of that id, of which nothing else is known.
    pub fn means_id(&self, id: &str) -> bool {
        matches!(self, Self::Container(text) if !text.is_empty() && id.starts_with(text.as_str()))
    }

    /// Whether it means this container. A pod's sandbox is meant only by its id, and what a person put
    /// into a pod (`kubectl debug`) by its name too.
    pub fn matches(&self, container: &Container) -> bool {
        let sandbox = container.role == Role::Sandbox;
        let by_id = |prefix: &str| !prefix.is_empty() && container.id.starts_with(prefix);
        let by_name = |name: &str| !sandbox && container.name.as_deref() == Some(name);
        match self {
            Self::Container(text) => by_name(text) || by_id(text),
            Self::Pod { namespace, name } => {
                !sandbox
                    && container.role != Role::Ephemeral
                    && container
                        .pod
                        .as_ref()
                        .is_some_and(|pod| pod.namespace == *namespace && pod.name == *name)
            }
            Self::All => !sandbox && container.role != Role::Ephemeral,
        }
    }

    /// Whether it means this container, which was not there when the selector was given: then the
    /// beginning of an id counts only when it can be nothing else, 12 digits of a made one, as `docker
    /// ps` shows it. `redis` is not `redis-cache`, and `c1` no id of Docker's.
    pub fn matches_later(&self, container: &Container) -> bool {
        let Self::Container(text) = self else {
            return self.matches(container);
        };
        let id = container.id.as_str();
        let made = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
        self.matches(container) && (self.is_exact(container) || (made && text.len() >= 12))
    }

    /// How well it means this one: a whole id or name before the beginning of an id, as `docker`
    /// and `podman` have it.
    pub fn is_exact(&self, container: &Container) -> bool {
        match self {
            Self::Container(text) => {
                container.id == *text || container.name.as_deref() == Some(text)
            }
            _ => true,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(text) => write!(f, "named {text}, or has an id that begins with it"),
            Self::Pod { namespace, name } => {
                write!(f, "in the pod {:?}", format!("{namespace}/{name}"))
            }
            Self::All => f.write_str("there"),
        }
    }
}

/// A container that exists, with its cgroup.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its own cgroup.
    pub cgroup: Cgroup,
    /// What is known of it.
    pub container: Container,
}

/// What a search gave.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The containers, in the order of their cgroups' paths.
    pub found: Vec<Found>,
    /// Files of runtimes that could not be read: a container that only they tell of is missing.
    pub problems: Vec<String>,
}

/// The containers that a selector means. Where the beginning of an id means several, all are given:
/// whether that is an error is the caller's to say.
///
/// # Errors
/// [`ContainerError::Walk`] when the hierarchy itself cannot be read.
pub fn find(
    selector: &Selector,
    hierarchy: &Hierarchy,
    sources: &MetadataSources,
) -> Result<Search, ContainerError> {
    let search = walk(hierarchy.root(), sources)?;
    Ok(Search {
        found: choose(search.found, selector),
        ..search
    })
}

fn choose(mut found: Vec<Found>, selector: &Selector) -> Vec<Found> {
    found.retain(|found| selector.matches(&found.container));
    if found
        .iter()
        .any(|found| selector.is_exact(&found.container))
    {
        found.retain(|found| selector.is_exact(&found.container));
    }
    found
}

/// Every container below the root of a v2 hierarchy.
fn walk(root: &Path, sources: &MetadataSources) -> Result<Search, ContainerError> {
    let error = |source| ContainerError::Walk {
        path: root.to_owned(),
        source,
    };
    fs::read_dir(root).map_err(error)?;
    let scan = Scan::from_files(&sources.files);
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from("/")];
    while let Some(path) = open.pop() {
        let directory = root.join(path.strip_prefix("/").unwrap_or(&path));
        let below = path.to_str().filter(|_| path != Path::new("/"));
        if let Some(text) = below
            && (identify(text).is_some() || scan.outermost(text).is_some())
            && let Some(container) = resolve_in(text, sources, &scan)
        {
            // It may be gone by now.
            if let Ok(metadata) = fs::metadata(&directory) {
                let cgroup = Cgroup {
                    id: metadata.ino(),
                    path,
                    directory,
                };
                found.push(Found { cgroup, container });
            }
            // What is below belongs to it.
            continue;
        }
        // A cgroup may go away at any moment.
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        open.extend(
            entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| path.join(entry.file_name())),
        );
    }
    found.sort_by(|a, b| a.cgroup.path.cmp(&b.cgroup.path));
    let problems = scan.problems.iter().map(ContainerError::to_string);
    Ok(Search {
        found,
        problems: problems.collect(),
    })
}

#[cfg(test)]
mod tests;
