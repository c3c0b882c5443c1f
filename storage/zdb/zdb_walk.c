/* SPDX-License-Identifier: Apache-2.0 — zdb_walk.c: records of a data file, one after the other. */
#include "storage/zdb/zdb_walk.h"

#include "base/file.h"

#include <assert.h>
#include <errno.h>

void zdb_window_done(struct zdb_window *w) {
    free(STEAL(w->bytes));
    w->n = 0;
}

int zdb_window_get(struct zdb_window *w, uint64_t offset, size_t n, struct str *out) {
    assert(n <= ZDB_WINDOW_BYTES);
    if (!w->bytes) w->bytes = xmalloc(ZDB_WINDOW_BYTES);
    if (offset < w->at || offset + n > w->at + w->n) {
        w->n = 0;
        ssize_t got = file_pread_full(w->fd, w->bytes, ZDB_WINDOW_BYTES, offset);
        if (got < 0) return (int)got;
        w->at = offset;
        w->n = (size_t)got;
        w->read_bytes += (uint64_t)got;
    }
    size_t from = (size_t)(offset - w->at);
    *out = str_sub(str_make(w->bytes, w->n), from, from + n);
    return 0;
}

int zdb_walk_next(struct zdb_walk *w, struct zdb_walked *out) {
    struct str in;
    if (w->at >= w->end) return 0;
    int r = zdb_window_get(&w->window, w->at, ZDB_RECORD_BYTES + ZDB_KEY_BYTES_MAX, &in);
    if (r < 0) return r;
    if (zdb_record_decode(in, &out->record) < 0) return -EBADMSG;
    size_t head = ZDB_RECORD_BYTES + (size_t)out->record.key_bytes;
    uint64_t end = (uint64_t)w->at + head + out->record.payload_bytes;
    if (head > in.n || end > w->end) return -EBADMSG;
    out->at = w->at;
    out->bytes = (uint32_t)(end - w->at);
    out->key = str_sub(in, ZDB_RECORD_BYTES, head);
    w->at = (uint32_t)end;
    return 1;
}
