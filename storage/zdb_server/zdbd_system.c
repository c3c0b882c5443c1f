/* SPDX-License-Identifier: Apache-2.0 — zdbd_system.c: commands about the server and the
 * connection: PING, TIME, WAIT, MIRROR, MASTER, HOOKS. */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"

#include <stdio.h>

#define WAIT_MS         5000
#define WAIT_MS_MIN     100
#define WAIT_MS_MAX     (30 * 60 * 1000)
#define WAIT_DIGITS_MAX 16

void zdbd_ping(struct zdbd_session *s, const struct resp_request *r) {
    (void)r;
    resp_simple(&s->out, STR("PONG"));
}

static void bulk_number(struct buf *out, int64_t n) {
    char text[RESP_LINE_BYTES_MAX];
    int length = snprintf(text, sizeof text, "%lld", (long long)n);
    resp_bulk(out, str_make(text, (size_t)length));
}

void zdbd_time(struct zdbd_session *s, const struct resp_request *r) {
    (void)r;
    int64_t now_us = clock_wall_ns() / 1000;
    resp_array(&s->out, 2);
    bulk_number(&s->out, now_us / 1000000);
    bulk_number(&s->out, now_us % 1000000);
}

void zdbd_asterisk(struct zdbd_session *s, const struct resp_request *r) {
    (void)r;
    zdbd_error(s, "This is not a valid command");
}

/* 0-db has it in debug builds only. */
void zdbd_stop(struct zdbd_session *s, const struct resp_request *r) {
    (void)r;
    zdbd_error(s, "Unauthorized");
}

static void wait_over(struct timer *t) {
    struct zdbd_session *s = CONTAINER_OF(t, struct zdbd_session, watch_timeout);
    zdbd_command_unwatch(s);
    zdbd_session_prepare(s);
    zdbd_error(s, "Timeout");
    zdbd_session_run(s);
}

void zdbd_wait(struct zdbd_session *s, const struct resp_request *r) {
    uint64_t timeout_ms = WAIT_MS;
    if (r->count != 2 && r->count != 3) {
        zdbd_error(s, "Invalid arguments");
        return;
    }
    const struct zdbd_command *c = zdbd_command_find(r->args[1]);
    if (!c) {
        zdbd_error(s, "Unknown command to watch");
        return;
    }
    bool is_wrong =
        r->count == 3 && (r->args[2].n > WAIT_DIGITS_MAX || str_u64(r->args[2], &timeout_ms) < 0 ||
                          timeout_ms < WAIT_MS_MIN || timeout_ms > WAIT_MS_MAX);
    if (is_wrong || s->is_mirror) {
        zdbd_error(s, is_wrong ? "Invalid timeout" : "A mirror cannot wait");
        return;
    }
    s->watching = c;
    s->watch_timeout.fire = wait_over;
    zdbd_list_add(&s->server->watchers, &s->watch_link);
    timer_arm(s->server->loop, &s->watch_timeout, timeout_ms);
}

void zdbd_mirror(struct zdbd_session *s, const struct resp_request *r) {
    (void)r;
    if (!zdbd_check_admin(s)) return;
    resp_simple(&s->out, STR("Starting mirroring"));
    if (s->is_mirror) return;
    s->is_mirror = true;
    zdbd_list_add(&s->server->mirrors, &s->watch_link);
}

void zdbd_master(struct zdbd_session *s, const struct resp_request *r) {
    (void)r;
    if (!zdbd_check_admin(s)) return;
    s->is_master = true;
    resp_simple(&s->out, STR("Hello, master"));
}

/* ---- HOOKS ---- */

static int put_record(struct buf *b, const struct zdbd_hook_record *h) {
    size_t args = 0;
    size_t need = strlen(h->name) + 8 * RESP_LINE_BYTES_MAX;
    for (; h->args[args]; args++) need += strlen(h->args[args]) + 2 * RESP_LINE_BYTES_MAX;
    if (buf_reserve(b, need) < 0) return -1;
    resp_array(b, 6);
    resp_bulk(b, str_of(h->name));
    resp_array(b, args);
    for (size_t i = 0; i < args; i++) resp_bulk(b, str_of(h->args[i]));
    resp_int(b, h->pid);
    resp_int(b, h->created_s);
    resp_int(b, h->finished_s);
    resp_int(b, h->status);
    return 0;
}

void zdbd_hooks(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(buf_done) struct buf b = BUF(ZDBD_REPLY_BYTES_MAX - RESP_LINE_BYTES_MAX);
    const struct zdbd_hook_record *records = NULL;
    size_t count = 0;
    size_t fits = 0;
    (void)r;
    if (!zdbd_check_admin(s)) return;
    if (s->server->options.hook) count = zdbd_hook_records(s->server->options.hook, &records);
    while (fits < count && put_record(&b, &records[fits]) == 0) fits++;
    resp_array(&s->out, fits);
    int full = buf_str(&s->out, buf_view(&b));
    (void)full; /* ZDBD_REPLY_BYTES_MAX is free */
}
