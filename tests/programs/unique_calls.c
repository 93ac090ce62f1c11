/*
 * `unique_calls NUMBER`: two calls that nobody else makes, and the end. NUMBER itself, which no kernel knows,
 * and one of the numbers 480 to 509, which a row of marks has room for. Before that a value that all give
 * to the same call: PER_LINUX32.
 */
#include <stdlib.h>
#include <sys/personality.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long number = argc > 1 ? atol(argv[1]) : 0;

	personality(PER_LINUX32);
	syscall(number);
	syscall(480 + number % 30);
	return 0;
}
