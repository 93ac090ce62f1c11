/*
 * A program without a library that makes its first system call at a given time: `first_call TIME NUMBER`
 * waits without a call until the time stamp counter says TIME, calls NUMBER, and ends.
 */
#include "abi.h"

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call begin\n");

static unsigned long parse(const char *digit)
{
	unsigned long number = 0;

	while (*digit)
		number = number * 10 + (unsigned long)(*digit++ - '0');
	return number;
}

/* The stack at the start of a program: argc, then argv (System V ABI, "Process Initialization"). */
void begin(long *stack)
{
	char **argv = (char **)(stack + 1);
	unsigned long time = parse(argv[1]);
	long nr = (long)parse(argv[2]);

	while (__builtin_ia32_rdtsc() < time)
		;
	refused64(nr);
	call64(231, 0, 0, 0, 0, 0, 0);	/* exit_group */
	__builtin_unreachable();
}
