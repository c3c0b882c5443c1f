/* SPDX-License-Identifier: Apache-2.0 — zdbd_maintenance.c: SCRUB and
 * COMPACT.
 *
 * The thread touches the namespace (which counts it as busy, so that it is not closed) and the
 * progress, under `lock`; everything else is the loop's. Whoever wants to be alone on the namespace
 * cancels it first. */
#include "storage/zdb_server/zdbd_maintenance.h"

#include "base/clock.h"
#include "base/log.h"
#include "storage/zdb_server/zdbd_internal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#define FINDINGS_LOGGED_MAX 100
#define NS_PER_S            1000000000

struct zdbd_maintenance {
    struct zdbd_server *server;
    struct zdbd_space *space; /* NULL: nothing runs */
    enum zdbd_upkeep kind;
    pthread_t thread;
    bool has_thread;
    atomic_bool cancels;
    struct task ended;
    /* the thread's, until `ended` */
    struct err error;
    int result;
    uint64_t counts[2];
    unsigned logged;
    pthread_mutex_t lock; /* of progress */
    struct zdb_progress progress;
};

static const struct {
    const char *name, *counts[2];
} kinds[ZDBD_UPKEEPS] = {
    {"scrub", {"values", "corrupt"}},
    {"compact", {"returned_bytes", "files_rewritten"}},
};

static bool go_on(void *user, const struct zdb_progress *p) {
    struct zdbd_maintenance *m = user;
    (void)pthread_mutex_lock(&m->lock);
    m->progress = *p;
    (void)pthread_mutex_unlock(&m->lock);
    return !atomic_load(&m->cancels);
}

static void found(void *user, struct str key, const char *text) {
    struct zdbd_maintenance *m = user;
    if (m->logged++ >= FINDINGS_LOGGED_MAX) return;
    LOG_ERROR("scrub found damage", F_C("namespace", m->space->name), F_STR("key", key),
              F_C("what", text));
}

static void scrub(struct zdbd_maintenance *m) {
    struct zdb_scrub_options o = {.bytes_per_s = m->server->options.scrub_bytes_per_s,
                                  .go_on = go_on,
                                  .found = found,
                                  .user = m};
    struct zdb_scrub_result result = {.values = 0};
    m->result = zdb_scrub(m->space->ns, &o, &result, &m->error);
    m->counts[0] = result.values;
    m->counts[1] = result.corrupt;
}

static void compact(struct zdbd_maintenance *m) {
    struct zdb_compact_options o = {
        .bytes_per_s = m->server->options.compact_bytes_per_s, .go_on = go_on, .user = m};
    struct zdb_compact_result result = {.returned_bytes = 0};
    m->result = zdb_compact(m->space->ns, &o, &result, &m->error);
    m->counts[0] = result.returned_bytes;
    m->counts[1] = result.files_rewritten;
}

static void *run(void *arg) {
    struct zdbd_maintenance *m = arg;
    switch (m->kind) {
    case ZDBD_SCRUB: scrub(m); break;
    case ZDBD_COMPACT: compact(m); break;
    case ZDBD_UPKEEPS: break;
    }
    loop_post(m->server->loop, &m->ended);
    return NULL;
}

static void ended(struct task *t) {
    struct zdbd_maintenance *m = CONTAINER_OF(t, struct zdbd_maintenance, ended);
    struct zdbd_space *p = STEAL(m->space);
    struct zdbd_upkeep_state *s = &p->upkeep[m->kind];
    if (m->has_thread) (void)pthread_join(m->thread, NULL);
    m->has_thread = false;
    s->state = m->result == 0                   ? ZDBD_ENDED
               : m->error.kind == ERR_CANCELLED ? ZDBD_CANCELLED
                                                : ZDBD_FAILED;
    s->ended_s = clock_wall_ns() / NS_PER_S;
    s->progress = m->progress;
    memcpy(s->counts, m->counts, sizeof s->counts);
    (void)snprintf(s->error, sizeof s->error, "%s", m->result < 0 ? m->error.msg : "");
    LOG_INFO("maintenance has ended", F_C("what", kinds[m->kind].name), F_C("namespace", p->name),
             F_U64(kinds[m->kind].counts[0], s->counts[0]),
             F_U64(kinds[m->kind].counts[1], s->counts[1]), F_C("error", s->error));
    p->busy--;
    zdbd_space_leave(p);
}

struct zdbd_maintenance *zdbd_maintenance_new(struct zdbd_server *s) {
    struct zdbd_maintenance *m = xnew(struct zdbd_maintenance);
    m->server = s;
    (void)pthread_mutex_init(&m->lock, NULL);
    return m;
}

