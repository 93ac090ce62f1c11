//! The `window` layer: what a container runtime calls after it has loaded the seccomp filter and
//! before it executes the workload.
//!
//! These calls are made under the profile, so every one must be in it, or the container does not
//! start. Which they are depends on the runtime, its version, and on `no_new_privs`: without it the
//! runtime loads the filter before it drops privileges (loading needs CAP_SYS_ADMIN), with it just
//! before exec. A recording of a command, or of a container without a filter, does not show them.
//!
//! The sets are data with a source each. All known ones are united by default, so that a profile
//! outlives an upgrade of the runtime.

use std::{collections::BTreeMap, fmt};

use super::Abi;

/// A container runtime that loads filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    /// opencontainers/runc.
    Runc,
    /// containers/crun.
    Crun,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
        })
    }
}

/// A version: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16, pub u16, pub u16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The versions that a row speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Versions {
    /// This one.
    Exactly(Version),
    /// From the first up to, not including, the second.
    Range(Version, Version),
    /// This one and all later ones known.
    Since(Version),
}

impl Versions {
    /// Whether `version` is one of them.
    pub fn contains(self, version: Version) -> bool {
        match self {
            Self::Exactly(exactly) => version == exactly,
            Self::Range(from, until) => from <= version && version < until,
            Self::Since(from) => from <= version,
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(version) => write!(f, "{version}"),
            Self::Range(from, until) => write!(f, "{from} to before {until}"),
            Self::Since(from) => write!(f, "{from} and later"),
        }
    }
}

/// How a row is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// All calls of the window, traced on the thread that is filtered; where.
    Measured(&'static str),
    /// Calls that are known to be in the window, perhaps not all; from where.
    Reported(&'static str),
}

/// What some versions of a runtime call in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The runtime.
    pub runtime: Runtime,
    /// Its versions.
    pub versions: Versions,
    /// `noNewPrivileges` of the container; `None` when the row holds for both.
    pub no_new_privs: Option<bool>,
    /// How it is known.
    pub source: Source,
    /// The calls, by their names on 64-bit ABIs.
    pub calls: &'static [&'static str],
}

const DEBIAN_12: Source = Source::Measured("Debian 12's package on Linux 6.18, x86-64");

/// Every row.
pub const ROWS: &[Row] = &[
    Row {
        runtime: Runtime::Runc,
        versions: Versions::Exactly(Version(1, 1, 5)),
        no_new_privs: Some(true),
        source: DEBIAN_12,
        calls: &[
            "close",
            "epoll_ctl",
            "execve",
            "fstatfs",
            "futex",
            "getdents64",
            "getpid",
            "openat",
            "write",
        ],
    },
    Row {
        runtime: Runtime::Runc,
        versions: Versions::Exactly(Version(1, 1, 5)),
        no_new_privs: Some(false),
        source: DEBIAN_12,
        calls: &[
            "capget",
            "capset",
            "chdir",
            "close",
            "epoll_ctl",
            "execve",
            "faccessat2",
            "fcntl",
            "fstat",
            "fstatfs",
            "futex",
            "getcwd",
            "getdents64",
            "getpid",
            "getppid",
            "newfstatat",
            "openat",
            "prctl",
            "read",
            "setgid",
            "setgroups",
            "setuid",
            "write",
        ],
    },
    Row {
        runtime: Runtime::Crun,
        versions: Versions::Exactly(Version(1, 8, 1)),
        no_new_privs: Some(true),
        source: DEBIAN_12,
        calls: &[
            "close",
            "connect",
            "execve",
            "getcwd",
            "geteuid",
            "newfstatat",
            "openat",
            "read",
            "socket",
        ],
    },
    Row {
        runtime: Runtime::Crun,
        versions: Versions::Exactly(Version(1, 8, 1)),
        no_new_privs: Some(false),
        source: DEBIAN_12,
        calls: &[
            "capset",
            "close",
            "execve",
            "prctl",
            "rt_sigaction",
            "rt_sigprocmask",
            "setresgid",
            "setresuid",
            "write",
        ],
    },
    // The fixes of November 2025 (CVE-2025-31133 and others) check each handle to /proc while they
    // close descriptors, after the load: two release branches got them.
    Row {
        runtime: Runtime::Runc,
        versions: Versions::Range(Version(1, 2, 8), Version(1, 3, 0)),
        no_new_privs: None,
        source: Source::Reported("kubernetes-sigs/security-profiles-operator#3041"),
        calls: &["openat2", "statx"],
    },
    Row {
        runtime: Runtime::Runc,
        versions: Versions::Since(Version(1, 3, 3)),
        no_new_privs: None,
        source: Source::Reported("kubernetes-sigs/security-profiles-operator#3041"),
        calls: &["openat2", "statx"],
    },
    // "container: attempt to close all the files before execv(2)", crun's NEWS for 1.14.1;
    // mark_or_close_fds_ge_than after libcrun_apply_seccomp in src/libcrun/container.c.
    Row {
        runtime: Runtime::Crun,
        versions: Versions::Since(Version(1, 14, 1)),
        no_new_privs: None,
        source: Source::Reported("containers/crun, src/libcrun/container.c"),
        calls: &["close_range"],
    },
];

