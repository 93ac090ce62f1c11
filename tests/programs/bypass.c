/*
 * `bypass RESULTS FILTER UNSHARE CALL [+ CALL]...`: makes system calls under a filter, and keeps what each
 * returned, as 64-bit words, in the file RESULTS, which is mapped before: so nothing but the calls is
 * needed under the filter. FILTER is a file of BPF instructions, or `-` for none; UNSHARE are flags of
 * unshare(2) to be undone from before, 0 for none.
 *
 * A CALL is an entry (64, 32) or `ring`, a number, and arguments:
 *   n:NUMBER  s:TEXT  z:SIZE (zeroes)  w:NUMBER,... (64-bit words)  d:NUMBER,... (32-bit words)
 *   f:FLAGS:PATH (opened before the filter)  r:N (what the Nth call returned)  me (process id)
 *   v (an iovec of 8 bytes)  a:ADDRESS:TEXT (a text that lies there)  x:HEX (bytes)
 *   child (process id of a child that waits)  page (an address that the child has, too)
 *   pair (a connected socket; the other end has 8 bytes to read)  pipe (a pipe with 8 bytes)
 *   tcp (a TCP socket)  listener (the address of one that listens)  server (one with a client waiting)
 *   message:ADDRESS-KIND (a msghdr; kind `to` has the listener's address)  now:clock, now:day (the time)
 *   attribute:HEX (struct xattr_args of these bytes)  handle:PATH (a file handle)
 * CHILD in a text is the child's process id.
 * `ring PATH` opens PATH by io_uring, with a ring that is made under the filter; `poke N` writes to the
 * address that the Nth call returned.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "abi.h"

enum { CALLS = 16, ARGUMENTS = 6 };

struct call {
	int entry; /* 64, 32, or 0 for a ring */
	long nr;
	long args[ARGUMENTS];
	int result_of[ARGUMENTS]; /* 1 and more: the argument is that result */
	const char *path;
	int poke; /* 1 and more: writes to that result */
};

/* Memory that 32-bit calls can name, too. */
static char *memory(size_t size)
{
	static char *pool, *next;

	if (!pool) {
		pool = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		next = pool;
	}
	char *here = next;

	next += (size + 15) & ~(size_t)15;
	return here;
}

/* A child that waits, with the same memory, of its own. */
static pid_t child(void)
{
	static pid_t pid;

	if (!pid) {
		memory(16); /* so that the child has it, too */
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			signal(SIGUSR1, SIG_IGN);
			for (;;)
				pause();
		}
	}
	return pid;
}

/* A text with the child's process id in it. */
static char *text(const char *from)
{
	const char *at = strstr(from, "CHILD");
	char *copy = memory(strlen(from) + 16);

	if (at)
		sprintf(copy, "%.*s%d%s", (int)(at - from), from, child(), at + 5);
	else
		strcpy(copy, from);
	return copy;
}

/* The address of a socket that listens on loopback; the socket itself. */
static struct sockaddr_in *listener(int *socket_of)
{
	static struct sockaddr_in *address;
	static int fd;
	socklen_t size = sizeof *address;

	if (!address) {
		address = (void *)memory(sizeof *address);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		address->sin_family = AF_INET;
		address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (bind(fd, (void *)address, size) || listen(fd, 8) || getsockname(fd, (void *)address, &size))
			exit(7);
	}
	if (socket_of)
		*socket_of = fd;
	return address;
}

/* One message of a byte, to the listener or to whom a socket is connected with. */
static long message(int to_listener)
{
	struct mmsghdr *all = (void *)memory(sizeof *all);
	struct iovec *iovec = (void *)memory(sizeof *iovec);

	iovec->iov_base = memory(8);
	iovec->iov_len = 1;
	all->msg_hdr.msg_iov = iovec;
	all->msg_hdr.msg_iovlen = 1;
	if (to_listener) {
		all->msg_hdr.msg_name = listener(NULL);
		all->msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
	}
	return (long)all;
}

