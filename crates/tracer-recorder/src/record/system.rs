//! The machine around the recorder: clocks, directories of cgroups, files of processes. Small traits, so
//! that the simulation can stand in for each; [`ThisMachine`] is the real one.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

use super::file_capabilities::FileCapabilities;
use crate::{bpf::support, cgroup::Cgroup};
use tracer_core::recording::{FilePath, Host};

/// What time it is.
pub trait Clock {
    /// For spans of time.
    fn now(&self) -> Instant;

    /// Text.
    fn wall_clock(&self) -> Timestamp;

    /// As the kernel programs have it (`bpf_ktime_get_ns`): nanoseconds.
    fn monotonic_ns(&self) -> u64;
}

/// What the directories of cgroups say.
pub trait CgroupTree {
    /// Whether it is still the cgroup that was looked up, and not gone or made anew.
    fn exists(&self, cgroup: &Cgroup) -> bool;

    /// Whether there are processes in it or below it; `None` when its directory cannot be seen.
    fn is_populated(&self, cgroup: &Cgroup) -> Option<bool>;

    /// The cgroups below it.
    fn descendants(&self, cgroup: &Cgroup) -> Vec<Cgroup>;

    /// The processes in it and below it.
    fn processes(&self, cgroup: &Cgroup) -> Vec<i32>;

    /// Whether there is a cgroup at a path below the hierarchy's root.
    fn is_at(&self, root: &Path, path: &str) -> bool;
}

/// A process of an instance; it may have ended.
#[derive(Clone, Copy, Debug)]
pub struct InstanceProcess<'a> {
    /// Its id.
    pub pid: u32,
    /// The cgroup of the instance.
    pub cgroup: &'a Cgroup,
    /// Whether the instance is a command of tracer's, which has the root directory that tracer has.
    pub is_command: bool,
}

/// What can be found out about processes and the files that they name.
pub trait Processes {
    /// The path of the program that a process runs.
    fn executable(&self, pid: i32) -> Option<Vec<u8>>;

    /// Whether a process runs under a seccomp filter.
    fn is_under_filter(&self, pid: i32) -> bool;

    /// Whether pids are those of the initial namespace, as the kernel side counts them.
    fn has_initial_pids(&self) -> bool;

    /// The path, absolute in the mount namespace, that a text stood for; where it cannot be found, only
    /// the text is put together.
    fn resolve(
        &self,
        process: InstanceProcess<'_>,
        text: &[u8],
        start: &[u8],
        follow_last: bool,
    ) -> FilePath;

    /// The path of a file that a process named, with a slash at its end when it is a directory; `None`
    /// when it cannot be found (any more).
    fn find(&self, process: InstanceProcess<'_>, text: &[u8], start: &[u8]) -> Option<FilePath>;

    /// The path of a socket that a process made; `None` when it is relative to the working directory of
    /// a process that is gone.
    fn made_socket(&self, process: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath>;

    /// The path of a socket that a process connected to; `None` when there is no such file, as far as
    /// can be seen: what was not there needs no rule.
    fn known_socket(&self, process: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath>;

    /// The interpreter that a program names, as it is in its mount namespace.
    fn interpreter(&self, process: InstanceProcess<'_>, program: &[u8]) -> Option<FilePath>;

    /// The capabilities that a program file has by itself; `None` when it has none, or cannot be found (any
    /// more).
    fn file_capabilities(
        &self,
        process: InstanceProcess<'_>,
        program: &[u8],
    ) -> Option<FileCapabilities>;

    /// Whether what is mounted as this file system is a file.
    fn needs_device(&self, filesystem: &str) -> bool;
}

/// All of them, and the name of the host.
pub trait System: Clock + CgroupTree + Processes {
    /// What the recording says of the host.
    fn host(&self) -> Host;
}

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisMachine;

impl Clock for ThisMachine {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_clock(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic_ns(&self) -> u64 {
        clock_gettime(ClockId::CLOCK_MONOTONIC)
            .ok()
            .and_then(|time| u64::try_from(Duration::from(time).as_nanos()).ok())
            .unwrap_or(0)
    }
}

impl CgroupTree for ThisMachine {
    fn exists(&self, cgroup: &Cgroup) -> bool {
        cgroup.exists()
    }

    fn is_populated(&self, cgroup: &Cgroup) -> Option<bool> {
        cgroup.is_populated().ok()
    }

    fn descendants(&self, cgroup: &Cgroup) -> Vec<Cgroup> {
        cgroup.descendants().unwrap_or_default()
    }

    fn processes(&self, cgroup: &Cgroup) -> Vec<i32> {
        cgroup.processes().unwrap_or_default()
    }

    fn is_at(&self, root: &Path, path: &str) -> bool {
        root.join(path.trim_start_matches('/')).exists()
    }
}

impl System for ThisMachine {
    fn host(&self) -> Host {
        Host {
            kernel: support::kernel_release(),
            machine: support::machine_name(),
            tracer: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
