//! Where a profile is enforced: what differs between hosts.

use syscalls::{Abi, OciRuntime, errno};

/// Which names the runtime's libseccomp knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Libseccomp {
    /// 2.5.4 as released: the calls of Linux 5.17.
    V2_5_4,
    /// 2.5.4 as in Debian 12 (2.5.4-1+deb12u1): the calls of Linux 6.7.
    Debian12,
    /// All that [`Abi`] knows.
    Newest,
}

impl Libseccomp {
    /// Whether it has heard of a call that [`Abi`] knows.
    pub fn knows(self, name: &str) -> bool {
        // 451 is cachestat, 456 futex_requeue; the number is the same in every ABI.
        let came_by_6_7 = || matches!(Abi::X86_64.syscall_number(name), Some(451..=456));
        match self {
            Self::V2_5_4 => !errno::is_newer_than_libseccomp_2_5_4(name),
            Self::Debian12 => !errno::is_newer_than_libseccomp_2_5_4(name) || came_by_6_7(),
            Self::Newest => true,
        }
    }
}

/// What a profile is enforced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// The ABI of the runtime itself, which every filter is for, listed or not.
    pub native: Abi,
    /// The runtime.
    pub runtime: OciRuntime,
    /// Its libseccomp.
    pub libseccomp: Libseccomp,
}

/// The name of an architecture in a profile, as a runtime takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    /// One whose calls can be evaluated.
    Known(Abi),
    /// One that may be listed, but whose calls tracer has no table for.
    Other,
    /// The library adds none of the other byte order to a filter (src/db.c, `db_col_db_add`).
    BigEndian,
    /// None that the runtime or its library knows.
    Unknown,
}

impl Architecture {
    /// Reads an entry of `architectures`. runc wants the spec's spelling
    /// (libcontainer/seccomp/config.go); crun leaves `SCMP_ARCH_` to choice, and the case.
    pub(super) fn read(name: &str, host: Host) -> Self {
        let short = name.strip_prefix("SCMP_ARCH_");
        let short = match host.runtime {
            OciRuntime::Runc => match short {
                Some(short) => short.to_owned(),
                None => return Self::Unknown,
            },
            OciRuntime::Crun => short.unwrap_or(name).to_ascii_uppercase(),
        };
        if let Some(abi) = Abi::ALL
            .into_iter()
            .find(|abi| abi.scmp_arch().strip_prefix("SCMP_ARCH_") == Some(&short))
        {
            return Self::Known(abi);
        }
        match short.as_str() {
            "MIPSEL" | "MIPSEL64" | "MIPSEL64N32" | "PPC64LE" => Self::Other,
            "LOONGARCH64" if host.libseccomp == Libseccomp::Newest => Self::Other,
            "MIPS" | "MIPS64" | "MIPS64N32" | "PPC" | "PPC64" | "S390" | "S390X" => Self::BigEndian,
            _ => Self::Unknown,
        }
    }
}
