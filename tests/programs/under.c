/* `under FILTER COMMAND...`: executes a command under a filter, a file of BPF instructions. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static struct sock_filter program[8192];
	int file = argc > 2 ? open(argv[1], O_RDONLY) : -1;
	ssize_t size = read(file, program, sizeof program);
	struct sock_fprog load = { size / sizeof *program, program };

	if (size <= 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &load, 0, 0))
		return 125;
	close(file);
	execvp(argv[2], argv + 2);
	return 126;
}