int zdbd_maintenance_start(struct zdbd_maintenance *m, enum zdbd_upkeep kind, struct zdbd_space *p,
                           struct err *e) {
    struct zdb_info info;
    sigset_t all;
    sigset_t before;
    if (m->space)
        return err_set(e, ERR_BUSY, "Maintenance is running already: %s of '%s'",
                       kinds[m->kind].name, m->space->name);
    m->space = p;
    m->kind = kind;
    m->error = (struct err){.kind = ERR_NONE};
    m->progress = (struct zdb_progress){.done_bytes = 0};
    m->logged = 0;
    m->ended.run = ended;
    atomic_store(&m->cancels, false);
    (void)sigfillset(&all); /* signals are the loop's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&m->thread, NULL, run, m);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        m->space = NULL;
        return err_sys(e, r, "start a thread for the %s of '%s'", kinds[kind].name, p->name);
    }
    m->has_thread = true;
    p->busy++;
    zdb_info(p->ns, &info);
    p->upkeep[kind] = (struct zdbd_upkeep_state){
        .state = ZDBD_RUNNING, .file_id = info.file_id, .started_s = clock_wall_ns() / NS_PER_S};
    return 0;
}

void zdbd_maintenance_consider(struct zdbd_maintenance *m, uint32_t percent) {
    const struct zdbd_link *head = &m->server->spaces;
    struct err e = {0};
    for (const struct zdbd_link *l = head->next; percent && !m->space && l != head; l = l->next) {
        struct zdbd_space *p = CONTAINER_OF(l, struct zdbd_space, link);
        const struct zdbd_upkeep_state *last = &p->upkeep[ZDBD_COMPACT];
        struct zdb_info i;
        if (!p->ns || p->exclusive || p->is_new) continue;
        zdb_info(p->ns, &i);
        /* The current file cannot be compacted, so nothing is new before the next one. */
        bool is_new = last->state == ZDBD_NEVER ? i.file_id > 0 : i.file_id > last->file_id;
        if (!is_new || i.dead_bytes < i.data_bytes / 100 * percent) continue;
        if (zdbd_maintenance_start(m, ZDBD_COMPACT, p, &e) < 0)
            LOG_WARN("compaction could not be started", F_C("namespace", p->name), F_ERR(&e));
    }
}

void zdbd_maintenance_cancel(struct zdbd_maintenance *m, const struct zdbd_space *p) {
    if (m->space && (!p || m->space == p)) atomic_store(&m->cancels, true);
}

void zdbd_maintenance_put(struct zdbd_maintenance *m, enum zdbd_upkeep kind,
                          const struct zdbd_space *p, struct buf *out) {
    static const char *const states[] = {"never", "running", "ended", "failed", "cancelled"};
    struct zdbd_upkeep_state s = p->upkeep[kind];
    const char *name = kinds[kind].name;
    if (s.state == ZDBD_RUNNING) {
        (void)pthread_mutex_lock(&m->lock);
        s.progress = m->progress;
        (void)pthread_mutex_unlock(&m->lock);
    }
    int r = buf_fmt(out, "%s: %s\n", name, states[s.state]);
    if (s.state == ZDBD_NEVER) return;
    if (r == 0) r = buf_fmt(out, "%s_started: %" PRId64 "\n", name, s.started_s);
    if (r == 0) r = buf_fmt(out, "%s_ended: %" PRId64 "\n", name, s.ended_s);
    if (r == 0) r = buf_fmt(out, "%s_done_bytes: %" PRIu64 "\n", name, s.progress.done_bytes);
    if (r == 0) r = buf_fmt(out, "%s_total_bytes: %" PRIu64 "\n", name, s.progress.total_bytes);
    if (r == 0) r = buf_fmt(out, "%s_%s: %" PRIu64 "\n", name, kinds[kind].counts[0], s.counts[0]);
    if (r == 0) r = buf_fmt(out, "%s_%s: %" PRIu64 "\n", name, kinds[kind].counts[1], s.counts[1]);
    if (r == 0 && s.error[0]) r = buf_fmt(out, "%s_error: %s\n", name, s.error);
    (void)r; /* a caller without room shows less */
}

void zdbd_maintenance_join(struct zdbd_maintenance *m) {
    if (!m || !m->has_thread) return;
    atomic_store(&m->cancels, true);
    (void)pthread_join(m->thread, NULL);
    m->has_thread = false;
}

void zdbd_maintenance_free(struct zdbd_maintenance *m) {
    if (!m) return;
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

/* ---- SCRUB [NAMESPACE], SCRUB STATUS, SCRUB STOP, and COMPACT the same ---- */

static void put_status(struct zdbd_session *s, enum zdbd_upkeep kind) {
    AUTO(buf_done) struct buf text = BUF(ZDBD_REPLY_BYTES_MAX / 2);
    const struct zdbd_link *head = &s->server->spaces;
    for (const struct zdbd_link *l = head->next; l != head; l = l->next) {
        const struct zdbd_space *p = CONTAINER_OF(l, struct zdbd_space, link);
        if (p->is_new || p->upkeep[kind].state == ZDBD_NEVER) continue;
        if (buf_fmt(&text, "# %s\n", p->name) < 0) break;
        zdbd_maintenance_put(s->server->maintenance, kind, p, &text);
    }
    resp_bulk(&s->out, buf_view(&text));
}

static void upkeep(struct zdbd_session *s, const struct resp_request *r, enum zdbd_upkeep kind) {
    struct zdbd_space *p = s->space;
    struct err e = {0};
    if (!zdbd_check_admin(s)) return;
    if (r->count > 2) {
        zdbd_error(s, "Unexpected arguments");
        return;
    }
    if (r->count == 2 && str_eq_nocase(r->args[1], STR("STATUS"))) {
        put_status(s, kind);
        return;
    }
    if (r->count == 2 && str_eq_nocase(r->args[1], STR("STOP"))) {
        zdbd_maintenance_cancel(s->server->maintenance, NULL);
        zdbd_ok(s);
        return;
    }
    if (r->count == 2) p = zdbd_space_find(s->server, r->args[1]);
    if (!p)
        zdbd_error(s, "Namespace not found");
    else if (!p->ns || p->exclusive)
        zdbd_error(s, "Namespace is being changed, try again");
    else if (zdbd_maintenance_start(s->server->maintenance, kind, p, &e) < 0)
        zdbd_error_of(s, &e);
    else
        zdbd_ok(s);
}

void zdbd_scrub(struct zdbd_session *s, const struct resp_request *r) { upkeep(s, r, ZDBD_SCRUB); }

void zdbd_compact(struct zdbd_session *s, const struct resp_request *r) {
    upkeep(s, r, ZDBD_COMPACT);
}
