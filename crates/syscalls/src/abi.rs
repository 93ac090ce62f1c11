//! Calling conventions, and the numbers and names of each.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::OnceLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syscall_numbers as numbers;

use super::corrections::correct;

/// A calling convention: the same number means different calls in different ABIs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Abi {
    /// 64-bit calls on x86-64.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 32-bit calls on x86: `int 0x80` and `sysenter`.
    #[serde(rename = "i386")]
    I386,
    /// 64-bit entry with 32-bit pointers; bit 30 of the number is set.
    X32,
    /// 64-bit calls on arm64.
    Aarch64,
    /// 32-bit calls on arm64, and arm.
    Arm,
    /// 64-bit calls on RISC-V.
    #[serde(rename = "riscv64")]
    Riscv64,
}

impl Abi {
    /// All of them, in the order of output.
    pub const ALL: [Self; 6] = [
        Self::X86_64,
        Self::I386,
        Self::X32,
        Self::Aarch64,
        Self::Arm,
        Self::Riscv64,
    ];

    /// The name in recordings and reviews.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I386 => "i386",
            Self::X32 => "x32",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
        }
    }

    /// The name in OCI seccomp profiles (runtime-spec, config-linux.md, "architectures").
    pub const fn scmp_arch(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::I386 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
            Self::Riscv64 => "SCMP_ARCH_RISCV64",
        }
    }

    /// Whether its registers have 32 bits, so that offsets and times need wide forms of calls.
    pub const fn is_32_bit(self) -> bool {
        matches!(self, Self::I386 | Self::Arm)
    }

    /// The name of a call, or `None` when this build's table does not have the number.
    ///
    /// `nr` is the number as the kernel got it: for x32 with bit 30.
    ///
    /// ```
    /// use syscalls::Abi;
    ///
    /// assert_eq!(Abi::X86_64.syscall_name(59), Some("execve"));
    /// assert_eq!(Abi::Aarch64.syscall_name(221), Some("execve"));
    /// assert_eq!(Abi::X86_64.syscall_name(9999), None);
    /// ```
    pub fn syscall_name(self, nr: u32) -> Option<&'static str> {
        // The tables take a `c_long`, which has 32 bits on some machines. No number needs more.
        let index = i32::try_from(nr).ok()?.into();
        let name = match self {
            Self::X86_64 => numbers::x86_64::sys_call_name(index),
            Self::I386 => numbers::x86::sys_call_name(index),
            Self::X32 => numbers::x32::sys_call_name(index),
            Self::Aarch64 => numbers::aarch64::sys_call_name(index),
            Self::Arm => numbers::arm::sys_call_name(index),
            Self::Riscv64 => numbers::riscv64::sys_call_name(index),
        };
        correct(self, nr, name.filter(|name| !name.is_empty()))
    }

    /// Every call of this ABI: number and name, by number.
    pub fn syscalls(self) -> impl Iterator<Item = (u32, &'static str)> {
        // No table reaches 1,024.
        let base = if self == Self::X32 { 1 << 30 } else { 0 };
        // arch/arm/include/uapi/asm/unistd.h, __ARM_NR_BASE.
        let private = if self == Self::Arm { 0x000f_0000 } else { 0 };
        (base..base + 1024)
            .chain(private..private + u32::from(self == Self::Arm) * 16)
            .filter_map(move |nr| Some((nr, self.syscall_name(nr)?)))
    }

    /// The number of a call by name.
    ///
    /// ```
    /// use syscalls::Abi;
    ///
    /// assert_eq!(Abi::X86_64.syscall_number("openat"), Some(257));
    /// // arm64 never had open(2).
    /// assert_eq!(Abi::Aarch64.syscall_number("open"), None);
    /// ```
    pub fn syscall_number(self, name: &str) -> Option<u32> {
        static NUMBERS: OnceLock<BTreeMap<(Abi, &str), u32>> = OnceLock::new();
        let numbers = NUMBERS.get_or_init(|| {
            let all = Self::ALL
                .into_iter()
                .flat_map(|abi| abi.syscalls().map(move |(nr, name)| ((abi, name), nr)));
            all.collect()
        });
        numbers.get(&(self, name)).copied()
    }
}

/// No ABI is called that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown architecture `{0}`: known are x86_64 (amd64), i386 (x86), x32, aarch64 (arm64), arm (armhf) and riscv64"
)]
pub struct UnknownAbi(String);

/// Reads any of the names that kernels, engines, distributions and libseccomp have for an ABI, in any
/// case.
///
/// ```
/// use syscalls::Abi;
///
/// for name in ["x86_64", "x86-64", "amd64", "SCMP_ARCH_X86_64"] {
///     assert_eq!(name.parse(), Ok(Abi::X86_64));
/// }
/// assert_eq!("arm64".parse(), Ok(Abi::Aarch64));
/// assert!("vax".parse::<Abi>().is_err());
/// ```
impl FromStr for Abi {
    type Err = UnknownAbi;