/// The union of all rows: each call with the rows that need it, in the order of [`ROWS`].
pub fn united() -> BTreeMap<&'static str, Vec<&'static Row>> {
    let mut united: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in ROWS {
        for call in row.calls {
            united.entry(*call).or_default().push(row);
        }
    }
    united
}

/// The names of the layer that exist in `abi`, sorted. The runtime itself is a 64-bit program, so
/// `abi` is the machine's native one.
pub fn names(abi: Abi) -> impl Iterator<Item = &'static str> {
    united()
        .into_keys()
        .filter(move |name| abi.syscall_number(name).is_some())
}

/// The runtimes among `rows` in words, for instance "runc 1.1.5 (with no_new_privs)": one entry for
/// a runtime's versions, however many rows it has.
pub fn in_words(rows: &[&Row]) -> Vec<String> {
    let mut settings: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        settings
            .entry((row.runtime, row.versions))
            .or_default()
            .push(row.no_new_privs);
    }
    settings
        .into_iter()
        .map(|((runtime, versions), settings)| {
            let with = settings.contains(&Some(true));
            let without = settings.contains(&Some(false));
            let when = match (settings.contains(&None), with, without) {
                (false, true, false) => " (with no_new_privs)",
                (false, false, true) => " (without no_new_privs)",
                _ => "",
            };
            format!("{runtime} {versions}{when}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_their_names_exist() {
        for row in ROWS {
            assert!(row.calls.is_sorted_by(|a, b| a < b), "{row:?}");
            assert!(row.calls.contains(&"execve") || matches!(row.source, Source::Reported(_)));
            for call in row.calls {
                assert!(Abi::X86_64.syscall_number(call).is_some(), "{call}");
            }
        }
    }

    #[test]
    fn the_union_tells_who_needs_a_call() {
        let united = united();
        assert_eq!(in_words(&united["execve"]), ["runc 1.1.5", "crun 1.8.1"]);
        assert_eq!(
            in_words(&united["openat2"]),
            ["runc 1.2.8 to before 1.3.0", "runc 1.3.3 and later"]
        );
        assert_eq!(
            in_words(&united["prctl"]),
            [
                "runc 1.1.5 (without no_new_privs)",
                "crun 1.8.1 (without no_new_privs)"
            ]
        );
        assert_eq!(
            in_words(&united["socket"]),
            ["crun 1.8.1 (with no_new_privs)"]
        );
    }

    #[test]
    fn versions_contain() {
        let since = Versions::Since(Version(1, 3, 3));
        assert!(since.contains(Version(1, 3, 3)) && since.contains(Version(2, 0, 0)));
        assert!(!since.contains(Version(1, 3, 2)));
        let range = Versions::Range(Version(1, 2, 8), Version(1, 3, 0));
        assert!(range.contains(Version(1, 2, 9)) && !range.contains(Version(1, 3, 0)));
    }
}
