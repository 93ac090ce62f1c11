//! The families: data, and nothing else.
//!
//! Each was judged by what glibc 2.17 to 2.41 and musl 1.1 to 1.2.5 call, and by what the kernel does.
//! Not here, on purpose:
//!
//! - access for faccessat, mkdir for mkdirat and the like: on an ABI that has both, every libc calls the
//!   one that the program names.
//! - recvmsg for recvfrom, sendmsg for sendto: they pass descriptors. openat for creat: it reads.
//!   kill for pidfd_send_signal: it signals groups. read and write for copy_file_range and sendfile: a
//!   copy does not show the content. lchown's work for chown, fchownat for either: a link's own owner.
//! - clock_settime for its 64-bit form, and whatever else sets up the machine: that has to be seen.

use super::{
    super::condition::{
        ALARM, ArgumentConstraint, FOLLOWING, FORK, LSTAT, NO_ADDRESS, OWN_GROUP, OWN_LIMIT, PIPE,
        SET_OWN_LIMIT, SLEEP, STAT, VFORK,
    },
    FallbackGroup, FallbackRule,
};

const fn any(allowed: &'static [&'static str], adds: &'static [&'static str]) -> FallbackRule {
    FallbackRule {
        allowed,
        adds,
        only: None,
    }
}

const fn only(
    allowed: &'static [&'static str],
    adds: &'static [&'static str],
    only: &'static ArgumentConstraint,
) -> FallbackRule {
    FallbackRule {
        allowed,
        adds,
        only: Some(only),
    }
}

