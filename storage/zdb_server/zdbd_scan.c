/* SPDX-License-Identifier: Apache-2.0 — zdbd_scan.c: SCAN and RSCAN.
 *
 * By a worker: between two live keys any number of dead entries may lie, and the loop waits for
 * none of them. A reply has at least KEYS_MIN keys when there are so many, and more while its time
 * slice lasts.
 * Source: 0-db 2.0.7 (zdbd/commands_scan.c): the reply, 2 ms. */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"

#define SLICE_NS    UINT64_C(2000000)
#define KEYS_MIN    100
#define KEYS_MAX    2000
#define KEY_BYTES   (ZDB_KEY_BYTES_MAX + 4 * RESP_LINE_BYTES_MAX) /* of a key in the reply */
#define FAILED_TEXT "Invalid key format"

static enum zdb_direction direction_of(const struct zdbd_work *w) {
    return w->number[0] ? ZDB_BACK : ZDB_FORWARD;
}

static void put_key(struct buf *keys, const struct zdb_scanned *found) {
    resp_array(keys, 3);
    resp_bulk(keys, str_make((const char *)found->key, found->key_bytes));
    resp_int(keys, found->payload_bytes);
    resp_int(keys, found->time_s);
}

static void put_reply(struct zdbd_work *w, const struct zdb_cursor *last, const struct buf *keys,
                      size_t count) {
    uint8_t bytes[ZDB_CURSOR_BYTES];
    zdb_cursor_encode(last, bytes);
    resp_array(&w->reply, 2);
    resp_bulk(&w->reply, str_make((char *)bytes, sizeof bytes));
    resp_array(&w->reply, count);
    int full = buf_str(&w->reply, buf_view(keys));
    (void)full; /* KEYS_MAX of KEY_BYTES fit */
}

_Static_assert((size_t)KEYS_MAX *KEY_BYTES + 4096 < ZDBD_REPLY_BYTES_MAX, "a whole scan's reply");

static void run(struct zdbd_work *w) {
    AUTO(buf_done) struct buf keys = BUF((size_t)KEYS_MAX * KEY_BYTES);
    uint64_t start_ns = clock_ns();
    struct zdb_scanned found = {.key_bytes = 0};
    struct err e = {0};
    size_t count = 0;
    const struct zdb_cursor *after = w->has_cursor ? &w->cursor : NULL;
    while (count < KEYS_MIN || (count < KEYS_MAX && clock_ns() - start_ns < SLICE_NS)) {
        if (zdb_scan(w->space->ns, direction_of(w), after, &found, &e) < 0) break;
        put_key(&keys, &found);
        w->cursor = found.cursor;
        after = &w->cursor;
        count++;
    }
    if (count > 0) {
        put_reply(w, after, &keys, count);
    } else if (e.kind == ERR_INVALID) {
        (void)err_in(&e, FAILED_TEXT);
        zdbd_work_error(w, &e);
    } else {
        zdbd_work_error(w, &e);
    }
}

static void scan(struct zdbd_session *s, const struct resp_request *r, bool is_back) {
    struct zdb_cursor cursor = {.key_bytes = 0};
    if (!zdbd_check_readable(s)) return;
    if (r->count > 1 && zdb_cursor_decode(r->args[1], &cursor) < 0) {
        zdbd_error(s, FAILED_TEXT);
        return;
    }
    struct zdbd_work *w = zdbd_work_new(s, run);
    w->cursor = cursor;
    w->has_cursor = r->count > 1;
    w->number[0] = is_back;
    zdbd_work_start(w);
}

void zdbd_scan(struct zdbd_session *s, const struct resp_request *r) { scan(s, r, false); }

void zdbd_rscan(struct zdbd_session *s, const struct resp_request *r) { scan(s, r, true); }

/* It looks through all keys of memory; 0-db's releases refuse it, too. */
void zdbd_kscan(struct zdbd_session *s, const struct resp_request *r) {
    (void)r;
    zdbd_error(s, "Command disabled in release code, not yet available");
}
