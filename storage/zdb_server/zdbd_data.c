/* SPDX-License-Identifier: Apache-2.0 — zdbd_data.c: commands about one key (or several: MGET).
 *
 * Small payloads are read straight into the connection's output, checksum and all; larger ones by a
 * worker, into a buffer of their own that is sent from there. A reply to a write is held until its
 * ticket is durable, that to an identical rewrite (nil) too: the first one may still be on its way.
 * Source: 0-db 2.0.7 (zdbd/commands_set.c, commands_get.c, commands_dataset.c,
 * commands_history.c) for the replies and the order of the checks. */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>

#define BULK_EXTRA_BYTES (2 * (size_t)RESP_LINE_BYTES_MAX)

/* ---- writing ---- */

/* The reply from `start` on leaves when the ticket is durable. */
static void acknowledge(struct zdbd_session *s, size_t start, uint64_t ticket) {
    struct zdbd_space *p = s->space;
    if (!p->written_ms) p->written_ms = clock_ms();
    if (s->server->options.hook) zdbd_jump_note(p);
    zdbd_session_hold(s, start, p, ticket);
}

/* The time of the write: argument `at`, or now. */
static bool take_time(struct zdbd_session *s, const struct resp_request *r, size_t at,
                      uint32_t *out) {
    uint64_t given = 0;
    *out = (uint32_t)(clock_wall_ns() / 1000000000);
    if (r->count <= at) return true;
    if (str_u64(r->args[at], &given) < 0 || given > UINT32_MAX) {
        zdbd_error(s, "Invalid timestamp");
        return false;
    }
    *out = (uint32_t)given;
    return true;
}

void zdbd_set(struct zdbd_session *s, const struct resp_request *r) {
    struct zdb_put put = {.time_s = 0};
    struct zdb_put_result result;
    struct err e = {0};
    if (r->count == 4) {
        if (!zdbd_check_admin(s)) return;
    } else if (r->count != 3) {
        zdbd_error(s, "Unexpected arguments");
        return;
    }
    if (r->args[1].n > ZDB_KEY_BYTES_MAX) {
        zdbd_error(s, "Key too large");
        return;
    }
    if (!zdbd_check_writable(s) || !take_time(s, r, 3, &put.time_s)) return;
    put.key = r->args[1];
    put.payload = r->args[2];
    if (zdb_put(s->space->ns, &put, &result, &e) < 0) {
        zdbd_error_of(s, &e);
        return;
    }
    size_t start = s->out.n;
    uint8_t id[ZDB_ID_BYTES];
    zdb_id_encode(result.id, id);
    if (result.unchanged)
        resp_nil(&s->out);
    else if (s->space->mode == ZDB_SEQ)
        resp_bulk(&s->out, str_make((char *)id, sizeof id));
    else
        resp_bulk(&s->out, put.key);
    acknowledge(s, start, result.ticket);
}

void zdbd_del(struct zdbd_session *s, const struct resp_request *r) {
    uint32_t time_s = 0;
    uint64_t ticket = 0;
    struct err e = {0};
    if (r->count == 3) {
        if (!zdbd_check_admin(s)) return;
    } else if (!zdbd_check_args(s, r, 2)) {
        return;
    }
    if (r->args[1].n > ZDB_KEY_BYTES_MAX) {
        zdbd_error(s, "Invalid key");
        return;
    }
    if (!zdbd_check_writable(s) || !take_time(s, r, 2, &time_s)) return;
    if (zdb_delete(s->space->ns, r->args[1], time_s, &ticket, &e) < 0) {
        zdbd_error_of(s, &e);
        return;
    }
    size_t start = s->out.n;
    zdbd_ok(s);
    acknowledge(s, start, ticket);
}

/* ---- reading ---- */

/* Key of a command with nothing else; false when it was answered. */
static bool take_key(struct zdbd_session *s, const struct resp_request *r) {
    if (!zdbd_check_args(s, r, 2)) return false;
    if (r->args[1].n <= ZDB_KEY_BYTES_MAX) return zdbd_check_readable(s);
    zdbd_error(s, "Invalid key");
    return false;
}

/* As take_key(), and the value; answers nil when there is none. */
static bool take_value(struct zdbd_session *s, const struct resp_request *r,
                       struct zdb_value *out) {
    struct err e = {0};
    if (!take_key(s, r)) return false;
    if (zdb_find(s->space->ns, r->args[1], out, &e) == 0) return true;
    if (e.kind == ERR_NOT_FOUND)
        resp_nil(&s->out);
    else
        zdbd_error_of(s, &e);
    return false;
}

static void append_value(struct zdb_namespace *ns, struct str key, const struct zdb_value *v,
                         struct buf *out) {
    struct err e = {0};
    size_t start = out->n;
    resp_bulk_head(out, v->payload_bytes);
    if (zdb_read(ns, key, v, out, &e) == 0) {
        resp_bulk_end(out);
        return;
    }
    out->n = start;
    resp_error(out, str_of(e.msg));
}

