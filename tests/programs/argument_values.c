/* Calls by which programs do very different things, each with values that do nothing. Most of them fail. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	char name[16];
	int pair[2], on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	socket(AF_UNIX, SOCK_DGRAM, 0);
	socket(-1, -1, -1);
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	fcntl(fd, F_GETFL);
	fcntl(fd, F_DUPFD_CLOEXEC, 0);
	personality(0xffffffff);
	prctl(PR_GET_DUMPABLE);
	prctl(PR_GET_NAME, name);
	syscall(SYS_prctl, 0xffffffff00000010, name);
	unshare(0);
	setns(-1, CLONE_NEWNET);
	ptrace(PTRACE_PEEKUSER, 0, 0, 0);
	syscall(SYS_ptrace, 0x100000010L, 0, 0, 0);
	syscall(SYS_keyctl, 0, -1, 0);
	syscall(SYS_bpf, 7, 0, 0);
	syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1);
	mprotect(page, 4096, PROT_READ | PROT_EXEC);
	mprotect(page, 4096, PROT_READ);
	madvise(page, 4096, MADV_DONTNEED);
	madvise(page, 4096, 12345);
	return 0;
}