/// All of them, in the order of output.
pub const FALLBACK_GROUPS: &[FallbackGroup] = &[
    FallbackGroup {
        title: "open",
        need: "musl opens by open, glibc since 2.26 by openat; glibc's creat is a call of its own, musl's is open; callers of openat2 go back to openat on a kernel before 5.6",
        grants: "open is openat from the working directory, creat is open with three flags, and openat2 without its restrictions is openat",
        source: "fs/open.c (do_sys_openat2); musl src/fcntl/{open,creat}.c; glibc sysdeps/unix/sysv/linux/{open64,creat64}.c",
        equal: &[&["open", "openat"]],
        rules: &[
            any(&["open"], &["creat"]),
            any(&["openat"], &["creat"]),
            any(&["openat2"], &["open", "openat", "creat"]),
        ],
    },
    FallbackGroup {
        title: "metadata of a file",
        need: "stat, lstat and fstat are calls of their own for musl and for glibc before 2.33, for later ones newfstatat or fstatat64 (fstat for 2.33 to 2.38 only); statx is missing before Linux 4.11, and libc then asks by the others",
        grants: "all read the metadata of one file under the same checks; what newfstatat and fstatat64 can look at, openat with O_PATH and fstat can too, and without these they may only do what stat or lstat does; statx tells all that the others tell, and more",
        source: "fs/stat.c; musl src/stat/fstatat.c; glibc sysdeps/unix/sysv/linux/{fstatat64,fstat64,statx}.c",
        equal: &[],
        rules: &[
            any(&["newfstatat"], &["stat", "lstat", "fstat"]),
            any(&["statx"], &["newfstatat", "stat", "lstat", "fstat"]),
            any(&["fstat", "openat"], &["newfstatat", "stat", "lstat"]),
            any(&["fstat", "open"], &["newfstatat", "stat", "lstat"]),
            any(&["fstat", "openat2"], &["newfstatat", "stat", "lstat"]),
            only(&["stat"], &["newfstatat"], &STAT),
            only(&["lstat"], &["newfstatat"], &LSTAT),
            any(&["fstatat64"], &["stat64", "lstat64", "fstat64"]),
            any(&["statx"], &["fstatat64", "stat64", "lstat64", "fstat64"]),
            any(&["fstat64", "openat"], &["fstatat64", "stat64", "lstat64"]),
            any(&["fstat64", "open"], &["fstatat64", "stat64", "lstat64"]),
            any(&["fstat64", "openat2"], &["fstatat64", "stat64", "lstat64"]),
            only(&["stat64"], &["fstatat64"], &STAT),
            only(&["lstat64"], &["fstatat64"], &LSTAT),
        ],
    },
    FallbackGroup {
        title: "access",
        need: "faccessat2 is missing before Linux 5.8: libc and Go then ask by faccessat",
        grants: "faccessat is faccessat2 without flags",
        source: "fs/open.c (do_faccessat); musl src/unistd/faccessat.c; glibc sysdeps/unix/sysv/linux/faccessat.c",
        equal: &[],
        rules: &[any(&["faccessat2"], &["faccessat"])],
    },
    FallbackGroup {
        title: "make a file, FIFO or device",
        need: "mkfifo and mknod are mknodat for glibc since 2.33, and mknod for musl and for older ones",
        grants: "mknod is mknodat from the working directory, under the same checks",
        source: "fs/namei.c (do_mknodat); musl src/stat/mknod.c; glibc sysdeps/unix/sysv/linux/{mknod,mknodat}.c",
        equal: &[&["mknod", "mknodat"]],
        rules: &[],
    },
    FallbackGroup {
        title: "rename",
        need: "renameat2 is missing before Linux 3.15 and on some file systems: gnulib (mv, cp, ln) then renames by renameat",
        grants: "renameat is renameat2 without flags",
        source: "fs/namei.c (do_renameat2); gnulib lib/renameatu.c",
        equal: &[],
        rules: &[any(&["renameat2"], &["renameat"])],
    },
    FallbackGroup {
        title: "mode of a file",
        need: "fchmodat2 is missing before Linux 6.6: glibc then changes the mode by /proc/self/fd and chmod, musl by fchmodat",
        grants: "chmod and fchmodat are fchmodat2 without flags",
        source: "fs/open.c (do_fchmodat); musl src/stat/fchmodat.c; glibc sysdeps/unix/sysv/linux/fchmodat.c",
        equal: &[],
        rules: &[any(&["fchmodat2"], &["fchmodat", "chmod"])],
    },
    FallbackGroup {
        title: "times of a file",
        need: "utime, utimes and futimesat are calls of their own for glibc before 2.32 or so, for later ones and for musl they are utimensat",
        grants: "utimensat can do more only by its flags: set the times of a link itself",
        source: "fs/utimes.c (do_utimes); musl src/time/utime.c, src/linux/utimes.c; glibc sysdeps/unix/sysv/linux/{utime,utimes,futimesat}.c",
        equal: &[],
        rules: &[
            any(&["utimensat"], &["utime", "utimes", "futimesat"]),
            only(&["utime"], &["utimensat"], &FOLLOWING),
            only(&["utimes"], &["utimensat"], &FOLLOWING),
            only(&["futimesat"], &["utimensat"], &FOLLOWING),
        ],
    },
    FallbackGroup {
        title: "read a directory",
        need: "glibc before 2.28 reads a directory by getdents, later ones and musl by getdents64",
        grants: "both list the directory that is open, and differ in the layout of the answer",
        source: "fs/readdir.c; musl src/internal/syscall.h; glibc sysdeps/unix/sysv/linux/getdents64.c",
        equal: &[&["getdents", "getdents64"]],
        rules: &[],
    },
    FallbackGroup {
        title: "read and write",
        need: "musl's stdio reads by readv and writes by writev, glibc's by read and write; preadv2 and pwritev2 are missing before Linux 4.6, and libc then does without their flags",
        grants: "the same file and the same check, with one buffer or several; preadv2 and pwritev2 with the offset -1 are readv and writev",
        source: "fs/read_write.c; musl src/stdio/{__stdio_read,__stdio_write}.c; glibc sysdeps/unix/sysv/linux/{preadv2,pwritev2}.c",
        equal: &[&["read", "readv"], &["write", "writev"]],
        rules: &[
            any(&["preadv2"], &["preadv", "readv", "read"]),
            any(&["pwritev2"], &["pwritev", "writev", "write"]),
        ],
    },
    FallbackGroup {
        title: "pipe",
        need: "pipe is pipe2 without flags for glibc, and a call of its own for musl",
        grants: "pipe is pipe2 without flags, and pipe2 is added without flags only",
        source: "fs/pipe.c; musl src/unistd/pipe.c; glibc sysdeps/unix/sysv/linux/pipe.c",
        equal: &[],
        rules: &[
            any(&["pipe2"], &["pipe"]),
            only(&["pipe"], &["pipe2"], &PIPE),
        ],
    },
    FallbackGroup {
        title: "epoll",
        need: "musl waits by epoll_pwait and makes an instance by epoll_create1 always, glibc by epoll_wait and epoll_create too; epoll_pwait2 is missing before Linux 5.11, and its callers go back to the others",
        grants: "epoll_pwait is epoll_wait with a signal mask meanwhile, which rt_sigprocmask sets as well; epoll_create1 is epoll_create with the flag for closing at exec",
        source: "fs/eventpoll.c; musl src/linux/epoll.c; glibc sysdeps/unix/sysv/linux/epoll_wait.c",
        equal: &[&["epoll_create", "epoll_create1"]],
        rules: &[
            any(&["epoll_pwait"], &["epoll_wait"]),
            any(&["epoll_wait", "rt_sigprocmask"], &["epoll_pwait"]),
            any(&["epoll_pwait2"], &["epoll_pwait", "epoll_wait"]),
        ],
    },
    FallbackGroup {
        title: "eventfd, signalfd, inotify",
        need: "today's libcs make eventfd and signalfd by eventfd2 and signalfd4, glibc before 2.27 or so by the calls without flags too; musl makes inotify_init by inotify_init1, glibc by either",
        grants: "the flags are those for closing at exec and not blocking, which fcntl sets as well, and eventfd's way to count",
        source: "fs/{eventfd,signalfd}.c, fs/notify/inotify/inotify_user.c; musl src/linux/{eventfd,signalfd,inotify}.c",
        equal: &[
            &["eventfd", "eventfd2"],
            &["inotify_init", "inotify_init1"],
            &["signalfd", "signalfd4"],
        ],
        rules: &[],
    },
    FallbackGroup {
        title: "select",
        need: "glibc since 2.34 selects by pselect6, older ones and musl by select, on i386 and arm by _newselect",
        grants: "pselect6 is select with a signal mask meanwhile, which rt_sigprocmask sets as well; i386's own select has its arguments in memory",
        source: "fs/select.c; musl src/select/select.c; glibc sysdeps/unix/sysv/linux/select.c",
        equal: &[&["_newselect", "select"]],
        rules: &[
            any(&["pselect6"], &["select", "_newselect"]),
            any(&["select", "rt_sigprocmask"], &["pselect6"]),
            any(&["_newselect", "rt_sigprocmask"], &["pselect6"]),
            any(&["pselect6_time64"], &["pselect6", "_newselect", "select"]),
        ],
    },
    FallbackGroup {
        title: "sleep",
        need: "glibc since 2.31 or so sleeps by clock_nanosleep, older ones and musl by nanosleep",
        grants: "nanosleep is clock_nanosleep on a fixed clock, and clock_nanosleep is added for that work only",
        source: "kernel/time/hrtimer.c, posix-timers.c; musl src/time/clock_nanosleep.c; glibc time/nanosleep.c",
        equal: &[],
        rules: &[
            any(&["clock_nanosleep"], &["nanosleep"]),
            any(
                &["clock_nanosleep_time64"],
                &["clock_nanosleep", "nanosleep"],
            ),
            only(&["nanosleep"], &["clock_nanosleep"], &SLEEP),
        ],
    },
    FallbackGroup {
        title: "processes and threads",
        need: "fork is clone for glibc, and a call of its own for musl; posix_spawn is clone or clone3, and was vfork or fork for glibc before 2.24; clone3 is missing before Linux 5.3, and refused by many filters, and libc then starts threads by clone",
        grants: "fork and vfork are clone with fixed flags, and clone is added with just these flags only; all that clone does, clone3 does",
        source: "kernel/fork.c; musl src/process/_Fork.c; glibc sysdeps/unix/sysv/linux/{arch-fork.h,spawni.c,clone-internal.c}",
        equal: &[],
        rules: &[
            any(&["clone"], &["fork", "vfork"]),
            any(&["clone3"], &["clone", "fork", "vfork"]),
            only(&["fork"], &["clone"], &FORK),
            only(&["vfork"], &["clone"], &VFORK),
        ],
    },
    FallbackGroup {
        title: "signal to a thread",
        need: "glibc's raise, abort, pthread_kill and pthread_cancel are tgkill, musl's are tkill",
        grants: "the same thread under the same check; tgkill takes its process too",
        source: "kernel/signal.c (do_tkill); musl src/signal/raise.c, src/thread/pthread_kill.c; glibc nptl/pthread_kill.c",
        equal: &[&["tgkill", "tkill"]],
        rules: &[],
    },
    FallbackGroup {
        title: "limits",
        need: "musl and glibc since 2.13 or so read and set limits by prlimit64, and older ones by getrlimit (on i386 and arm ugetrlimit) and setrlimit",
        grants: "prlimit64 can do both, and for other processes; it is added for the caller's own limits only, and for reading them where only that was seen",
        source: "kernel/sys.c; musl src/misc/{getrlimit,setrlimit}.c; glibc sysdeps/unix/sysv/linux/{getrlimit64,setrlimit64}.c",
        equal: &[],
        rules: &[
            any(&["prlimit64"], &["getrlimit", "setrlimit", "ugetrlimit"]),
            only(&["getrlimit"], &["prlimit64"], &OWN_LIMIT),
            only(&["ugetrlimit"], &["prlimit64"], &OWN_LIMIT),
            only(&["setrlimit"], &["prlimit64"], &SET_OWN_LIMIT),
        ],
    },
    FallbackGroup {
        title: "alarm",
        need: "musl's alarm is setitimer, glibc's a call of its own",
        grants: "alarm is setitimer with ITIMER_REAL, and setitimer is added for that timer only",
        source: "kernel/time/itimer.c; musl src/unistd/alarm.c; glibc sysdeps/unix/sysv/linux/alarm.c",
        equal: &[],
        rules: &[
            any(&["setitimer"], &["alarm"]),
            only(&["alarm"], &["setitimer"], &ALARM),
        ],
    },
    FallbackGroup {
        title: "process group",
        need: "musl's getpgrp is getpgid, glibc's a call of its own",
        grants: "getpgrp is getpgid of oneself, and getpgid is added for that only",
        source: "kernel/sys.c (do_getpgid); musl src/unistd/getpgrp.c; glibc sysdeps/unix/sysv/linux/getpgrp.c",
        equal: &[],
        rules: &[
            any(&["getpgid"], &["getpgrp"]),
            only(&["getpgrp"], &["getpgid"], &OWN_GROUP),
        ],
    },
    FallbackGroup {
        title: "messages",
        need: "glibc's resolver sends by sendmmsg, musl's by sendto, and musl's sendmmsg is sendmsg on 64-bit ABIs; musl's resolver receives by recvmsg, glibc's by recvfrom; arm has send and recv, which musl does without",
        grants: "one message instead of several, and a receive without descriptors; send and recv are sendto and recvfrom without an address, which are added without one only",
        source: "net/socket.c; musl src/network/{sendmmsg,res_msend,send,recv}.c; glibc resolv/res_send.c",
        equal: &[],
        rules: &[
            any(&["sendmmsg"], &["sendmsg", "sendto", "send"]),
            any(&["sendto"], &["send"]),
            any(&["recvmsg"], &["recvfrom", "recv"]),
            any(&["recvfrom"], &["recv"]),
            only(&["send"], &["sendto"], &NO_ADDRESS),
            only(&["recv"], &["recvfrom"], &NO_ADDRESS),
        ],
    },
    FallbackGroup {
        title: "sockets on i386",
        need: "glibc makes every socket call of i386 by socketcall when it is built for kernels before 4.3 too, and by the calls themselves otherwise; musl tries those first",
        grants: "socketcall is all of them in one; it is never added",
        source: "net/socket.c (socketcall); musl src/internal/syscall.h; glibc sysdeps/unix/sysv/linux/i386/kernel-features.h",
        equal: &[],
        rules: &[any(
            &["socketcall"],
            &[
                "accept4",
                "bind",
                "connect",
                "getpeername",
                "getsockname",
                "getsockopt",
                "listen",
                "recvfrom",
                "recvmmsg",
                "recvmsg",
                "sendmmsg",
                "sendmsg",
                "sendto",
                "setsockopt",
                "shutdown",
                "socket",
                "socketpair",
            ],
        )],
    },
    FallbackGroup {
        title: "execute a file that is open",
        need: "fexecve is execveat, which is missing before Linux 3.19: libc then executes by /proc/self/fd and execve",
        grants: "execve is execveat from the working directory",
        source: "fs/exec.c; musl src/process/fexecve.c; glibc sysdeps/unix/sysv/linux/fexecve.c",
        equal: &[],
        rules: &[any(&["execveat"], &["execve"])],
    },
    FallbackGroup {
        title: "accept",
        need: "accept4 is missing before Linux 2.6.28, and musl's then accepts by accept and sets the flags by fcntl",
        grants: "accept is accept4 without flags",
        source: "net/socket.c; musl src/network/accept4.c",
        equal: &[],
        rules: &[any(&["accept4"], &["accept"])],
    },
    FallbackGroup {
        title: "copy of a descriptor",
        need: "dup3 is missing before Linux 2.6.27, and musl's then copies by dup2 and sets the flag by fcntl",
        grants: "dup2 is dup3 without flags",
        source: "fs/file.c; musl src/unistd/dup3.c",
        equal: &[],
        rules: &[any(&["dup3"], &["dup2"])],
    },
    FallbackGroup {
        title: "close",
        need: "close_range is missing before Linux 5.9: its callers then close one descriptor after the other",
        grants: "close is close_range of one",
        source: "fs/file.c (close_range); glibc sysdeps/unix/sysv/linux/closefrom.c",
        equal: &[],
        rules: &[any(&["close_range"], &["close"])],
    },
    FallbackGroup {
        title: "wide forms of 32-bit ABIs",
        need: "on i386 and arm, musl and programs that are built for large files call the forms with 64-bit offsets and sizes, others those without; waitpid is wait4 for today's libcs and was a call of its own; today's libcs map memory by mmap2",
        grants: "the same file under the same check, with wider numbers; wait4 tells what the child used too, as getrusage does",
        source: "fs/{open,read_write,statfs}.c, mm/fadvise.c, kernel/exit.c; musl src/internal/syscall.h",
        equal: &[
            &["fadvise64", "fadvise64_64"],
            &["fstatfs", "fstatfs64"],
            &["ftruncate", "ftruncate64"],
            &["sendfile", "sendfile64"],
            &["statfs", "statfs64"],
            &["truncate", "truncate64"],
            &["wait4", "waitpid"],
        ],
        rules: &[any(&["mmap"], &["mmap2"])],
    },
    FallbackGroup {
        title: "64-bit time on 32-bit ABIs",
        need: "on i386 and arm, a libc with 64-bit time goes back to the older form on a kernel before 5.1, and one with 32-bit time never calls another",
        grants: "the same work with narrower times",
        source: "kernel/time, include/uapi/asm-generic/unistd.h 403 to 423; musl src/internal/syscall.h and the callers; glibc sysdeps/unix/sysv/linux",
        equal: &[],
        rules: &[
            any(&["clock_getres_time64"], &["clock_getres"]),
            any(&["clock_gettime64"], &["clock_gettime"]),
            any(&["futex_time64"], &["futex"]),
            any(&["io_pgetevents_time64"], &["io_pgetevents"]),
            any(&["mq_timedreceive_time64"], &["mq_timedreceive"]),
            any(&["mq_timedsend_time64"], &["mq_timedsend"]),
            any(&["ppoll_time64"], &["ppoll"]),
            any(&["recvmmsg_time64"], &["recvmmsg"]),
            any(&["rt_sigtimedwait_time64"], &["rt_sigtimedwait"]),
            any(
                &["sched_rr_get_interval_time64"],
                &["sched_rr_get_interval"],
            ),
            any(&["semtimedop_time64"], &["semtimedop"]),
            any(&["timer_gettime64"], &["timer_gettime"]),
            any(&["timer_settime64"], &["timer_settime"]),
            any(&["timerfd_gettime64"], &["timerfd_gettime"]),
            any(&["timerfd_settime64"], &["timerfd_settime"]),
            any(
                &["utimensat_time64"],
                &["utimensat", "utime", "utimes", "futimesat"],
            ),
        ],
    },
];
