/* SPDX-License-Identifier: Apache-2.0 — zdbd_command.c: from a request to its command, and who is
 * told of it besides (WAIT, MIRROR).
 *
 * Names match whole and in either case. 0-db compares as many bytes as the client sent, so that "S"
 * is SET there; nothing relies on it. */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"

#include <assert.h>

/* The frequent ones first: it is searched from the start. */
const struct zdbd_command zdbd_commands[] = {
    {"GET", zdbd_get},       {"SET", zdbd_set},       {"DEL", zdbd_del},
    {"EXISTS", zdbd_exists}, {"MGET", zdbd_mget},     {"SETX", zdbd_set},
    {"PING", zdbd_ping},     {"SELECT", zdbd_select}, {"AUTH", zdbd_auth},
    {"CHECK", zdbd_check},   {"LENGTH", zdbd_length}, {"KEYTIME", zdbd_keytime},
    {"KEYCUR", zdbd_keycur}, {"SCAN", zdbd_scan},     {"SCANX", zdbd_scan},
    {"RSCAN", zdbd_rscan},   {"KSCAN", zdbd_kscan},   {"HISTORY", zdbd_history},
    {"DBSIZE", zdbd_dbsize}, {"TIME", zdbd_time},     {"INFO", zdbd_info},
    {"NSINFO", zdbd_nsinfo}, {"NSLIST", zdbd_nslist}, {"NSNEW", zdbd_nsnew},
    {"NSDEL", zdbd_nsdel},   {"NSSET", zdbd_nsset},   {"NSJUMP", zdbd_nsjump},
    {"RELOAD", zdbd_reload}, {"FLUSH", zdbd_flush},   {"WAIT", zdbd_wait},
    {"*", zdbd_asterisk},    {"MIRROR", zdbd_mirror}, {"MASTER", zdbd_master},
    {"HOOKS", zdbd_hooks},   {"INDEX", zdbd_index},   {"DATA", zdbd_data_raw},
    {"STOP", zdbd_stop},     {"SCRUB", zdbd_scrub},   {"COMPACT", zdbd_compact},
};
const size_t zdbd_command_count = COUNT(zdbd_commands);
_Static_assert(COUNT(zdbd_commands) <= ZDBD_COMMANDS_MAX, "counters");

const struct zdbd_command *zdbd_command_find(struct str name) {
    for (size_t i = 0; i < COUNT(zdbd_commands); i++) {
        struct str known = str_of(zdbd_commands[i].name);
        if (known.n == name.n && str_eq_nocase(known, name)) return &zdbd_commands[i];
    }
    return NULL;
}

/* ---- answers and checks that commands share ---- */

void zdbd_error(struct zdbd_session *s, const char *text) { resp_error(&s->out, str_of(text)); }

void zdbd_error_of(struct zdbd_session *s, const struct err *e) { zdbd_error(s, e->msg); }

static bool refuse(struct zdbd_session *s, const char *text) {
    zdbd_error(s, text);
    return false;
}

bool zdbd_check_admin(struct zdbd_session *s) {
    if (s->is_admin) return true;
    s->server->counts.denied++;
    return refuse(s, "Permission denied");
}

static bool none_empty(struct zdbd_session *s, const struct resp_request *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->args[i].n == 0) return refuse(s, "Invalid argument");
    return true;
}

bool zdbd_check_args(struct zdbd_session *s, const struct resp_request *r, size_t count) {
    if (r->count != count) return refuse(s, "Unexpected arguments");
    return none_empty(s, r);
}

bool zdbd_check_args_min(struct zdbd_session *s, const struct resp_request *r, size_t count) {
    if (r->count < count) return refuse(s, "Missing arguments");
    return none_empty(s, r);
}

static bool is_usable(struct zdbd_session *s) {
    if (s->space->exclusive) return refuse(s, "Namespace is being changed, try again");
    return s->space->ns ? true : refuse(s, ZDBD_NOT_OPEN);
}

bool zdbd_check_readable(struct zdbd_session *s) {
    if (s->space->lock == ZDBD_FROZEN)
        return refuse(s, "Namespace is temporarily frozen (read-write disabled)");
    return is_usable(s);
}