static struct str work_key(const struct zdbd_work *w) {
    return str_make((const char *)w->key, w->key_bytes);
}

/* Takes the value's pin over. */
static struct zdbd_work *value_work(struct zdbd_session *s, struct str key, struct zdb_value *v,
                                    void (*run)(struct zdbd_work *w)) {
    struct zdbd_work *w = zdbd_work_new(s, run);
    memcpy(w->key, key.p, key.n);
    w->key_bytes = key.n;
    w->value = *v;
    *v = (struct zdb_value){.file = NULL};
    return w;
}

static void get_run(struct zdbd_work *w) {
    append_value(w->space->ns, work_key(w), &w->value, &w->reply);
    zdb_value_done(&w->value);
}

void zdbd_get(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(zdb_value_done) struct zdb_value v = {.file = NULL};
    if (!take_value(s, r, &v)) return;
    if (v.payload_bytes <= ZDBD_INLINE_BYTES_MAX) {
        append_value(s->space->ns, r->args[1], &v, &s->out);
        return;
    }
    size_t bytes = v.payload_bytes + BULK_EXTRA_BYTES;
    struct zdbd_work *w = value_work(s, r->args[1], &v, get_run);
    w->reply = zdbd_buf_take(s->server, true);
    w->reply.bytes_max = bytes;
    zdbd_work_start(w);
}

/* ---- MGET ---- */

struct many {
    size_t count;
    struct {
        struct zdb_value value;
        bool is_there;
        uint8_t key_bytes;
        uint8_t key[ZDB_KEY_BYTES_MAX];
    } of[];
};

static void many_run(struct zdbd_work *w) {
    struct many *m = w->more;
    resp_array(&w->reply, m->count);
    for (size_t i = 0; i < m->count; i++) {
        if (!m->of[i].is_there) {
            resp_nil(&w->reply);
            continue;
        }
        struct str key = str_make((char *)m->of[i].key, m->of[i].key_bytes);
        append_value(w->space->ns, key, &m->of[i].value, &w->reply);
        zdb_value_done(&m->of[i].value);
    }
}

/* Finds the values; returns what they have together. */
static uint64_t find_many(struct zdbd_session *s, const struct resp_request *r, struct many *m) {
    uint64_t bytes = 0;
    for (size_t i = 1; i < r->count; i++) {
        struct err e = {0};
        struct zdb_value *v = &m->of[m->count].value;
        struct str key = r->args[i];
        *v = (struct zdb_value){.file = NULL};
        m->of[m->count].is_there = zdb_find(s->space->ns, key, v, &e) == 0;
        m->of[m->count].key_bytes = (uint8_t)key.n;
        if (key.n) memcpy(m->of[m->count].key, key.p, key.n);
        if (m->of[m->count++].is_there) bytes += v->payload_bytes;
    }
    return bytes;
}

void zdbd_mget(struct zdbd_session *s, const struct resp_request *r) {
    if (r->count < 2) {
        zdbd_error(s, "Invalid arguments");
        return;
    }
    for (size_t i = 1; i < r->count; i++)
        if (r->args[i].n > ZDB_KEY_BYTES_MAX) {
            zdbd_error(s, "Invalid key");
            return;
        }
    if (!zdbd_check_readable(s)) return;
    struct zdbd_work *w = zdbd_work_new(s, many_run);
    struct many *m = xmalloc(sizeof *m + (r->count - 1) * sizeof m->of[0]);
    w->more = m;
    uint64_t bytes = find_many(s, r, m) + r->count * (ERR_MSG_BYTES_MAX + BULK_EXTRA_BYTES);
    if (bytes > ZDBD_BODY_BYTES_MAX) {
        for (size_t i = 0; i < m->count; i++) zdb_value_done(&m->of[i].value);
        zdbd_error(s, "The values of one MGET have at most 16 MiB together: ask for fewer");
        zdbd_work_free(s->server, w);
        return;
    }
    w->reply.bytes_max = bytes;
    if (bytes > ZDBD_REPLY_BYTES_MAX / 2) {
        zdbd_work_start(w);
        return;
    }
    many_run(w);
    int full = buf_str(&s->out, buf_view(&w->reply));
    assert(full == 0);
    (void)full;
    zdbd_work_free(s->server, w);
}

/* ---- about a value ---- */

void zdbd_exists(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(zdb_value_done) struct zdb_value v = {.file = NULL};
    struct err e = {0};
    if (!take_key(s, r)) return;
    resp_int(&s->out, zdb_find(s->space->ns, r->args[1], &v, &e) == 0);
}

