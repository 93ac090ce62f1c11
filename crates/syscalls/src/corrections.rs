//! Corrections to the table crate.
//!
//! `syscall-numbers` 4.0.3 was compared with libseccomp 2.5.4 and the kernel's own tables. It lacks
//! some i386 calls that every 32-bit program makes (`clock_gettime`), and names others as musl does
//! (`timerfd_settime32`): a runtime ignores a name that libseccomp does not know, so a profile with
//! such a name denies the call. The kernel's tables are the authority for numbers, libseccomp's
//! names for spelling.

use super::Abi;

/// arch/x86/entry/syscalls/syscall_32.tbl.
const I386: &[(u32, &str)] = &[
    (76, "getrlimit"),
    (78, "gettimeofday"),
    (79, "settimeofday"),
    (260, "timer_settime"),
    (261, "timer_gettime"),
    (262, "timer_getoverrun"),
    (263, "timer_delete"),
    (264, "clock_settime"),
    (265, "clock_gettime"),
    (266, "clock_getres"),
    (267, "clock_nanosleep"),
    (278, "mq_unlink"),
    (279, "mq_timedsend"),
    (280, "mq_timedreceive"),
    (281, "mq_notify"),
    (282, "mq_getsetattr"),
    (325, "timerfd_settime"),
    (326, "timerfd_gettime"),
];

/// arch/arm/tools/syscall.tbl; the private calls from arch/arm/include/uapi/asm/unistd.h.
const ARM: &[(u32, &str)] = &[
    (78, "gettimeofday"),
    (79, "settimeofday"),
    (258, "timer_settime"),
    (259, "timer_gettime"),
    (262, "clock_settime"),
    (263, "clock_gettime"),
    (264, "clock_getres"),
    (265, "clock_nanosleep"),
    (270, "arm_fadvise64_64"),
    (341, "arm_sync_file_range"),
    (353, "timerfd_settime"),
    (354, "timerfd_gettime"),
    (0x000f_0001, "breakpoint"),
    (0x000f_0002, "cacheflush"),
    (0x000f_0003, "usr26"),
    (0x000f_0004, "usr32"),
    (0x000f_0005, "set_tls"),
    (0x000f_0006, "get_tls"),
];

/// scripts/syscall.tbl and arch/riscv/include/uapi/asm/unistd.h: 244 is where the architecture's
/// own calls begin, not a call.
const RISCV64: &[(u32, &str)] = &[
    (244, ""),
    (258, "riscv_hwprobe"),
    (259, "riscv_flush_icache"),
];

/// arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.6 and later: for the 64-bit ABI alone.
const X32: &[(u32, &str)] = &[((1 << 30) + 453, "")];

/// The right name of `nr`, given what the crate calls it.
pub(super) fn correct(abi: Abi, nr: u32, name: Option<&'static str>) -> Option<&'static str> {
    let amendments = match abi {
        Abi::I386 => I386,
        Abi::Arm => ARM,
        Abi::Riscv64 => RISCV64,
        Abi::X32 => X32,
        Abi::X86_64 | Abi::Aarch64 => return name,
    };
    match amendments.iter().find(|(amended, _)| *amended == nr) {
        Some((_, "")) => None,
        Some((_, right)) => Some(right),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_comes_from_musl() {
        for abi in Abi::ALL {
            for (nr, name) in abi.syscalls() {
                assert!(
                    !name.ends_with("time32") && !name.starts_with("timerfd_settime3"),
                    "{abi} {nr} {name}"
                );
            }
        }
    }

    #[test]
    fn each_name_has_one_number() {
        for abi in Abi::ALL {
            let names: Vec<_> = abi.syscalls().map(|(_, name)| name).collect();
            let distinct: BTreeSet<_> = names.iter().collect();
            assert_eq!(names.len(), distinct.len(), "{abi}");
        }
    }

    #[test]
    fn common_32_bit_calls_have_names() {
        // Linux 6.18, syscall_32.tbl and arch/arm/tools/syscall.tbl.
        for (abi, nr, name) in [
            (Abi::I386, 265, "clock_gettime"),
            (Abi::I386, 76, "getrlimit"),
            (Abi::I386, 78, "gettimeofday"),
            (Abi::Arm, 263, "clock_gettime"),
            (Abi::Arm, 0x000f_0005, "set_tls"),
        ] {
            assert_eq!(abi.syscall_name(nr), Some(name));
        }
    }
}
