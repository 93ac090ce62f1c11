//! Conditions on arguments, for calls that are allowed for one purpose only.
//!
//! Only the values of registers can be compared (seccomp(2)): what a pointer leads to may change
//! after the check.

use std::fmt;

use thiserror::Error;

/// How many arguments a call has at most (syscall(2)).
const ARGUMENTS: usize = 6;

/// A condition on an argument: the bits of `mask` have exactly the values in `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// Which of the six, from 0.
    pub index: u32,
    /// The bits that are compared. For an `int`, not those above 32: the kernel does not read them,
    /// and a caller may leave anything there.
    pub mask: u64,
    /// What they must be.
    pub value: u64,
}

/// What must hold of a call's arguments, all at once: one condition or several, each on another
/// argument.
///
/// Each on another, because runtimes take two conditions on one argument for alternatives
/// (libcontainer/seccomp/seccomp_linux.go, `matchCall`; src/libcrun/seccomp.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conditions {
    /// By argument; no bits, no condition.
    arguments: [Bits; ARGUMENTS],
}

/// Some bits of an argument; no bit of `value` is outside of `mask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Bits {
    mask: u64,
    value: u64,
}

/// Why there are no such [`Conditions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// None at all: that is no condition, but a grant.
    #[error("there is no condition")]
    None,
    /// A call has six arguments.
    #[error("no call has an argument {0}: they are counted from 0 to 5")]
    NoSuchArgument(u32),
    /// It would always hold.
    #[error("the condition on argument {0} compares no bit")]
    NoBits(u32),
    /// It could never hold.
    #[error("the condition on argument {0} wants a bit that it does not compare")]
    Outside(u32),
    /// Two on one argument.
    #[error("there are two conditions on argument {0}")]
    Twice(u32),
}

impl Conditions {
    /// All of `conditions` at once, in whatever order.
    ///
    /// # Errors
    ///
    /// When there is none, when two are on one argument, or when one cannot be: see
    /// [`ConditionError`].
    pub const fn new(conditions: &[Condition]) -> Result<Self, ConditionError> {
        let mut arguments = [Bits { mask: 0, value: 0 }; ARGUMENTS];
        if conditions.is_empty() {
            return Err(ConditionError::None);
        }
        // No iterators in constants.
        let mut at = 0;
        while at < conditions.len() {
            let Condition { index, mask, value } = conditions[at];
            let argument = index as usize;
            if argument >= ARGUMENTS {
                return Err(ConditionError::NoSuchArgument(index));
            }
            if mask == 0 {
                return Err(ConditionError::NoBits(index));
            }
            if value & !mask != 0 {
                return Err(ConditionError::Outside(index));
            }
            if arguments[argument].mask != 0 {
                return Err(ConditionError::Twice(index));
            }
            arguments[argument] = Bits { mask, value };
            at += 1;
        }
        Ok(Self { arguments })
    }

    /// Each condition, by argument.
    pub fn iter(&self) -> impl Iterator<Item = Condition> {
        (0..)
            .zip(self.arguments)
            .filter(|(_, bits)| bits.mask != 0)
            .map(|(index, Bits { mask, value })| Condition { index, mask, value })
    }

    /// Whether a call with these arguments passes.
    pub fn are_met_by(&self, arguments: &[u64; ARGUMENTS]) -> bool {
        let mut pairs = self.arguments.iter().zip(arguments);
        pairs.all(|(bits, argument)| argument & bits.mask == bits.value)
    }

    /// Whether whatever passes here passes `other` as well.
    pub fn implies(&self, other: &Self) -> bool {
        let mut pairs = self.arguments.iter().zip(&other.arguments);
        pairs.all(|(mine, wider)| {
            wider.mask & !mine.mask == 0 && mine.value & wider.mask == wider.value
        })
    }
}

/// `argument 0 & 0xffffffff = 0x11`, as a filter has it.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut join = "";
        for Condition { index, mask, value } in self.iter() {
            if mask == u64::MAX {
                write!(f, "{join}argument {index} = {value:#x}")?;
            } else {
                write!(f, "{join}argument {index} & {mask:#x} = {value:#x}")?;
            }
            join = " and ";
        }
        Ok(())
    }
}

