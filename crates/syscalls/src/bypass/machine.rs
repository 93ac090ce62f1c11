//! The machine and its network: mounts, modules, clocks, keys, sockets.

use super::{Bits, END, End, Gain, Step, WAY, Way, bits, call, with};

const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_MOVE: u64 = 8192;
const OPEN_TREE_CLONE: u64 = 1;
const MSG_FASTOPEN: u64 = 0x2000_0000;

const fn when(call: Step, deny: &'static [&'static [Bits]]) -> Step {
    Step { deny, ..call }
}

const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const SOCK_DGRAM: u64 = 2;
/// The type without SOCK_NONBLOCK and SOCK_CLOEXEC (include/linux/net.h, SOCK_TYPE_MASK).
const TYPE: u64 = 0xf;
const INT: u64 = 0xffff_ffff;

/// A socket of UDP.
const DATAGRAMS: Step = when(
    with("socket", &[(0, AF_INET), (1, SOCK_DGRAM)]),
    &[
        &[bits(0, INT, AF_INET), bits(1, TYPE, SOCK_DGRAM)],
        &[bits(0, INT, AF_INET6), bits(1, TYPE, SOCK_DGRAM)],
    ],
);

/// All of them.
pub(super) const ENDS: &[End] = &[
    End {
        name: "mount",
        words: "mount a file system",
        group: &[call("mount")],
        also_denied: &[call("fsopen"), call("fsmount")],
        ways: &[Way {
            calls: &[
                call("fsopen"),
                with("fsconfig", &[(1, 6)]),
                call("fsmount"),
                with("move_mount", &[(4, 4)]),
            ],
            deny: &["fsopen", "fsmount"],
            ..WAY
        }],
        instead: ADMIN,
        source: "fs/namespace.c, do_new_mount; fs/fsopen.c",
        ..END
    },
    End {
        name: "bind mount",
        words: "bind-mount a directory",
        group: &[with("mount", &[(3, MS_BIND)])],
        ways: &[
            Way {
                calls: &[
                    with("open_tree", &[(2, OPEN_TREE_CLONE)]),
                    with("move_mount", &[(4, 4)]),
                ],
                ..WAY
            },
            Way {
                calls: &[
                    with("open_tree_attr", &[(2, OPEN_TREE_CLONE)]),
                    with("move_mount", &[(4, 4)]),
                ],
                ..WAY
            },
        ],
        instead: ADMIN,
        source: "fs/namespace.c, do_loopback and open_detached_copy",
        ..END
    },
    End {
        name: "remount",
        words: "change the options of a mount",
        group: &[with("mount", &[(3, MS_REMOUNT)]), call("mount_setattr")],
        ways: &[Way {
            calls: &[call("fspick"), with("fsconfig", &[(1, 7)])],
            ..WAY
        }],
        instead: ADMIN,
        source: "fs/namespace.c, do_reconfigure_mnt, do_mount_setattr; fs/fsopen.c, FSCONFIG_CMD_RECONFIGURE",
        ..END
    },
    End {
        name: "move a mount",
        words: "move a mount",
        group: &[with("mount", &[(3, MS_MOVE)]), call("move_mount")],
        instead: ADMIN,
        source: "fs/namespace.c, do_move_mount",
        ..END
    },
    End {
        name: "root",
        words: "change the root directory",
        also_denied: &[call("chroot")],
        ways: &[Way {
            calls: &[call("pivot_root")],
            needs: "CAP_SYS_ADMIN in a mount namespace of its own",
            ..WAY
        }],
        instead: "drop CAP_SYS_CHROOT and CAP_SYS_ADMIN",
        source: "fs/namespace.c, pivot_root: moves the root of all processes that have the old one",
        ..END
    },
    End {
        name: "modules",
        words: "load code into the kernel",
        group: &[call("init_module"), call("finit_module")],
        instead: "drop CAP_SYS_MODULE",
        source: "kernel/module/main.c, load_module",
        ..END
    },
    End {
        name: "kexec",
        words: "load another kernel",
        group: &[call("kexec_load"), call("kexec_file_load")],
        instead: "drop CAP_SYS_BOOT",
        source: "kernel/kexec.c, kernel/kexec_file.c",
        ..END
    },
    End {
        name: "keys",
        words: "add keys and keyrings to the kernel",
        group: &[call("add_key"), with("keyctl", &[(0, 1)])],
        also_denied: &[call("request_key")],
        source: "security/keys/keyctl.c: KEYCTL_JOIN_SESSION_KEYRING makes a keyring",
        ..END
    },
    End {
        name: "clock",
        words: "set the machine's clock",
        group: &[
            call("clock_settime"),
            call("settimeofday"),
            call("adjtimex"),
            call("clock_adjtime"),
        ],
        instead: "drop CAP_SYS_TIME",
        source: "kernel/time/timekeeping.c, do_settimeofday64 and do_adjtimex (ADJ_SETOFFSET)",
        ..END
    },
    End {
        name: "ports",
        words: "use I/O ports",
        group: &[call("ioperm"), with("iopl", &[(0, 3)])],
        instead: "drop CAP_SYS_RAWIO",
        source: "arch/x86/kernel/ioport.c",
        ..END
    },
    End {
        name: "quota",
        words: "change disk quotas",
        gain: Gain::Some,
        group: &[call("quotactl"), call("quotactl_fd")],
        source: "fs/quota/quota.c, do_quotactl",
        ..END
    },
    End {
        name: "host name",
        words: "change the host's name",
        gain: Gain::Some,
        also_denied: &[call("sethostname")],
        ways: &[Way {
            calls: &[with("openat", &[(2, 1)]), call("write")],
            needs: "root and /proc/sys/kernel/hostname on a /proc that is not read-only",
            keep: true,
            ..WAY
        }],
        instead: "mount /proc/sys read-only, as container runtimes do",
        source: "kernel/utsname_sysctl.c, proc_do_uts_string",
        ..END
    },
    End {
        name: "domain name",
        words: "change the NIS domain name",
        gain: Gain::Some,
        also_denied: &[call("setdomainname")],
        ways: &[Way {
            calls: &[with("openat", &[(2, 1)]), call("write")],
            needs: "root and /proc/sys/kernel/domainname on a /proc that is not read-only",
            keep: true,
            ..WAY
        }],
        instead: "mount /proc/sys read-only, as container runtimes do",
        source: "kernel/utsname_sysctl.c, proc_do_uts_string",
        ..END
    },
    End {
        name: "kernel log",
        words: "read the kernel's log",
        gain: Gain::Some,
        also_denied: &[with("syslog", &[(0, 3)])],
        ways: &[Way {
            calls: &[call("openat"), call("read")],
            needs: "/dev/kmsg",
            keep: true,
            ..WAY
        }],
        instead: "keep /dev/kmsg out of the container, and set kernel.dmesg_restrict to 1",
        source: "kernel/printk/printk.c, devkmsg_read",
        ..END
    },
    End {
        name: "connect",
        words: "connect to another host",
        also_denied: &[call("connect")],
        ways: &[
            Way {
                calls: &[when(
                    with("sendto", &[(3, MSG_FASTOPEN)]),
                    &[&[bits(3, MSG_FASTOPEN, MSG_FASTOPEN)]],
                )],
                needs: FASTOPEN,
                ..WAY
            },
            Way {
                calls: &[when(
                    with("sendmsg", &[(2, MSG_FASTOPEN)]),
                    &[&[bits(2, MSG_FASTOPEN, MSG_FASTOPEN)]],
                )],
                needs: FASTOPEN,
                ..WAY
            },
            Way {
                calls: &[when(
                    with("sendmmsg", &[(3, MSG_FASTOPEN)]),
                    &[&[bits(3, MSG_FASTOPEN, MSG_FASTOPEN)]],
                )],
                needs: FASTOPEN,
                ..WAY
            },
        ],
        instead: "use a network policy or a network namespace",
        source: "net/ipv4/tcp.c, tcp_sendmsg_fastopen connects",
        ..END
    },
    End {
        name: "datagrams",
        words: "send to another host",
        also_denied: &[call("connect")],
        ways: &[
            Way {
                calls: &[DATAGRAMS, call("sendto")],
                ..WAY
            },
            Way {
                calls: &[DATAGRAMS, call("sendmsg")],
                ..WAY
            },
            Way {
                calls: &[DATAGRAMS, call("sendmmsg")],
                ..WAY
            },
        ],
        instead: "use a network policy or a network namespace",
        source: "net/ipv4/udp.c and net/ipv6/udp.c, udp_sendmsg: each message may have an address of its own",
        ..END
    },
    End {
        name: "send",
        words: "send to a connected socket",
        gain: Gain::Some,
        group: &[call("sendto"), call("sendmsg"), call("sendmmsg")],
        ways: &[
            Way {
                calls: &[call("write")],
                keep: true,
                ..WAY
            },
            Way {
                calls: &[call("writev")],
                keep: true,
                ..WAY
            },
        ],
        instead: "deny socket or connect",
        source: "net/socket.c, sock_write_iter is sock_sendmsg",
        ..END
    },
    End {
        name: "receive",
        words: "receive from a socket",
        gain: Gain::Some,
        group: &[call("recvfrom"), call("recvmsg"), call("recvmmsg")],
        ways: &[
            Way {
                calls: &[call("read")],
                keep: true,
                ..WAY
            },
            Way {
                calls: &[call("readv")],
                keep: true,
                ..WAY
            },
        ],
        instead: "deny socket, bind or listen",
        source: "net/socket.c, sock_read_iter is sock_recvmsg",
        ..END
    },
    End {
        name: "accept",
        words: "accept a connection",
        gain: Gain::Some,
        group: &[call("accept"), call("accept4")],
        source: "net/socket.c, __sys_accept4",
        ..END
    },
];

const ADMIN: &str = "drop CAP_SYS_ADMIN";
const FASTOPEN: &str = "a TCP socket (MSG_FASTOPEN, net.ipv4.tcp_fastopen & 1, as by default)";
