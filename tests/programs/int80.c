/* A 64-bit program that also enters by `int 0x80`: the same numbers in two ABIs. */
#include <unistd.h>

#include "abi.h"

int main(void)
{
	refused32(20);		/* getpid; 64-bit: writev */
	refused64(39);		/* getpid; 32-bit: mkdir */
	refused32(64);		/* getppid; 64-bit: semget */
	refused64(110);		/* getppid; 32-bit: iopl */
	refused32(999);	/* unknown there too */
	return 0;
}
