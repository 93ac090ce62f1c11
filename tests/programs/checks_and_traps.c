/* Asks whether it may write to a directory, in three ways, and whether it may read another. Then its own filter
 * traps mkdir, which leaves the call's number where a result would be. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t trapped;

static void on_trap(int number) {
    (void)number;
    trapped = 1;
}

static int filter(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mkdir, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog all = {sizeof program / sizeof *program, program};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0);
}

int main(int count, char **arguments) {
    if (count != 4 || chdir(arguments[1])) return 90;
    if (syscall(__NR_access, "by-access", W_OK)) return 91;
    if (syscall(__NR_faccessat, AT_FDCWD, "by-faccessat", W_OK | R_OK)) return 92;
    /* The answer is no. */
    if (!syscall(__NR_access, arguments[2], W_OK)) return 93;
    if (syscall(__NR_access, "only-read", R_OK)) return 94;
    signal(SIGSYS, on_trap);
    if (filter()) return 95;
    syscall(__NR_mkdir, arguments[3], 0700);
    return trapped ? 0 : 96;
}
