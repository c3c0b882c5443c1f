/* SPDX-License-Identifier: Apache-2.0 — node.c: the trash: removal that is durable at once and
 * deletes later. */
#include "cri/node.h"
#include "base/log.h"

#include "base/file.h"
#include "base/random.h"
#include "cri/op.h"

#include <errno.h>
#include <stdio.h>

#define TRASH_SUFFIX_DIGITS 8

int node_discard(struct cri *c, const char *folder, const char *id, struct err *e) {
    char suffix[TRASH_SUFFIX_DIGITS + 1];
    AUTO_FREE char *from = xasprintf("%s/%s", folder, id);
    AUTO_FREE char *to =
        xasprintf(TRASH_FOLDER "/%s-%s", id, random_hex(suffix, TRASH_SUFFIX_DIGITS));
    if (renameat(c->root_fd, from, c->root_fd, to) < 0)
        return errno == ENOENT ? 0 : err_sys(e, errno, "remove '%s'", from);
    int r = file_sync_dir(c->root_fd, folder);
    return r < 0 ? err_sys(e, -r, "remove '%s'", from) : 0;
}

static int count_corrupt(struct cri *c, size_t *out) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int r = file_dir_open(&d, c->root_fd, CORRUPT_FOLDER);
    for (*out = 0; r >= 0 && (r = file_dir_next(&d, &entry)) > 0;) ++*out;
    return r < 0 ? r : 0;
}

int node_set_aside(struct cri *c, const char *folder, const char *id, bool *out_kept,
                   struct err *e) {
    AUTO_FREE char *from = xasprintf("%s/%s/" RECORD_FILE, folder, id);
    AUTO_FREE char *to = xasprintf(CORRUPT_FOLDER "/%s-%s", folder, id);
    size_t count;
    int r = count_corrupt(c, &count);
    bool keep = r == 0 && count < CORRUPT_RECORDS_MAX;
    if (keep && renameat(c->root_fd, from, c->root_fd, to) < 0) r = -errno;
    if (keep && r == 0) r = file_sync_dir(c->root_fd, CORRUPT_FOLDER);
    if (r < 0) return err_sys(e, -r, "set '%s' aside as '%s'", from, to);
    *out_kept = keep;
    return node_discard(c, folder, id, e);
}

struct emptying {
    struct op op;
    struct cri *cri;
};

static int empty_work(struct op *o, struct err *e) {
    struct cri *c = CONTAINER_OF(o, struct emptying, op)->cri;
    AUTO(file_dir_close) struct file_dir trash = FILE_DIR_NONE;
    AUTO_CLOSE int dir = file_open_dir(c->root_fd, TRASH_FOLDER);
    if (dir < 0) return err_sys(e, -dir, "open the trash");
    struct file_entry entry;
    int r = file_dir_open(&trash, dir, ".");
    while (r >= 0 && (r = file_dir_next(&trash, &entry)) > 0) {
        int removed = file_remove_tree(dir, entry.name);
        if (removed < 0) (void)err_sys(e, -removed, "delete '%s'", entry.name);
        if (removed < 0) return -1;
    }
    return r < 0 ? err_sys(e, -r, "read the trash") : 0;
}

static void empty_done(struct op *o) {
    if (o->failed) LOG_WARN("the trash could not be emptied", F_ERR(&o->e));
    free(CONTAINER_OF(o, struct emptying, op));
}

void node_empty_trash(struct cri *c) {
    struct emptying *s = xnew(struct emptying);
    s->cri = c;
    op_start(&s->op, c->loop, &c->trash, empty_work, empty_done);
}
