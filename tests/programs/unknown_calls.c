/*
 * Numbers that mean nothing: inside and outside of every table, negative, with x32's bit. `unknown_calls N`
 * makes N more of them, all different.
 */
#include <stdio.h>
#include <stdlib.h>

#include "abi.h"

int main(int argc, char **argv)
{
	static const long numbers[] = {
		511, 512, 999, 0x3fffffff, -5, -1000, 0x40000000 + 39,
		0x40000000 + 999,
	};
	long more = argc > 1 ? atol(argv[1]) : 0;

	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (refused64(numbers[i]) != -38)	/* ENOSYS */
			fprintf(stderr, "%ld is known here\n", numbers[i]);
	for (long i = 0; i < more; i++)
		refused64(0x10000 + i);
	return 0;
}
