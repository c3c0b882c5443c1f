/* SPDX-License-Identifier: Apache-2.0 — tar_fuzz.c: archives into a folder on a tmpfs of its own;
 * nothing may appear beside the folder. */
#include "storage/unpack/tar.h"

#include "base/file.h"
#include "storage/unpack/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t n;
};

static ssize_t give_all(void *user, const void **out, struct err *e) {
    struct input *in = user;
    (void)e;
    size_t n = in->n;
    *out = in->data;
    in->n = 0;
    return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool ready;
    char path[64];
    struct err e = {0};
    if (!ready) {
        scratch_mount("64m");
        if (tar_setup(&e) < 0) abort();
        ready = true;
    }
    int root = scratch_dir(path);
    struct tree *t = tree_new(root, 1 << 20);
    struct input in = {data, size};
    const struct tar_source source = {give_all, &in};
    if (tar_unpack(&source, t, &e) < 0 && e.kind == ERR_NONE) abort();
    tree_free(t);
    (void)close(root);
    if (chdir("/") < 0 || file_remove_tree(AT_FDCWD, path) < 0) abort();
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    if (file_dir_open(&d, AT_FDCWD, SCRATCH) < 0 || file_dir_next(&d, &entry) != 0) abort();
    return 0;
}
