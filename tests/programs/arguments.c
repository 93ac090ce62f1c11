/* Does a little with sockets, prctl, threads and processes. With an argument it then tries what it did
 * not do before, and prints what came of each: the value, or the negative error. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *thread(void *nothing)
{
	return nothing;
}

static void say(const char *what, long value)
{
	printf("%s %ld\n", what, value < 0 ? -errno : 0L);
}

static int work(void)
{
	pthread_t other;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t child;
	int status = 1;

	if (fd < 0 || close(fd) || prctl(PR_GET_TIMERSLACK) < 0)
		return 1;
	if (pthread_create(&other, NULL, thread, NULL) || pthread_join(other, NULL))
		return 1;
	child = fork();
	if (child == 0)
		_exit(0);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	return status;
}

/* clone(2) as fork makes it, with more flags. */
static long fork_with(unsigned long flags)
{
	long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (child == 0)
		_exit(0);
	if (child > 0)
		waitpid(child, NULL, 0);
	return child;
}

int main(int argc, char **argv)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)argv;
	if (page == MAP_FAILED || work())
		return 1;
	if (argc < 2)
		return 0;
	say("prctl-seen", prctl(PR_GET_TIMERSLACK));
	say("prctl-name", prctl(PR_SET_NAME, "other"));
	say("prctl-unseen", prctl(PR_SET_DUMPABLE, 1));
	say("socket-stream", socket(AF_INET, SOCK_STREAM, 0));
	say("socket-datagram", socket(AF_INET, SOCK_DGRAM, 0));
	say("socket-local", socket(AF_UNIX, SOCK_DGRAM, 0));
	say("socket-packet", socket(AF_PACKET, SOCK_RAW, 0));
	say("socket-netlink", socket(AF_NETLINK, SOCK_RAW, 0));
	say("clone", fork_with(0));
	say("clone-newuser", fork_with(CLONE_NEWUSER));
	say("clone-newnet", fork_with(CLONE_NEWNET));
	say("clone3", syscall(SYS_clone3, NULL, 0));
	say("mprotect-exec", mprotect(page, 4096, PROT_READ | PROT_EXEC));
	return 0;
}