    fn from_str(name: &str) -> Result<Self, UnknownAbi> {
        let lower = name.to_ascii_lowercase();
        let short = lower.strip_prefix("scmp_arch_").unwrap_or(&lower);
        // The first of each row is `uname -m`'s or our own; then Go's, Debian's, systemd's and Rust's.
        match short {
            "x86_64" | "amd64" | "x86-64" => Ok(Self::X86_64),
            "i386" | "x86" | "386" | "i486" | "i586" | "i686" => Ok(Self::I386),
            "x32" => Ok(Self::X32),
            "aarch64" | "arm64" => Ok(Self::Aarch64),
            "arm" | "armhf" | "armel" | "armv6l" | "armv7l" | "armv8l" | "armv7" => Ok(Self::Arm),
            "riscv64" | "riscv64gc" => Ok(Self::Riscv64),
            _ => Err(UnknownAbi(name.to_owned())),
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind of machine that can be recorded on, with the ABIs its kernel may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The 64-bit ABI.
    pub native: Abi,
    /// The 32-bit ABI, if there is one.
    pub compat: Option<Abi>,
}

impl Machine {
    /// The ABIs that its kernel may offer, x32 aside.
    pub fn abis(self) -> impl IntoIterator<Item = Abi> {
        [Some(self.native), self.compat].into_iter().flatten()
    }

    /// The 64-bit ABI of the machine that calls itself `machine` (`uname -m`).
    ///
    /// Under a 32-bit personality (setarch(8)) a 64-bit kernel tells a 32-bit name.
    ///
    /// ```
    /// use syscalls::{Abi, Machine};
    ///
    /// assert_eq!(Machine::native_abi("aarch64"), Some(Abi::Aarch64));
    /// assert_eq!(Machine::native_abi("i686"), Some(Abi::X86_64));
    /// assert_eq!(Machine::native_abi("s390x"), None);
    /// ```
    pub fn native_abi(machine: &str) -> Option<Abi> {
        match machine {
            "x86_64" | "i386" | "i486" | "i586" | "i686" => Some(Abi::X86_64),
            "aarch64" | "armv8l" | "armv8b" => Some(Abi::Aarch64),
            "riscv64" => Some(Abi::Riscv64),
            _ => None,
        }
    }

    /// The machine that this program was built for; `None` where no ABI table exists.
    pub const fn this() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self {
                native: Abi::X86_64,
                compat: Some(Abi::I386),
            })
        } else if cfg!(target_arch = "aarch64") {
            Some(Self {
                native: Abi::Aarch64,
                compat: Some(Abi::Arm),
            })
        } else if cfg!(target_arch = "riscv64") {
            Some(Self {
                native: Abi::Riscv64,
                compat: None,
            })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_agree() {
        // From the kernel's own tables: arch/x86/entry/syscalls/syscall_{64,32}.tbl and
        // include/uapi/asm-generic/unistd.h of Linux 6.18.
        for (abi, nr, name) in [
            (Abi::X86_64, 0, "read"),
            (Abi::X86_64, 59, "execve"),
            (Abi::X86_64, 435, "clone3"),
            (Abi::X86_64, 469, "file_setattr"),
            (Abi::I386, 11, "execve"),
            (Abi::I386, 102, "socketcall"),
            (Abi::I386, 403, "clock_gettime64"),
            (Abi::X32, (1 << 30) | 520, "execve"),
            (Abi::Aarch64, 221, "execve"),
            (Abi::Arm, 11, "execve"),
            (Abi::Arm, 0x000f_0005, "set_tls"),
            (Abi::Riscv64, 258, "riscv_hwprobe"),
        ] {
            assert_eq!(abi.syscall_name(nr), Some(name), "{abi} {nr}");
            assert_eq!(abi.syscall_number(name), Some(nr), "{abi} {name}");
        }
    }

    #[test]
    fn names_are_read_in_every_form() {
        for abi in Abi::ALL {
            for name in [abi.as_str(), abi.scmp_arch()] {
                for name in [name, &name.to_lowercase(), &name.to_uppercase()] {
                    assert_eq!(name.parse(), Ok(abi), "{name}");
                }
            }
        }
        for (name, abi) in [
            ("386", Abi::I386),
            ("armhf", Abi::Arm),
            ("ARM64", Abi::Aarch64),
        ] {
            assert_eq!(name.parse(), Ok(abi), "{name}");
        }
        for wrong in [
            "",
            "scmp_arch_",
            "x86_64 ",
            "s390x",
            "SCMP_ARCH_SCMP_ARCH_ARM",
        ] {
            assert!(wrong.parse::<Abi>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_number_has_no_name() {
        for abi in Abi::ALL {
            assert_eq!(abi.syscall_name(999), None);
            assert_eq!(abi.syscall_name(u32::MAX), None);
        }
    }
}
