/* SPDX-License-Identifier: Apache-2.0 — data_put.c: from the connection into chunks.
 *
 * The buffer: [0, n) is payload that waits for its chunk, [n, n + came) is what the connection
 * gave; body_next() gives pieces of the second part, which move down to n. Payload never needs more
 * room than what it came in, so decoding in place is safe. Behind a whole chunk's room there is
 * SLACK, so that framing is read even when the payload is complete. */
#include "s3gw/data/data_put.h"

#include "base/clock.h"
#include "base/log.h"
#include "s3gw/data/data_internal.h"

#define SLACK_LARGE ((size_t)64 << 10)
#define SLACK_SMALL ((size_t)4 << 10)

struct data_put {
    struct data *data;
    char *memory; /* owned */
    size_t capacity, n, came;
    uint64_t written;          /* bytes in chunks */
    struct meta_chunk *chunks; /* owned */
    size_t chunk_count, chunk_room;
    uint64_t ticket;
    bool taken;
    enum data_place place;
    struct hash md5; /* of raw puts */
    struct checksum checksum;
    bool hashes_also;
    struct data_stored stored;
};

struct data_put *data_put_new(struct data *d, uint64_t bytes, enum data_place place) {
    struct data_put *p = xnew(struct data_put);
    p->data = d;
    p->place = place;
    p->md5 = HASH_NONE;
    p->checksum = CHECKSUM_NONE;
    bool is_small = bytes <= META_INLINE_BYTES_MAX;
    size_t payload = bytes < DATA_CHUNK_BYTES ? (size_t)bytes : DATA_CHUNK_BYTES;
    p->capacity = payload + (is_small ? SLACK_SMALL : SLACK_LARGE);
    p->memory = xrealloc(NULL, p->capacity);
    return p;
}

void data_put_also(struct data_put *p, enum checksum_kind kind) {
    p->hashes_also = true;
    checksum_init(&p->checksum, kind);
}

struct data_room data_put_room(struct data_put *p) {
    return (struct data_room){p->memory + p->n, p->capacity - p->n};
}

void data_put_came(struct data_put *p, size_t n) { p->came = n; }

