//! Where a runtime listens: the usual places, and whatever a running one has bound.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use procfs::process::{self, FDTarget, Process};

/// The usual places: containerd, CRI-O, Docker by cri-dockerd, k3s and RKE2.
pub const SOCKETS: [&str; 4] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/var/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock",
];

/// What the runtimes' processes are called.
const RUNTIMES: [&str; 3] = ["containerd", "crio", "cri-dockerd"];

/// The sockets to ask, those in the usual places first.
pub(super) fn all() -> Vec<PathBuf> {
    let usual = SOCKETS.iter().map(PathBuf::from);
    let mut sockets: Vec<_> = usual.filter(|path| path.exists()).collect();
    let known: HashSet<_> = sockets
        .iter()
        .filter_map(|it| it.canonicalize().ok())
        .collect();
    let mut bound = bound();
    bound.sort();
    bound.retain(|path| path.canonicalize().is_ok_and(|path| !known.contains(&path)));
    bound.dedup();
    sockets.append(&mut bound);
    sockets
}

/// The sockets that running runtimes have bound.
fn bound() -> Vec<PathBuf> {
    let Ok(processes) = process::all_processes() else {
        return Vec::new();
    };
    // A process may end while it is looked at.
    let runtimes = processes.flatten().filter(is_runtime);
    runtimes.filter_map(|it| of(&it)).flatten().collect()
}

/// Whether a process is a runtime of this host. Anyone may be called like one, so it must be root's,
/// and see the files that tracer sees: a container's process does not.
fn is_runtime(process: &Process) -> bool {
    let named = |process: &Process| {
        let stat = process.stat().ok()?;
        Some(RUNTIMES.contains(&stat.comm.as_str()))
    };
    let mount_namespace =
        |pid: &str| std::fs::read_link(Path::new("/proc").join(pid).join("ns/mnt"));
    process.uid().is_ok_and(|uid| uid == 0)
        && named(process) == Some(true)
        && matches!(
            (mount_namespace("self"), mount_namespace(&process.pid.to_string())),
            (Ok(own), Ok(other)) if own == other
        )
}

/// Whether no CRI is spoken there: ttrpc, and the socket for plug-ins (NRI), which has that name in
/// containerd and CRI-O (`DefaultSocketPath`, containerd/nri pkg/adaptation) and answers nobody else. Nor do those
/// for debugging, as Docker's own containerd has one (moby, libcontainerd/supervisor/remote_daemon_linux.go).
fn is_of_another_protocol(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".ttrpc")
        || name == "nri.sock"
        || name == "debug.sock"
        || name.ends_with("-debug.sock")
}

/// The sockets with an absolute path that a process holds and by which CRI may be spoken.
fn of(process: &Process) -> Option<Vec<PathBuf>> {
    let held: HashSet<u64> = process
        .fd()
        .ok()?
        .flatten()
        .filter_map(|fd| match fd.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect();
    let sockets = process.unix().ok()?;
    let paths = sockets
        .into_iter()
        .filter(|socket| held.contains(&socket.inode))
        .filter_map(|socket| socket.path)
        .filter(|path| path.is_absolute() && !is_of_another_protocol(path));
    Some(paths.collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_bound_socket_is_found_by_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("runtime.sock");
        let names = [
            "runtime.sock.ttrpc",
            "nri.sock",
            "containerd-debug.sock",
            "debug.sock",
        ];
        let others = names.map(|it| directory.path().join(it));
        let _listeners: Vec<_> = [&path]
            .into_iter()
            .chain(&others)
            .map(|path| UnixListener::bind(path).unwrap())
            .collect();
        let found = of(&Process::myself().unwrap()).unwrap();
        assert!(found.contains(&path), "{found:?}");
        assert!(!others.iter().any(|it| found.contains(it)), "{found:?}");
    }

    #[test]
    fn a_process_that_is_not_called_like_a_runtime_is_none() {
        assert!(!is_runtime(&Process::myself().unwrap()));
    }
}
