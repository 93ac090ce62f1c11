//! What can go wrong with the kernel side, each with its remedy.

use std::{error, fmt};

use thiserror::Error;

/// What a library or the kernel said, with what was being done.
#[derive(Debug)]
pub struct Cause(Box<dyn error::Error + Send + Sync>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl From<anyhow::Error> for Cause {
    fn from(error: anyhow::Error) -> Self {
        Self(error.into())
    }
}

/// Why the kernel side cannot do its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The binary has no kernel object inside.
    #[error(
        "this tracer was built without its kernel program; build it with `cargo xtask build` or `cargo xtask dist`"
    )]
    NoObject,
    /// The machine's ABIs are not known.
    #[error("tracer records on x86-64 and arm64 only; this is {0}")]
    Machine(&'static str),
    /// The process may not load programs.
    #[error(
        "loading eBPF programs needs root, or the capabilities CAP_BPF and CAP_PERFMON; run tracer with sudo (missing: {missing})"
    )]
    Privilege {
        /// Names of the missing capabilities.
        missing: String,
    },
    /// The process' capabilities are those of a user namespace.
    #[error(
        "tracer runs in a user namespace, where it cannot load eBPF programs; run it as root of the host"
    )]
    UserNamespace,
    /// The kernel has no type information.
    #[error(
        "this kernel ({kernel}) has no BTF at {path}; use a kernel built with CONFIG_DEBUG_INFO_BTF=y (the default of Debian 11, Ubuntu 20.10, RHEL 8.2 and later)"
    )]
    NoBtf {
        /// The kernel's release.
        kernel: String,
        /// Where it was looked for.
        path: &'static str,
    },
    /// The type information cannot be used.
    #[error("the kernel's BTF at {path} cannot be read: {cause}")]
    BadBtf {
        /// Where it is.
        path: &'static str,
        /// Why.
        cause: Cause,
    },
    /// A field that tracer reads is not there.
    #[error(
        "this kernel's BTF has no {field}, which tracer needs; please report it with the kernel's version"
    )]
    NoField {
        /// `struct.field`.
        field: String,
    },
    /// The kernel has no ring buffer.
    #[error("this kernel ({kernel}) has no BPF ring buffer; tracer needs Linux 5.8 or later")]
    NoRingBuffer {
        /// The kernel's release.
        kernel: String,
    },
    /// The kernel is locked down.
    #[error(
        "the kernel is in lockdown mode `confidentiality`, which forbids programs to read kernel memory; boot with `lockdown=integrity` or none to record here"
    )]
    Lockdown,
    /// A size that the kernel would refuse.
    #[error(
        "a ring of {0} bytes cannot be made: the size must be a power of two and at least one page ({1} bytes)"
    )]
    RingSize(u32, u32),
    /// More rows than a slot can name.
    #[error("a table of {0} rows cannot be made: give a number from 16 to {1}")]
    MaxRows(u32, u32),
    /// All rows of marks are taken.
    #[error("no row is free for another instance")]
    NoRow,
    /// The way of seeing files that was asked for is not there.
    #[error("this kernel offers no {mechanism}: {cause}")]
    Accesses {
        /// What was asked for.
        mechanism: super::Mechanism,
        /// Why.
        cause: Cause,
    },
    /// aya could not load the object.
    #[error("cannot load the kernel program: {0}")]
    Load(Cause),
    /// aya could not load or attach one program.
    #[error("cannot attach to the kernel's `{program}` tracepoint: {cause}")]
    Attach {
        /// The tracepoint.
        program: &'static str,
        /// Why.
        cause: Cause,
    },
    /// A map did not do what was asked.
    #[error("cannot {action} the kernel's map {map}: {cause}")]
    Map {
        /// What was tried.
        action: &'static str,
        /// The map.
        map: &'static str,
        /// Why.
        cause: Cause,
    },
}

impl ProbeError {
    pub(super) fn map(
        action: &'static str,
        map: &'static str,
    ) -> impl FnOnce(anyhow::Error) -> Self {
        move |cause| Self::Map {
            action,
            map,
            cause: cause.into(),
        }
    }
}
