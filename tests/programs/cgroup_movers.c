/*
 * Processes and threads that move between three cgroups, A, B and C, and in each make calls that
 * belong there. Each says what it did, and where, in memory that all share; main prints it.
 *
 *   cgroup_movers A B C HELPER64 HELPER32 MOVES SECONDS BUSY
 *
 * A, B, C are directories, the helpers builds of place.c. Ends after MOVES moves, or SECONDS.
 *
 * All of it begins and ends in C. Every call that a worker makes outside of C is counted where it is
 * made, and none is made by libc. So the number of calls in A and in B is known exactly, unless BUSY
 * is 1: then a herd also makes calls while it is moved, of which nobody can say where they were
 * made, and which belong to no place.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi.h"

enum place { A, B, C, PLACES };

enum {
	FIRST = 472,		/* of the numbers that no kernel knows and that have a mark */
	FAMILY = 12,		/* of them for each place */
	HELPER = FAMILY - 1,	/* the one that the place's helpers make */
	UNIQUE = 0x1000000,	/* numbers from (place + 1) times this are said once only */
	MOST_UNIQUE = 3000,
	SHEEP = 3,
	STACK = 64 * 1024,
	THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
		 CLONE_CHILD_CLEARTID,
};

static struct {
	atomic_ulong calls[PLACES];
	atomic_ulong moves;
	atomic_ulong reborn;
	atomic_uint unique[PLACES];
	atomic_uchar said[PLACES][2][FAMILY]; /* by place, ABI (1: i386), member */
	atomic_int over;
	atomic_int failed;
} *shared;

static int procs[PLACES], directories[PLACES];
static char *helpers[2];

struct worker {
	enum place place;
	uint64_t random;
};

static void fail(const char *what, long result)
{
	fprintf(stderr, "%s: %ld\n", what, result);
	atomic_store(&shared->failed, 1);
	_exit(1);
}

static int over(void)
{
	return atomic_load(&shared->over) || atomic_load(&shared->failed);
}

/* Numbers that look random and are the same each time (Marsaglia, "Xorshift RNGs"). */
static unsigned dice(struct worker *w, unsigned sides)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (unsigned)(w->random >> 33) % sides;
}

static void count(enum place place, unsigned long calls)
{
	atomic_fetch_add(&shared->calls[place], calls);
}

static long make(enum place place, long nr, long a, long b, long c, long d, long e)
{
	count(place, 1);
	return call64(nr, a, b, c, d, e, 0);
}

static int member_nr(enum place place, int member)
{
	return FIRST + FAMILY * (int)place + member;
}

/* One call that belongs to the place. */
static void say_in(struct worker *w, enum place place)
{
	int member = (int)dice(w, HELPER);
	unsigned way = dice(w, 4);
	int i386 = way == 0;

	count(place, 1);
	if (way == 1) {
		unsigned n = atomic_fetch_add(&shared->unique[place], 1);

		if (n < MOST_UNIQUE) {
			refused64(UNIQUE * ((long)place + 1) + n);
			return;
		}
	}
	if (i386)
		refused32(member_nr(place, member));
	else
		refused64(member_nr(place, member));
	atomic_store(&shared->said[place][i386][member], 1);
}

static void say(struct worker *w)
{
	say_in(w, w->place);
}

static enum place elsewhere(struct worker *w, enum place place)
{
	return (place + 1 + dice(w, PLACES - 1)) % PLACES;
}

/* Writes a process id, or 0 for one's own, to the place's cgroup.procs: the last call here. */
static void write_to(enum place here, enum place to, const char *pid)
{
	long length = (long)strlen(pid);
	long result = make(here, SYS_write, procs[to], (long)pid, length, 0, 0);

	if (result != length)
		fail("move", result);
	atomic_fetch_add(&shared->moves, 1);
}

static void move(struct worker *w, enum place to)
{
	write_to(w->place, to, "0");
	w->place = to;
}

