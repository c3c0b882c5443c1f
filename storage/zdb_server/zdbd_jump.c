/* SPDX-License-Identifier: Apache-2.0 — zdbd_jump.c: the hooks jump-index and jump-data.
 *
 * The engine starts new files by itself within a write. When there is a hook, the file number is
 * looked at after writes, and a job calls the two, in order, for each file that was ended; the
 * index files are clean when jump-index answered 0.
 * Source: 0-db 2.0.7 (libzdb/index.c, data.c). */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/log.h"

#include <stdio.h>

#define DIRTY_TEXT_BYTES_MAX ((size_t)ZDB_FILES_MAX * 6)

struct jump {
    struct job job;
    struct task ended;
    struct zdbd_space *space;
    uint32_t from, to; /* file numbers */
};

static void call(struct jump *j, const char *event, char kind, const char *dirty, uint32_t file) {
    char old[ZDBD_PATH_BYTES + 16];
    char new[ZDBD_PATH_BYTES + 16];
    char folder[ZDBD_PATH_BYTES];
    struct err e = {0};
    struct zdbd_space *p = j->space;
    zdbd_space_path(p->server, p, kind == 'd', folder, sizeof folder);
    (void)snprintf(old, sizeof old, "%s/%c%u", folder, kind, file);
    (void)snprintf(new, sizeof new, "%s/%c%u", folder, kind, file + 1);
    const char *args[] = {old, new, dirty, NULL};
    int r = zdbd_hook_call(p->server->options.hook, event, args, &e);
    if (r == 0 && dirty) r = zdbd_dirty_reset(p);
    if (r == 0) return;
    LOG_WARN("hook failed", F_C("hook", event), F_INT("status", r), F_C("error", e.msg));
}

static void run(struct job *job) {
    struct jump *j = CONTAINER_OF(job, struct jump, job);
    struct zdbd_space *p = j->space;
    for (uint32_t file = j->from; file < j->to; file++) {
        AUTO(buf_done) struct buf text = BUF(DIRTY_TEXT_BYTES_MAX);
        AUTO_FREE uint32_t *list = NULL;
        ssize_t n = zdbd_dirty_list(p, &list);
        int r = 0;
        for (ssize_t i = 0; r == 0 && i < n; i++) r = buf_fmt(&text, "%s%u", i ? " " : "", list[i]);
        call(j, "jump-index", 'i', buf_c(&text), file);
        call(j, "jump-data", 'd', NULL, file);
    }
    loop_post(p->server->loop, &j->ended);
}

static void ended(struct task *t) {
    struct jump *j = CONTAINER_OF(t, struct jump, ended);
    struct zdbd_space *p = j->space;
    free(j);
    p->busy--;
    zdbd_space_leave(p);
}

void zdbd_jump_note(struct zdbd_space *p) {
    struct zdb_info info;
    zdb_info(p->ns, &info);
    if (info.file_id == p->jumped_id) return;
    struct jump *j = xnew(struct jump);
    *j = (struct jump){.job = {.run = run},
                       .ended = {.run = ended},
                       .space = p,
                       .from = p->jumped_id,
                       .to = info.file_id};
    p->jumped_id = info.file_id;
    p->busy++;
    loop_work(p->server->loop, &j->job);
}
