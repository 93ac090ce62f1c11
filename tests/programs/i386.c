/* For gcc -m32 -static: files, a socket and shared memory by the calls that i386 has for all of their
 * kind, a child, and an exec from the 32-bit ABI into the 64-bit one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int by_one_call_for_all(void)
{
	long arguments[] = { AF_UNIX, SOCK_STREAM, 0 };
	long fd = syscall(SYS_socketcall, 1, arguments);
	long segment = syscall(SYS_ipc, 23, IPC_PRIVATE, 4096, 0600);

	if (fd < 0 || segment < 0 || syscall(SYS_ipc, 24, segment, IPC_RMID, 0, 0))
		return -1;
	return close(fd);
}

int main(void)
{
	struct stat st;
	int fd = open("/etc/passwd", O_RDONLY);
	int status;
	pid_t child;

	if (fd < 0 || fstat(fd, &st) || lseek(fd, 1, SEEK_SET) != 1) {
		perror("/etc/passwd");
		return 1;
	}
	close(fd);
	if (by_one_call_for_all()) {
		perror("socketcall or ipc");
		return 1;
	}
	child = fork();
	if (child == 0) {
		getppid();
		execl("/bin/true", "true", (char *)0);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child)
		return 1;
	return WEXITSTATUS(status);
}