/// What must hold for a call to be allowed, when that is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArgumentConstraint {
    /// Of its arguments.
    pub conditions: Conditions,
    /// The same in words, after "only when".
    pub when: &'static str,
}

/// The bits of an `int` or `unsigned int`.
pub(super) const INT: u64 = 0xffff_ffff;

#[expect(
    clippy::panic,
    reason = "while it is compiled, since all of these are constants"
)]
const fn only(conditions: &[Condition], when: &'static str) -> ArgumentConstraint {
    match Conditions::new(conditions) {
        Ok(conditions) => ArgumentConstraint { conditions, when },
        Err(_) => panic!("no such conditions"),
    }
}

/// An argument of which some bits are compared.
const fn bits(index: u32, mask: u64, value: u64) -> Condition {
    Condition { index, mask, value }
}

/// An `int` argument that has one value.
const fn int(index: u32, value: u32) -> Condition {
    // No `From` in constants.
    bits(index, INT, value as u64)
}

/// A pointer that is null.
const fn null(index: u32) -> Condition {
    bits(index, u64::MAX, 0)
}

/// clone(2) as fork(3) makes it: no namespaces, no sharing. glibc's `_Fork` also has the child's
/// thread id written (CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID); musl's does not.
pub(super) const FORK: ArgumentConstraint = only(
    &[bits(0, INT & !(0x0100_0000 | 0x0020_0000), SIGCHLD)],
    "its flags are those of fork",
);

/// clone(2) as posix_spawn(3) makes it: CLONE_VM, CLONE_VFORK.
pub(super) const VFORK: ArgumentConstraint = only(
    &[bits(0, INT, 0x100 | 0x4000 | SIGCHLD)],
    "its flags are those of vfork",
);

/// asm-generic/signal.h, and the same number on x86.
const SIGCHLD: u64 = 17;

/// pipe2(2) as pipe(2). O_NOTIFICATION_PIPE would make a watch queue, which pipe cannot.
pub(super) const PIPE: ArgumentConstraint = only(&[int(1, 0)], "it has no flags");

/// clock_nanosleep(2) as nanosleep(2). CLOCK_REALTIME_ALARM would wake a sleeping machine.
pub(super) const SLEEP: ArgumentConstraint = only(
    &[int(0, 0), int(1, 0)],
    "its clock is CLOCK_REALTIME, and it has no flags",
);

/// setitimer(2) as alarm(2): ITIMER_REAL.
pub(super) const ALARM: ArgumentConstraint = only(&[int(0, 0)], "its timer is ITIMER_REAL");

/// getpgid(2) as getpgrp(2): not of another process.
pub(super) const OWN_GROUP: ArgumentConstraint = only(&[int(0, 0)], "it asks for the caller's own");

/// prlimit64(2) as getrlimit(2): not of another process, and no new limit.
pub(super) const OWN_LIMIT: ArgumentConstraint = only(
    &[int(0, 0), null(2)],
    "it reads a limit of the caller's own",
);

/// prlimit64(2) as setrlimit(2): not of another process.
pub(super) const SET_OWN_LIMIT: ArgumentConstraint =
    only(&[int(0, 0)], "the limit is the caller's own");

/// utimensat(2) as utimes(2): AT_SYMLINK_NOFOLLOW would set the times of a link itself.
pub(super) const FOLLOWING: ArgumentConstraint = only(&[int(3, 0)], "it has no flags");

/// newfstatat(2) and fstatat64(2) as stat(2); AT_NO_AUTOMOUNT is what stat does anyway (since
/// Linux 4.11).
pub(super) const STAT: ArgumentConstraint =
    only(&[bits(3, INT & !0x800, 0)], "its flags are those of stat");

/// newfstatat(2) and fstatat64(2) as lstat(2): AT_SYMLINK_NOFOLLOW.
pub(super) const LSTAT: ArgumentConstraint = only(
    &[bits(3, INT & !0x800, 0x100)],
    "its flags are those of lstat",
);

