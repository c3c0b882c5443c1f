/* SPDX-License-Identifier: Apache-2.0 — zdb_intent.c */
#include "agent/zdb_intent.h"

#include "agent/zdb_node.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>

#define PREFIX "making."

static int open_folder(const char *root, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_FOLDER, root);
    int dir = file_open_dir(AT_FDCWD, path);
    return dir < 0 ? err_sys(e, -dir, "open '%s'", path) : dir;
}

int zdb_intent_write(const char *root, const char *name, struct err *e) {
    AUTO_FREE char *file = xasprintf(PREFIX "%s", name);
    AUTO_CLOSE int dir = open_folder(root, e);
    if (dir < 0) return -1;
    int r = file_write_durable(dir, file, STR(""), 0600);
    return r < 0 ? err_sys(e, -r, "write '%s/" ZDB_NODE_FOLDER "/%s'", root, file) : 0;
}

int zdb_intent_clear(const char *root, const char *name, struct err *e) {
    AUTO_FREE char *file = xasprintf(PREFIX "%s", name);
    AUTO_CLOSE int dir = open_folder(root, e);
    if (dir < 0) return -1;
    int r = unlinkat(dir, file, 0) < 0 && errno != ENOENT ? -errno : file_sync_dir(dir, ".");
    return r < 0 ? err_sys(e, -r, "remove '%s/" ZDB_NODE_FOLDER "/%s'", root, file) : 0;
}

bool zdb_intent_exists(const char *root, const char *name) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_FOLDER "/" PREFIX "%s", root, name);
    return file_exists(AT_FDCWD, path) == 1;
}

char *zdb_intent_find(const char *root) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_FOLDER, root);
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    if (file_dir_open(&d, AT_FDCWD, path) < 0) return NULL;
    while (file_dir_next(&d, &entry) > 0)
        if (strncmp(entry.name, PREFIX, sizeof PREFIX - 1) == 0)
            return xstrdup(entry.name + sizeof PREFIX - 1);
    return NULL;
}
