/* SPDX-License-Identifier: Apache-2.0 — zdbd_work.c: what a worker does for a request.
 *
 * A work belongs to its gate in the session's replies, which frees it when its reply is sent. When
 * the session is closed meanwhile, it belongs to itself and is freed when it has ended. */
#include "storage/zdb_server/zdbd_internal.h"

static void ended(struct task *t) {
    struct zdbd_work *w = CONTAINER_OF(t, struct zdbd_work, ended);
    struct zdbd_session *s = w->session;
    struct zdbd_server *server = s->server;
    struct zdbd_space *space = w->space;
    w->is_done = true;
    if (w->is_exclusive) {
        space->exclusive = NULL;
        space->commit.wanted = space->commit.taken = space->commit.settled = 0; /* ns is new */
        atomic_store(&space->commit.offered, 0);
    }
    if (space) space->busy--;
    if (w->done) w->done(w); /* may free w->space, and then has set it to NULL */
    if (w->space) zdbd_space_leave(w->space);
    s->works--;
    if (w->is_barrier) s->is_barred = false;
    if (s->is_closed) {
        zdbd_work_free(server, w);
        if (s->works == 0) loop_post(server->loop, &s->freeing);
        return;
    }
    zdbd_session_run(s);
}

static void run(struct job *j) {
    struct zdbd_work *w = CONTAINER_OF(j, struct zdbd_work, job);
    w->run(w);
    loop_post(w->session->server->loop, &w->ended);
}

struct zdbd_work *zdbd_work_new(struct zdbd_session *s, void (*act)(struct zdbd_work *w)) {
    struct zdbd_work *w = xnew(struct zdbd_work);
    w->run = act;
    w->session = s;
    w->space = s->space;
    w->reply.bytes_max = ZDBD_REPLY_BYTES_MAX;
    w->job.run = run;
    w->ended.run = ended;
    return w;
}

void zdbd_work_free(struct zdbd_server *s, struct zdbd_work *w) {
    if (!w) return;
    zdbd_buf_give(s, &w->reply);
    free(w->more);
    free(w);
}

void zdbd_work_error(struct zdbd_work *w, const struct err *e) {
    buf_clear(&w->reply);
    resp_error(&w->reply, str_of(e->msg));
}