/// unlinkat(2) as unlink(2).
pub(super) const UNLINK: ArgumentConstraint = only(&[int(2, 0)], "it has no flags");

/// unlinkat(2) as rmdir(2): AT_REMOVEDIR.
pub(super) const REMOVE_DIRECTORY: ArgumentConstraint =
    only(&[int(2, 0x200)], "its flags are those of rmdir");

/// linkat(2) as link(2): without AT_SYMLINK_FOLLOW and AT_EMPTY_PATH.
pub(super) const UNFLAGGED_LINK: ArgumentConstraint = only(&[int(4, 0)], "it has no flags");

/// renameat2(2) as rename(2): without RENAME_EXCHANGE and RENAME_WHITEOUT.
pub(super) const UNFLAGGED_RENAME: ArgumentConstraint = only(&[int(4, 0)], "it has no flags");

/// fchownat(2) as chown(2).
pub(super) const UNFLAGGED_OWNER: ArgumentConstraint = only(&[int(4, 0)], "it has no flags");

/// fchownat(2) as lchown(2): AT_SYMLINK_NOFOLLOW.
pub(super) const LINK_ITSELF: ArgumentConstraint =
    only(&[int(4, 0x100)], "its flags are those of lchown");

/// sendto(2) as send(2), and recvfrom(2) as recv(2).
pub(super) const NO_ADDRESS: ArgumentConstraint = only(&[null(4)], "it has no address");

/// select(2) and pselect6(2) of no descriptor, which is a sleep.
pub(super) const NO_DESCRIPTORS: ArgumentConstraint = only(
    &[int(0, 0)],
    "it has no descriptors, so that it only sleeps",
);

/// poll(2) and ppoll(2) of no descriptor. The number is an `unsigned int` (fs/select.c).
pub(super) const NO_POLLED: ArgumentConstraint = only(
    &[int(1, 0)],
    "it has no descriptors, so that it only sleeps",
);

/// clock_nanosleep(2) by CLOCK_REALTIME, CLOCK_MONOTONIC or the caller's own processor time; not by an
/// alarm clock, which wakes a sleeping machine, nor by the clock of a device or of another process.
pub(super) const OWN_CLOCK: ArgumentConstraint = only(
    &[bits(0, INT & !3, 0)],
    "its clock is the machine's or the caller's own",
);

/// Scheduling calls that ask about a task: the caller itself.
pub(super) const OF_CALLER: ArgumentConstraint =
    only(&[int(0, 0)], "it asks about the caller itself");

/// getpriority(2) of PRIO_PROCESS 0.
pub(super) const OWN_PRIORITY: ArgumentConstraint =
    only(&[int(0, 0), int(1, 0)], "it asks about the caller itself");

/// fcntl(2): F_DUPFD, F_GETFD, F_SETFD, F_GETFL.
pub(super) const DESCRIPTOR_FLAGS: ArgumentConstraint = only(
    &[bits(1, INT & !3, 0)],
    "its operation is F_DUPFD, F_GETFD, F_SETFD or F_GETFL",
);

/// fcntl(2): F_SETFL.
pub(super) const STATUS_FLAGS: ArgumentConstraint = only(&[int(1, 4)], "its operation is F_SETFL");

/// fcntl(2): F_DUPFD_CLOEXEC.
pub(super) const DUPLICATE: ArgumentConstraint =
    only(&[int(1, 1030)], "its operation is F_DUPFD_CLOEXEC");

/// ioctl(2): FIONCLEX, FIOCLEX. The VFS answers them itself (fs/ioctl.c, `do_vfs_ioctl`).
pub(super) const CLOSE_AT_EXEC: ArgumentConstraint = only(
    &[bits(1, INT & !1, 0x5450)],
    "its operation is FIOCLEX or FIONCLEX",
);

/// ioctl(2): FIONBIO. The VFS answers it itself.
pub(super) const NONBLOCKING: ArgumentConstraint =
    only(&[int(1, 0x5421)], "its operation is FIONBIO");

