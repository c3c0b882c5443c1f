/* SPDX-License-Identifier: Apache-2.0 — zdbd_space.c: a namespace that is served: its folders, its
 * group commit, its users.
 *
 * Commit: replies to writes wait at gates (zdbd_session.c) for their tickets. One job at a time
 * syncs everything that was written until it was taken; what is written meanwhile is the next
 * job's. When it has ended every gate up to its ticket asks zdb_commit() itself, which does not
 * block any more and knows exactly which tickets were lost.
 *
 * Alone: what closes or replaces `ns` (reload, flush, another mode, removal) waits until no work
 * and no commit uses it. While it waits and runs, the namespace answers that it is busy.
 *
 * Removal leaves a mark INDEX/.deleting-NAME first, and starts with the marks that it finds: a
 * namespace whose folders are half gone must not come back without its password, or with data that
 * the next one of that name would take for its own. */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>

#define DEFAULT_NAME "default"
#define MARK_PREFIX  ".deleting-"

/* ---- names and paths ---- */

bool zdbd_space_name_ok(struct str name) {
    return name.n > 0 && name.n <= ZDB_NAME_BYTES_MAX && name.p[0] != '.' &&
           str_find(name, '/') < 0 && str_find(name, '\0') < 0;
}

void zdbd_space_path(const struct zdbd_server *s, const struct zdbd_space *p, bool of_data,
                     char *out, size_t n) {
    (void)snprintf(out, n, "%s/%s", of_data ? s->data_path : s->index_path, p->name);
}

struct str zdbd_space_password(const struct zdbd_space *p) {
    if (p->is_protected) return p->server->options.admin_password;
    return str_make(p->password, p->password_bytes);
}

static struct zdbd_space *find(struct zdbd_server *s, struct str name) {
    for (struct zdbd_link *l = s->spaces.next; l != &s->spaces; l = l->next) {
        struct zdbd_space *p = CONTAINER_OF(l, struct zdbd_space, link);
        if (str_eq(str_of(p->name), name)) return p;
    }
    return NULL;
}

bool zdbd_space_exists(struct zdbd_server *s, struct str name) { return find(s, name); }

struct zdbd_space *zdbd_space_find(struct zdbd_server *s, struct str name) {
    struct zdbd_space *p = find(s, name);
    return p && !p->is_new ? p : NULL;
}

/* ---- opening and closing ---- */

static void report(void *user, const char *text) {
    const struct zdbd_space *p = user;
    LOG_WARN("namespace was repaired or is damaged", F_C("namespace", p->name), F_C("what", text));
}

void zdbd_space_load(struct zdbd_space *p) {
    struct zdb_info info;
    zdb_settings(p->ns, &p->settings);
    zdb_info(p->ns, &info);
    p->mode = info.mode;
    p->password_bytes = p->settings.password.n;
    if (p->password_bytes) memcpy(p->password, p->settings.password.p, p->password_bytes);
    p->settings.password = str_make(p->password, p->password_bytes);
    if (!p->jumped_id) p->jumped_id = info.file_id;
}

/* The names of new folders are durable before anything in them is acknowledged. */
static int sync_parents(const struct zdbd_server *s, struct err *e) {
    int r = file_sync_dir(AT_FDCWD, s->index_path);
    if (r == 0) r = file_sync_dir(AT_FDCWD, s->data_path);
    return r < 0 ? err_sys(e, -r, "sync the folders of namespaces") : 0;
}

/* Whether an index file's data file is missing: a hook may be able to bring it. */
static void fetch_missing(struct zdbd_space *p, const char *data, const char *index) {
    struct zdbd_hook *hook = p->server->options.hook;
    char name[ZDBD_PATH_BYTES];
    if (!hook) return;
    for (uint32_t f = 0;; f++) {
        (void)snprintf(name, sizeof name, "%s/i%u", index, f);
        if (file_exists(AT_FDCWD, name) <= 0) return;
        (void)snprintf(name, sizeof name, "%s/d%u", data, f);
        if (file_exists(AT_FDCWD, name) != 0) continue;
        struct err e = {0};
        const char *args[] = {name, NULL};
        if (zdbd_hook_call(hook, "missing-data", args, &e) < 0)
            LOG_WARN("hook failed", F_C("hook", "missing-data"), F_ERR(&e));
    }
}

