/*
 * Under a filter that stops some calls, each in another way: makes each of them once, among very many
 * ordinary calls of the kinds that could be taken for stopped ones: fork, vfork, clone, exec from a
 * thread, signals, restarts.
 *
 * `blocked ROUNDS`: so many thousand ordinary calls in each of four threads. The numbers it stops at
 * are those of tests/e2e/blocked.rs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4 };

static atomic_int trapped, ticks;

static void expect(int fine, const char *what)
{
	if (!fine) {
		fprintf(stderr, "%s: not as expected, errno %d\n", what, errno);
		exit(1);
	}
}

static int refused(long result, int error)
{
	return result == -1 && errno == error;
}

/* Waits for a child, whatever interrupts it; its status. */
static int reap(pid_t child)
{
	int status = -1;

	while (waitpid(child, &status, 0) != child)
		expect(errno == EINTR, "waitpid");
	return status;
}

static void on_sigsys(int signal)
{
	(void)signal;
	trapped++;
}

static void on_tick(int signal)
{
	(void)signal;
	ticks++;
}

/* Ordinary calls, some of them with children, threads and interruptions. */
static void *work(void *arg)
{
	long rounds = (long)arg;
	int out[2];

	expect(pipe(out) == 0, "pipe");
	for (long round = 0; round < rounds; round++) {
		for (int i = 0; i < 995; i++)
			syscall(SYS_getppid);
		char byte = 'x';
		expect(write(out[1], &byte, 1) == 1, "write");
		while (read(out[0], &byte, 1) != 1)
			expect(errno == EINTR, "read");
		struct timespec moment = { 0, 1000 };
		nanosleep(&moment, NULL);
		if (round % 16)
			continue;
		pid_t child = round % 32 ? fork() : vfork();
		if (child == 0)
			_exit(0);
		expect(reap(child) == 0, "a child");
	}
	close(out[0]);
	close(out[1]);
	return NULL;
}

static void *nothing(void *arg)
{
	return arg;
}

/* SECCOMP_RET_KILL_THREAD, among other threads. */
static void *killed(void *arg)
{
	syscall(SYS_swapoff, "");
	return arg;
}

static void *executes(void *arg)
{
	char **argv = arg;

	execv("/proc/self/exe", argv);
	return NULL;
}

/* A sleep that is stopped and goes on by restart_syscall. */
static void restarts(void)
{
	pid_t sleeper = fork();
	if (sleeper == 0) {
		struct timespec moment = { 0, 200 * 1000 * 1000 };
		_exit(clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL));
	}
	for (int i = 0; i < 3; i++) {
		struct timespec moment = { 0, 20 * 1000 * 1000 };
		nanosleep(&moment, NULL);
		kill(sleeper, SIGSTOP);
		nanosleep(&moment, NULL);
		kill(sleeper, SIGCONT);
	}
	expect(reap(sleeper) == 0, "a sleep that was stopped");
}

static void stopped(void)
{
	expect(refused(syscall(SYS_mkdir, "x", 0), EPERM), "mkdir");
	expect(refused(syscall(SYS_rmdir, "x"), ENOSYS), "rmdir");
	expect(refused(syscall(SYS_acct, ""), 250), "acct");
	signal(SIGSYS, on_sigsys);
	syscall(SYS_swapon, "", 0);
	expect(trapped == 1, "swapon");

	pid_t child = vfork();
	if (child == 0) {
		long result = syscall(SYS_vhangup);
		_exit(!refused(result, EACCES));
	}
	expect(reap(child) == 0, "vhangup");

	child = fork();
	if (child == 0) {
		syscall(SYS_reboot, 0, 0, 0, 0);
		_exit(0);
	}
	int status = reap(child);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "reboot");

	child = fork();
	if (child == 0) {
		/* The threads of a killed process: none of their calls was stopped. */
		pthread_t thread;
		for (int i = 0; i < 3; i++)
			pthread_create(&thread, NULL, work, (void *)1000L);
		pthread_create(&thread, NULL, killed, NULL);
		pthread_join(thread, NULL);
		_exit(7);
	}
	status = reap(child);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 7, "swapoff");

#ifdef __x86_64__
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(39), "b"(0), "c"(0) : "memory");
	expect(result == -EPERM, "mkdir of i386");
#endif
	expect(refused(syscall(999), ENOSYS), "999");
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1;

	if (rounds == 0) {
		/* Executed from a thread that took over its leader's id. */
		expect(refused(syscall(SYS_setdomainname, "", 0), EINVAL), "setdomainname");
		puts("done");
		return 0;
	}
	struct sigaction tick = { .sa_handler = on_tick };
	sigaction(SIGALRM, &tick, NULL);
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
	setitimer(ITIMER_REAL, &every, NULL);

	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		expect(pthread_create(&threads[i], NULL, work, (void *)rounds) == 0, "a thread");
	for (int i = 0; i < 200; i++) {
		pthread_t thread;
		expect(pthread_create(&thread, NULL, nothing, NULL) == 0, "a thread");
		pthread_join(thread, NULL);
	}
	restarts();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	stopped();

	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_REAL, &never, NULL);
	char zero[] = "0";
	char *again[] = { argv[0], zero, NULL };
	pthread_t thread;
	pthread_create(&thread, NULL, executes, again);
	pthread_join(thread, NULL);
	return 1;
}