void zdbd_length(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(zdb_value_done) struct zdb_value v = {.file = NULL};
    if (take_value(s, r, &v)) resp_int(&s->out, v.payload_bytes);
}

void zdbd_keytime(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(zdb_value_done) struct zdb_value v = {.file = NULL};
    if (take_value(s, r, &v)) resp_int(&s->out, v.time_s);
}

void zdbd_keycur(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(zdb_value_done) struct zdb_value v = {.file = NULL};
    struct err e = {0};
    uint8_t bytes[ZDB_CURSOR_BYTES];
    if (!take_key(s, r)) return;
    if (zdb_find(s->space->ns, r->args[1], &v, &e) < 0) {
        zdbd_error_of(s, &e);
        return;
    }
    struct zdb_cursor cursor = {.key_bytes = (uint8_t)r->args[1].n,
                                .file_id = v.index_id,
                                .payload_bytes = v.payload_bytes,
                                .offset = v.index_offset,
                                .crc = v.crc};
    zdb_cursor_encode(&cursor, bytes);
    resp_bulk(&s->out, str_make((char *)bytes, sizeof bytes));
}

static void check_run(struct zdbd_work *w) {
    struct err e = {0};
    int r = zdb_check(w->space->ns, work_key(w), &w->value, &e);
    zdb_value_done(&w->value);
    if (r < 0 && e.kind != ERR_CORRUPT)
        zdbd_work_error(w, &e);
    else
        resp_int(&w->reply, r == 0);
}

void zdbd_check(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(zdb_value_done) struct zdb_value v = {.file = NULL};
    if (!take_value(s, r, &v)) return;
    struct zdbd_work *w = value_work(s, r->args[1], &v, check_run);
    w->reply.bytes_max = 2 * ERR_MSG_BYTES_MAX;
    zdbd_work_start(w);
}

/* ---- HISTORY ---- */

static void append_version(struct zdb_namespace *ns, struct str key, const struct zdb_value *v,
                           struct buf *out) {
    uint8_t before[ZDB_HISTORY_BYTES];
    char time[RESP_LINE_BYTES_MAX];
    size_t start = out->n;
    resp_array(out, 3);
    zdb_history_encode(v->parent_id, v->parent_offset, before);
    if (v->parent_id == 0 && v->parent_offset == 0)
        resp_nil(out);
    else
        resp_bulk(out, str_make((char *)before, sizeof before));
    int n = snprintf(time, sizeof time, "%u", v->time_s);
    resp_bulk(out, str_make(time, (size_t)n));
    struct err e = {0};
    resp_bulk_head(out, v->payload_bytes);
    if (zdb_read(ns, key, v, out, &e) == 0) {
        resp_bulk_end(out);
        return;
    }
    out->n = start;
    resp_error(out, str_of(e.msg));
}

static void history_run(struct zdbd_work *w) {
    append_version(w->space->ns, work_key(w), &w->value, &w->reply);
    zdb_value_done(&w->value);
}

/* The version that is asked for; answers otherwise. */
static bool take_version(struct zdbd_session *s, const struct resp_request *r,
                         struct zdb_value *out) {
    struct err e = {0};
    uint32_t file = 0;
    uint32_t offset = 0;
    struct str key = r->args[1];
    if (r->count == 2) {
        if (zdb_find(s->space->ns, key, out, &e) == 0) return true;
        zdbd_error_of(s, &e);
    } else if (zdb_history_decode(r->args[2], &file, &offset) < 0) {
        zdbd_error(s, "Invalid arguments");
    } else if (file == 0 && offset == 0) {
        zdbd_error(s, "No more history");
    } else if (zdb_history(s->space->ns, key, file, offset, out, &e) == 0) {
        return true;
    } else if (e.kind == ERR_INVALID) {
        zdbd_error(s, "Invalid arguments (index query)");
    } else {
        zdbd_error_of(s, &e);
    }
    return false;
}

void zdbd_history(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(zdb_value_done) struct zdb_value v = {.file = NULL};
    if ((r->count != 2 && r->count != 3) || r->args[1].n > ZDB_KEY_BYTES_MAX) {
        zdbd_error(s, "Invalid arguments");
        return;
    }
    if (!zdbd_check_readable(s) || !take_version(s, r, &v)) return;
    if (v.payload_bytes <= ZDBD_INLINE_BYTES_MAX) {
        append_version(s->space->ns, r->args[1], &v, &s->out);
        return;
    }
    size_t bytes = v.payload_bytes + 8 * (size_t)RESP_LINE_BYTES_MAX;
    struct zdbd_work *w = value_work(s, r->args[1], &v, history_run);
    w->reply = zdbd_buf_take(s->server, true);
    w->reply.bytes_max = bytes > 2 * ERR_MSG_BYTES_MAX ? bytes : 2 * ERR_MSG_BYTES_MAX;
    zdbd_work_start(w);
}
