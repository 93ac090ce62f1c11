/*
 * A thread under a filter of its own loads another one for all threads (SECCOMP_FILTER_FLAG_TSYNC): a
 * thread that was under none is stopped at mkdir, which must be told of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int loaded;

static int load(struct sock_filter *filter, unsigned short length, unsigned flags)
{
	struct sock_fprog program = { length, filter };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void *other(void *arg)
{
	(void)arg;
	/* It is known to be under no filter by now, each time anew. */
	while (!loaded) {
		syscall(SYS_getppid);
		usleep(1000);
	}
	return syscall(SYS_mkdir, "x", 0) == -1 && errno == EPERM ? NULL : "not stopped";
}

int main(void)
{
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_filter no_mkdir[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	pthread_t thread;
	void *problem = "no thread";

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	pthread_create(&thread, NULL, other, NULL);
	if (load(nothing, 1, 0) != 0)
		return 1;
	/* Time for the exits of calls to be watched: that begins when the first filter is seen. */
	for (int i = 0; i < 100; i++) {
		syscall(SYS_getppid);
		usleep(20 * 1000);
	}
	if (load(no_mkdir, 4, SECCOMP_FILTER_FLAG_TSYNC) != 0)
		return 2;
	/* Nothing more is called here before the other thread has tried. */
	loaded = 1;
	pthread_join(thread, &problem);
	puts(problem ? problem : "done");
	return problem != NULL;
}