/* What a removal left in the middle is not what anybody wrote. */
static int check_mark(const struct zdbd_space *p, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/" MARK_PREFIX "%s", p->server->index_path, p->name);
    int r = file_exists(AT_FDCWD, path);
    if (r > 0)
        return err_set(e, ERR_BUSY, "its removal failed in the middle: NSDEL it again, or restart");
    return r < 0 ? err_sys(e, -r, "look for '%s'", path) : 0;
}

int zdbd_space_open(struct zdbd_space *p, struct err *e) {
    const struct zdbd_server *s = p->server;
    char data[ZDBD_PATH_BYTES];
    char index[ZDBD_PATH_BYTES];
    if (check_mark(p, e) < 0) return -1;
    zdbd_space_path(s, p, true, data, sizeof data);
    zdbd_space_path(s, p, false, index, sizeof index);
    fetch_missing(p, data, index);
    struct zdb_options o = {.data_path = data,
                            .index_path = index,
                            .name = str_of(p->name),
                            .mode = p->mode,
                            .durability = s->options.durability,
                            .interval_ms = s->options.interval_ms,
                            .data_file_bytes = s->options.data_file_bytes,
                            .buffer_bytes = ZDBD_WRITE_BYTES,
                            .io = s->options.io,
                            .reserve = s->options.reserve,
                            .report = report,
                            .user = p};
    if (zdb_open(&o, &p->ns, e) < 0) return -1;
    if (sync_parents(s, e) == 0) {
        zdbd_space_load(p);
        int r = zdbd_dirty_reset(p);
        if (r == 0) return 0;
        (void)err_sys(e, -r, "look at the index files of '%s'", p->name);
    }
    struct err ignored = {0};
    (void)!zdb_close(STEAL(p->ns), &ignored);
    return -1;
}

int zdbd_space_close(struct zdbd_space *p, struct err *e) { return zdb_close(STEAL(p->ns), e); }

struct zdbd_space *zdbd_space_new(struct zdbd_server *s, struct str name) {
    struct zdbd_space *p = xnew(struct zdbd_space);
    p->server = s;
    memcpy(p->name, name.p, name.n);
    p->mode = s->options.mode == ZDBD_SEQ ? ZDB_SEQ : ZDB_USER;
    zdbd_list_init(&p->commit.waiters);
    zdbd_list_add(&s->spaces, &p->link);
    s->space_count++;
    return p;
}

void zdbd_space_free(struct zdbd_space *p) {
    assert(!p->ns && p->busy == 0 && zdbd_list_empty(&p->commit.waiters));
    zdbd_list_remove(&p->link);
    p->server->space_count--;
    zdbd_dirty_free(p->dirty);
    free(p);
}

/* ---- removal ---- */

static int remove_folders(const struct zdbd_server *s, const char *name, struct err *e) {
    AUTO_CLOSE int index = file_open_dir(AT_FDCWD, s->index_path);
    AUTO_CLOSE int data = file_open_dir(AT_FDCWD, s->data_path);
    if (index < 0) return err_sys(e, -index, "open '%s'", s->index_path);
    if (data < 0) return err_sys(e, -data, "open '%s'", s->data_path);
    char mark[sizeof MARK_PREFIX + ZDB_NAME_BYTES_MAX];
    (void)snprintf(mark, sizeof mark, MARK_PREFIX "%s", name);
    int r;
    do r = file_write_durable(index, mark, STR("removed\n"), 0600);
    while (r < 0 && zdb_reserve_release(s->options.reserve, index, r, 0)); /* it makes room */
    if (r == 0) r = file_remove_tree(index, name);
    if (r == 0) r = file_remove_tree(data, name);
    if (r == 0) r = file_sync_dir(index, ".");
    if (r == 0) r = file_sync_dir(data, ".");
    if (r == 0 && unlinkat(index, mark, 0) < 0 && errno != ENOENT) r = -errno;
    if (r == 0) r = file_sync_dir(index, ".");
    return r < 0 ? err_sys(e, -r, "remove namespace '%s'", name) : 0;
}

int zdbd_space_remove(struct zdbd_space *p, struct err *e) {
    return remove_folders(p->server, p->name, e);
}

/* ---- at the start ---- */

static int order(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
    char *of[ZDBD_SPACES_MAX];
    size_t count;
};
static void names_done(struct names *n) {
    for (size_t i = 0; i < n->count; i++) free(n->of[i]);
}