bool zdbd_check_writable(struct zdbd_session *s) {
    if (!s->is_writable) return refuse(s, "Namespace is in read-only mode");
    if (s->space->lock == ZDBD_FROZEN)
        return refuse(s, "Namespace is temporarily frozen (read-write disabled)");
    if (s->space->lock == ZDBD_LOCKED)
        return refuse(s, "Namespace is temporarily locked (read-only)");
    return is_usable(s);
}

/* ---- WAIT ---- */

void zdbd_command_unwatch(struct zdbd_session *s) {
    s->watching = NULL;
    timer_cancel(&s->watch_timeout);
    if (!s->is_mirror) zdbd_list_remove(&s->watch_link);
}

static void tell_watchers(struct zdbd_session *s, const struct zdbd_command *c) {
    struct zdbd_server *server = s->server;
    struct zdbd_link *l = server->watchers.next;
    while (l != &server->watchers) {
        struct zdbd_session *w = CONTAINER_OF(l, struct zdbd_session, watch_link);
        l = l->next;
        bool fits = w->watching == c || w->watching->run == zdbd_asterisk;
        if (w == s || w->space != s->space || !fits) continue;
        zdbd_command_unwatch(w);
        zdbd_session_prepare(w);
        resp_simple(&w->out, str_of(c->name));
        zdbd_session_wake(w); /* not from inside this batch */
    }
}

/* ---- MIRROR: every request, as "time, namespace, origin, arguments" ---- */

static void mirror_one(struct zdbd_session *m, const struct zdbd_session *s,
                       const struct resp_request *r) {
    size_t need = 4 * RESP_LINE_BYTES_MAX + ZDB_NAME_BYTES_MAX;
    for (size_t i = 0; i < r->count; i++) need += r->args[i].n + RESP_LINE_BYTES_MAX;
    zdbd_session_prepare(m);
    m->out.bytes_max = ZDBD_BODY_BYTES_MAX;
    if (buf_reserve(&m->out, need) < 0) { /* it does not keep up: a gap would be worse */
        zdbd_session_close(m);
        return;
    }
    resp_array(&m->out, r->count + 3);
    resp_int(&m->out, clock_wall_ns() / 1000000000);
    resp_bulk(&m->out, str_of(s->space->name));
    resp_int(&m->out, s->server->instance_id);
    for (size_t i = 0; i < r->count; i++) resp_bulk(&m->out, r->args[i]);
    zdbd_session_wake(m);
}

static void tell_mirrors(struct zdbd_session *s, const struct resp_request *r) {
    struct zdbd_link *l = s->server->mirrors.next;
    while (l != &s->server->mirrors) {
        struct zdbd_session *m = CONTAINER_OF(l, struct zdbd_session, watch_link);
        l = l->next;
        if (m != s) mirror_one(m, s, r);
    }
}

/* ---- dispatch ---- */

static void count(struct zdbd_session *s, const struct zdbd_command *c, size_t start) {
    size_t i = (size_t)(c - zdbd_commands);
    s->server->counts.calls[i]++;
    if (s->out.n > start && s->out.p[start] == '-') s->server->counts.errors[i]++;
}

void zdbd_command_execute(struct zdbd_session *s, struct resp_request *r) {
    size_t start = s->out.n;
    struct zdbd_space *before = s->space;
    if (!s->space) {
        zdbd_error(s, "Your active namespace is not available anymore (probably removed).");
        s->is_closing = true;
        return;
    }
    if (s->is_master && r->count > 1) r->count--; /* replication adds where it came from */
    const struct zdbd_command *c = r->count ? zdbd_command_find(r->args[0]) : NULL;
    if (!c) {
        s->server->counts.unknown++;
        zdbd_error(s, r->count ? "Command not supported" : "Missing arguments");
        return;
    }
    c->run(s, r);
    count(s, c, start);
    if (!zdbd_list_empty(&s->server->mirrors)) tell_mirrors(s, r);
    if (!zdbd_list_empty(&s->server->watchers) && s->space == before) tell_watchers(s, c);
}
