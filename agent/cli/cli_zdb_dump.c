/* SPDX-License-Identifier: Apache-2.0 — cli_zdb_dump.c: all live keys of a namespace to stdout.
 *
 * A page of keys is fetched, then its values, a few at a time within a bound of bytes; replies come
 * in the order of the requests, since there is one connection. Memory: one page and that bound,
 * whatever the namespace holds. What is written while it runs may be missing or there, but no key
 * that lives throughout is left out; a key that is deleted before its value was fetched is. */
#include "agent/cli/cli_zdb.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>

#define LINE_BYTES_MAX  (64u << 20) /* a payload of control characters, each six bytes in JSON */
#define AHEAD_MAX       32
#define AHEAD_BYTES_MAX (16u << 20)
#define SHOW_MS         500

struct key {
    char bytes[255];
    uint8_t n;
    uint32_t time_s;
    uint64_t payload_bytes;
};

struct dump {
    struct zdb_cli *z;
    struct zdb_peer peer;
    char cursor[ZDB_CURSOR_BYTES_MAX];
    size_t cursor_bytes;
    struct key *keys; /* owned: the page */
    size_t count, asked, answered;
    uint64_t ahead_bytes;
    struct buf line;
    uint64_t written, shown_ms;
    bool shows, failed, ended;
    struct err error;
};

static void stop(struct dump *d, const struct err *e) {
    if (e && !d->failed) d->error = *e;
    d->failed |= e != NULL;
    d->ended = true;
    loop_stop(d->peer.loop);
}

static void progress(struct dump *d) {
    uint64_t now = clock_ms();
    d->written++;
    if (!d->shows || now - d->shown_ms < SHOW_MS) return;
    d->shown_ms = now;
    (void)fprintf(stderr, "\r\033[K%llu keys written", (unsigned long long)d->written);
}

/* ---- one key ---- */

static void put_bytes(struct json_out *w, const char *plain, const char *encoded,
                      struct str bytes) {
    if (utf8_valid_prefix(bytes) == bytes.n) {
        json_out_str(w, plain, bytes);
        return;
    }
    AUTO_FREE char *text = xmalloc(BASE64_CHARS(bytes.n) + 1);
    json_out_str(w, encoded, str_make(text, base64_encode(BASE64_STD, bytes, text)));
}

static int put_json(struct dump *d, const struct key *k, const struct str *value) {
    struct json_out w = JSON_OUT(&d->line);
    json_out_object(&w, NULL);
    put_bytes(&w, "key", "key_base64", str_make(k->bytes, k->n));
    json_out_u64(&w, "size", value ? value->n : k->payload_bytes);
    json_out_u64(&w, "time", k->time_s);
    if (value) put_bytes(&w, "value", "value_base64", *value);
    json_out_close(&w);
    return json_out_end(&w) < 0 ? -ENOSPC : buf_append(&d->line, "\n", 1);
}

static int put_resp(struct dump *d, const struct key *k, const struct str *value) {
    const struct str args[] = {STR("SET"), str_make(k->bytes, k->n), *value};
    struct err e;
    return zdb_resp_command(&d->line, args, COUNT(args), &e) < 0 ? -ENOSPC : 0;
}

static void write_key(struct dump *d, const struct key *k, const struct str *value) {
    struct err e;
    buf_clear(&d->line);
    int r = d->z->raw ? put_resp(d, k, value) : put_json(d, k, value);
    if (r == 0 && fwrite(d->line.p, 1, d->line.n, stdout) != d->line.n) r = -errno;
    if (r < 0) {
        (void)err_sys(&e, -r, "write a key of %u bytes", k->n);
        stop(d, &e);
    }
    progress(d);
}

/* ---- pages ---- */

static void got_page(void *user, const struct zdb_answer *a, const struct err *e);

static void next_page(struct dump *d) {
    struct zdb_how how = {.client = d->peer.client, .done = got_page, .user = d};
    zdb_scan_page(&how, str_make(d->cursor, d->cursor_bytes));
}

static void got_value(void *user, const struct zdb_answer *a, const struct err *e);

