//! The `essential` layer: calls that a recording in staging does not show and that a profile needs.
//!
//! Nothing is here for comfort. Each call is made by the kernel's or libc's own machinery in
//! situations that a test run seldom meets (a signal, a contended lock, a crash, another machine),
//! and denying it turns that situation into a hang or a worse crash.

use super::Abi;

/// Calls that are needed for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Essential {
    /// Short, for tables.
    pub title: &'static str,
    /// One sentence: when the call is made, and what denying it does.
    pub reason: &'static str,
    /// Names in any ABI; one that an ABI does not have is skipped there.
    pub calls: &'static [&'static str],
}

/// All groups, in the order of output.
pub const GROUPS: &[Essential] = &[
    Essential {
        title: "exit",
        // kubernetes/kubernetes#85191: a process that may not exit spins in libc's exit loop.
        reason: "Every thread and process that is not killed ends with one of them, after a recording too; denied, libc's exit spins and uses a whole CPU.",
        calls: &["exit", "exit_group"],
    },
    Essential {
        title: "signal return",
        // signal(7): the kernel puts a frame on the stack that returns through this call. i386 and
        // arm without SA_SIGINFO use the old form.
        reason: "Returns from a signal handler; denied, the first signal that is caught crashes the process.",
        calls: &["rt_sigreturn", "sigreturn"],
    },
    Essential {
        title: "restart",
        // restart_syscall(2); measured with SIGSTOP and SIGCONT in a sleep.
        reason: "The kernel itself makes a stopped and continued process resume its sleep or wait with it; denied, the wait ends early with an error.",
        calls: &["restart_syscall"],
    },
    Essential {
        title: "locks",
        // futex(7): an uncontended lock makes no system call at all.
        reason: "Waits for a lock that is contended, which depends on load; denied, libc aborts or spins.",
        calls: &["futex", "futex_time64"],
    },
    Essential {
        title: "memory",
        // malloc(3): brk or mmap by size; madvise and munmap when memory is given back; mprotect
        // for thread stacks and arenas. mmap2 is what 32-bit libc calls for mmap.
        reason: "An allocator takes and gives back memory by them, which one depends on the amount of data; denied, allocation fails.",
        calls: &["brk", "madvise", "mmap", "mmap2", "mprotect", "munmap"],
    },
    Essential {
        title: "signal stack",
        // sigaltstack(2): language runtimes set one for each thread (Rust, Go, Java).
        reason: "Language runtimes give each new thread a stack for signals by it; denied, some abort.",
        calls: &["sigaltstack"],
    },
    Essential {
        title: "abort",
        // Measured on glibc 2.36: abort(3), a smashed stack and a double free all end this way.
        reason: "glibc's abort, stack-smashing and double-free reports end with them; denied, a crash is not reported and may not end the process.",
        calls: &[
            "getpid",
            "gettid",
            "mmap",
            "mmap2",
            "rt_sigprocmask",
            "tgkill",
            "writev",
        ],
    },
    Essential {
        title: "vDSO fallback",
        // vdso(7): with a clock source that user space cannot read (common in other virtual
        // machines) the vDSO makes the real call. getrandom is in the vDSO since Linux 6.11.
        reason: "Answered without a system call where the clock source allows it; on another machine the same code makes the real call, and denied, programs see no time or no random bytes.",
        calls: &[
            "clock_getres",
            "clock_getres_time64",
            "clock_gettime",
            "clock_gettime64",
            "getcpu",
            "getrandom",
            "gettimeofday",
            "time",
        ],
    },
];

/// The names of the layer that exist in `abi`, sorted and without repetition.
///
/// ```
/// use syscalls::{Abi, essential};
///
/// assert!(essential::names(Abi::X86_64).any(|name| name == "exit_group"));
/// ```
pub fn names(abi: Abi) -> impl Iterator<Item = &'static str> {
    let mut names: Vec<_> = GROUPS
        .iter()
        .flat_map(|group| group.calls)
        .copied()
        .filter(|name| abi.syscall_number(name).is_some())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

/// Why a call is essential: every group that has it.
///
/// ```
/// use syscalls::essential;
///
/// let group = essential::groups_of("futex").next().unwrap();
/// assert_eq!(group.title, "locks");
/// ```
pub fn groups_of(name: &str) -> impl Iterator<Item = &'static Essential> {
    GROUPS
        .iter()
        .filter(move |group| group.calls.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_missing_in_an_abi_are_skipped() {
        let x86_64: Vec<_> = names(Abi::X86_64).collect();
        let i386: Vec<_> = names(Abi::I386).collect();
        let aarch64: Vec<_> = names(Abi::Aarch64).collect();
        assert!(x86_64.contains(&"time") && !x86_64.contains(&"mmap2"));
        for name in [
            "mmap2",
            "sigreturn",
            "futex_time64",
            "clock_gettime64",
            "clock_gettime",
        ] {
            assert!(i386.contains(&name), "{name}");
        }
        assert!(!aarch64.contains(&"time") && aarch64.contains(&"getcpu"));
    }

    #[test]
    fn every_call_exists_in_some_abi() {
        for name in GROUPS.iter().flat_map(|group| group.calls) {
            assert!(
                Abi::ALL
                    .iter()
                    .any(|abi| abi.syscall_number(name).is_some()),
                "{name}"
            );
        }
    }

    #[test]
    fn names_are_sorted_and_explained() {
        for abi in Abi::ALL {
            let names: Vec<_> = names(abi).collect();
            assert!(names.is_sorted_by(|a, b| a < b), "{abi}");
            assert!(names.iter().all(|name| groups_of(name).next().is_some()));
        }
    }

    #[test]
    fn includes_the_measured_calls() {
        // Measured with glibc 2.36: abort, stack smashing and double free; a stopped and continued
        // sleep; clocks that the vDSO does not serve.
        let names: Vec<_> = names(Abi::X86_64).collect();
        for name in "exit exit_group rt_sigreturn restart_syscall futex sigaltstack madvise munmap \
                     brk mmap mprotect rt_sigprocmask gettid getpid tgkill writev clock_gettime \
                     clock_getres gettimeofday time getcpu getrandom"
            .split_whitespace()
        {
            assert!(names.contains(&name), "{name}");
        }
        assert_eq!(names.len(), 22);
    }
}
