// Runs as a guest of gVisor. The first argument says what to do.

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int make_directory(const char *path)
{
	if (mkdir(path, 0755)) {
		perror("mkdir");
		return 1;
	}
	puts("made");
	return rmdir(path);
}

// Calls under names that are not UTF-8: gVisor leaves out messages with such strings.
static int hide(char *self)
{
	char *argv[] = { "guest", "hidden\xff", NULL };

	prctl(PR_SET_NAME, "\xff\xfe");
	syscall(SYS_getpgid, 0);
	execv(self, argv);
	return 1;
}

// The error of each call that gVisor has no number for.
static int numbers(void)
{
	for (long number = 442; number <= 460; number++) {
		long result = syscall(number, -1, -1, -1, -1, -1, -1);

		printf("%ld %s\n", number, result == -1 ? strerrorname_np(errno) : "0");
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "many")) {
		for (long left = atol(argv[2]); left > 0; left--)
			syscall(SYS_getppid);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "mkdir"))
		return make_directory(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "hide"))
		return hide(argv[0]);
	if (argc == 2 && !strcmp(argv[1], "numbers"))
		return numbers();
	// After an exec with an argument that is not UTF-8.
	syscall(SYS_getsid, 0);
	return 0;
}
