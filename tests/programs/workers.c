/* Threads that share a lock and memory. */
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sum;

static void *work(void *unused)
{
	for (int i = 0; i < 1000; i++) {
		char *memory = malloc(1000 + i);

		pthread_mutex_lock(&lock);
		sum += memory != NULL;
		pthread_mutex_unlock(&lock);
		free(memory);
	}
	return unused;
}

int main(void)
{
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			return 1;
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	return sum != 8000;
}
