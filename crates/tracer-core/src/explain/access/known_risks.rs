//! What paths and sockets are known for.

use crate::recording::FilePath;

/// Paths, by their beginning or (when it does not end in a slash or star) as a whole, and what they open.
/// A `*` stands for one name. Sources: proc(5) of man-pages 6.03; Documentation/admin-guide/sysctl and
/// cgroup-v1 of Linux 6.12; the page "Dangerous mounts and files" that kernel and runtimes mask by default
/// (runtime-spec's `maskedPaths` and `readonlyPaths`, moby/daemon/pkg/oci/defaults.go).
const PATHS: &[(&str, &str)] = &[
    (
        "/proc/sys/kernel/core_pattern",
        "names a program that the kernel starts as root, outside of the container, when a process dumps core",
    ),
    (
        "/proc/sys/kernel/modprobe",
        "names the program that the kernel starts as root to load a module",
    ),
    (
        "/proc/sys/",
        "settings of the kernel, most of them for the whole machine",
    ),
    (
        "/proc/sysrq-trigger",
        "reboots or crashes the machine, when it can be written",
    ),
    ("/proc/kcore", "the kernel's memory"),
    (
        "/proc/kallsyms",
        "addresses in the kernel, which help an exploit",
    ),
    ("/proc/*/mem", "another process's memory"),
    (
        "/proc/*/environ",
        "another process's environment, which often holds secrets",
    ),
    (
        "/proc/*/root/",
        "the files of another process's mount namespace",
    ),
    (
        "/sys/fs/cgroup/",
        "limits of resources; release_agent of version 1 starts a program as root on the host",
    ),
    (
        "/sys/kernel/debug/",
        "debugging of the kernel, for root alone, and large",
    ),
    ("/sys/kernel/security/", "policy of the security modules"),
    (
        "/sys/firmware/",
        "variables of the firmware, some of which keep the machine from starting",
    ),
    ("/dev/mem", "the machine's memory"),
    ("/dev/kmsg", "the kernel's log, to read and to write"),
    (
        "/dev/fuse",
        "a file system whose files another process makes up",
    ),
    ("/dev/kvm", "virtual machines: a large part of the kernel"),
    (
        "/var/run/docker.sock",
        "Docker's interface: who can write to it is root on the host",
    ),
    (
        "/run/docker.sock",
        "Docker's interface: who can write to it is root on the host",
    ),
    (
        "/run/containerd/containerd.sock",
        "containerd's interface: who can write to it is root on the host",
    ),
    (
        "/run/crio/crio.sock",
        "CRI-O's interface: who can write to it is root on the host",
    ),
    (
        "/var/run/secrets/kubernetes.io/serviceaccount/",
        "the pod's credentials for Kubernetes",
    ),
    ("/run/secrets/", "secrets that were given to the container"),
    ("/etc/shadow", "hashes of passwords"),
    ("/etc/passwd", "users; who can write it makes users"),
    (
        "/etc/ld.so.preload",
        "names a library that every program loads",
    ),
    (
        "/etc/ld.so.cache",
        "tells every program where its libraries are",
    ),
    ("/etc/sudoers", "who may become another user"),
    ("/root/.ssh/", "keys, and who may log in as root"),
];

/// What is known of a path, or of what a rule's glob begins with.
pub(crate) fn path_risk(path: &FilePath) -> Option<&'static str> {
    let path = path.to_string();
    let path = path.replace("@{PROC}", "/proc").replace("@{sys}", "/sys");
    let known = PATHS.iter().find(|(pattern, _)| matches(pattern, &path));
    known.map(|(_, what)| *what)
}

/// Whether a path of [`path_risk`] is a risk for who can write it, and every program reads it.
pub(crate) fn is_read_by_all(path: &FilePath) -> bool {
    let path = path.to_string();
    ["/etc/passwd", "/etc/ld.so.preload", "/etc/ld.so.cache"].contains(&path.as_str())
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut names = path.trim_end_matches('/').split('/');
    let mut wanted = pattern.trim_end_matches('/').split('/');
    let fits = wanted.all(|wanted| {
        names
            .next()
            .is_some_and(|name| wanted == "*" || wanted == name)
    });
    fits && (pattern.ends_with('/') || names.next().is_none())
}

/// Families of sockets, and types, by number, and what they open (address_families(7), packet(7),
/// raw(7), vsock(7), man-pages 6.03).
const SOCKETS: &[(Option<u16>, Option<u16>, &str)] = &[
    (
        Some(17),
        None,
        "packet sockets: overhear and forge what goes over the network",
    ),
    (
        Some(16),
        None,
        "talks to the kernel: routes, firewall, audit, by what capabilities allow",
    ),
    (
        Some(38),
        None,
        "the kernel's cryptography, with a history of holes; libc does not use it",
    ),
    (
        Some(40),
        None,
        "reaches the hypervisor and other virtual machines, past the network's rules",
    ),
    (Some(15), None, "the kernel's keys for IPsec"),
    (
        Some(2),
        Some(3),
        "raw IP packets: forge them, and see what comes in",
    ),
    (
        Some(10),
        Some(3),
        "raw IP packets: forge them, and see what comes in",
    ),
    (
        Some(2),
        None,
        "the network of its namespace, any address and port",
    ),
    (
        Some(10),
        None,
        "the network of its namespace, any address and port",
    ),
    (
        Some(1),
        None,
        "other processes, by sockets in the file system or by abstract names of the network namespace",
    ),
];

/// The first thing that is known of sockets.
pub(crate) fn socket_risk(family: u16, kind: Option<u16>) -> Option<&'static str> {
    socket_risks(family, kind).next()
}

/// What is known of sockets.
pub(super) fn socket_risks(family: u16, kind: Option<u16>) -> impl Iterator<Item = &'static str> {
    SOCKETS
        .iter()
        .filter(move |(of, its, _)| {
            of.is_none_or(|of| of == family)
                && its.is_none_or(|its| kind.is_none_or(|kind| kind == its))
        })
        .map(|(_, _, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_exactly_or_by_prefix() {
        let known = |path: &str| path_risk(&path.into());
        assert!(known("/proc/12/mem").unwrap().contains("memory"));
        assert!(known("@{PROC}/@{pid}/environ").unwrap().contains("secrets"));
        assert!(
            known("/proc/sys/vm/swappiness")
                .unwrap()
                .starts_with("settings")
        );
        assert!(
            known("/proc/sys/kernel/core_pattern")
                .unwrap()
                .contains("dumps core")
        );
        assert!(known("/root/.ssh/authorized_keys").is_some());
        for none in ["/", "/proc/12/mem/x", "/etc/passwd-", "/srv/proc/kcore", ""] {
            assert_eq!(known(none), None, "{none}");
        }
        let mut sorted: Vec<_> = PATHS.iter().map(|(path, _)| path).collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), PATHS.len());
    }

    #[test]
    fn sockets_match_by_family_and_type() {
        let known = |family, kind| socket_risks(family, kind).count();
        assert_eq!(known(2, Some(1)), 1);
        assert_eq!(known(2, Some(3)), 2);
        assert_eq!(known(2, None), 2);
        assert_eq!(known(17, Some(2)), 1);
        assert_eq!(known(99, None), 0);
    }
}
