// Memory and files without a name of their own, each that is named: huge pages that are shared, a file
// without a name, shared memory by POSIX and System V, a program in memory.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void huge(void) {
    size_t size = 2 << 20;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    check(at != MAP_FAILED, "mmap of huge pages");
    *at = 1;
    check(munmap(at, size) == 0, "munmap");
}

static void unnamed(const char *directory) {
    char path[64], link[64];
    int file = open(directory, O_TMPFILE | O_RDWR, 0600);
    check(file >= 0 && write(file, "x", 1) == 1, "O_TMPFILE");
    snprintf(path, sizeof path, "%s/linked-nameless", directory);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    check(linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0, "linkat");
    check(unlink(path) == 0, "unlink");
    close(file);
}

static void posix(void) {
    char name[64];
    snprintf(name, sizeof name, "/nameless-%d", (int)getpid());
    int file = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    check(file >= 0 && ftruncate(file, 4096) == 0, "shm_open");
    char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    check(at != MAP_FAILED, "mmap of shared memory");
    *at = 1;
    check(shm_unlink(name) == 0, "shm_unlink");
}

static void system_v(void) {
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    check(id >= 0, "shmget");
    char *at = shmat(id, NULL, 0);
    check(at != (void *)-1, "shmat");
    *at = 1;
    check(shmctl(id, IPC_RMID, NULL) == 0, "shmctl");
}

static void in_memory(const char *program) {
    int from = open(program, O_RDONLY), memory = memfd_create("nameless", 0);
    check(from >= 0 && memory >= 0, "memfd_create");
    char bytes[65536];
    for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;)
        check(write(memory, bytes, got) == got, "write");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char *const args[] = {"nameless", "hello", NULL};
        fexecve(memory, args, environ);
        perror("fexecve");
        _exit(1);
    }
    int status = 0;
    check(waitpid(child, &status, 0) == child && status == 0, "a program in memory");
}

int main(int count, char **args) {
    if (count == 2 && strcmp(args[1], "hello") == 0) {
        puts("hello");
        return 0;
    }
    for (int at = 1; at < count; at++) {
        const char *what = args[at];
        if (!strcmp(what, "huge"))
            huge();
        else if (!strcmp(what, "unnamed"))
            unnamed("/dev/shm");
        else if (!strcmp(what, "posix"))
            posix();
        else if (!strcmp(what, "system-v"))
            system_v();
        else if (!strcmp(what, "memory"))
            in_memory("/proc/self/exe");
        else
            return 2;
        printf("%s done\n", what);
    }
    return 0;
}