/// fallocate(2) without flags: no hole, no other layout.
pub(super) const PLAIN_ALLOCATION: ArgumentConstraint = only(&[int(1, 0)], "it has no flags");

/// getsockopt(2): SOL_SOCKET. Other levels reach the code of each protocol, netfilter's too.
pub(super) const SOCKET_LEVEL: ArgumentConstraint = only(&[int(1, 1)], "its level is SOL_SOCKET");

/// clone(2) as pthread_create(3) and Go make a thread: CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND,
/// CLONE_SYSVSEM, CLONE_THREAD; and what says where its id is written (CLONE_SETTLS, CLONE_PARENT_SETTID,
/// CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID) and musl's CLONE_DETACHED, which does nothing.
pub(super) const THREAD: ArgumentConstraint = only(
    &[bits(0, INT & !0x0178_0000, 0x0005_0f00)],
    "its flags are those of a thread",
);

/// pipe2(2) with O_CLOEXEC and O_NONBLOCK at most: no watch queue (O_NOTIFICATION_PIPE), no packets
/// (O_DIRECT).
pub(super) const PLAIN_PIPE: ArgumentConstraint = only(
    &[bits(1, INT & !(0x0008_0000 | 0x800), 0)],
    "its flags are O_CLOEXEC and O_NONBLOCK at most",
);

/// kill(2) of one process, or of the caller's group: below 0 are other groups, and all processes.
pub(super) const NO_OTHER_GROUP: ArgumentConstraint = only(
    &[bits(0, 0x8000_0000, 0)],
    "its target is one process, or the caller's own group",
);

/// sendto(2) as write(2), which MSG_DONTWAIT, MSG_NOSIGNAL and MSG_MORE only time.
pub(super) const PLAIN_SEND: ArgumentConstraint = only(
    &[bits(3, INT & !(0x40 | 0x4000 | 0x8000), 0), null(4)],
    "it has no address, and its flags are MSG_DONTWAIT, MSG_NOSIGNAL and MSG_MORE at most",
);

/// recvfrom(2) as read(2), with MSG_PEEK, MSG_DONTWAIT and MSG_WAITALL at most: not MSG_OOB
/// (CVE-2025-38236) and not MSG_ERRQUEUE.
pub(super) const PLAIN_RECEIVE: ArgumentConstraint = only(
    &[bits(3, INT & !(0x2 | 0x40 | 0x100), 0)],
    "its flags are MSG_PEEK, MSG_DONTWAIT and MSG_WAITALL at most",
);

#[cfg(test)]
mod tests {
    use proptest::{array::uniform6, collection::vec, prelude::*};

    use super::*;

    #[test]
    fn invalid_conditions_are_rejected() {
        for (conditions, error) in [
            (&[][..], ConditionError::None),
            (&[int(6, 0)], ConditionError::NoSuchArgument(6)),
            (&[bits(1, 0, 0)], ConditionError::NoBits(1)),
            (&[bits(1, 1, 2)], ConditionError::Outside(1)),
            (&[int(2, 0), int(2, 1)], ConditionError::Twice(2)),
        ] {
            assert_eq!(Conditions::new(conditions), Err(error));
        }
    }

    #[test]
    fn order_does_not_matter() {
        let one = Conditions::new(&[int(4, 1), int(0, 2)]).unwrap();
        assert_eq!(Conditions::new(&[int(0, 2), int(4, 1)]), Ok(one));
        assert_eq!(one.iter().collect::<Vec<_>>(), [int(0, 2), int(4, 1)]);
    }

    #[test]
    fn fewer_conditions_allow_more() {
        let imply = |one: ArgumentConstraint, other: ArgumentConstraint| {
            one.conditions.implies(&other.conditions)
        };
        assert!(imply(OWN_LIMIT, SET_OWN_LIMIT));
        assert!(!imply(SET_OWN_LIMIT, OWN_LIMIT));
        assert!(!imply(FORK, VFORK) && imply(FORK, FORK));
        let fork = Conditions::new(&[int(0, 17)]).unwrap();
        assert!(fork.implies(&FORK.conditions) && !FORK.conditions.implies(&fork));
    }

