// Mounts a file system at argv[1] that answers nothing but the first request, has a child name a file in
// it, and ends after argv[2] seconds; then the kernel fails all that waits.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[1 << 20];

static int fail(const char *what) {
    perror(what);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return fail("hanging_fuse DIRECTORY SECONDS");
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0)
        return fail("/dev/fuse");
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
    if (mount("hanging", argv[1], "fuse", 0, options))
        return fail("mount");

    if (read(fuse, buffer, sizeof buffer) < 0)
        return fail("read");
    struct fuse_in_header head;
    memcpy(&head, buffer, sizeof head);
    struct {
        struct fuse_out_header out;
        struct fuse_init_out init;
    } reply = {.out = {.len = sizeof reply, .unique = head.unique},
               .init = {.major = 7, .minor = 31, .max_write = 4096, .max_readahead = 4096}};
    if (write(fuse, &reply, sizeof reply) != sizeof reply)
        return fail("write");

    pid_t child = fork();
    if (child == 0) {
        // The kernel's end of the file system goes with the parent.
        close(fuse);
        char path[4096];
        snprintf(path, sizeof path, "%s/file", argv[1]);
        alarm(1);
        chmod(path, 0644);
        _exit(0);
    }
    // Takes requests and answers none, so that whoever made them waits in the kernel.
    fcntl(fuse, F_SETFL, O_NONBLOCK);
    for (int tenths = 10 * atoi(argv[2]); tenths > 0; tenths--) {
        if (read(fuse, buffer, sizeof buffer) > 0)
            fputs("asked\n", stderr);
        usleep(100000);
    }
    umount2(argv[1], MNT_DETACH);
    close(fuse);
    waitpid(child, NULL, 0);
    return 0;
}
