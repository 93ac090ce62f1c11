//! What came of a call, as the byte in a row of marks says it: 0 is unseen.

/// In an ordinary row: it was made.
pub const EXECUTED: u8 = 1;
/// In an ordinary row: it was made, and each time is looked at, since it may load a filter or its
/// arguments are recorded.
pub const EXECUTED_CHECK_AGAIN: u8 = 2;

/// In a row of blocked calls: the largest error number that has a byte of its own; from 1.
/// The kernel's own errors end at 133 (include/uapi/asm-generic/errno.h).
pub const MAX_ERRNO: u8 = 200;
/// Blocked with a larger error number.
pub const OTHER_ERRNO: u8 = 201;
/// Blocked by a signal: SECCOMP_RET_TRAP, or a kill.
pub const SIGNAL: u8 = 202;
/// Answered with a value by whoever supervises the filter (SECCOMP_RET_USER_NOTIF), or by
/// SECCOMP_RET_ERRNO with 0.
pub const VALUE: u8 = 203;

/// Where an event has the number of filters on its thread, above the mark; 0 where it was not counted.
pub const FILTERS_SHIFT: u32 = 8;
/// Most filters that are counted: so many, or more.
pub const MAX_FILTERS: u8 = 8;

/// How a call came out that a filter stopped, by what it returned. Before it sends SIGSYS the kernel
/// rolls the return register back to what it held at the entry (`syscall_rollback`): the call's number
/// on x86, its first argument on arm64.
#[inline(always)]
pub const fn blocked(returned: i64, rolled_back: i64) -> u8 {
    if returned == rolled_back {
        SIGNAL
    } else if returned >= 0 {
        VALUE
    } else if returned >= -(MAX_ERRNO as i64) {
        low_byte(-returned)
    } else {
        OTHER_ERRNO
    }
}

/// The number in one byte; the caller has looked that it fits.
#[inline(always)]
const fn low_byte(number: i64) -> u8 {
    number.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_what_the_program_saw() {
        assert_eq!(blocked(-1, 165), 1);
        assert_eq!(blocked(-38, 999), 38);
        assert_eq!(blocked(-200, 0), MAX_ERRNO);
        assert_eq!(blocked(-201, 0), OTHER_ERRNO);
        assert_eq!(blocked(-4095, 0), OTHER_ERRNO);
        assert_eq!(blocked(165, 165), SIGNAL);
        assert_eq!(blocked(0, 165), VALUE);
        // `read` has the number 0: a filter that traps is more usual than one that answers 0.
        assert_eq!(blocked(0, 0), SIGNAL);
        assert_eq!(blocked(i64::MIN, 0), OTHER_ERRNO);
    }
}
