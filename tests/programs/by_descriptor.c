/* Runs itself once more by a descriptor, as container tools do. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count > 1) return write(1, "again\n", 6) != 6;
    char *again[] = {words[0], "again", 0};
    fexecve(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), again, environ);
    return 1;
}
