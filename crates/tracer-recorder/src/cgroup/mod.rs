//! The cgroup v2 hierarchy: where it is mounted, and a cgroup of our own to run a command in.
//!
//! tracer tells instances apart by cgroup id, which is the inode number of the cgroup's directory.
//! That needs a v2 hierarchy, on its own or beside v1 ones (hybrid); the kernel always has one,
//! even when it is mounted nowhere.

mod error;
mod hierarchy;
mod own;

pub use error::CgroupError;
pub(crate) use hierarchy::private_mount;
pub use hierarchy::{Cgroup, Hierarchy};
pub use own::{OwnCgroup, remove_abandoned_cgroups};
