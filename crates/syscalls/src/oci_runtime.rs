//! The OCI runtimes whose behaviour is known.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An OCI runtime: it reads `config.json`, loads the seccomp filter and executes the workload.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OciRuntime {
    /// opencontainers/runc: libcontainer/seccomp/seccomp_linux.go, patchbpf/enosys_linux.go.
    Runc,
    /// containers/crun: src/libcrun/seccomp.c.
    Crun,
}

impl OciRuntime {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Runc, Self::Crun];

    /// The name of its program.
    ///
    /// ```
    /// assert_eq!(syscalls::OciRuntime::Crun.as_str(), "crun");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }
}

impl fmt::Display for OciRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
