/*
 * Calls that are made once, at one moment. A program's name that has not run before gets a fresh row
 * of marks, so each of DIR/0000 … DIR/<N-1> is a trial of its own.
 *
 *   races drive DIR N     runs links to this program, each twice at once: 64 threads in two
 *                         processes, each with a call that none of the others makes
 *   NAME member K         (by drive) one of the two
 *   races list            prints those 64 calls, one a line: ABI and number
 *   races begin DIR N     runs links to first_call.c, each twice at once: two processes race for the row
 *                         itself, by calls FIRST and FIRST + 1
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"

enum {
	CALLS = 64,
	MEMBERS = 2,
	PAIRS = CALLS / MEMBERS,
	SHARED_FD = 100,
	SPINS = 3000,
	FIRST = 480,
	HEAD_START = 4000000,	/* cycles; an exec takes a tenth of it */
};

struct call {
	int i386;
	int nr;
};

/* Neighbours in the list are made by two CPUs at one moment, so the numbers lie side by side. */
static struct call call_at(int i)
{
	/* Calls that only ask, and calls that refuse all-ones arguments. Nothing before main makes
	 * one of them. */
	static const int known[] = {
		39, 102, 104, 107, 108, 110, 118, 120, 121, 124,
		95, 99, 100, 125, 140, 143, 145, 146, 147, 226,
	};
	static const int known_count = sizeof known / sizeof *known;

	if (i < known_count)
		return (struct call){ 0, known[i] };
	i -= known_count;
	if (i < 28)
		return (struct call){ 0, FIRST + i };	/* in no table, with a mark of its own */
	i -= 28;
	if (i < 12)
		return (struct call){ 1, FIRST + i };	/* the same, by the 32-bit entry */
	return (struct call){ 0, 600 + i - 12 };	/* beyond all tables: no mark of its own */
}

struct shared {
	atomic_int execs;
	atomic_int gathered;
	atomic_int go;
	atomic_int pair[PAIRS];
};

static struct shared *shared;
static int member;

static void pin(int i)
{
	cpu_set_t all, one;
	int n;

	if (sched_getaffinity(0, sizeof all, &all))
		return;
	n = i % CPU_COUNT(&all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && n-- == 0) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof one, &one);
			return;
		}
}

/* Waits for the other side, but not for ever: it may not have got a CPU. */
static void meet(atomic_int *count, int all)
{
	atomic_fetch_add(count, 1);
	for (int i = 0; i < SPINS && atomic_load(count) < all; i++)
		__builtin_ia32_pause();
}

static void *thread(void *arg)
{
	int pair = (int)(long)arg;
	struct call call = call_at(MEMBERS * pair + member);

	pin(MEMBERS * pair + member);
	if (atomic_fetch_add(&shared->gathered, 1) + 1 == CALLS) {
		atomic_store(&shared->go, 1);
		syscall(SYS_futex, &shared->go, FUTEX_WAKE, INT_MAX, 0, 0, 0);
	}
	while (!atomic_load(&shared->go))
		syscall(SYS_futex, &shared->go, FUTEX_WAIT, 0, 0, 0, 0);
	meet(&shared->pair[pair], MEMBERS);
	if (call.i386)
		refused32(call.nr);
	else
		refused64(call.nr);
	return 0;
}

static struct shared *map(void)
{
	void *memory = mmap(0, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD,
			    0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return memory;
}

static int be_member(void)
{
	pthread_t threads[PAIRS];
	pthread_attr_t attributes;

	shared = map();
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	for (long i = 0; i < PAIRS; i++)
		if (pthread_create(&threads[i], &attributes, thread, (void *)i))
			return 1;
	for (int i = 0; i < PAIRS; i++)
		pthread_join(threads[i], 0);
	return 0;
}

static int reap(const char *path, const int *children)
{
	for (int k = 0; k < MEMBERS; k++) {
		int status;

		if (waitpid(children[k], &status, 0) < 0 || status) {
			fprintf(stderr, "%s failed\n", path);
			return 1;
		}
	}
	return 0;
}

static int start_member(const char *path, int k)
{
	char number[] = { (char)('0' + k), 0 };
	int child = fork();

	if (child)
		return child;
	pin(k);
	meet(&shared->execs, MEMBERS);
	execl(path, path, "member", number, (char *)0);
	_exit(127);
}

static int drive(const char *directory, int rounds)
{
	int fd = memfd_create("races", 0);

	if (fd < 0 || dup2(fd, SHARED_FD) < 0 || ftruncate(SHARED_FD, sizeof(struct shared)))
		return 1;
	shared = map();
	for (int round = 0; round < rounds; round++) {
		char path[PATH_MAX];
		int children[MEMBERS];

		snprintf(path, sizeof path, "%s/%04d", directory, round);
		memset(shared, 0, sizeof *shared);
		for (int k = 0; k < MEMBERS; k++)
			children[k] = start_member(path, k);
		if (reap(path, children))
			return 1;
	}
	return 0;
}

static int begin(const char *directory, int rounds)
{
	for (int round = 0; round < rounds; round++) {
		unsigned long time = __builtin_ia32_rdtsc() + HEAD_START;
		char path[PATH_MAX], when[24], nr[16];
		int children[MEMBERS];

		snprintf(path, sizeof path, "%s/%04d", directory, round);
		snprintf(when, sizeof when, "%lu", time);
		for (int k = 0; k < MEMBERS; k++) {
			children[k] = fork();
			if (children[k])
				continue;
			pin(k);
			snprintf(nr, sizeof nr, "%d", FIRST + k);
			execl(path, path, when, nr, (char *)0);
			_exit(127);
		}
		if (reap(path, children))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (int i = 0; i < CALLS; i++)
			printf("%s %d\n", call_at(i).i386 ? "i386" : "x86_64", call_at(i).nr);
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "drive"))
		return drive(argv[2], atoi(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "begin"))
		return begin(argv[2], atoi(argv[3]));
	if (argc == 3 && !strcmp(argv[1], "member")) {
		member = atoi(argv[2]);
		return be_member();
	}
	return 2;
}
