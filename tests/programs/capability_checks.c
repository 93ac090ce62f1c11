/* One operation for each capability that needs it (`need NAME`), and one in which the kernel only asks
 * for it (`ask NAME`), in a directory. With `without` at the end the capability is given up first: what needs it
 * fails then (1), what only asks does not (0). 77: this kernel or file system does not have it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/acct.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif

#ifndef EPOLLWAKEUP
#define EPOLLWAKEUP (1u << 29)
#endif

enum { FAILED = 1, SKIP = 77, OTHER = 1000 };

/* The system call alone: glibc's setxid would ask all threads. */
#define CALL(...) syscall(__VA_ARGS__)

static int denied(long returned) { return returned < 0; }

/* 1 for a refusal, 0 for any other answer, `expected` among them. */
static int refused(long returned, int expected) {
    if (returned >= 0 || errno == expected) return 0;
    if (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPROTONOSUPPORT || errno == ENOTTY) return SKIP;
    return FAILED;
}

static int file(int uid, int gid, int mode) {
    unlink("f");
    int f = open("f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (f < 0 || fchown(f, uid, gid) || fchmod(f, mode)) _exit(99);
    return f;
}

/* A child of another user, which waits; its pipe tells that it is one. */
static pid_t other(void) {
    int ready[2];
    if (pipe(ready)) _exit(99);
    pid_t child = fork();
    if (child == 0) {
        if (CALL(SYS_setresgid, OTHER, OTHER, OTHER) || CALL(SYS_setresuid, OTHER, OTHER, OTHER)) _exit(99);
        /* Another user loses it (prctl(2)), so not before. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(60);
        if (write(ready[1], "", 1) != 1) _exit(99);
        for (;;) pause();
    }
    char byte;
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) _exit(99);
    return child;
}

/* Prepared with all rights, before any are given up. */
static int fd;
static pid_t child;
static int shm;
static struct rlimit limit;
static union { struct file_handle handle; char room[256]; } named;

static void prepare_other_file(void) { fd = file(OTHER, OTHER, 0600); }
static void prepare_own_file(void) { fd = file(0, 0, 0644); }
static void prepare_group_file(void) { fd = file(0, OTHER, 0644); }
static void prepare_child(void) { child = other(); }
static void prepare_handle(void) {
    int mount;
    close(file(0, 0, 0644));
    named.handle.handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(AT_FDCWD, "f", &named.handle, &mount, 0)) _exit(SKIP);
}
static void prepare_shm(void) {
    int pipes[2];
    if (pipe(pipes)) _exit(99);
    if (fork() == 0) {
        if (CALL(SYS_setresgid, OTHER, OTHER, OTHER) || CALL(SYS_setresuid, OTHER, OTHER, OTHER)) _exit(99);
        int id = shmget(IPC_PRIVATE, 4096, 0600);
        _exit(write(pipes[1], &id, sizeof id) != sizeof id);
    }
    if (read(pipes[0], &shm, sizeof shm) != sizeof shm) _exit(99);
    wait(NULL);
}
static void prepare_limit(void) {
    limit = (struct rlimit){50, 50};
    if (setrlimit(RLIMIT_NPROC, &limit)) _exit(99);
}
static void prepare_memlock(void) {
    limit = (struct rlimit){4096, 4096};
    if (setrlimit(RLIMIT_MEMLOCK, &limit)) _exit(99);
}

static int need_chown(void) { return denied(fchown(fd, OTHER, OTHER)); }
static int need_dac_override(void) { return denied(open("f", O_WRONLY)); }
static int need_dac_read_search(void) {
    int directory = open(".", O_RDONLY | O_DIRECTORY);
    return refused(open_by_handle_at(directory, &named.handle, O_RDONLY), ESTALE);
}
static int need_fowner(void) { return denied(fchmod(fd, 0644)); }
static int need_fsetid(void) {
    struct stat now;
    return denied(chmod("f", 02755)) || fstat(fd, &now) || !(now.st_mode & S_ISGID);
}
static int ask_fsetid(void) { return denied(chmod("f", 0755)); }
static int need_kill(void) { return denied(kill(child, 0)); }
static int need_setgid(void) { return denied(CALL(SYS_setgid, OTHER)); }
static int ask_setgid(void) { return denied(CALL(SYS_setgid, 0)); }
static int need_setuid(void) { return denied(CALL(SYS_setuid, OTHER)); }
static int ask_setuid(void) { return denied(CALL(SYS_setuid, 0)); }
static int need_setpcap(void) { return denied(prctl(PR_CAPBSET_DROP, CAP_MAC_OVERRIDE, 0, 0, 0)); }
static int ask_setpcap(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    return denied(CALL(SYS_capget, &head, data)) || denied(CALL(SYS_capset, &head, data));
}
static int need_linux_immutable(void) {
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags)) return SKIP;
    flags |= FS_APPEND_FL;
    int result = refused(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
    flags &= ~FS_APPEND_FL;
    ioctl(fd, FS_IOC_SETFLAGS, &flags);
    return result;
}
static int need_net_bind_service(void) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(871), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return refused(bind(s, (void *)&to, sizeof to), EADDRINUSE);
}
static int need_net_broadcast(void) {
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), one = 1;
    return refused(setsockopt(s, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &one, sizeof one), 0);
}
static int need_net_admin(void) {
    int s = socket(AF_INET, SOCK_DGRAM, 0), size = 8192;
    return denied(setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size));
}
static int ask_net_admin(void) {
    char text[64];
    int f = open("/proc/sys/net/core/somaxconn", O_RDONLY);
    return denied(f) || denied(read(f, text, sizeof text));
}
static int write_net_admin(void) {
    char text[64];
    int f = open("/proc/sys/net/core/somaxconn", O_RDWR);
    if (f < 0) return FAILED;
    ssize_t len = read(f, text, sizeof text);
    return len <= 0 || denied(pwrite(f, text, len, 0));
}
static int ask_no_interface(void) {
    struct ifreq of = {.ifr_name = "nosuch0"};
    return refused(ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCGIFFLAGS, &of), ENODEV);
}
static int need_net_raw(void) { return refused(socket(AF_PACKET, SOCK_RAW, 0), 0); }
static int need_ipc_lock(void) {
    void *at = mmap(0, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return denied(mlock(at, 65536));
}
static int ask_ipc_lock(void) {
    char parameters[120] = {0};
    return refused(CALL(SYS_io_uring_setup, 1, parameters), 0);
}
static int need_ipc_owner(void) {
    void *at = shmat(shm, 0, 0);
    shmctl(shm, IPC_RMID, 0);
    return at == (void *)-1;
}
static int need_sys_module(void) {
    return refused(CALL(SYS_delete_module, "no_such_module", O_NONBLOCK), ENOENT);
}
static int need_sys_rawio(void) {
#ifdef __x86_64__
    return refused(ioperm(0x80, 1, 1), 0);
#else
    return SKIP;
#endif
}
static int need_sys_chroot(void) { return denied(chroot("/")); }
static int need_sys_ptrace(void) {
    char path[64], to[256];
    snprintf(path, sizeof path, "/proc/%d/exe", child);
    return denied(readlink(path, to, sizeof to));
}
static int ask_sys_ptrace(void) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    int f = open(path, O_RDONLY);
    return denied(f) || denied(read(f, text, sizeof text));
}
static int need_sys_pacct(void) { return refused(acct(NULL), 0); }
static int need_sys_admin(void) {
    char name[256] = "";
    gethostname(name, sizeof name);
    return denied(sethostname(name, strlen(name)));
}
static int ask_sys_admin(void) {
    char list[4096];
    return mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ||
           refused(listxattr("f", list, sizeof list), 0) == FAILED;
}
static int need_filter(void) {
    struct { unsigned short code; unsigned char yes, no; unsigned k; } allow = {6, 0, 0, 0x7fff0000};
    struct { unsigned short len; void *filter; } program = {1, &allow};
    return denied(CALL(SYS_seccomp, 1, 0, &program));
}
static int need_sys_boot(void) { return refused(CALL(SYS_reboot, 0, 0, 0, 0), EINVAL); }
static int need_sys_nice(void) { return denied(setpriority(PRIO_PROCESS, 0, -3)); }
static int need_sys_resource(void) {
    limit.rlim_max = 60;
    return denied(setrlimit(RLIMIT_NPROC, &limit));
}
static int ask_sys_resource(void) {
    struct { long flags, most, size, now, pad[4]; } of = {0, 2, 64, 0, {0}};
    char name[64];
    snprintf(name, sizeof name, "tracer-%d", getpid());
    long queue = CALL(SYS_mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, &of);
    int result = refused(queue, 0);
    CALL(SYS_mq_unlink, name);
    return result;
}
static int need_sys_time(void) {
    struct timex now = {.modes = 0};
    if (adjtimex(&now) < 0) return SKIP;
    now.modes = ADJ_TICK;
    return denied(adjtimex(&now));
}
static int need_sys_tty_config(void) { return denied(CALL(SYS_vhangup)); }
static int need_mknod(void) {
    unlink("d");
    int result = denied(mknod("d", S_IFCHR | 0600, (1 << 8) | 3));
    unlink("d");
    return result;
}
static int need_lease(void) {
    int f = open("f", O_RDONLY);
    return refused(fcntl(f, F_SETLEASE, F_RDLCK), EAGAIN);
}
static int netlink_audit(int kind) {
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
    if (s < 0) return SKIP;
    struct { struct nlmsghdr head; char text[8]; } of = {{sizeof of, kind, NLM_F_REQUEST | NLM_F_ACK, 1, 0}, "test"};
    struct sockaddr_nl to = {.nl_family = AF_NETLINK};
    if (sendto(s, &of, sizeof of, 0, (void *)&to, sizeof to) < 0) return errno == ECONNREFUSED ? SKIP : FAILED;
    struct { struct nlmsghdr head; struct nlmsgerr error; char room[512]; } answer;
    struct pollfd ready = {s, POLLIN, 0};
    if (poll(&ready, 1, 10000) != 1 || recv(s, &answer, sizeof answer, 0) < 0) return SKIP;
    return answer.head.nlmsg_type == NLMSG_ERROR && answer.error.error == -EPERM;
}
static int need_audit_write(void) { return netlink_audit(AUDIT_FIRST_USER_MSG); }
static int need_audit_control(void) { return netlink_audit(AUDIT_GET); }
static int need_setfcap(void) {
    struct vfs_cap_data none = {.magic_etc = VFS_CAP_REVISION_2};
    return refused(fsetxattr(fd, "security.capability", &none, XATTR_CAPS_SZ_2, 0), 0);
}
static int need_syslog(void) { return denied(klogctl(9, NULL, 0)); }
static int ask_syslog(void) { return denied(open("/proc/kallsyms", O_RDONLY)); }
static int need_wake_alarm(void) { return refused(timerfd_create(CLOCK_BOOTTIME_ALARM, 0), 0); }
static int wakes(void) {
    int poller = epoll_create1(0), pipes[2];
    char path[64], text[1024];
    struct epoll_event wake = {.events = EPOLLIN | EPOLLWAKEUP};
    if (pipe(pipes) || epoll_ctl(poller, EPOLL_CTL_ADD, pipes[0], &wake)) return SKIP;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", poller);
    FILE *info = fopen(path, "r");
    unsigned events = 0;
    while (info && fgets(text, sizeof text, info))
        if (sscanf(text, "tfd: %*d events: %x", &events) == 1) return !(events & EPOLLWAKEUP);
    return SKIP;
}
/* Kernels that cannot sleep take the flag away from everyone. */
static void prepare_wakes(void) {
    if (wakes()) _exit(SKIP);
}
static int need_block_suspend(void) { return wakes(); }
static int need_audit_read(void) {
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
    if (s < 0) return SKIP;
    struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = 1};
    return refused(bind(s, (void *)&group, sizeof group), 0);
}
static int need_perfmon(void) {
    struct perf_event_attr of = {.type = PERF_TYPE_SOFTWARE, .size = sizeof of, .config = PERF_COUNT_SW_CPU_CLOCK};
    return refused(CALL(SYS_perf_event_open, &of, -1, 0, -1, 0), 0);
}
static int ask_perfmon(void) {
    struct bpf_insn returns[] = {{.code = 0xb7}, {.code = 0x95}};
    union bpf_attr of = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2};
    of.insns = (unsigned long)returns;
    of.license = (unsigned long)"GPL";
    return refused(CALL(SYS_bpf, BPF_PROG_LOAD, &of, sizeof of), 0);
}
static int need_bpf(void) {
    union bpf_attr of = {.map_type = BPF_MAP_TYPE_LRU_HASH, .key_size = 4, .value_size = 4, .max_entries = 4};
    return refused(CALL(SYS_bpf, BPF_MAP_CREATE, &of, sizeof of), 0);
}
static int need_checkpoint_restore(void) {
    char path[128];
    unsigned long from, to;
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps || fscanf(maps, "%lx-%lx", &from, &to) != 2) return SKIP;
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", from, to);
    return refused(open(path, O_RDONLY), 0);
}

