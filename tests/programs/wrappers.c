/* `wrappers`: lists the functions of libc that it knows. `wrappers -`: calls those that stdin names, a line
   each, in a process and a directory of its own: NAME, or NAME CALL ERRNO for one under a filter that answers a
   system call with an error. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#pragma GCC diagnostic ignored "-Wunused-result"
#pragma GCC diagnostic ignored "-Waddress"

extern char **environ;

/* linux/filter.h and linux/seccomp.h, which musl's compiler does not find. */
struct instruction {
	unsigned short code;
	unsigned char yes, no;
	unsigned constant;
};

enum { LOAD_WORD = 0x20, JUMP_EQUAL = 0x15, RETURN = 0x06, ERRNO = 0x00050000, ALLOW = 0x7fff0000 };

/* Not in every libc. */
void closefrom(int) __attribute__((weak));
int close_range(unsigned, unsigned, int) __attribute__((weak));
int renameat2(int, const char *, int, const char *, unsigned) __attribute__((weak));
ssize_t preadv2(int, const struct iovec *, int, off_t, int) __attribute__((weak));
ssize_t pwritev2(int, const struct iovec *, int, off_t, int) __attribute__((weak));
int epoll_pwait2(int, struct epoll_event *, int, const struct timespec *, const sigset_t *)
	__attribute__((weak));
#ifndef STATX_BASIC_STATS
#define STATX_BASIC_STATS 0x7ff
struct statx {
	char bytes[256];
};
int statx(int, const char *, int, unsigned, struct statx *) __attribute__((weak));
#endif

/* Asked for before the filter is there: kill(-1) signals every process. */
static pid_t self;
static int file, directory, channel[2], listener, epoll;
static struct stat st;
static struct timespec soon = { 0, 1000 };
static struct timeval soon_too = { 0, 1000 };
static char buffer[64];
static struct iovec vector = { buffer, 1 };
static struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
static struct mmsghdr messages[1];

static void handler(int signal)
{
	(void)signal;
}

static void *thread(void *argument)
{
	return argument;
}

static void child_of(pid_t pid)
{
	if (!pid)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

#define W(name, ...) static void do_##name(void) { __VA_ARGS__; }
#include "wrappers.h"
#undef W

#define W(name, ...) { #name, do_##name },
static const struct {
	const char *name;
	void (*run)(void);
} wrappers[] = {
#include "wrappers.h"
};

static int filter(int call, int error)
{
	/* The number is the first word of struct seccomp_data. */
	struct instruction program[] = {
		{ LOAD_WORD, 0, 0, 0 },
		{ JUMP_EQUAL, 0, 1, (unsigned)call },
		{ RETURN, 0, 0, ERRNO | (unsigned)error },
		{ RETURN, 0, 0, ALLOW },
	};
	struct {
		unsigned short len;
		struct instruction *filter;
	} load = { sizeof program / sizeof *program, program };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &load);
}

static void set_up(void)
{
	struct sockaddr_un here = { AF_UNIX, "socket" };

	self = getpid();
	file = open("file", O_RDWR | O_CREAT, 0644);
	if (write(file, "text", 4) != 4)
		_exit(3);
	mkdir("directory", 0755);
	directory = open(".", O_RDONLY | O_DIRECTORY);
	/* For closefrom and close_range, whatever was inherited: a closefrom that closes something reads its list again. */
	dup2(file, 95);
	socketpair(AF_UNIX, SOCK_STREAM, 0, channel);
	if (write(channel[0], "some text", 9) != 9 || write(channel[1], "some text", 9) != 9)
		_exit(3);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bind(listener, (struct sockaddr *)&here, sizeof here);
	listen(listener, 1);
	epoll = epoll_create1(0);
	messages[0].msg_hdr = message;
	signal(SIGUSR1, handler);
}

/* One function, between two marks that strace shows. */
static void run(const char *name, int call, int error)
{
	for (size_t at = 0; at < sizeof wrappers / sizeof *wrappers; at++) {
		if (strcmp(wrappers[at].name, name))
			continue;
		set_up();
		if (call >= 0 && filter(call, error))
			_exit(4);
		syscall(SYS_write, -1, "begin", 5);
		wrappers[at].run();
		syscall(SYS_write, -1, "end", 3);
		_exit(0);
	}
	_exit(5);
}

int main(int argc, char **argv)
{
	char line[256], name[64], place[32];

	for (size_t at = 0; argc < 2 && at < sizeof wrappers / sizeof *wrappers; at++)
		puts(wrappers[at].name);
	/* Of what posix_spawn starts that is all. */
	if (argc < 2 || strcmp(argv[1], "-"))
		return 0;
	for (int number = 0; fgets(line, sizeof line, stdin); number++) {
		int call = -1, error = 0;
		pid_t child;

		if (sscanf(line, "%63s %d %d", name, &call, &error) < 1)
			return 3;
		snprintf(place, sizeof place, "%d", number);
		/* What follows is another run. */
		syscall(SYS_write, -1, "next", 4);
		child = fork();
		if (!child) {
			if (setpgid(0, 0) || mkdir(place, 0755) || chdir(place))
				_exit(3);
			run(name, call, error);
		}
		if (child < 0)
			return 3;
		/* Two seconds at most: some loop for ever, with all signals blocked. */
		for (int wait = 0; wait < 200 && !waitpid(child, NULL, WNOHANG); wait++)
			usleep(10000);
		/* And the children that it left behind. */
		kill(-child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return 0;
}
