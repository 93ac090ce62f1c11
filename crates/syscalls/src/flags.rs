//! Arguments that are made of flags, or of a value with flags beside it: what a condition on them has to
//! compare.

/// A part of an argument that profiles ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The calls that take it.
    pub calls: &'static [&'static str],
    /// Which argument, from 0.
    pub index: u32,
    /// The bits that matter.
    pub mask: u64,
    /// Whether each bit stands for itself; else they are a number together.
    pub is_flags: bool,
    /// Bits that a program may set beside them without changing what they do.
    pub beside: u64,
    /// Bits that every use has.
    pub always: u64,
    /// Where the kernel says so.
    pub source: &'static str,
}

/// CLONE_NEW* (include/uapi/linux/sched.h).
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// All of them.
pub const FIELDS: &[Field] = &[
    Field {
        calls: &["unshare"],
        index: 0,
        mask: NEW_NAMESPACES | 0x80,
        is_flags: true,
        beside: 0x200,
        always: 0,
        source: "kernel/fork.c, ksys_unshare",
    },
    Field {
        calls: &["clone"],
        index: 0,
        mask: NEW_NAMESPACES,
        is_flags: true,
        beside: 0x0100_0000,
        always: 17,
        source: "kernel/fork.c, copy_process",
    },
    Field {
        calls: &["setns"],
        index: 1,
        mask: NEW_NAMESPACES | 0x80,
        is_flags: true,
        beside: 0,
        always: 0,
        source: "kernel/nsproxy.c, setns",
    },
    Field {
        calls: &["mount"],
        index: 3,
        mask: 0x1000 | 0x2000 | 0x20,
        is_flags: true,
        beside: 0x4000,
        always: 0,
        source: "fs/namespace.c, path_mount",
    },
    Field {
        calls: &["chmod", "fchmod", "mkdir", "creat"],
        index: 1,
        mask: 0o7000,
        is_flags: true,
        beside: 0o644,
        always: 0,
        source: "fs/open.c, chmod_common",
    },
    Field {
        calls: &["fchmodat", "fchmodat2", "mkdirat", "open"],
        index: 2,
        mask: 0o7000,
        is_flags: true,
        beside: 0o644,
        always: 0,
        source: "fs/open.c, chmod_common",
    },
    Field {
        calls: &["mprotect", "pkey_mprotect", "mmap"],
        index: 2,
        mask: 4,
        is_flags: true,
        beside: 1,
        always: 0,
        source: "mm/mprotect.c, do_mprotect_pkey",
    },
    Field {
        calls: &["personality"],
        index: 0,
        mask: 0x4_0000 | 0x40_0000 | 0x10_0000,
        is_flags: true,
        beside: 0x2_0000,
        always: 0,
        source: "include/uapi/linux/personality.h",
    },
    Field {
        calls: &["socket", "socketpair"],
        index: 1,
        mask: 0xf,
        is_flags: false,
        beside: 0o200_4000,
        always: 0,
        source: "net/socket.c, SOCK_TYPE_MASK: SOCK_CLOEXEC and SOCK_NONBLOCK beside the type",
    },
    Field {
        calls: &["mknod"],
        index: 1,
        mask: 0o17_0000,
        is_flags: false,
        beside: 0o600,
        always: 0,
        source: "fs/namei.c, do_mknodat: the type beside the permissions",
    },
    Field {
        calls: &["mknodat"],
        index: 2,
        mask: 0o17_0000,
        is_flags: false,
        beside: 0o600,
        always: 0,
        source: "fs/namei.c, do_mknodat: the type beside the permissions",
    },
];

/// What an argument of a call is made of, when it is in the table.
///
/// ```
/// use syscalls::flags::field;
///
/// assert!(field("mknodat", 2).is_some());
/// assert!(field("getpid", 0).is_none());
/// ```
pub fn field(call: &str, index: u32) -> Option<&'static Field> {
    let mut fields = FIELDS.iter();
    fields.find(|field| field.index == index && field.calls.contains(&call))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Abi;

    #[test]
    fn calls_exist_and_their_parts_do_not_overlap() {
        for field in FIELDS {
            assert!(field.mask & field.beside == 0 && field.mask & field.always == 0);
            for call in field.calls {
                assert!(Abi::X86_64.syscall_number(call).is_some(), "{call}");
                assert_eq!(super::field(call, field.index), Some(field));
            }
        }
        assert_eq!(field("read", 0), None);
    }
}
