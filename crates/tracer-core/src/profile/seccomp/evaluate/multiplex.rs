//! Calls that i386 programs may also make through `socketcall` or `ipc`.
//!
//! A rule for one of them becomes two on i386: one for its own number, where it has one, and one for
//! the multiplexer with the call's number as argument 0. Conditions keep their index in the second,
//! where other arguments are: a condition on argument 0 is lost, one on argument 1 of `socketcall`
//! compares a pointer (libseccomp 2.5.4, src/syscalls.c, `abi_rule_add`).

use syscalls::Abi;

/// Linux: include/uapi/linux/net.h.
const SOCKETCALL: (u32, &[(&str, u64)]) = (
    102,
    &[
        ("socket", 1),
        ("bind", 2),
        ("connect", 3),
        ("listen", 4),
        ("accept", 5),
        ("getsockname", 6),
        ("getpeername", 7),
        ("socketpair", 8),
        ("send", 9),
        ("recv", 10),
        ("sendto", 11),
        ("recvfrom", 12),
        ("shutdown", 13),
        ("setsockopt", 14),
        ("getsockopt", 15),
        ("sendmsg", 16),
        ("recvmsg", 17),
        ("accept4", 18),
        ("recvmmsg", 19),
        ("sendmmsg", 20),
    ],
);

/// Linux: include/uapi/linux/ipc.h.
const IPC: (u32, &[(&str, u64)]) = (
    117,
    &[
        ("semop", 1),
        ("semget", 2),
        ("semctl", 3),
        ("semtimedop", 4),
        ("msgsnd", 11),
        ("msgrcv", 12),
        ("msgget", 13),
        ("msgctl", 14),
        ("shmat", 21),
        ("shmdt", 22),
        ("shmget", 23),
        ("shmctl", 24),
    ],
);

/// The multiplexer's number and its argument 0 that stand for a call of that name.
pub(super) fn multiplexed(abi: Abi, name: &str) -> Option<(u32, u64)> {
    if abi != Abi::I386 {
        return None;
    }
    [SOCKETCALL, IPC].into_iter().find_map(|(number, calls)| {
        let (_, operation) = calls.iter().find(|(call, _)| *call == name)?;
        Some((number, *operation))
    })
}
