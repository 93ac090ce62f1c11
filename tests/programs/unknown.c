/* Numbers that mean nothing: inside and outside of every table, negative, with x32's bit. */
#include <stdio.h>

#include "abi.h"

int main(void)
{
	static const long numbers[] = {
		511, 512, 999, 0x3fffffff, -5, -1000, 0x40000000 + 39,
		0x40000000 + 999,
	};

	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (refused64(numbers[i]) != -38)	/* ENOSYS */
			fprintf(stderr, "%ld is known here\n", numbers[i]);
	return 0;
}
