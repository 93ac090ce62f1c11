//! What profiles are audited against.

use std::collections::BTreeSet;

use super::{
    Input, ParseError,
    apparmor_policy::{Included, Includes},
};
use crate::{
    profile::seccomp::{
        evaluate::{Host, Libseccomp, OciRuntime},
        oci::OciSeccomp,
        read::{KernelVersion, Target},
    },
    recording::Recording,
};
use syscalls::{Abi, defaults};

/// What became of a profile that a manifest names.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// It is there.
    Found(Input),
    /// It is not; where it should have been.
    Missing(String),
    /// It cannot be read.
    ParseError(ParseError),
}

/// What profiles are audited against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The machine's ABI.
    pub native: Abi,
    /// The capabilities of the container, `CAP_…`, which choose entries of Docker's form.
    pub capabilities: &'a BTreeSet<String>,
    /// The kernel, which chooses entries too.
    pub kernel_version: KernelVersion,
    /// The oldest and the newest kernel that findings speak of. `None`: any.
    pub kernels: Option<(KernelVersion, KernelVersion)>,
    /// What the workload did.
    pub recordings: &'a [Recording],
    /// Whether a container of Kubernetes is known to run under the profile.
    pub in_container: bool,
    /// Whether it runs with `no_new_privs`; `None` when that is not known.
    pub no_new_privileges: Option<bool>,
    /// A profile to compare with, and what it is called.
    pub baseline: Option<(&'a str, &'a OciSeccomp)>,
    /// Finds the profile that `localhostProfile` names.
    pub lookup: &'a dyn Fn(&str) -> Lookup,
    /// Finds the files that AppArmor profiles include.
    pub includes: Includes<'a>,
}

/// For a container without any.
static NO_CAPABILITIES: BTreeSet<String> = BTreeSet::new();

impl Context<'static> {
    /// A machine and its kernel, and nothing else: no capability, no recording, no container, no
    /// baseline, and no profile where `localhostProfile` points.
    pub const fn new(native: Abi, kernel_version: KernelVersion) -> Self {
        Self {
            native,
            capabilities: &NO_CAPABILITIES,
            kernel_version,
            kernels: None,
            recordings: &[],
            in_container: false,
            no_new_privileges: None,
            baseline: None,
            lookup: &|name| Lookup::Missing(name.to_owned()),
            includes: &|_| Included::Missing,
        }
    }
}

impl Context<'_> {
    /// The capabilities that Docker gives a container.
    pub fn usual_capabilities() -> BTreeSet<String> {
        let names = defaults::DEFAULT_CAPABILITIES.iter();
        names.map(|&name| name.to_owned()).collect()
    }

    pub(super) fn host(&self, runtime: OciRuntime) -> Host {
        Host {
            native: self.native,
            runtime,
            libseccomp: Libseccomp::Newest,
        }
    }

    pub(super) fn target(&self) -> Target {
        Target {
            native: self.native,
            capabilities: self.capabilities.clone(),
            kernel_version: self.kernel_version,
        }
    }
}
