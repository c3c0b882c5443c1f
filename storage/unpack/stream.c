/* SPDX-License-Identifier: Apache-2.0 — stream.c: the decoding and digesting threads and their
 * ring.
 *
 * One producer decodes; two readers follow it: the digesting thread, and the caller who writes
 * files. `made`, `taken` and `digested` count blocks since the start; block i lives in slot i %
 * STREAM_BLOCKS. The caller holds block `taken - 1` until it asks for the next, so one slot is
 * always kept back. The lock protects the counters and the end state, never the bytes. Three
 * threads because SHA-256 without the CPU's own instructions costs as much as the other two
 * together. */
#include "storage/unpack/stream.h"

#include "base/own.h"
#include "storage/unpack/gunzip.h"
#include "storage/unpack/unzstd.h"

#include <errno.h>
#include <pthread.h>

struct stream {
    int fd; /* borrowed */
    enum stream_kind kind;
    struct gunzip *gunzip; /* owned, the one that kind needs */
    struct unzstd *unzstd;
    struct sha256 sha256;           /* the digesting thread's until it has ended */
    uint8_t *input;                 /* owned: STREAM_BLOCK_BYTES of compressed bytes */
    uint64_t bytes_read;            /* compressed ones, of the decoding thread */
    uint8_t *blocks[STREAM_BLOCKS]; /* owned */
    size_t filled[STREAM_BLOCKS];

    pthread_t decoder, digester;
    pthread_mutex_t lock; /* leaf lock of what follows */
    pthread_cond_t moved;
    uint64_t made, taken, digested;
    unsigned parked; /* threads that have come to their first wait */
    bool started, stopped, ended, digest_ended;
    int failed; /* 0 or -1 with failure */
    struct err failure;
};

/* ---- the producing thread ---- */

/* Where both threads begin: whatever starting a thread takes has happened when stream_new()
 * returns.
 */
static void park(struct stream *s) {
    (void)pthread_mutex_lock(&s->lock);
    s->parked++;
    (void)pthread_cond_broadcast(&s->moved);
    while (!s->started && !s->stopped) (void)pthread_cond_wait(&s->moved, &s->lock);
    (void)pthread_mutex_unlock(&s->lock);
}

static bool ring_full(const struct stream *s) {
    uint64_t slowest = s->taken < s->digested ? s->taken : s->digested;
    return s->made - slowest >= STREAM_BLOCKS - 1;
}

/* Waits for a free slot; NULL when the consumer has gone. */
static uint8_t *slot_wait(struct stream *s) {
    uint8_t *slot = NULL;
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stopped && ring_full(s)) (void)pthread_cond_wait(&s->moved, &s->lock);
    if (!s->stopped) slot = s->blocks[s->made % STREAM_BLOCKS];
    (void)pthread_mutex_unlock(&s->lock);
    return slot;
}

static void slot_publish(struct stream *s, size_t n) {
    (void)pthread_mutex_lock(&s->lock);
    s->filled[s->made % STREAM_BLOCKS] = n;
    s->made++;
    (void)pthread_cond_broadcast(&s->moved);
    (void)pthread_mutex_unlock(&s->lock);
}

static ssize_t read_input(const struct stream *s, void *out, struct err *e) {
    for (;;) {
        ssize_t n = read(s->fd, out, STREAM_BLOCK_BYTES);
        if (n >= 0) return n;
        if (errno != EINTR) return err_sys(e, errno, "read the layer's bytes");
    }
}

static int decode_step(struct stream *s, struct decode_io *io, struct err *e) {
    return s->kind == STREAM_GZIP ? gunzip_step(s->gunzip, io, e) : unzstd_step(s->unzstd, io, e);
}

static int decode_end(struct stream *s, struct err *e) {
    return s->kind == STREAM_GZIP ? gunzip_end(s->gunzip, e) : unzstd_end(s->unzstd, e);
}

/* Fills io's output as far as the input goes; *eof when the descriptor is at its end and the
 * decoder has nothing more to give. */
static int fill_block(struct stream *s, struct decode_io *io, bool *eof, struct err *e) {
    while (io->out_n > 0) {
        size_t in_before = io->in_n;
        size_t out_before = io->out_n;
        if (decode_step(s, io, e) < 0) return -1;
        if (io->in_n > 0 && (io->in_n < in_before || io->out_n < out_before)) continue;
        if (io->out_n < out_before) continue; /* held back output, no input left */
        ssize_t n = read_input(s, s->input, e);
        if (n < 0) return -1;
        if (n == 0) {
            *eof = true;
            return decode_end(s, e);
        }
        s->bytes_read += (size_t)n;
        io->in = s->input;
        io->in_n = (size_t)n;
    }
    return 0;
}

/* A few bytes that become a disk full of zeros would keep a core busy for minutes before their
 * digest is found wrong. */
static int check_expansion(const struct stream *s, uint64_t made, struct err *e) {
    if (made <= STREAM_EXPANSION_FREE_BYTES_MAX + STREAM_EXPANSION_RATIO_MAX * s->bytes_read)
        return 0;
    return err_set(e, ERR_LIMIT,
                   "a decompression bomb: %llu compressed bytes become more than %llu (the limit "
                   "is %llu MiB and %u times the compressed size)",
                   (unsigned long long)s->bytes_read, (unsigned long long)made,
                   (unsigned long long)(STREAM_EXPANSION_FREE_BYTES_MAX >> 20),
                   STREAM_EXPANSION_RATIO_MAX);
}