static const struct {
    const char *kind, *name;
    int capability;
    /* Another one that the kernel takes instead; -1 for none. */
    int instead;
    void (*prepare)(void);
    int (*run)(void);
} CASES[] = {
    {"need", "chown", CAP_CHOWN, -1, prepare_own_file, need_chown},
    {"need", "dac_override", CAP_DAC_OVERRIDE, -1, prepare_other_file, need_dac_override},
    {"need", "dac_read_search", CAP_DAC_READ_SEARCH, -1, prepare_handle, need_dac_read_search},
    {"need", "fowner", CAP_FOWNER, -1, prepare_other_file, need_fowner},
    {"need", "fsetid", CAP_FSETID, -1, prepare_group_file, need_fsetid},
    {"ask", "fsetid", CAP_FSETID, -1, prepare_group_file, ask_fsetid},
    {"need", "kill", CAP_KILL, -1, prepare_child, need_kill},
    {"need", "setgid", CAP_SETGID, -1, 0, need_setgid},
    {"ask", "setgid", CAP_SETGID, -1, 0, ask_setgid},
    {"need", "setuid", CAP_SETUID, -1, 0, need_setuid},
    {"ask", "setuid", CAP_SETUID, -1, 0, ask_setuid},
    {"need", "setpcap", CAP_SETPCAP, -1, 0, need_setpcap},
    {"ask", "setpcap", CAP_SETPCAP, -1, 0, ask_setpcap},
    {"need", "linux_immutable", CAP_LINUX_IMMUTABLE, -1, prepare_own_file, need_linux_immutable},
    {"need", "net_bind_service", CAP_NET_BIND_SERVICE, -1, 0, need_net_bind_service},
    {"need", "net_broadcast", CAP_NET_BROADCAST, -1, 0, need_net_broadcast},
    {"need", "net_admin", CAP_NET_ADMIN, -1, 0, need_net_admin},
    {"ask", "net_admin", CAP_NET_ADMIN, -1, 0, ask_net_admin},
    {"ask", "net_admin_write", CAP_NET_ADMIN, -1, 0, write_net_admin},
    {"ask", "net_admin_ioctl", CAP_NET_ADMIN, -1, 0, ask_no_interface},
    {"need", "net_raw", CAP_NET_RAW, -1, 0, need_net_raw},
    {"need", "ipc_lock", CAP_IPC_LOCK, -1, prepare_memlock, need_ipc_lock},
    {"ask", "ipc_lock", CAP_IPC_LOCK, -1, 0, ask_ipc_lock},
    {"need", "ipc_owner", CAP_IPC_OWNER, -1, prepare_shm, need_ipc_owner},
    {"need", "sys_module", CAP_SYS_MODULE, -1, 0, need_sys_module},
    {"ask", "sys_module", CAP_SYS_MODULE, -1, 0, ask_no_interface},
    {"need", "sys_rawio", CAP_SYS_RAWIO, -1, 0, need_sys_rawio},
    {"need", "sys_chroot", CAP_SYS_CHROOT, -1, 0, need_sys_chroot},
    {"need", "sys_ptrace", CAP_SYS_PTRACE, -1, prepare_child, need_sys_ptrace},
    {"ask", "sys_ptrace", CAP_SYS_PTRACE, -1, prepare_child, ask_sys_ptrace},
    {"need", "sys_pacct", CAP_SYS_PACCT, -1, 0, need_sys_pacct},
    {"need", "sys_admin", CAP_SYS_ADMIN, -1, 0, need_sys_admin},
    {"need", "sys_admin_filter", CAP_SYS_ADMIN, -1, 0, need_filter},
    {"ask", "sys_admin", CAP_SYS_ADMIN, -1, prepare_own_file, ask_sys_admin},
    {"need", "sys_boot", CAP_SYS_BOOT, -1, 0, need_sys_boot},
    {"need", "sys_nice", CAP_SYS_NICE, -1, 0, need_sys_nice},
    {"need", "sys_resource", CAP_SYS_RESOURCE, -1, prepare_limit, need_sys_resource},
    {"ask", "sys_resource", CAP_SYS_RESOURCE, -1, 0, ask_sys_resource},
    {"need", "sys_time", CAP_SYS_TIME, -1, 0, need_sys_time},
    {"need", "sys_tty_config", CAP_SYS_TTY_CONFIG, -1, 0, need_sys_tty_config},
    {"need", "mknod", CAP_MKNOD, -1, 0, need_mknod},
    {"need", "lease", CAP_LEASE, -1, prepare_other_file, need_lease},
    {"need", "audit_write", CAP_AUDIT_WRITE, -1, 0, need_audit_write},
    {"need", "audit_control", CAP_AUDIT_CONTROL, -1, 0, need_audit_control},
    {"need", "setfcap", CAP_SETFCAP, -1, prepare_own_file, need_setfcap},
    {"need", "syslog", CAP_SYSLOG, -1, 0, need_syslog},
    {"ask", "syslog", CAP_SYSLOG, -1, 0, ask_syslog},
    {"need", "wake_alarm", CAP_WAKE_ALARM, -1, 0, need_wake_alarm},
    {"need", "block_suspend", CAP_BLOCK_SUSPEND, -1, prepare_wakes, need_block_suspend},
    {"need", "audit_read", CAP_AUDIT_READ, -1, 0, need_audit_read},
    {"need", "perfmon", CAP_PERFMON, CAP_SYS_ADMIN, 0, need_perfmon},
    {"ask", "perfmon", CAP_PERFMON, CAP_SYS_ADMIN, 0, ask_perfmon},
    {"need", "bpf", CAP_BPF, CAP_SYS_ADMIN, 0, need_bpf},
    {"need", "checkpoint_restore", CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, 0, need_checkpoint_restore},
};