    #[test]
    fn ignored_bits_are_not_compared() {
        let garbage = 0xdead_beef << 32;
        assert!(PIPE.conditions.are_met_by(&[1, garbage, 2, 3, 4, 5]));
        assert!(!PIPE.conditions.are_met_by(&[1, garbage | 0x80, 2, 3, 4, 5]));
        assert!(!NO_ADDRESS.conditions.are_met_by(&[0, 0, 0, 0, garbage, 0]));
    }

    #[test]
    fn fork_condition_allows_no_namespace_or_thread() {
        // include/uapi/linux/sched.h: CLONE_NEW*, CLONE_THREAD, CLONE_VM, CLONE_PTRACE.
        let admits = |only: ArgumentConstraint, flags: u64| {
            only.conditions.are_met_by(&[flags, 0, 0, 0, 0, 0])
        };
        let glibc = 0x0120_0000 | SIGCHLD;
        assert!(admits(FORK, glibc) && admits(FORK, SIGCHLD));
        assert!(admits(VFORK, 0x4100 | SIGCHLD));
        for flag in [0x7e02_0080_u64, 0x1000_0000, 0x2_0000, 0x1_0000, 0x2000] {
            for bit in (0..32).map(|bit| 1 << bit).filter(|bit| flag & bit != 0) {
                assert!(!admits(FORK, glibc | bit), "{bit:#x}");
                assert!(!admits(VFORK, 0x4100 | SIGCHLD | bit), "{bit:#x}");
            }
        }
        assert!(!admits(FORK, glibc | 0x100));
    }

    #[test]
    fn thread_condition_allows_no_namespace_or_process() {
        let admits = |flags: u64| THREAD.conditions.are_met_by(&[flags, 0, 0, 0, 0, 0]);
        // glibc's pthread_create, musl's, Go's.
        for flags in [0x3d_0f00, 0x7d_0f00, 0x05_0f00] {
            assert!(admits(flags), "{flags:#x}");
            // CLONE_NEW*, CLONE_PTRACE, CLONE_VFORK, CLONE_PARENT, CLONE_UNTRACED, CLONE_PIDFD.
            for bit in (0..32).map(|bit| 1 << bit) {
                if 0x7e82_f080 & bit != 0 {
                    assert!(!admits(flags | bit), "{bit:#x}");
                }
            }
            // Without CLONE_THREAD it is another process.
            assert!(!admits(flags & !0x1_0000));
        }
    }

    /// Few bits, so that conditions and arguments meet.
    fn conditions() -> impl Strategy<Value = Conditions> {
        let one = (0_u32..6, 1_u64..8, 0_u64..8)
            .prop_map(|(index, mask, value)| bits(index, mask, value & mask));
        vec(one, 1..4).prop_filter_map("two on one", |it| Conditions::new(&it).ok())
    }

    proptest! {
        #[test]
        fn conditions_round_trip_through_their_list(it in conditions()) {
            let list: Vec<_> = it.iter().collect();
            prop_assert_eq!(Conditions::new(&list), Ok(it));
        }

        #[test]
        fn implied_conditions_hold(
            one in conditions(),
            other in conditions(),
            arguments in vec(uniform6(0_u64..8), 64),
        ) {
            prop_assert!(one.implies(&one));
            for arguments in arguments {
                if one.implies(&other) && one.are_met_by(&arguments) {
                    prop_assert!(other.are_met_by(&arguments));
                }
            }
            // The call that only just passes.
            let mut just = [0; 6];
            let mut beside = [u64::MAX; 6];
            for Condition { index, mask, value } in one.iter() {
                just[index as usize] = value;
                beside[index as usize] = value | !mask;
            }
            let passes = other.are_met_by(&just) && other.are_met_by(&beside);
            prop_assert_eq!(one.implies(&other), passes);
        }
    }
}
