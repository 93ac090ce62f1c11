/* `clone3 plain|set_tid|large`: calls clone3 once, in one way, and goes on whatever comes of it. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static union {
		struct clone_args args;
		char bytes[128];
	} given;
	/* Nobody has it: larger than /proc/sys/kernel/pid_max may be. */
	static pid_t id = 0x7fffffff;
	size_t size = 88;
	long child;

	if (argc != 2)
		return 2;
	given.args.exit_signal = SIGCHLD;
	if (!strcmp(argv[1], "set_tid")) {
		given.args.set_tid = (unsigned long)&id;
		given.args.set_tid_size = 1;
	} else if (!strcmp(argv[1], "large")) {
		size = sizeof given;
	}
	child = syscall(SYS_clone3, &given, size);
	if (!child)
		_exit(0);
	if (child > 0)
		waitpid((pid_t)child, NULL, 0);
	return 0;
}
