/*
 * `mounts DIRECTORY [hooks]`: changes of the mount tree, in a mount namespace of its own: each kind of
 * mount(2) and umount2(2), by absolute and by relative paths, and a file in what is mounted nowhere; with
 * `hooks`, pivot_root(2) and move_mount(2) too. At its end it waits for its standard input to be closed: what its paths led to can
 * only be looked up while it is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_move_mount
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

static void must(const char *what, long result)
{
	if (result < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
		exit(1);
	}
}
#define MUST(call) must(#call, call)

int main(int argc, char **argv)
{
	char byte;
	int mount_fd, fs_fd;

	if (argc < 2)
		return 2;
	MUST(chdir(argv[1]));
	MUST(unshare(CLONE_NEWNS));
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mkdir("tmp fs", 0755));
	MUST(mount("no device", "tmp fs", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m"));
	MUST(chdir("tmp fs"));
	MUST(mkdir("from", 0755));
	MUST(mkdir("to", 0755));
	MUST(mkdir("moved", 0755));
	MUST(close(open("file", O_CREAT | O_WRONLY, 0600)));
	MUST(close(open("other", O_CREAT | O_WRONLY, 0600)));
	MUST(mount("from", "to", NULL, MS_BIND, NULL));
	MUST(mount(NULL, "to", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	MUST(mount("file", "other", NULL, MS_BIND, NULL));
	MUST(mount("to", "moved", NULL, MS_MOVE, NULL));
	MUST(mount(NULL, "moved", NULL, MS_SLAVE, NULL));
	MUST(umount2("moved", 0));
	MUST(umount2("other", MNT_DETACH));
	MUST(fs_fd = syscall(SYS_fsopen, "tmpfs", 0));
	MUST(syscall(SYS_fsconfig, fs_fd, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0));
	MUST(mount_fd = syscall(SYS_fsmount, fs_fd, 0, 0));
	MUST(close(openat(mount_fd, "nowhere", O_CREAT | O_WRONLY, 0600)));
	if (argc > 2) {
		MUST(syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, "to", 4 /* F_EMPTY_PATH */));
		MUST(syscall(SYS_move_mount, AT_FDCWD, "to", AT_FDCWD, "from", 0));
		MUST(chdir("from"));
		MUST(mkdir("old", 0755));
		MUST(syscall(SYS_pivot_root, ".", "old"));
		MUST(chdir("/"));
		MUST(umount2("/old", MNT_DETACH));
	}
	puts("done");
	fflush(stdout);
	return read(0, &byte, 1) < 0;
}
