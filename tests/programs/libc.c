/*
 * The same work by the functions of whichever libc it is linked with. Says of each step what came of
 * it, `open: ok` or `open: Function not implemented`, and ends with the number of those that failed.
 * Arguments are the steps to do; without any it is all of them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A step returns 0, or -1 with errno set. */

static int opens(void)
{
	int fd = open("/etc/passwd", O_RDONLY);

	return fd < 0 ? -1 : close(fd);
}

static int reads(void)
{
	char line[64];
	FILE *file = fopen("/etc/passwd", "r");

	if (!file)
		return -1;
	if (!fgets(line, sizeof(line), file))
		return -1;
	return fclose(file);
}

static int stats(void)
{
	struct stat st;

	return stat("/etc/passwd", &st);
}

static int lstats(void)
{
	struct stat st;

	return lstat("/etc", &st);
}

static int fstats(void)
{
	struct stat st;

	return fstat(0, &st);
}

static int lists(void)
{
	DIR *dir = opendir("/etc");

	if (!dir)
		return -1;
	errno = 0;
	if (!readdir(dir) && errno)
		return -1;
	return closedir(dir);
}

static int pipes(void)
{
	int ends[2];

	return pipe(ends);
}

static int waits(void)
{
	struct epoll_event event;
	int fd = epoll_create(1);

	return fd < 0 || epoll_wait(fd, &event, 1, 0) < 0 ? -1 : 0;
}

static int counts(void)
{
	return eventfd(0, 0) < 0 ? -1 : 0;
}

static int notes(void)
{
	return inotify_init() < 0 ? -1 : 0;
}

static int selects(void)
{
	struct timeval none = {0, 0};

	return select(0, 0, 0, 0, &none);
}

static int sleeps(void)
{
	struct timespec moment = {0, 1000};

	return nanosleep(&moment, 0);
}

static int alarms(void)
{
	/* It cannot tell that it failed but by errno. */
	errno = 0;
	alarm(1000);
	alarm(0);
	return errno ? -1 : 0;
}

static int groups(void)
{
	return getpgrp() < 0 ? -1 : 0;
}

static int limits(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_CORE, &limit);
}

static int sets_limits(void)
{
	struct rlimit limit = {0, 0};

	return setrlimit(RLIMIT_CORE, &limit);
}

static volatile sig_atomic_t raised;

static void on_signal(int signal)
{
	(void)signal;
	raised = 1;
}

static int raises(void)
{
	signal(SIGUSR1, on_signal);
	if (raise(SIGUSR1))
		return -1;
	return raised ? 0 : -1;
}

static int ended_well(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		return -1;
	return status ? -1 : 0;
}

static int forks(void)
{
	pid_t child = fork();

	if (child < 0)
		return -1;
	if (child == 0)
		_exit(0);
	return ended_well(child);
}

static char *self;

static int spawns(void)
{
	/* There is no such step, so that it does nothing. */
	char *argv[] = {self, "nothing", 0}, *envp[] = {0};
	pid_t child;

	errno = posix_spawn(&child, self, 0, 0, argv, envp);
	return errno ? -1 : ended_well(child);
}

static void *thread(void *argument)
{
	return argument;
}

static int threads(void)
{
	pthread_t one;

	errno = pthread_create(&one, 0, thread, 0);
	if (errno)
		return -1;
	errno = pthread_join(one, 0);
	return errno ? -1 : 0;
}

/* What no older call can do. Only done when it is asked for. */

static int pipe_flags(void)
{
	int ends[2];

	return syscall(SYS_pipe2, ends, O_CLOEXEC);
}

static int namespaces(void)
{
	long child = syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0);

	if (child == 0)
		_exit(0);
	return child < 0 ? -1 : ended_well(child);
}

static const struct {
	const char *name;
	int (*step)(void);
	int asked;
} steps[] = {
	{"open", opens, 0},
	{"fopen", reads, 0},
	{"stat", stats, 0},
	{"lstat", lstats, 0},
	{"fstat", fstats, 0},
	{"opendir", lists, 0},
	{"pipe", pipes, 0},
	{"epoll_wait", waits, 0},
	{"eventfd", counts, 0},
	{"inotify_init", notes, 0},
	{"select", selects, 0},
	{"nanosleep", sleeps, 0},
	{"alarm", alarms, 0},
	{"getpgrp", groups, 0},
	{"getrlimit", limits, 0},
	{"setrlimit", sets_limits, 0},
	{"raise", raises, 0},
	{"fork", forks, 0},
	{"posix_spawn", spawns, 0},
	{"pthread_create", threads, 0},
	{"pipe2(O_CLOEXEC)", pipe_flags, 1},
	{"clone(CLONE_NEWUSER)", namespaces, 1},
};

int main(int argc, char **argv)
{
	int failed = 0;

	self = argv[0];
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int wanted = argc == 1 && !steps[i].asked;

		for (int k = 1; k < argc; k++)
			wanted |= !strcmp(argv[k], steps[i].name);
		if (!wanted)
			continue;
		errno = 0;
		if (steps[i].step() == 0) {
			printf("%s: ok\n", steps[i].name);
		} else {
			printf("%s: %s\n", steps[i].name, errno ? strerror(errno) : "no error");
			failed++;
		}
		fflush(stdout);
	}
	return failed;
}
