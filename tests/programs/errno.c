/*
 * `errno work`: ordinary work. Among it is what runc and crun call between loading the filter and
 * executing the program, so that a profile of this needs no calls of theirs, some of which are new ones.
 *
 * `errno probe`: the calls that tests/e2e/errno.rs asks about, each once with arguments that mean
 * nothing to it, and on stdout the error of each: `x86_64 435 38`. No library is asked, which would fall
 * back.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "abi.h"

static int work(void)
{
	struct sockaddr_un nobody = { .sun_family = AF_UNIX, .sun_path = "/nobody" };
	struct epoll_event event = { .events = EPOLLIN };
	struct statfs fs;
	struct stat st;
	char text[4096];
	int file = open("/proc/self/status", O_RDONLY);
	int epoll = epoll_create1(0);
	int end = socket(AF_UNIX, SOCK_STREAM, 0);
	DIR *root = opendir("/");

	if (file < 0 || epoll < 0 || end < 0 || !root)
		return 1;
	if (read(file, text, sizeof text) <= 0 || !readdir(root) || fstatfs(file, &fs) || stat("/", &st))
		return 1;
	epoll_ctl(epoll, EPOLL_CTL_ADD, end, &event);
	connect(end, (struct sockaddr *)&nobody, sizeof nobody);
	getcwd(text, sizeof text);
	getpid();
	geteuid();
	syscall(SYS_futex, &st, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
	refused32(20); /* getpid of i386, so that its calls are filtered as well */
	closedir(root);
	close(file);
	close(epoll);
	close(end);
	return puts("worked") < 0;
}

static void probe(void)
{
	/* clone3, openat2, faccessat2, statx, close_range, and one that nobody knows. */
	static const long newer[] = { 435, 437, 439, 332, 436, 999 };
	/* mkdir, ptrace, unlink, shmget, chroot. */
	static const long old[] = { 83, 101, 87, 29, 161 };
	/* The same of i386, where they have other numbers: statx, mkdir, ptrace, unlink. */
	static const int newer32[] = { 435, 437, 439, 383, 436, 999 };
	static const int old32[] = { 39, 26, 10 };

	for (unsigned i = 0; i < sizeof newer / sizeof *newer; i++)
		printf("x86_64 %ld %ld\n", newer[i], -refused64(newer[i]));
	for (unsigned i = 0; i < sizeof old / sizeof *old; i++)
		printf("x86_64 %ld %ld\n", old[i], -refused64(old[i]));
	for (unsigned i = 0; i < sizeof newer32 / sizeof *newer32; i++)
		printf("i386 %d %d\n", newer32[i], -refused32(newer32[i]));
	for (unsigned i = 0; i < sizeof old32 / sizeof *old32; i++)
		printf("i386 %d %d\n", old32[i], -refused32(old32[i]));
}

int main(int argc, char **argv)
{
	/* Written at the end and at once, by the one call that both runs make. */
	static char buffer[1 << 16];

	setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
	if (argc > 1 && !strcmp(argv[1], "work"))
		return work();
	probe();
	return 0;
}