static void move_anywhere(struct worker *w)
{
	move(w, elsewhere(w, w->place));
}

static void reap(struct worker *w, long child)
{
	int status = -1;

	if (child < 0)
		fail("no child", child);
	if (make(w->place, SYS_wait4, child, (long)&status, __WALL, 0, 0) != child || status)
		fail("child", status);
}

static void leave(enum place place)
{
	make(place, SYS_exit_group, 0, 0, 0, 0, 0);
}

static void start_thread(int (*function)(void *), void *arg, atomic_int *gone)
{
	char *stack = mmap(0, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	atomic_store(gone, 1);
	if (stack == MAP_FAILED || clone(function, stack + STACK, THREAD, arg, 0, 0, gone) < 0)
		fail("thread", errno);
}

/* Moves itself; the first call in each place belongs there. */
static void alone(struct worker *w)
{
	while (!over()) {
		move_anywhere(w);
		for (unsigned n = 1 + dice(w, 3); n; n--)
			say(w);
	}
}

/* Children right after a move, and again at once: they get the stacks of those before. */
static void forks(struct worker *w)
{
	while (!over()) {
		move_anywhere(w);
		for (unsigned n = 1 + dice(w, 3); n; n--) {
			long child = make(w->place, SYS_fork, 0, 0, 0, 0, 0);

			if (child == 0) {
				w->random += n;
				say(w);
				leave(w->place);
			}
			reap(w, child);
		}
	}
}

/* Children that are born elsewhere: nothing tells of a move. */
static void born_elsewhere(struct worker *w)
{
	while (!over()) {
		enum place to = elsewhere(w, w->place);
		struct clone_args args = {
			.flags = CLONE_INTO_CGROUP,
			.exit_signal = SIGCHLD,
			.cgroup = (uint64_t)directories[to],
		};
		long child = make(w->place, SYS_clone3, (long)&args, sizeof args, 0, 0, 0);

		if (child == 0) {
			w->random++;
			say_in(w, to);
			leave(to);
		}
		reap(w, child);
		atomic_fetch_add(&shared->moves, 1);
		if (dice(w, 8) == 0)
			move_anywhere(w);
	}
}

/* Becomes the place's helper: three calls there, the execve among them. */
static void exec_helper(enum place place, int i386)
{
	char number[16];
	char *argv[] = { helpers[i386], number, 0 };
	char *none[] = { 0 };

	snprintf(number, sizeof number, "%d", member_nr(place, HELPER));
	count(place, 3);
	fail("execve", call64(SYS_execve, (long)argv[0], (long)argv, (long)none, 0, 0, 0));
}

/*
 * A child that became another program, and at once another child with the same process id, which did
 * not: what is known of the first must not be taken for the second. Stays in C itself.
 */
static void reborn(struct worker *w)
{
	while (!over()) {
		enum place to = dice(w, C);
		int i386 = (int)dice(w, 2);
		struct clone_args args = {
			.flags = CLONE_INTO_CGROUP,
			.exit_signal = SIGCHLD,
			.cgroup = (uint64_t)directories[to],
			.set_tid_size = 1,
		};
		long first = call64(SYS_fork, 0, 0, 0, 0, 0, 0);
		long again;

		if (first == 0) {
			write_to(C, to, "0");
			exec_helper(to, i386);
		}
		reap(w, first);
		atomic_store(&shared->said[to][i386][HELPER], 1);
		args.set_tid = (uint64_t)&first;
		again = call64(SYS_clone3, (long)&args, sizeof args, 0, 0, 0, 0);
		if (again == 0) {
			w->random++;
			say_in(w, to);
			leave(to);
		}
		/* Somebody else may have got the id. */
		if (again == -EEXIST)
			continue;
		reap(w, again);
		atomic_fetch_add(&shared->moves, 1);
		atomic_fetch_add(&shared->reborn, 1);
	}
}

/* Children that become another program, of either ABI, by fork and by vfork. */
static void execs(struct worker *w)
{
	while (!over()) {
		int i386 = (int)dice(w, 2);
		long child;

		move_anywhere(w);
		count(w->place, 1);
		child = dice(w, 2) ? vfork() : call64(SYS_fork, 0, 0, 0, 0, 0, 0);
		if (child == 0)
			exec_helper(w->place, i386);
		reap(w, child);
		atomic_store(&shared->said[w->place][i386][HELPER], 1);
	}
}

/* Into cgroups below A and B that are made for one visit and taken away after it. */
static void nests(struct worker *w)
{
	for (unsigned round = 0; !over(); round++) {
		enum place to = dice(w, C);
		char name[32], path[64];
		int door;

		/* In C, where nothing is counted. */
		snprintf(name, sizeof name, "%d-%u", getpid(), round);
		snprintf(path, sizeof path, "%s/cgroup.procs", name);
		if (mkdirat(directories[to], name, 0755))
			fail("mkdir", errno);
		door = openat(directories[to], path, O_WRONLY | O_CLOEXEC);
		if (door < 0 || write(door, "0", 1) != 1)
			fail("nest", errno);
		atomic_fetch_add(&shared->moves, 1);
		w->place = to;
		say(w);
		if (dice(w, 2)) {
			long child = make(w->place, SYS_fork, 0, 0, 0, 0, 0);

			if (child == 0) {
				w->random++;
				say(w);
				leave(w->place);
			}
			reap(w, child);
		}
		move(w, C);
		close(door);
		if (unlinkat(directories[to], name, AT_REMOVEDIR))
			fail("rmdir", errno);
	}
}

static int speak(void *arg)
{
	struct worker *w = arg;

	say(w);
	/* Not by return, which would end in a call that is not counted. */
	make(w->place, SYS_exit, 0, 0, 0, 0, 0);
	return 0;
}

/* Threads that are made where the process has just moved to, each on the stack of the last. */
static void makes_threads(struct worker *w)
{
	char *stack = mmap(0, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct worker speaker = *w;
	atomic_int gone;

	if (stack == MAP_FAILED)
		fail("stack", errno);
	while (!over()) {
		move_anywhere(w);
		for (unsigned n = 1 + dice(w, 3); n; n--) {
			speaker.place = w->place;
			atomic_store(&gone, 1);
			count(w->place, 1);
			if (clone(speak, stack + STACK, THREAD, &speaker, 0, 0, &gone) < 0)
				fail("thread", errno);
			/* The kernel clears it and wakes us when the thread is gone. */
			while (atomic_load(&gone))
				make(w->place, SYS_futex, (long)&gone, FUTEX_WAIT, 1, 0, 0);
		}
	}
}

/*
 * A herd: threads that say what belongs to the place that the shepherd has led them to. The shepherd
 * is another thread of theirs, or another process.
 *
 * A thread that is to be quiet while it is moved waits in a futex call. That it is in there, and not
 * just about to enter, is known when it could be requeued to another futex.
 */
struct herd {
	atomic_int place;	  /* where they are: an enum place */
	atomic_uint halt;	  /* odd: make no call that belongs to a place */
	atomic_int pen, gate;	  /* futexes: before and during the move */
	atomic_int halted;	  /* of a busy herd: who has seen that halt is odd */
	atomic_ulong said;	  /* since the last move */
	atomic_int end;
	int busy;
	struct sheep {
		struct herd *herd;
		struct worker worker;
		atomic_int gone;
	} sheep[SHEEP];
};

static struct herd *gather(struct worker *w, int busy)
{
	struct herd *herd = mmap(0, sizeof *herd, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (herd == MAP_FAILED)
		fail("herd", errno);
	herd->place = C;
	herd->busy = busy;
	for (unsigned i = 0; i < SHEEP; i++)
		herd->sheep[i] = (struct sheep){ herd, { C, w->random + i + 1 }, 0 };
	return herd;
}

static void graze(struct sheep *sheep)
{
	struct herd *herd = sheep->herd;

	while (!atomic_load(&herd->end)) {
		enum place place = (enum place)atomic_load(&herd->place);
		unsigned halt = atomic_load(&herd->halt);

		if (halt % 2 == 0) {
			say_in(&sheep->worker, place);
			atomic_fetch_add(&herd->said, 1);
		} else if (herd->busy) {
			atomic_fetch_add(&herd->halted, 1);
			while (atomic_load(&herd->halt) == halt)
				call64(SYS_getppid, 0, 0, 0, 0, 0, 0);
		} else {
			/* Counted where it is entered; where it comes out does not matter. */
			make(place, SYS_futex, (long)&herd->pen, FUTEX_WAIT, 0, 0, 0);
		}
	}
}

static int be_sheep(void *arg)
{
	graze(arg);
	call64(SYS_exit, 0, 0, 0, 0, 0, 0);
	return 0;
}

static void start_sheep(struct herd *herd, int first)
{
	for (int i = first; i < SHEEP; i++)
		start_thread(be_sheep, &herd->sheep[i], &herd->sheep[i].gone);
}

static void halt(struct herd *herd, enum place here)
{
	atomic_store(&herd->halted, 0);
	atomic_fetch_add(&herd->halt, 1);
	if (herd->busy) {
		while (atomic_load(&herd->halted) < SHEEP)
			make(here, SYS_sched_yield, 0, 0, 0, 0, 0);
		return;
	}
	/* None woken, all requeued. */
	for (long penned = 0; penned < SHEEP;) {
		long requeued = make(here, SYS_futex, (long)&herd->pen, FUTEX_REQUEUE, 0, SHEEP,
				     (long)&herd->gate);

		if (requeued < 0)
			fail("requeue", requeued);
		penned += requeued;
		if (penned < SHEEP)
			make(here, SYS_sched_yield, 0, 0, 0, 0, 0);
	}
}

/* Moves the herd, and waits until it has said something there. */
static void drive(struct herd *herd, struct worker *shepherd, const char *pid, int follow)
{
	enum place to = elsewhere(shepherd, (enum place)atomic_load(&herd->place));

	halt(herd, shepherd->place);
	write_to(shepherd->place, to, pid);
	if (follow)
		shepherd->place = to;
	atomic_store(&herd->said, 0);
	atomic_store(&herd->place, (int)to);
	atomic_fetch_add(&herd->halt, 1);
	if (!herd->busy)
		make(shepherd->place, SYS_futex, (long)&herd->gate, FUTEX_WAKE, SHEEP, 0, 0);
	if (follow)
		say(shepherd);
	while (atomic_load(&herd->said) < SHEEP)
		make(shepherd->place, SYS_sched_yield, 0, 0, 0, 0, 0);
}

/* Until it is over; then home, where calls need not be counted, and the sheep end. */
static void drive_about(struct herd *herd, struct worker *shepherd, const char *pid, int follow)
{
	while (!over() || atomic_load(&herd->place) != C)
		drive(herd, shepherd, pid, follow);
	atomic_store(&herd->end, 1);
}

static void await_end(struct herd *herd, int first)
{
	for (int i = first; i < SHEEP; i++)
		while (atomic_load(&herd->sheep[i].gone))
			sched_yield();
}

static void led(struct worker *w, int busy)
{
	struct herd *herd = gather(w, busy);

	start_sheep(herd, 0);
	drive_about(herd, w, "0", 1);
	await_end(herd, 0);
}

static void led_by_leader(struct worker *w)
{
	led(w, 0);
}

static void led_while_busy(struct worker *w)
{
	led(w, 1);
}

struct shepherd {
	struct herd *herd;
	struct worker *worker;
	atomic_int gone;
};

static int be_shepherd(void *arg)
{
	struct shepherd *shepherd = arg;

	drive_about(shepherd->herd, shepherd->worker, "0", 1);
	call64(SYS_exit, 0, 0, 0, 0, 0, 0);
	return 0;
}

/* The leader of the thread group is one of the sheep. */
static void led_by_thread(struct worker *w)
{
	struct herd *herd = gather(w, 0);
	struct shepherd shepherd = { herd, w, 0 };

	start_sheep(herd, 1);
	start_thread(be_shepherd, &shepherd, &shepherd.gone);
	graze(&herd->sheep[0]);
	await_end(herd, 1);
	while (atomic_load(&shepherd.gone))
		sched_yield();
}

static void led_by_process(struct worker *w)
{
	struct herd *herd = gather(w, 0);
	char pid[16];
	pid_t child = fork();

	if (child == 0) {
		start_sheep(herd, 1);
		graze(&herd->sheep[0]);
		await_end(herd, 1);
		_exit(0);
	}
	snprintf(pid, sizeof pid, "%d", child);
	drive_about(herd, w, pid, 0);
	reap(w, child);
}

static void report(void)
{
	static const char *const names[] = { "A", "B", "C" };
	static const char *const abis[] = { "x86_64", "i386" };

	printf("moves %lu\n", atomic_load(&shared->moves));
	printf("reborn %lu\n", atomic_load(&shared->reborn));
	for (int place = 0; place < PLACES; place++) {
		unsigned unique = atomic_load(&shared->unique[place]);

		printf("calls %s %lu\n", names[place], atomic_load(&shared->calls[place]));
		for (int i386 = 0; i386 < 2; i386++)
			for (int member = 0; member < FAMILY; member++)
				if (atomic_load(&shared->said[place][i386][member]))
					printf("said %s %s %d\n", names[place], abis[i386],
					       member_nr((enum place)place, member));
		for (unsigned n = 0; n < unique && n < MOST_UNIQUE; n++)
			printf("said %s x86_64 %u\n", names[place],
			       UNIQUE * ((unsigned)place + 1) + n);
	}
}

static void wait_for(int workers, unsigned long moves, long seconds)
{
	const struct timespec moment = { 0, 5000000 };
	time_t end = time(0) + seconds;

	while (workers) {
		int status;
		pid_t child = waitpid(-1, &status, WNOHANG);

		if (child > 0 && status)
			atomic_store(&shared->failed, 1);
		if (child > 0)
			workers--;
		else
			nanosleep(&moment, 0);
		if (atomic_load(&shared->moves) >= moves || time(0) >= end)
			atomic_store(&shared->over, 1);
	}
}

int main(int argc, char **argv)
{
	static void (*const all[])(struct worker *) = {
		alone,	       alone,	      forks,	      forks,	     born_elsewhere,
		execs,	       reborn,	      nests,	      makes_threads, led_by_leader,
		led_by_thread, led_by_process, led_while_busy,
	};
	int workers = sizeof all / sizeof *all;

	if (argc != 9)
		return 2;
	for (int place = 0; place < PLACES; place++) {
		char path[PATH_MAX];

		snprintf(path, sizeof path, "%s/cgroup.procs", argv[1 + place]);
		procs[place] = open(path, O_WRONLY | O_CLOEXEC);
		directories[place] = open(argv[1 + place], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (procs[place] < 0 || directories[place] < 0) {
			perror(path);
			return 1;
		}
	}
	helpers[0] = argv[4];
	helpers[1] = argv[5];
	if (argv[8][0] != '1')
		workers--;
	shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || write(procs[C], "0", 1) != 1) {
		perror("begin");
		return 1;
	}
	for (int i = 0; i < workers; i++) {
		pid_t child = fork();

		if (child == 0) {
			struct worker w = { C, 0x9e3779b97f4a7c15 * (uint64_t)(i + 1) };

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			all[i](&w);
			if (w.place != C)
				move(&w, C);
			_exit(0);
		}
		if (child < 0) {
			perror("fork");
			return 1;
		}
	}
	wait_for(workers, strtoul(argv[6], 0, 10), atol(argv[7]));
	report();
	return atomic_load(&shared->failed);
}