/* The folders of the index folder whose names start with the prefix (marks), or which are
 * namespaces. */
static int list(const struct zdbd_server *s, struct str prefix, struct names *out, struct err *e) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int r = file_dir_open(&d, AT_FDCWD, s->index_path);
    while (r >= 0 && (r = file_dir_next(&d, &entry)) > 0) {
        struct str name = str_of(entry.name);
        bool fits =
            prefix.n ? str_starts(name, prefix) : zdbd_space_name_ok(name) && entry.type != DT_REG;
        if (!fits) continue;
        if (out->count == ZDBD_SPACES_MAX)
            return err_set(e, ERR_LIMIT, "'%s' has more than %d namespaces", s->index_path,
                           ZDBD_SPACES_MAX);
        out->of[out->count++] = xstrdup(entry.name);
    }
    if (r < 0) return err_sys(e, -r, "read the folder '%s'", s->index_path);
    if (out->count) qsort(out->of, out->count, sizeof out->of[0], order);
    return 0;
}

static int finish_removals(struct zdbd_server *s, struct names *names, struct err *e) {
    if (list(s, STR(MARK_PREFIX), names, e) < 0) return -1;
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->of[i] + sizeof MARK_PREFIX - 1;
        LOG_WARN("finishing the removal of a namespace", F_C("namespace", name));
        if (zdbd_space_name_ok(str_of(name)) && remove_folders(s, name, e) < 0) return -1;
    }
    return 0;
}

/* One that is damaged keeps no other from being served: it stays, not open, for RELOAD and NSDEL.
 */
static int open_one(struct zdbd_server *s, struct str name, struct err *e) {
    struct zdbd_space *p = zdbd_space_new(s, name);
    if (zdbd_space_open(p, e) == 0) return 0;
    bool is_its_own = e->kind == ERR_CORRUPT || e->kind == ERR_NOT_FOUND ||
                      e->kind == ERR_UNSUPPORTED || e->kind == ERR_IO;
    (void)err_in(e, "namespace '%s'", p->name);
    if (is_its_own && strcmp(p->name, DEFAULT_NAME) != 0) {
        LOG_ERROR("a namespace cannot be opened; the others are served", F_ERR(e));
        err_clear(e);
        return 0;
    }
    zdbd_space_free(p);
    return -1;
}

/* 1: the folder is a namespace. One without a descriptor was never acknowledged, or is something
 * else (lost+found). */