static void fetch(struct dump *d) {
    struct zdb_how how = {.client = d->peer.client, .done = got_value, .user = d};
    while (d->asked < d->count && d->asked - d->answered < AHEAD_MAX) {
        const struct key *k = &d->keys[d->asked];
        bool first = d->asked == d->answered;
        if (!first && d->ahead_bytes + k->payload_bytes > AHEAD_BYTES_MAX) break;
        d->ahead_bytes += k->payload_bytes;
        d->asked++;
        zdb_get(&how, str_make(k->bytes, k->n));
    }
    if (d->answered == d->count) next_page(d);
}

static void got_value(void *user, const struct zdb_answer *a, const struct err *e) {
    struct dump *d = user;
    const struct key *k = &d->keys[d->answered++];
    d->ahead_bytes -= k->payload_bytes;
    if (d->ended) return;
    if (a)
        write_key(d, k, &a->value);
    else if (e->kind != ERR_NOT_FOUND) /* deleted meanwhile */
        stop(d, e);
    if (!d->ended) fetch(d);
}

static void take_key(const struct zdb_listed *from, struct key *out) {
    out->n = (uint8_t)(from->key.n < sizeof out->bytes ? from->key.n : sizeof out->bytes);
    memcpy(out->bytes, from->key.p, out->n);
    out->time_s = from->time_s;
    out->payload_bytes = from->payload_bytes;
}

static void got_page(void *user, const struct zdb_answer *a, const struct err *e) {
    struct dump *d = user;
    if (d->ended) return;
    if (!a) {
        stop(d, e->kind == ERR_NOT_FOUND ? NULL : e); /* no more */
        return;
    }
    d->cursor_bytes = a->cursor.n;
    memcpy(d->cursor, a->cursor.p, a->cursor.n);
    d->count = zdb_answer_keys(a);
    d->asked = d->answered = 0;
    free(d->keys);
    d->keys = xmalloc((d->count + 1) * sizeof *d->keys);
    for (size_t i = 0; i < d->count; i++) {
        struct zdb_listed listed;
        zdb_answer_key(a, i, &listed);
        take_key(&listed, &d->keys[i]);
        if (!d->z->values && !d->ended) write_key(d, &d->keys[i], NULL);
    }
    if (d->ended) return;
    if (d->z->values)
        fetch(d);
    else
        next_page(d);
}

static int check(struct dump *d, const char *name, struct err *e) {
    AUTO(zdb_peer_close) struct zdb_peer p = {.none = false};
    struct str info;
    if (zdb_peer_open(&p, d->z->cli, &d->z->target, STR_NONE, e) < 0) return -1;
    if (zdb_peer_info(&p, &d->z->cli->arena, str_of(name), &info, e) < 0) return -1;
    if (d->z->raw && str_starts(zdb_info_get(info, STR("mode")), STR("seq")))
        return err_set(e, ERR_UNSUPPORTED,
                       "namespace '%s' has mode seq: its ids are the server's and cannot be "
                       "replayed; use --format json",
                       name);
    return 0;
}

int zdb_cli_dump(struct zdb_cli *z, const char *name) {
    struct dump d = {.z = z,
                     .line = BUF(LINE_BYTES_MAX),
                     .shows = isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) != 1,
                     .shown_ms = clock_ms()};
    struct err e = {0};
    z->values |= z->raw;
    int r = check(&d, name, &e);
    if (r == 0) r = zdb_peer_open(&d.peer, z->cli, &z->target, str_of(name), &e);
    if (r == 0) {
        next_page(&d);
        loop_run(d.peer.loop);
        if (d.failed) e = d.error;
        if (d.failed) r = -1;
    }
    d.ended = true; /* what is still asked for is dropped */
    zdb_peer_close(&d.peer);
    if (d.shows) (void)fputs("\r\033[K", stderr);
    if (r == 0 && fflush(stdout) != 0) r = err_sys(&e, errno, "write the dump");
    free(d.keys);
    buf_done(&d.line);
    return r < 0 ? cli_fail(z->cli, &e) : CLI_OK;
}