/* A descriptor of a kind, made before the filter. */
static int descriptor(const char *kind)
{
	int ends[2], fd;

	if (!strcmp(kind, "pair") && !socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return write(ends[1], "8 bytes", 8) == 8 ? ends[0] : -1;
	if (!strcmp(kind, "pipe") && !pipe(ends))
		return write(ends[1], "8 bytes", 8) == 8 ? ends[0] : -1;
	if (!strcmp(kind, "tcp"))
		return socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in *address = listener(&fd);
	int client = socket(AF_INET, SOCK_STREAM, 0);

	return connect(client, (void *)address, sizeof *address) ? -1 : fd;
}

static long now(const char *as)
{
	long *words = (void *)memory(16);
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	words[0] = time.tv_sec;
	words[1] = strcmp(as, "day") ? time.tv_nsec : time.tv_nsec / 1000;
	return (long)words;
}

static long bytes(const char *hex)
{
	char *buffer = memory(strlen(hex) / 2 + 1);

	for (int at = 0; hex[2 * at]; at++) {
		unsigned int byte;

		sscanf(hex + 2 * at, "%2x", &byte);
		buffer[at] = (char)byte;
	}
	return (long)buffer;
}

static long numbers(const char *text, size_t width)
{
	char *words = memory(32 * 8);

	for (int at = 0; *text; at++) {
		char *end;
		uint64_t number = strtoull(text, &end, 0);

		memcpy(words + at * width, &number, width);
		text = *end ? end + 1 : end;
	}
	return (long)words;
}

static void argument(struct call *call, int at, char *word)
{
	long value = 0;

	if (!strcmp(word, "me")) {
		value = getpid();
	} else if (!strcmp(word, "child")) {
		value = child();
	} else if (!strcmp(word, "page")) {
		static char page[8];

		value = (long)page;
	} else if (!strcmp(word, "listener")) {
		value = (long)listener(NULL);
	} else if (!strncmp(word, "message:", 8)) {
		value = message(!strcmp(word + 8, "to"));
	} else if (!strncmp(word, "now:", 4)) {
		value = now(word + 4);
	} else if (!strcmp(word, "pair") || !strcmp(word, "pipe") || !strcmp(word, "tcp") ||
		   !strcmp(word, "server")) {
		value = descriptor(word);
		if (value < 0)
			exit(8);
	} else if (!strncmp(word, "handle:", 7)) {
		struct file_handle *handle = (void *)memory(sizeof *handle + MAX_HANDLE_SZ);
		int mount;

		handle->handle_bytes = MAX_HANDLE_SZ;
		if (name_to_handle_at(AT_FDCWD, word + 7, handle, &mount, 0))
			exit(9);
		value = (long)handle;
	} else if (!strncmp(word, "attribute:", 10)) {
		uint64_t *args = (void *)memory(16);

		args[0] = (uint64_t)bytes(word + 10);
		args[1] = strlen(word + 10) / 2;
		value = (long)args;
	} else if (*word == 'x') {
		value = bytes(word + 2);
	} else if (!strcmp(word, "v")) {
		struct iovec *iovec = (void *)memory(sizeof *iovec);

		iovec->iov_base = memory(8);
		iovec->iov_len = 8;
		value = (long)iovec;
	} else if (*word == 'n') {
		value = (long)strtoull(word + 2, NULL, 0);
	} else if (*word == 's') {
		value = (long)text(word + 2);
	} else if (*word == 'a') {
		char *end;
		uint64_t address = strtoull(word + 2, &end, 0);
		char *there = mmap((void *)address, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (there == MAP_FAILED)
			exit(6);
		strcpy(there, end + 1);
		value = (long)there;
	} else if (*word == 'z') {
		value = (long)memory(strtoull(word + 2, NULL, 0));
	} else if (*word == 'w' || *word == 'd') {
		value = numbers(word + 2, *word == 'w' ? 8 : 4);
	} else if (*word == 'r') {
		call->result_of[at] = atoi(word + 2) + 1;
	} else if (*word == 'f') {
		char *path;
		int flags = strtol(word + 2, &path, 0);

		value = open(path + 1, flags);
		if (value < 0)
			exit(3);
	} else {
		exit(2);
	}
	call->args[at] = value;
}

/* Opens a file without a call that opens. */
static long ring(const char *path)
{
	struct io_uring_params params = { 0 };
	long fd = call64(SYS_io_uring_setup, 4, (long)&params, 0, 0, 0, 0);

	if (fd < 0)
		return fd;
	char *queue = mmap(NULL, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE,
			   MAP_SHARED, fd, IORING_OFF_SQ_RING);
	char *done = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
			  PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_CQ_RING);
	struct io_uring_sqe *entry = mmap(NULL, params.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE,
					  MAP_SHARED, fd, IORING_OFF_SQES);

	if (queue == MAP_FAILED || done == MAP_FAILED || entry == MAP_FAILED)
		return -1;
	memset(entry, 0, sizeof *entry);
	entry->opcode = IORING_OP_OPENAT;
	entry->fd = AT_FDCWD;
	entry->addr = (uint64_t)path;
	entry->open_flags = O_RDONLY;
	*(uint32_t *)(queue + params.sq_off.array) = 0;
	__atomic_store_n((uint32_t *)(queue + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	long entered = call64(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);

	if (entered < 0)
		return entered;
	return ((struct io_uring_cqe *)(done + params.cq_off.cqes))->res;
}

static int call32(long nr, const long *args)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"((int)nr), "b"((int)args[0]), "c"((int)args[1]), "d"((int)args[2]), "S"((int)args[3]),
			   "D"((int)args[4])
			 : "r8", "r9", "r10", "r11", "memory");
	return result;
}

static void filter(const char *path)
{
	static struct sock_filter program[8192];
	int file = open(path, O_RDONLY);
	ssize_t size = read(file, program, sizeof program);
	struct sock_fprog load = { size / sizeof *program, program };

	if (size <= 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &load, 0, 0))
		exit(4);
}