static int is_space(const struct zdbd_server *s, const char *name, struct err *e) {
    char path[ZDBD_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s/zdb-namespace", s->index_path, name);
    int r = file_exists(AT_FDCWD, path);
    if (r == -ENOTDIR || (r < 0 && strcmp(name, "lost+found") == 0)) return 0;
    return r < 0 ? err_sys(e, -r, "look for '%s'", path) : r;
}

int zdbd_spaces_open(struct zdbd_server *s, struct err *e) {
    AUTO_FREE struct names *names = xnew(struct names);
    int r = finish_removals(s, names, e);
    names_done(names);
    names->count = 0;
    if (r == 0) r = open_one(s, STR(DEFAULT_NAME), e);
    if (r == 0) r = list(s, STR_NONE, names, e);
    for (size_t i = 0; r == 0 && i < names->count; i++) {
        if (strcmp(names->of[i], DEFAULT_NAME) == 0) continue;
        r = is_space(s, names->of[i], e);
        if (r > 0) r = open_one(s, str_of(names->of[i]), e);
    }
    names_done(names);
    if (r < 0) return -1;
    s->standard = zdbd_space_find(s, STR(DEFAULT_NAME));
    s->standard->is_protected = s->options.is_protected;
    if (s->standard->settings.max_bytes == s->options.default_max_bytes) return 0;
    s->standard->settings.max_bytes = s->options.default_max_bytes;
    return zdb_configure(s->standard->ns, &s->standard->settings, e);
}

/* ---- group commit ---- */

#define GATHER_SHARE   8
#define GATHER_STEP_NS 20000
#define GATHER_NS_MAX  1000000u

/* Up to these microseconds; the last bucket takes the rest. */
const uint32_t zdbd_latency_us[ZDBD_LATENCY_BUCKETS - 1] = {
    50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 500000, 2000000};

static void note_latency(struct zdbd_counts *c, uint64_t ns) {
    size_t i = 0;
    while (i < ZDBD_LATENCY_BUCKETS - 1 && ns / 1000 > zdbd_latency_us[i]) i++;
    c->commit_latency[i]++;
    c->commits++;
    c->commit_ns += ns;
}

/* Those who were answered by the last sync are about to write again: a sync that starts with the
 * first of them makes all others wait for a second one. So it waits for as many as there were, but
 * only for a small part of what a sync takes. One writer alone never waits. */
static void gather(struct zdbd_commit *c) {
    const struct timespec moment = {.tv_nsec = GATHER_STEP_NS};
    uint64_t most = c->sync_ns / GATHER_SHARE;
    if (most > GATHER_NS_MAX) most = GATHER_NS_MAX;
    uint64_t until = clock_ns() + most;
    while (atomic_load(&c->held) - c->held_before < c->group && clock_ns() < until)
        (void)nanosleep(&moment, NULL);
}

static void commit_run(struct job *j) {
    struct zdbd_commit *c = CONTAINER_OF(j, struct zdbd_commit, job);
    struct zdbd_space *p = CONTAINER_OF(c, struct zdbd_space, commit);
    struct err e = {0};
    gather(c);
    uint64_t held = atomic_load(&c->held); /* before the ticket: not more than it covers */
    c->taken = atomic_load(&c->offered);
    c->group = held - c->held_before;
    c->held_before = held;
    uint64_t begun = clock_ns();
    int r = zdb_commit(p->ns, c->taken, &e);
    c->sync_ns = clock_ns() - begun;
    if (r < 0)
        LOG_ERROR("a group of writes could not be made durable", F_C("namespace", p->name),
                  F_ERR(&e));
    loop_post(p->server->loop, &c->ended);
}

static void commit_ended(struct task *t) {
    struct zdbd_commit *c = CONTAINER_OF(t, struct zdbd_commit, ended);
    struct zdbd_space *p = CONTAINER_OF(c, struct zdbd_space, commit);
    struct zdbd_link waiters;
    note_latency(&p->server->counts, clock_ns() - c->started_ns);
    c->is_running = false;
    c->settled = c->taken;
    /* What was written meanwhile goes to the disk while the replies of the first group are sent. */
    zdbd_space_commit(p);
    zdbd_list_init(&waiters);
    while (!zdbd_list_empty(&c->waiters)) {
        struct zdbd_link *l = c->waiters.next;
        zdbd_list_remove(l);
        zdbd_list_add(&waiters, l);
    }
    while (!zdbd_list_empty(&waiters)) {
        struct zdbd_link *l = waiters.next;
        zdbd_list_remove(l);
        zdbd_session_run(CONTAINER_OF(l, struct zdbd_session, wait_link));
    }
    p->busy--;
    zdbd_space_leave(p);
}

void zdbd_space_commit(struct zdbd_space *p) {
    struct zdbd_commit *c = &p->commit;
    if (c->is_running || c->wanted <= c->settled) return;
    c->is_running = true;
    c->started_ns = clock_ns();
    c->job.run = commit_run;
    c->ended.run = commit_ended;
    p->busy++;
    loop_work(p->server->loop, &c->job);
}

void zdbd_space_want(struct zdbd_space *p, uint64_t ticket) {
    struct zdbd_server *s = p->server;
    if (ticket > p->commit.wanted) p->commit.wanted = ticket;
    atomic_store(&p->commit.offered, p->commit.wanted);
    (void)atomic_fetch_add(&p->commit.held, 1);
    if (s->uncommitted && s->uncommitted != p) zdbd_space_commit(s->uncommitted);
    s->uncommitted = p;
}

void zdbd_space_leave(struct zdbd_space *p) {
    struct zdbd_work *w = p->exclusive;
    if (!w || p->busy > 1) return; /* 1: the work's own */
    if (p->commit.wanted > p->commit.settled) {
        zdbd_space_commit(p);
        return;
    }
    if (w->is_running) return;
    w->is_running = true;
    struct zdbd_link *sessions = &p->server->sessions;
    for (struct zdbd_link *l = sessions->next; l != sessions; l = l->next)
        zdbd_session_settle(CONTAINER_OF(l, struct zdbd_session, link), p);
    loop_work(p->server->loop, &w->job);
}
