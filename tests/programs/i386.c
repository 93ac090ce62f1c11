/* For gcc -m32 -static: files, a child, and an exec from the 32-bit ABI into the 64-bit one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