int main(int argc, char **argv)
{
	static struct call calls[CALLS];
	int count = 0;

	if (argc < 6)
		return 2;
	int file = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (ftruncate(file, CALLS * 8))
		return 2;
	int64_t *results = mmap(NULL, CALLS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	int flags = strtol(argv[3], NULL, 0);

	if (flags && unshare(flags))
		return 5;
	/* Mounts are moved only where nobody else sees them. */
	if (flags & CLONE_NEWNS && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 5;
	for (int at = 4; at < argc && count < CALLS; at++, count++) {
		struct call *call = &calls[count];

		if (!strcmp(argv[at], "ring")) {
			call->path = argv[++at];
			at++;
			continue;
		}
		if (!strcmp(argv[at], "poke")) {
			call->poke = atoi(argv[++at]) + 1;
			at++;
			continue;
		}
		call->entry = atoi(argv[at]);
		call->nr = strtol(argv[++at], NULL, 0);
		for (int which = 0; ++at < argc && strcmp(argv[at], "+") && which < ARGUMENTS; which++)
			argument(call, which, argv[at]);
	}
	for (int at = 0; at < CALLS; at++)
		results[at] = -1000;
	if (strcmp(argv[2], "-"))
		filter(argv[2]);
	for (int at = 0; at < count; at++) {
		struct call *call = &calls[at];
		long args[ARGUMENTS];

		for (int which = 0; which < ARGUMENTS; which++)
			args[which] = call->result_of[which] ? results[call->result_of[which] - 1] : call->args[which];
		if (call->poke) {
			long address = results[call->poke - 1];

			results[at] = address;
			if (address > 0)
				*(volatile char *)address = '1';
			continue;
		}
		results[at] = call->path ? ring(call->path)
			      : call->entry == 32 ? call32(call->nr, args)
			      : call64(call->nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	}
	call64(SYS_exit_group, 0, 0, 0, 0, 0, 0);
	return 0;
}
