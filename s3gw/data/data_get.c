/* SPDX-License-Identifier: Apache-2.0 — data_get.c: reading a range, and who reads what. */
#include "s3gw/data/data_get.h"

#include "s3gw/data/data_internal.h"

#define WINDOW_CHUNKS 64 /* that are looked up at once */
#define WINDOW_BYTES  ((size_t)1 << 20)

struct data_get {
    struct data *data;
    struct data_get *before, *after; /* in data->readers */
    struct data_range range;
    uint64_t at; /* offset of the next byte in the body */
    uint64_t left;
    struct arena arena; /* of the window */
    struct meta_span_chunks window;
    size_t window_at;
    uint64_t chunk_offset; /* of window.p[window_at] in the body */
    struct buf bytes;      /* one chunk */
    struct str piece;
    int result;
    struct err error;
};

bool data_is_read(struct data *d, uint64_t body) {
    bool found = false;
    (void)pthread_mutex_lock(&d->lock);
    for (struct data_get *g = d->readers; g && !found; g = g->after) found = g->range.body == body;
    (void)pthread_mutex_unlock(&d->lock);
    return found;
}

struct data_get *data_get_new(struct data *d, const struct data_range *range) {
    struct data_get *g = xnew(struct data_get);
    g->data = d;
    g->range = *range;
    g->at = range->from;
    g->left = range->bytes;
    g->arena = ARENA(WINDOW_BYTES);
    g->bytes = BUF(DATA_CHUNK_BYTES);
    (void)pthread_mutex_lock(&d->lock);
    g->after = d->readers;
    if (g->after) g->after->before = g;
    d->readers = g;
    (void)pthread_mutex_unlock(&d->lock);
    return g;
}

uint64_t data_get_bytes(const struct data_get *g) { return g->range.bytes; }

static int load_window(struct data_get *g, struct err *e) {
    arena_done(&g->arena);
    struct meta_read read = {.m = g->data->meta, .arena = &g->arena};
    const struct meta_span span = {.body = g->range.body, .offset = g->at, .max = WINDOW_CHUNKS};
    if (meta_body_chunks(&read, &span, &g->window, e) < 0) return -1;
    g->window_at = 0;
    g->chunk_offset = g->window.first_offset;
    if (g->window.count == 0)
        return err_set(e, ERR_CORRUPT, "the body ends before its length does");
    return 0;
}

static int read_chunk(struct data_get *g, const struct meta_chunk *chunk, struct err *e) {
    struct data_key k = data_key_of(chunk->id);
    struct zdb_value v = {.file = NULL};
    int r = zdb_find(g->data->ns, data_key_str(&k), &v, e);
    buf_clear(&g->bytes);
    if (r == 0) r = zdb_read(g->data->ns, data_key_str(&k), &v, &g->bytes, e);
    zdb_value_done(&v);
    if (r < 0) return err_in(e, "chunk %llu", (unsigned long long)chunk->id);
    if (g->bytes.n != chunk->size_bytes)
        return err_set(e, ERR_CORRUPT, "chunk %llu has %zu bytes instead of %u",
                       (unsigned long long)chunk->id, g->bytes.n, chunk->size_bytes);
    return 0;
}

static int next_piece(struct data_get *g, struct err *e) {
    if (g->window_at == g->window.count && load_window(g, e) < 0) return -1;
    const struct meta_chunk *chunk = &g->window.p[g->window_at];
    if (g->at < g->chunk_offset || g->at >= g->chunk_offset + chunk->size_bytes)
        return err_set(e, ERR_CORRUPT, "the body's chunks do not follow each other");
    if (read_chunk(g, chunk, e) < 0) return -1;
    size_t from = (size_t)(g->at - g->chunk_offset);
    size_t n = g->bytes.n - from;
    if (n > g->left) n = (size_t)g->left;
    g->piece = str_make(g->bytes.p + from, n);
    g->at += n;
    g->left -= n;
    g->chunk_offset += chunk->size_bytes;
    g->window_at++;
    return 0;
}

void data_get_next(struct data_get *g) { g->result = next_piece(g, &g->error); }

int data_get_result(const struct data_get *g, struct str *out_piece, bool *out_last,
                    struct err *e) {
    if (g->result < 0) {
        *e = g->error;
        return -1;
    }
    *out_piece = g->piece;
    *out_last = g->left == 0;
    return 0;
}

void data_get_free(struct data_get *g) {
    if (!g) return;
    struct data *d = g->data;
    (void)pthread_mutex_lock(&d->lock);
    if (g->after) g->after->before = g->before;
    if (g->before)
        g->before->after = g->after;
    else
        d->readers = g->after;
    (void)pthread_mutex_unlock(&d->lock);
    arena_done(&g->arena);
    buf_done(&g->bytes);
    free(g);
}
