//! What can go wrong with cgroups, each with its remedy.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why a cgroup cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// No v2 hierarchy can be reached.
    #[error(
        "no cgroup v2 hierarchy is mounted, and a private mount failed: {0}; run as root on a kernel with CONFIG_CGROUPS, or mount one: mount -t cgroup2 none /sys/fs/cgroup/unified"
    )]
    NoHierarchy(io::Error),
    /// The process' own cgroup is not known.
    #[error("cannot tell tracer's own cgroup from /proc/self/cgroup: {0}")]
    Own(String),
    /// A cgroup could not be made.
    #[error("cannot make a cgroup for the command at {}: {cause}; run tracer as root, or raise cgroup.max.descendants there", .path.display())]
    Create {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The command could not be moved into its cgroup.
    #[error("the command cannot enter its cgroup {}: {cause}; tracer needs the right to move processes there (root, or a delegated subtree); for a command of another user, also a kernel that checks who opened the file (Linux 5.17, or a stable release with that fix)", .path.display())]
    Enter {
        /// The cgroup.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// There is no such cgroup.
    #[error("there is no cgroup {0:?} in the v2 hierarchy{hint}", hint = v1_hint(.0))]
    NotFound(String),
    /// A file of the cgroup could not be read.
    #[error("cannot read {}: {cause}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

fn v1_hint(path: &str) -> &'static str {
    if path.starts_with("/sys/fs/cgroup/") {
        "; when that is a v1 hierarchy, give the path of the v2 one (it is in /proc/PID/cgroup, on the line that begins with 0::)"
    } else {
        "; give its directory, or its path as in /proc/PID/cgroup on the line that begins with 0::"
    }
}
