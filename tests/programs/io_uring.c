/* Asks for an io_uring, with which work would be done that makes no system calls. */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	char params[120];

	memset(params, 0, sizeof params);
	/* Whether there is one to be had does not matter. */
	syscall(SYS_io_uring_setup, 1, params);
	return 0;
}
