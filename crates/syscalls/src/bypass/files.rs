//! Files: their content, names, modes and attributes.

use super::{Bits, END, End, Gain, Parameter, Step, WAY, Way, at, bits, call, memory, with};

const O_CREAT: u64 = 0o100;
const O_TRUNC: u64 = 0o1000;
/// Without O_DIRECTORY, which O_TMPFILE includes (include/uapi/asm-generic/fcntl.h).
pub(super) const O_TMPFILE: u64 = 0o2000_0000;
const O_RDWR: u64 = 2;
const O_DIRECTORY: u64 = 0o20_0000;
const S_ISUID: u64 = 0o4000;
const S_ISGID: u64 = 0o2000;
const AT_REMOVEDIR: u64 = 0x200;
const MAP_SHARED: u64 = 1;

/// `openat` or `open` that makes a file with one of the bits that give its owner's rights.
const fn making(
    name: &'static str,
    deny: &'static [&'static [Bits]],
    args: &'static [(usize, u64)],
    mode: usize,
) -> Step {
    Step {
        name,
        args,
        parameter: Parameter::Argument(mode),
        deny,
    }
}

const fn when(call: Step, deny: &'static [&'static [Bits]]) -> Step {
    Step { deny, ..call }
}

/// All of them.
pub(super) const ENDS: &[End] = &[
    End {
        name: "chmod",
        words: "change a file's mode",
        group: &[
            at("chmod", 1),
            at("fchmod", 1),
            at("fchmodat", 2),
            at("fchmodat2", 2),
        ],
        ways: &[
            Way {
                calls: &[call("setxattr")],
                needs: ACL,
                ..WAY
            },
            Way {
                calls: &[call("lsetxattr")],
                needs: ACL,
                ..WAY
            },
            Way {
                calls: &[call("fsetxattr")],
                needs: ACL,
                ..WAY
            },
            Way {
                calls: &[call("setxattrat")],
                needs: ACL,
                ..WAY
            },
        ],
        values: &[0o601],
        mask: 0o7777,
        source: "fs/open.c, do_fchmodat; fs/posix_acl.c, posix_acl_update_mode: an access ACL sets the mode's rwx bits",
        ..END
    },
    End {
        name: "set-user-ID",
        words: "make a set-user-ID file",
        also_denied: &[
            at("chmod", 1),
            at("fchmod", 1),
            at("fchmodat", 2),
            at("fchmodat2", 2),
        ],
        ways: &[
            Way {
                calls: &[making(
                    "creat",
                    &[&[bits(1, S_ISUID, S_ISUID)], &[bits(1, S_ISGID, S_ISGID)]],
                    &[],
                    1,
                )],
                ..WAY
            },
            Way {
                calls: &[making(
                    "open",
                    &[
                        &[bits(1, O_CREAT, O_CREAT), bits(2, S_ISUID, S_ISUID)],
                        &[bits(1, O_CREAT, O_CREAT), bits(2, S_ISGID, S_ISGID)],
                        &[bits(1, O_TMPFILE, O_TMPFILE), bits(2, S_ISUID, S_ISUID)],
                        &[bits(1, O_TMPFILE, O_TMPFILE), bits(2, S_ISGID, S_ISGID)],
                    ],
                    &[(1, O_CREAT | 1)],
                    2,
                )],
                ..WAY
            },
            Way {
                calls: &[making(
                    "openat",
                    &[
                        &[bits(2, O_CREAT, O_CREAT), bits(3, S_ISUID, S_ISUID)],
                        &[bits(2, O_CREAT, O_CREAT), bits(3, S_ISGID, S_ISGID)],
                        &[bits(2, O_TMPFILE, O_TMPFILE), bits(3, S_ISUID, S_ISUID)],
                        &[bits(2, O_TMPFILE, O_TMPFILE), bits(3, S_ISGID, S_ISGID)],
                    ],
                    &[(2, O_CREAT | 1)],
                    3,
                )],
                ..WAY
            },
            Way {
                calls: &[memory("openat2")],
                ..WAY
            },
            Way {
                calls: &[making(
                    "mknod",
                    &[&[bits(1, S_ISUID, S_ISUID)], &[bits(1, S_ISGID, S_ISGID)]],
                    &[(1, 0o100_000)],
                    1,
                )],
                ..WAY
            },
            Way {
                calls: &[making(
                    "mknodat",
                    &[&[bits(2, S_ISUID, S_ISUID)], &[bits(2, S_ISGID, S_ISGID)]],
                    &[(2, 0o100_000)],
                    2,
                )],
                ..WAY
            },
        ],
        values: &[0o4755, 0o2755],
        only_conditional: true,
        source: "fs/open.c, build_open_flags: the mode is cut to S_IALLUGO; systemd, seccomp_restrict_suid_sgid",
        ..END
    },
    End {
        name: "chown",
        words: "change a file's owner",
        group: &[
            call("chown"),
            call("fchown"),
            call("lchown"),
            call("fchownat"),
            call("chown32"),
            call("fchown32"),
            call("lchown32"),
        ],
        instead: "drop CAP_CHOWN",
        source: "fs/open.c, do_fchownat and ksys_fchown",
        ..END
    },
    End {
        name: "open",
        words: "open a file",
        gain: Gain::Nothing,
        group: &[at("open", 1), at("openat", 2)],
        also_denied: &[call("creat")],
        ways: &[
            Way {
                calls: &[memory("openat2")],
                ..WAY
            },
            Way {
                calls: &[at("open_by_handle_at", 2)],
                needs: "CAP_DAC_READ_SEARCH and a file handle",
                ..WAY
            },
        ],
        values: &[0],
        mask: 0o2777_7777,
        instead: "restrict paths with AppArmor, Landlock or mounts",
        source: "fs/open.c, do_sys_openat2; fs/fhandle.c",
        ..END
    },
    End {
        name: "truncate",
        words: "cut a file",
        gain: Gain::Some,
        group: &[
            call("truncate"),
            call("ftruncate"),
            call("truncate64"),
            call("ftruncate64"),
        ],
        ways: &[
            Way {
                calls: &[when(
                    with("open", &[(1, O_TRUNC | 1)]),
                    &[&[bits(1, O_TRUNC, O_TRUNC)]],
                )],
                ..WAY
            },
            Way {
                calls: &[when(
                    with("openat", &[(2, O_TRUNC | 1)]),
                    &[&[bits(2, O_TRUNC, O_TRUNC)]],
                )],
                ..WAY
            },
            Way {
                calls: &[memory("openat2")],
                ..WAY
            },
            Way {
                calls: &[call("creat")],
                ..WAY
            },
        ],
        source: "fs/namei.c, handle_truncate: O_TRUNC is do_truncate to 0",
        ..END
    },
    End {
        name: "unlink",
        words: "remove a file",
        group: &[
            call("unlink"),
            when(call("unlinkat"), &[&[bits(2, AT_REMOVEDIR, 0)]]),
        ],
        ways: &[
            Way {
                calls: &[call("rename")],
                needs: ONTO,
                ..WAY
            },
            Way {
                calls: &[call("renameat")],
                needs: ONTO,
                ..WAY
            },
            Way {
                calls: &[call("renameat2")],
                needs: ONTO,
                ..WAY
            },
        ],
        source: "fs/namei.c, vfs_rename: a target that exists is removed",
        ..END
    },
    End {
        name: "rename",
        words: "rename a file",
        group: &[call("rename"), call("renameat"), call("renameat2")],
        ways: &[
            Way {
                calls: &[call("link"), call("unlink")],
                needs: FILE,
                ..WAY
            },
            Way {
                calls: &[call("linkat"), call("unlinkat")],
                needs: FILE,
                ..WAY
            },
        ],
        source: "fs/namei.c: a second link, and the first one removed",
        ..END
    },
    End {
        name: "rmdir",
        words: "remove a directory",
        gain: Gain::Some,
        group: &[
            call("rmdir"),
            when(
                with("unlinkat", &[(2, AT_REMOVEDIR)]),
                &[&[bits(2, AT_REMOVEDIR, AT_REMOVEDIR)]],
            ),
        ],
        source: "fs/namei.c, unlinkat with AT_REMOVEDIR is do_rmdir",
        ..END
    },
    End {
        name: "link",
        words: "make a hard link",
        group: &[call("link"), call("linkat")],
        source: "fs/namei.c, do_linkat",
        ..END
    },
    End {
        name: "symlink",
        words: "make a symbolic link",
        group: &[call("symlink"), call("symlinkat")],
        source: "fs/namei.c, do_symlinkat",
        ..END
    },
    End {
        name: "mkdir",
        words: "create a directory",
        gain: Gain::Some,
        group: &[at("mkdir", 1), at("mkdirat", 2)],
        values: &[0o700],
        mask: 0o7777,
        source: "fs/namei.c, do_mkdirat",
        ..END
    },
    End {
        name: "mknod",
        words: "make a device or another special file",
        group: &[at("mknod", 1), at("mknodat", 2)],
        values: &[0o1_0600],
        mask: 0o17_7777,
        instead: "drop CAP_MKNOD",
        source: "fs/namei.c, do_mknodat",
        ..END
    },
    End {
        name: "times",
        words: "change a file's times",
        gain: Gain::Some,
        group: &[
            call("utime"),
            call("utimes"),
            call("futimesat"),
            call("utimensat"),
        ],
        source: "fs/utimes.c, do_utimes",
        ..END
    },
    End {
        name: "set attributes",
        words: "set an extended attribute",
        group: &[
            call("setxattr"),
            call("lsetxattr"),
            call("fsetxattr"),
            call("setxattrat"),
        ],
        source: "fs/xattr.c, filename_setxattr and file_setxattr",
        ..END
    },
    End {
        name: "remove attributes",
        words: "remove an extended attribute",
        gain: Gain::Some,
        group: &[
            call("removexattr"),
            call("lremovexattr"),
            call("fremovexattr"),
            call("removexattrat"),
        ],
        source: "fs/xattr.c, filename_removexattr and file_removexattr",
        ..END
    },
    End {
        name: "write",
        words: "write to a file",
        gain: Gain::Some,
        group: &[
            call("write"),
            call("writev"),
            call("pwrite64"),
            call("pwritev"),
            call("pwritev2"),
        ],
        ways: &[
            Way {
                calls: &[call("sendfile")],
                needs: "another open file to copy from",
                ..WAY
            },
            Way {
                calls: &[call("splice")],
                needs: "a pipe with the data",
                ..WAY
            },
            Way {
                calls: &[call("copy_file_range")],
                needs: "another open file to copy from",
                ..WAY
            },
            Way {
                calls: &[when(
                    with("mmap", &[(1, 4096), (2, 3), (3, MAP_SHARED)]),
                    &[&[bits(3, MAP_SHARED, MAP_SHARED)]],
                )],
                needs: "the file opened for reading and writing (a shared mapping)",
                ..WAY
            },
        ],
        instead: "open or mount files read-only",
        source: "fs/read_write.c, vfs_write, do_sendfile, vfs_copy_file_range; fs/splice.c; mm/mmap.c",
        ..END
    },
    End {
        name: "read",
        words: "read a file",
        gain: Gain::Nothing,
        group: &[
            call("read"),
            call("readv"),
            call("pread64"),
            call("preadv"),
            call("preadv2"),
        ],
        ways: &[Way {
            calls: &[with("mmap", &[(1, 4096), (2, 1), (3, 2)])],
            ..WAY
        }],
        instead: "keep the file from being opened, with AppArmor, Landlock or mounts",
        source: "fs/read_write.c, vfs_read; mm/mmap.c",
        ..END
    },
    End {
        name: "list a directory",
        words: "list a directory",
        gain: Gain::Nothing,
        group: &[call("getdents"), call("getdents64")],
        instead: "prevent the directory from being opened, with AppArmor, Landlock or mounts",
        source: "fs/readdir.c, iterate_dir",
        ..END
    },
    End {
        name: "metadata",
        words: "read a file's metadata",
        gain: Gain::Nothing,
        group: &[
            call("stat"),
            call("lstat"),
            call("newfstatat"),
            call("statx"),
        ],
        instead: "no filter prevents it",
        source: "fs/stat.c, vfs_getattr",
        ..END
    },
    End {
        name: "anonymous file",
        words: "make a file without a name, and execute it",
        gain: Gain::Some,
        group: &[call("memfd_create")],
        ways: &[
            Way {
                calls: &[when(
                    with("open", &[(1, O_TMPFILE | O_DIRECTORY | O_RDWR)]),
                    &[&[bits(1, O_TMPFILE, O_TMPFILE)]],
                )],
                needs: TMP,
                ..WAY
            },
            Way {
                calls: &[when(
                    with("openat", &[(2, O_TMPFILE | O_DIRECTORY | O_RDWR)]),
                    &[&[bits(2, O_TMPFILE, O_TMPFILE)]],
                )],
                needs: TMP,
                ..WAY
            },
            Way {
                calls: &[memory("openat2")],
                needs: TMP,
                ..WAY
            },
        ],
        instead: "mount what can be written with noexec",
        source: "mm/memfd.c; fs/namei.c, do_tmpfile",
        ..END
    },
    End {
        name: "watch files",
        words: "watch what others do to files",
        gain: Gain::Some,
        group: &[call("inotify_init"), call("inotify_init1")],
        ways: &[Way {
            calls: &[with("fanotify_init", &[(0, 0x200)])],
            since: Some(super::LinuxVersion(5, 13)),
            ..WAY
        }],
        source: "fs/notify/inotify/inotify_user.c; fs/notify/fanotify/fanotify_user.c: without capabilities with FAN_REPORT_FID",
        ..END
    },
];

const ACL: &str = "to own the file, on a file system with POSIX ACLs";
const ONTO: &str = "another file to put in its place";
const FILE: &str = "a file, not a directory; the new name on the same mount";
const TMP: &str = "a writable directory on a mount without noexec";