static int keep_id(struct data_put *p, uint32_t bytes, uint64_t *out_id, struct err *e) {
    if (p->chunk_count == META_CHUNKS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d chunks in one upload", META_CHUNKS_MAX);
    if (p->chunk_count == p->chunk_room) {
        p->chunk_room = p->chunk_room ? p->chunk_room * 2 : 16;
        p->chunks = xrealloc(p->chunks, p->chunk_room * sizeof *p->chunks);
    }
    if (meta_chunk_ids(p->data->meta, 1, out_id, e) < 0) return -1;
    p->chunks[p->chunk_count++] = (struct meta_chunk){*out_id, bytes};
    return 0;
}

static int write_chunk(struct data_put *p, struct str bytes, struct s3_error *x) {
    struct err e = {0};
    uint64_t id = 0;
    struct zdb_put_result r;
    if (keep_id(p, (uint32_t)bytes.n, &id, &e) < 0) return s3_error_of_err(x, &e);
    struct data_key k = data_key_of(id);
    const struct zdb_put put = {.key = data_key_str(&k),
                                .payload = bytes,
                                .time_s = (uint32_t)(clock_wall_ns() / 1000000000)};
    if (zdb_put(p->data->ns, &put, &r, &e) < 0) return s3_error_of_err(x, &e);
    p->ticket = r.ticket;
    p->written += bytes.n;
    return 0;
}

static int write_full(struct data_put *p, struct s3_error *x) {
    while (p->n >= DATA_CHUNK_BYTES) {
        if (write_chunk(p, str_make(p->memory, DATA_CHUNK_BYTES), x) < 0) return -1;
        p->n -= DATA_CHUNK_BYTES;
        memmove(p->memory, p->memory + DATA_CHUNK_BYTES, p->n);
    }
    return 0;
}

int data_put_feed(struct data_put *p, struct body *body, struct s3_error *x) {
    struct str in = str_make(p->memory + p->n, p->came);
    struct str piece = STR_NONE;
    int r = 0;
    p->came = 0;
    while ((r = body_next(body, &in, &piece, x)) > 0) {
        if (piece.p != p->memory + p->n) memmove(p->memory + p->n, piece.p, piece.n);
        if (p->hashes_also) checksum_update(&p->checksum, p->memory + p->n, piece.n);
        p->n += piece.n;
    }
    return r < 0 ? -1 : write_full(p, x);
}

static int finish(struct data_put *p, struct s3_error *x) {
    struct err e = {0};
    bool is_small = p->place == DATA_MAY_STAY && p->written == 0 && p->n <= META_INLINE_BYTES_MAX;
    p->stored.bytes = p->written + p->n;
    if (is_small) {
        p->stored.data = str_make(p->memory, p->n);
        return 0;
    }
    if (p->n > 0 && write_chunk(p, str_make(p->memory, p->n), x) < 0) return -1;
    p->n = 0;
    p->stored.chunks = (struct meta_chunks){p->chunks, p->chunk_count};
    if (p->chunk_count > 0 && zdb_commit(p->data->ns, p->ticket, &e) < 0)
        return s3_error_of_err(x, &e);
    return 0;
}

int data_put_end(struct data_put *p, struct body *body, struct s3_error *x) {
    if (body_end(body, &p->stored.result, x) < 0) return -1;
    if (p->hashes_also) p->stored.also = checksum_final(&p->checksum);
    return finish(p, x);
}

const struct data_stored *data_put_stored(const struct data_put *p) { return &p->stored; }
void data_put_taken(struct data_put *p) { p->taken = true; }

/* ---- without a connection ---- */

struct data_put *data_put_new_raw(struct data *d, uint64_t bytes, enum checksum_kind kind) {
    struct data_put *p = data_put_new(d, bytes, DATA_CHUNKS);
    hash_init(&p->md5, HASH_MD5);
    checksum_init(&p->checksum, kind);
    return p;
}

int data_put_raw(struct data_put *p, struct str bytes, struct s3_error *x) {
    hash_update(&p->md5, bytes.p ? bytes.p : "", bytes.n);
    checksum_update(&p->checksum, bytes.p ? bytes.p : "", bytes.n);
    while (bytes.n > 0) {
        size_t n = p->capacity - p->n < bytes.n ? p->capacity - p->n : bytes.n;
        memcpy(p->memory + p->n, bytes.p, n);
        p->n += n;
        bytes = str_sub(bytes, n, bytes.n);
        if (write_full(p, x) < 0) return -1;
    }
    return 0;
}

int data_put_raw_end(struct data_put *p, struct s3_error *x) {
    uint8_t md5[HASH_BYTES_MAX];
    (void)hash_final(&p->md5, md5);
    memcpy(p->stored.result.md5, md5, sizeof p->stored.result.md5);
    p->stored.result.checksum = checksum_final(&p->checksum);
    return finish(p, x);
}

/* ---- discarding ---- */

struct discard {
    struct meta_op op;
    struct meta_chunk *chunks; /* owned */
};

static void discarded(struct meta_op *op) {
    struct discard *d = CONTAINER_OF(op, struct discard, op);
    if (op->why != META_OK)
        LOG_WARN("chunks of a failed upload stay until the next start", F_ERR(&op->error));
    free(d->chunks);
    free(d);
}

/* When it cannot be queued, or the gateway ends, the chunks stay marked as nobody's: the next start
 * finds them. */
void data_put_free(struct data_put *p) {
    if (!p) return;
    if (!p->taken && p->chunk_count > 0 && !data_is_stopping(p->data)) {
        struct discard *d = xnew(struct discard);
        struct err e = {0};
        d->chunks = STEAL(p->chunks);
        d->op = (struct meta_op){.verb = META_DISCARD,
                                 .now_ms = (uint64_t)(clock_wall_ns() / 1000000),
                                 .discard = {d->chunks, p->chunk_count},
                                 .done = discarded};
        if (meta_submit(p->data->meta, &d->op, &e) < 0) {
            free(d->chunks);
            free(d);
        }
    }
    hash_done(&p->md5);
    checksum_done(&p->checksum);
    free(p->chunks);
    free(p->memory);
    free(p);
}
