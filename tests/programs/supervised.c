/* A child under a filter of its own: mkdir is refused with EACCES, sethostname is answered by its parent. Neither
 * call is ever made. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int filter(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sethostname, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mkdir, 0, 2),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog all = {sizeof program / sizeof *program, program};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &all);
}

static int calls(void) {
    int refused = syscall(__NR_mkdir, "/nowhere/x", 0700) == -1 && errno == EACCES;
    return !refused || syscall(__NR_sethostname, "x", 1) != 0;
}

int main(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return 90;
    pid_t child = fork();
    if (child == 0) {
        int listener = filter();
        if (listener < 0 || write(ends[1], &listener, sizeof listener) != sizeof listener) _exit(91);
        _exit(calls());
    }
    int number, status;
    if (read(ends[0], &number, sizeof number) != sizeof number) return 92;
    int process = syscall(SYS_pidfd_open, child, 0);
    int listener = syscall(SYS_pidfd_getfd, process, number, 0);
    struct seccomp_notif asked = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked)) return 93;
    struct seccomp_notif_resp answer = {.id = asked.id};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer)) return 94;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 95;
}
