/*
 * `new_calls FIRST COUNT`: each tenth of a second a call that it has not made before, COUNT of them from
 * number FIRST on. Then nothing that would be new, for ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "abi.h"

int main(int argc, char **argv)
{
	struct timespec pause = { 0, 100 * 1000 * 1000 };
	long first = argc > 2 ? atol(argv[1]) : 0;
	long count = argc > 2 ? atol(argv[2]) : 0;

	for (long i = 0; i < count; i++) {
		nanosleep(&pause, NULL);
		refused64(first + i);
	}
	puts("done");
	fflush(stdout);
	for (;;)
		nanosleep(&pause, NULL);
}
