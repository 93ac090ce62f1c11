//! What callers do when a call that they probe for returns ENOSYS.
//!
//! Only calls are here whose callers in libc, gnulib or a language runtime are known to go on. Left out
//! are those of which some callers give up: io_uring, landlock, pidfd_open, and calls whose flags have no
//! older form (renameat2, preadv2, pwritev2).

use crate::Abi;

/// A call that callers probe for, and what they call instead.
struct ProbedSyscall {
    call: &'static str,
    /// Every part of the work, each with the calls that can do it; none: callers go on without.
    instead: &'static [&'static [&'static str]],
}

const fn probed(call: &'static str, instead: &'static [&'static [&'static str]]) -> ProbedSyscall {
    ProbedSyscall { call, instead }
}

const PROBED: &[ProbedSyscall] = &[
    // glibc sysdeps/unix/sysv/linux/clone-internal.c; Go src/syscall/exec_linux.go.
    probed("clone3", &[&["clone"]]),
    // glibc sysdeps/unix/sysv/linux/closefrom.c; Python Modules/_posixsubprocess.c.
    probed("close_range", &[&["close"]]),
    // coreutils src/copy.c; Go src/internal/poll/copy_file_range_linux.go; glibc 2.27 to 2.29.
    probed(
        "copy_file_range",
        &[&["read", "pread64"], &["write", "pwrite64"]],
    ),
    // libevent epoll.c.
    probed("epoll_pwait2", &[&["epoll_wait", "epoll_pwait"]]),
    // glibc sysdeps/unix/sysv/linux/fexecve.c; musl src/process/fexecve.c.
    probed("execveat", &[&["execve"]]),
    // glibc sysdeps/unix/sysv/linux/faccessat.c; musl src/unistd/faccessat.c.
    probed("faccessat2", &[&["faccessat"]]),
    // glibc sysdeps/unix/sysv/linux/fchmodat.c (chmod); musl src/stat/fchmodat.c (fchmodat).
    probed("fchmodat2", &[&["fchmodat"], &["chmod", "fchmodat"]]),
    // systemd src/basic/chase.c and Go's os.Root go back to openat.
    probed("openat2", &[&["openat"]]),
    // glibc sysdeps/unix/sysv/linux/rseq-internal.h: the registration is left out.
    probed("rseq", &[]),
    // glibc sysdeps/unix/sysv/linux/statx.c; Rust std sys/pal/unix/fs.rs.
    probed("statx", &[&["newfstatat", "fstatat64"]]),
    // 64-bit time on 32-bit ABIs: glibc sysdeps/unix/sysv/linux, musl's callers.
    probed("clock_adjtime64", &[&["clock_adjtime"]]),
    probed("clock_getres_time64", &[&["clock_getres"]]),
    probed("clock_gettime64", &[&["clock_gettime"]]),
    probed("clock_nanosleep_time64", &[&["clock_nanosleep"]]),
    probed("clock_settime64", &[&["clock_settime"]]),
    probed("futex_time64", &[&["futex"]]),
    probed("io_pgetevents_time64", &[&["io_pgetevents"]]),
    probed("mq_timedreceive_time64", &[&["mq_timedreceive"]]),
    probed("mq_timedsend_time64", &[&["mq_timedsend"]]),
    probed("ppoll_time64", &[&["ppoll"]]),
    probed("pselect6_time64", &[&["pselect6"]]),
    probed("recvmmsg_time64", &[&["recvmmsg"]]),
    probed("rt_sigtimedwait_time64", &[&["rt_sigtimedwait"]]),
    probed(
        "sched_rr_get_interval_time64",
        &[&["sched_rr_get_interval"]],
    ),
    // i386 has no semtimedop: it was always a function of ipc there.
    probed("semtimedop_time64", &[&["semtimedop", "ipc"]]),
    probed("timer_gettime64", &[&["timer_gettime"]]),
    probed("timer_settime64", &[&["timer_settime"]]),
    probed("timerfd_gettime64", &[&["timerfd_gettime"]]),
    probed("timerfd_settime64", &[&["timerfd_settime"]]),
    probed("utimensat_time64", &[&["utimensat"]]),
];

/// What the callers of `call` do when it returns ENOSYS: for each part of its work the calls of `abi`, any
/// of which can do it. Nothing to call: they go on without. `None`: it is not known that they go on.
///
/// ```
/// use syscalls::{Abi, fallbacks::on_enosys};
///
/// assert_eq!(on_enosys(Abi::X86_64, "clone3"), Some(vec![vec!["clone"]]));
/// assert_eq!(on_enosys(Abi::X86_64, "io_uring_setup"), None);
/// ```
pub fn on_enosys(abi: Abi, call: &str) -> Option<Vec<Vec<&'static str>>> {
    let probed = PROBED.iter().find(|it| it.call == call)?;
    let parts = probed.instead.iter().map(|part| {
        let existing = part.iter().copied();
        existing
            .filter(|name| abi.syscall_number(name).is_some())
            .collect::<Vec<_>>()
    });
    let parts: Vec<_> = parts.collect();
    (!parts.iter().any(Vec::is_empty)).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno;

    #[test]
    fn every_probed_call_has_a_fallback_in_its_abis() {
        for ProbedSyscall { call, instead } in PROBED {
            assert!(errno::is_probed(call), "{call} gets EPERM, not ENOSYS");
            for abi in Abi::ALL {
                if abi.syscall_number(call).is_some() {
                    let found = on_enosys(abi, call).map(|it| it.len());
                    assert_eq!(found, Some(instead.len()), "{call} in {abi}");
                }
            }
        }
    }
}