static int has(int capability) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (CALL(SYS_capget, &head, data)) _exit(99);
    return data[capability / 32].effective >> capability % 32 & 1;
}

static void give_up(int capability) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (capability < 0) return;
    if (CALL(SYS_capget, &head, data)) _exit(99);
    data[capability / 32].effective &= ~(1u << capability % 32);
    data[capability / 32].permitted &= ~(1u << capability % 32);
    if (CALL(SYS_capset, &head, data)) _exit(99);
}

int main(int count, char **words) {
    const unsigned long cases = sizeof CASES / sizeof *CASES;
    if (count == 2 && !strcmp(words[1], "list")) {
        for (unsigned long i = 0; i < cases; i++)
            printf("%s %s %d\n", CASES[i].kind, CASES[i].name, CASES[i].capability);
        return 0;
    }
    if (count < 4 || chdir(words[3])) return 99;
    for (unsigned long i = 0; i < cases; i++) {
        if (strcmp(words[1], CASES[i].kind) || strcmp(words[2], CASES[i].name)) continue;
        /* Nothing that is hung up may be anyone's terminal. */
        setsid();
        if (!has(CASES[i].capability)) return SKIP;
        if (CASES[i].prepare) CASES[i].prepare();
        if (count > 4) {
            give_up(CASES[i].capability);
            give_up(CASES[i].instead);
        }
        int result = CASES[i].run();
        unlink("f");
        if (child > 0) kill(child, SIGKILL);
        return result;
    }
    return 99;
}
