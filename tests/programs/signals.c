/*
 * Tells each signal that it gets, on a line of its own: "ready" first, then "got N". SIGUSR2 ends it
 * with status 7.
 */
#include <signal.h>
#include <stdio.h>

int main(void)
{
	static const int handled[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM,
	};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < sizeof handled / sizeof *handled; i++)
		sigaddset(&set, handled[i]);
	sigprocmask(SIG_BLOCK, &set, 0);
	setvbuf(stdout, 0, _IOLBF, 0);
	puts("ready");
	for (;;) {
		int signal;

		if (sigwait(&set, &signal))
			return 1;
		if (signal == SIGUSR2)
			return 7;
		printf("got %d\n", signal);
	}
}
