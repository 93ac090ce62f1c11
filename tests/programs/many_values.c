// Gives calls whose arguments are recorded 64 values each that no other number makes it give: argv[1].
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    long first = 100000 + 64 * (argc > 1 ? atol(argv[1]) : 0);
    for (long value = first; value < first + 64; value++) {
        syscall(SYS_ioctl, -1, value, 0);
        syscall(SYS_fcntl, -1, value, 0);
        syscall(SYS_prctl, value, 0, 0, 0, 0);
        syscall(SYS_madvise, 0, 0, value);
    }
    return 0;
}
