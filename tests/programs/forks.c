/* Children by every call that makes one, to the third generation. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int reap(pid_t child)
{
	int status;

	return child < 0 || waitpid(child, &status, 0) != child || status;
}

static pid_t by_clone3(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static pid_t by_raw_fork(void)
{
	return (pid_t)syscall(SYS_fork);
}

static int generation(int left)
{
	pid_t child = fork();

	if (child == 0)
		_exit(left ? generation(left - 1) : (int)(getppid() < 0));
	return reap(child);
}

int main(void)
{
	pid_t child = vfork();

	if (child == 0) {
		execl("/bin/true", "true", (char *)0);
		_exit(127);
	}
	if (reap(child))
		return 1;
	child = by_clone3();
	if (child == 0)
		_exit(getpgid(0) < 0);
	if (reap(child))
		return 1;
	child = by_raw_fork();
	if (child == 0)
		_exit(getsid(0) < 0);
	if (reap(child))
		return 1;
	return generation(2);
}