static int produce_decoded(struct stream *s, struct err *e) {
    struct decode_io io = {.in = s->input};
    uint64_t made = 0;
    for (bool eof = false; !eof;) {
        io.out = slot_wait(s);
        io.out_n = STREAM_BLOCK_BYTES;
        if (!io.out) return 0;
        if (fill_block(s, &io, &eof, e) < 0) return -1;
        made += STREAM_BLOCK_BYTES - io.out_n;
        if (check_expansion(s, made, e) < 0) return -1;
        if (io.out_n < STREAM_BLOCK_BYTES) slot_publish(s, STREAM_BLOCK_BYTES - io.out_n);
    }
    return 0;
}

static int produce_plain(struct stream *s, struct err *e) {
    for (uint8_t *slot; (slot = slot_wait(s));) {
        ssize_t n = read_input(s, slot, e);
        if (n < 0) return -1;
        if (n == 0) return 0;
        slot_publish(s, (size_t)n);
    }
    return 0;
}

static void *decoder_run(void *arg) {
    struct stream *s = arg;
    struct err e = {0};
    park(s);
    int r = s->kind == STREAM_PLAIN ? produce_plain(s, &e) : produce_decoded(s, &e);
    (void)pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->failed = r;
    s->failure = e;
    (void)pthread_cond_broadcast(&s->moved);
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- the digesting thread ---- */

/* Counts the block that was digested before; false when there is no further one. */
static bool digest_wait(struct stream *s, bool one_done) {
    (void)pthread_mutex_lock(&s->lock);
    if (one_done) s->digested++;
    if (one_done) (void)pthread_cond_broadcast(&s->moved);
    while (s->digested == s->made && !s->ended) (void)pthread_cond_wait(&s->moved, &s->lock);
    bool more = s->digested < s->made && !s->stopped;
    if (!more) s->digest_ended = true;
    (void)pthread_cond_broadcast(&s->moved);
    (void)pthread_mutex_unlock(&s->lock);
    return more;
}

static void *digester_run(void *arg) {
    struct stream *s = arg;
    park(s);
    for (uint64_t i = 0; digest_wait(s, i > 0); i++)
        sha256_update(&s->sha256, s->blocks[i % STREAM_BLOCKS], s->filled[i % STREAM_BLOCKS]);
    return NULL;
}

/* ---- the consumer's side ---- */

static void release(struct stream *s) {
    for (size_t i = 0; i < STREAM_BLOCKS; i++) free(s->blocks[i]);
    free(s->input);
    gunzip_free(s->gunzip);
    unzstd_free(s->unzstd);
    sha256_done(&s->sha256);
    (void)pthread_cond_destroy(&s->moved);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static void stop(struct stream *s) {
    (void)pthread_mutex_lock(&s->lock);
    s->stopped = true;
    (void)pthread_cond_broadcast(&s->moved);
    (void)pthread_mutex_unlock(&s->lock);
}

struct stream *stream_new(int fd, enum stream_kind kind, struct err *e) {
    struct stream *s = xnew(struct stream);
    s->fd = fd;
    s->kind = kind;
    if (kind == STREAM_GZIP) s->gunzip = gunzip_new();
    if (kind == STREAM_ZSTD) s->unzstd = unzstd_new();
    sha256_init(&s->sha256);
    s->input = xmalloc(STREAM_BLOCK_BYTES);
    for (size_t i = 0; i < STREAM_BLOCKS; i++) s->blocks[i] = xmalloc(STREAM_BLOCK_BYTES);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->moved, NULL);
    int r = pthread_create(&s->decoder, NULL, decoder_run, s);
    if (r != 0) {
        (void)err_sys(e, r, "start the decoding thread");
        release(s);
        return NULL;
    }
    r = pthread_create(&s->digester, NULL, digester_run, s);
    if (r != 0) {
        (void)err_sys(e, r, "start the digesting thread");
        stop(s);
        (void)pthread_join(s->decoder, NULL);
        release(s);
        return NULL;
    }
    (void)pthread_mutex_lock(&s->lock);
    while (s->parked < 2) (void)pthread_cond_wait(&s->moved, &s->lock);
    (void)pthread_mutex_unlock(&s->lock);
    return s;
}

void stream_start(struct stream *s) {
    (void)pthread_mutex_lock(&s->lock);
    s->started = true;
    (void)pthread_cond_broadcast(&s->moved);
    (void)pthread_mutex_unlock(&s->lock);
}

ssize_t stream_next(struct stream *s, const void **out, struct err *e) {
    ssize_t n = 0;
    (void)pthread_mutex_lock(&s->lock);
    while (s->taken == s->made && !s->ended) (void)pthread_cond_wait(&s->moved, &s->lock);
    if (s->taken < s->made) {
        *out = s->blocks[s->taken % STREAM_BLOCKS];
        n = (ssize_t)s->filled[s->taken % STREAM_BLOCKS];
        s->taken++;
        (void)pthread_cond_broadcast(&s->moved);
    } else if (s->failed < 0) {
        *e = s->failure;
        n = -1;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

struct digest stream_digest(struct stream *s) {
    (void)pthread_mutex_lock(&s->lock);
    while (!s->digest_ended) (void)pthread_cond_wait(&s->moved, &s->lock);
    (void)pthread_mutex_unlock(&s->lock);
    return sha256_final(&s->sha256);
}

void stream_free(struct stream *s) {
    if (!s) return;
    stop(s);
    (void)pthread_join(s->decoder, NULL);
    (void)pthread_join(s->digester, NULL);
    release(s);
}
