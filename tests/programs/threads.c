/* Threads that meet at a barrier, and then each makes a call that no other makes. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <unistd.h>

enum { THREADS = 8 };

static pthread_barrier_t barrier;

static void *work(void *arg)
{
	struct rusage usage;
	struct tms ticks;

	pthread_barrier_wait(&barrier);
	switch ((intptr_t)arg) {
	case 0:
		getppid();
		break;
	case 1:
		getpgid(0);
		break;
	case 2:
		getrusage(RUSAGE_THREAD, &usage);
		break;
	case 3:
		times(&ticks);
		break;
	case 4:
		close(eventfd(0, 0));
		break;
	case 5:
		sched_get_priority_max(SCHED_FIFO);
		break;
	case 6:
		getpriority(PRIO_PROCESS, 0);
		break;
	default:
		getsid(0);
	}
	return 0;
}

int main(void)
{
	pthread_t threads[THREADS];
	uint32_t word = 0;

	/* Whether a join or a barrier waits is a matter of time: this one futex call makes the set
	 * of calls the same in either case. */
	syscall(SYS_futex, &word, FUTEX_WAKE, 1, 0, 0, 0);
	pthread_barrier_init(&barrier, 0, THREADS);
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], 0, work, (void *)i))
			return 1;
	for (int i = 0; i < THREADS; i++)
		if (pthread_join(threads[i], 0))
			return 1;
	return 0;
}
