/* SPDX-License-Identifier: Apache-2.0 — replay.c: feeds the files of a corpus folder to a fuzz
 * target, as a test. */
#include "base/own.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(int dir, const char *name) {
    AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) return 0;
    AUTO_FREE uint8_t *data = xmalloc((size_t)st.st_size);
    ssize_t n = read(fd, data, (size_t)st.st_size);
    if (n != st.st_size) return -1;
    (void)LLVMFuzzerTestOneInput(data, (size_t)n);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    DIR *corpus = opendir(argv[1]);
    if (!corpus) {
        perror(argv[1]);
        return 1;
    }
    int replayed = 0;
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(corpus));) {
        int r = replay_file(dirfd(corpus), entry->d_name);
        if (r < 0)
            failed++;
        else
            replayed += r;
    }
    (void)closedir(corpus);
    (void)printf("replayed %d inputs\n", replayed);
    return replayed > 0 && failed == 0 ? 0 : 1; /* an empty corpus proves nothing */
}
