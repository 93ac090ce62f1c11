// Makes and removes argv[2] files below the directory argv[1], 200 in a directory.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3 || chdir(argv[1]))
        return 1;
    char path[64];
    for (int number = 0; number < atoi(argv[2]); number++) {
        snprintf(path, sizeof path, "d%d", number / 200);
        if (number % 200 == 0 && mkdir(path, 0755))
            return 2;
        snprintf(path, sizeof path, "d%d/f%d", number / 200, number);
        int file = open(path, O_CREAT | O_WRONLY, 0644);
        if (file < 0 || close(file) || unlink(path))
            return 3;
    }
    return 0;
}
