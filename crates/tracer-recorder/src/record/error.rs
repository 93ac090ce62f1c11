//! Why a recording could not be made.

use std::{ffi::OsString, io};

use nix::sys::signal::Signal;
use thiserror::Error;

use crate::{
    bpf::ProbeError,
    cgroup::CgroupError,
    container::{ContainerError, Sandbox, Sandboxed},
};
use tracer_core::recording::Reason;

/// Why a recording could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The kernel side.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The cgroup.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The search for containers.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// Nothing that runs is the container that was asked for.
    #[error("no running container is {0}; `docker ps`, `crictl ps` or `runc list` show what runs")]
    NoContainer(String),
    /// The container's tasks are none of this kernel's.
    #[error("cannot record: {0}")]
    Sandboxed(Sandboxed),
    /// The command is the runtime of such a container.
    #[error(
        "cannot record {program:?}: it runs the workload in {sandbox}, and a profile would be of {sandbox} and not of the workload{}",
        or_another(*sandbox)
    )]
    SandboxRuntime {
        /// The command as given.
        program: OsString,
        /// What it is.
        sandbox: Sandbox,
    },
    /// The beginning of several ids was given.
    #[error(
        "several containers have an id that begins with {given:?}: {ids}; give more of the one you mean"
    )]
    Ambiguous {
        /// What was given.
        given: String,
        /// Whose ids begin so.
        ids: String,
    },
    /// One name was given for several workloads.
    #[error(
        "one name was given for one workload, and {0} different ones were found; give no name, or select one workload"
    )]
    OneNameForSeveral(usize),
    /// There are no v2 cgroups, by which containers are told apart.
    #[error(
        "this host has cgroup v1 only, where containers cannot be told apart in the kernel; boot with systemd.unified_cgroup_hierarchy=1 (or mount cgroup2 and let the runtime use it), or record a command: tracer record -- CMD"
    )]
    OnlyV1,
    /// No room for what was asked for.
    #[error("there is no room to follow another cgroup; record fewer cgroups, or make more room")]
    TooManyCgroups,
    /// The command does not exist.
    #[error("cannot find the command {0:?}; give its path, or check PATH")]
    NotFound(OsString),
    /// The command is there, and cannot be run.
    #[error("cannot run {command:?}: {cause}; make it an executable file")]
    NotExecutable {
        /// The command as given.
        command: OsString,
        /// Why.
        cause: io::Error,
    },
    /// A script is there, its interpreter is not.
    #[error(
        "cannot run {0:?}: the interpreter that its first line names does not exist; install it, or fix the line"
    )]
    NoInterpreter(OsString),
    /// A signal came before the command was started.
    #[error("interrupted by {0} before the command was started; nothing was recorded")]
    Interrupted(Signal),
    /// There is no such user.
    #[error("there is no user {0:?}; give a name, a uid or uid:gid")]
    User(String),
    /// The kernel refuses the command's filter.
    #[error(
        "cannot load the profile as a filter: {0}; that takes CAP_SYS_ADMIN, and a kernel with CONFIG_SECCOMP_FILTER"
    )]
    Filter(io::Error),
    /// A process of ours could not be made or watched.
    #[error("cannot {action}: {cause}")]
    Process {
        /// What was tried.
        action: &'static str,
        /// Why.
        cause: io::Error,
    },
}

/// What to do about a runtime whose guests nothing reports.
const fn or_another(sandbox: Sandbox) -> &'static str {
    match sandbox {
        Sandbox::GVisor => "",
        Sandbox::Kata => "; record it under runc or crun",
    }
}

impl RecordError {
    /// What it means to the recording that it ended.
    pub(super) fn cut_short(&self) -> Reason {
        Reason::CutShort {
            error: self.to_string(),
        }
    }

    pub(crate) fn process(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Process { action, cause }
    }
}
