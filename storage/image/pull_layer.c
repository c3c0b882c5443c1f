/* SPDX-License-Identifier: Apache-2.0 — pull_layer.c: download, digest and unpack one layer at
 * once.
 *
 * States: downloading (registry_fetch runs; bytes go through SHA-256 into the unpacker's pipe)
 *   -> unpacking (all bytes are in and have the right digest, the pipe is closed, the pidfd is
 *      watched) -> committing (a job on the pool) -> done.
 * A failure of the download leads to aborting (a job that kills and removes). When the unpacker
 * leaves early (EPIPE) its own report is the better message: the download is cancelled and the
 * commit, which will fail, asks for it. A full pipe pauses the download; nothing is copied in
 * between. The compression is recognised by the first bytes, because media types lie. */
#include "storage/image/pull_layer.h"

#include "base/digest.h"

#include <errno.h>

struct pull_layer {
    struct pull_layer_want want;
    struct registry_fetch *fetch; /* NULL when it ended */
    struct layer_writer *writer;  /* NULL before the first bytes */
    int pipe;                     /* owned, -1 when closed */
    int pidfd;                    /* borrowed from the writer */
    struct watch writable, exited;
    struct sha256 hash;
    uint64_t bytes;
    char head[4];
    size_t head_n;
    struct job job;
    struct task task;
    char dir[16];
    bool committed, left_early, cancelled;
    struct err e; /* first failure */
};

static void layer_free(struct pull_layer *l) {
    watch_stop(&l->writable);
    watch_stop(&l->exited);
    if (l->pipe >= 0) (void)close(l->pipe);
    sha256_done(&l->hash);
    free(l);
}

/* ---- the jobs ---- */

static void layer_finish(struct task *t) {
    struct pull_layer *l = CONTAINER_OF(t, struct pull_layer, task);
    struct pull_layer_want want = l->want;
    struct err e = l->e;
    bool committed = l->committed;
    char dir[sizeof(l->dir)];
    (void)memcpy(dir, l->dir, sizeof(dir));
    layer_free(l);
    if (committed && e.kind != ERR_NONE) {
        struct str held = str_of(dir);
        image_release(want.store, &held, 1);
        committed = false;
    }
    want.on_done(want.user, committed ? dir : NULL, committed ? NULL : &e);
}

/* What is wrong inside of a layer is never the fault of the request or of a credential. */
static void blame_layer(struct err *e) {
    switch (e->kind) {
    case ERR_INVALID:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_DENIED:
    case ERR_BUSY: e->kind = ERR_CORRUPT; return;
    case ERR_NONE:
    case ERR_LIMIT:
    case ERR_TIMEOUT:
    case ERR_CANCELLED:
    case ERR_CORRUPT:
    case ERR_UNSUPPORTED:
    case ERR_IO:
    case ERR_INTERNAL:
    case ERR_KINDS: return;
    }
}

static void commit_run(struct job *j) {
    struct pull_layer *l = CONTAINER_OF(j, struct pull_layer, job);
    struct layer_result result;
    struct err e = {0};
    if (layer_commit(STEAL(l->writer), l->want.diff_id, l->dir, &result, &e) == 0) {
        l->committed = true;
        if (l->left_early)
            (void)err_set(&l->e, ERR_CORRUPT, "the archive ends before its blob does");
    } else {
        blame_layer(&e);
        l->e = e;
    }
    loop_post(l->want.loop, &l->task);
}

static void abort_run(struct job *j) {
    struct pull_layer *l = CONTAINER_OF(j, struct pull_layer, job);
    layer_abort(STEAL(l->writer));
    loop_post(l->want.loop, &l->task);
}

static void layer_job(struct pull_layer *l, void (*run)(struct job *)) {
    watch_stop(&l->writable);
    watch_stop(&l->exited);
    if (l->pipe >= 0) (void)close(STEAL_FD(l->pipe));
    l->job.run = run;
    loop_work(l->want.loop, &l->job);
}

static void unpacker_exited(struct watch *w, int events) {
    (void)events;
    layer_job(CONTAINER_OF(w, struct pull_layer, exited), commit_run);
}

/* The pipe is closed and the unpacker on its way out. */
static void layer_await_exit(struct pull_layer *l) {
    if (l->pipe >= 0) (void)close(STEAL_FD(l->pipe));
    watch_stop(&l->writable);
    int r = watch_start(l->want.loop, &l->exited, l->pidfd, WATCH_READ);
    if (r == 0) return;
    (void)err_sys(&l->e, -r, "watch the unpacker");
    layer_job(l, abort_run);
}

/* ---- bytes ---- */

static enum layer_compression compression_of(const char *head, size_t n) {
    if (n >= 2 && memcmp(head, "\x1f\x8b", 2) == 0) return LAYER_GZIP;
    if (n >= 4 && memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0) return LAYER_ZSTD;
    return LAYER_PLAIN;
}

/* Starts the unpacker on the first bytes, which fit into its empty pipe. */
static int writer_start(struct pull_layer *l) {
    l->writer =
        layer_write(l->want.store, compression_of(l->head, l->head_n), &l->pipe, &l->pidfd, &l->e);
    if (!l->writer) return -1;
    if (l->head_n > 0 && write(l->pipe, l->head, l->head_n) != (ssize_t)l->head_n) {
        if (errno == EPIPE)
            l->left_early = true;
        else
            (void)err_sys(&l->e, errno, "write to the unpacker");
        return -1;
    }
    return 0;
}

static void pipe_writable(struct watch *w, int events) {
    struct pull_layer *l = CONTAINER_OF(w, struct pull_layer, writable);
    (void)events;
    watch_stop(w);
    if (l->fetch) registry_resume(l->fetch);
}

/* Returns how many bytes went into the pipe; sets l->e or left_early when it is broken. */
static size_t pipe_write(struct pull_layer *l, struct str bytes) {
    size_t used = 0;
    while (used < bytes.n) {
        ssize_t n = write(l->pipe, bytes.p + used, bytes.n - used);
        if (n > 0) {
            used += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EPIPE) {
            l->left_early = true;
        } else if (n < 0 && errno == EAGAIN) {
            int r = watch_start(l->want.loop, &l->writable, l->pipe, WATCH_WRITE);
            if (r < 0) (void)err_sys(&l->e, -r, "watch the unpacker's pipe");
        } else {
            (void)err_sys(&l->e, errno, "write to the unpacker");
        }
        break;
    }
    return used;
}

static bool layer_broken(const struct pull_layer *l) {
    return l->left_early || l->e.kind != ERR_NONE;
}

static size_t layer_body(void *user, struct str bytes) {
    struct pull_layer *l = user;
    if (layer_broken(l)) return bytes.n;
    size_t used = 0;
    if (!l->writer) {
        used = sizeof(l->head) - l->head_n;
        if (used > bytes.n) used = bytes.n;
        (void)memcpy(l->head + l->head_n, bytes.p, used);
        l->head_n += used;
        if (l->head_n == sizeof(l->head)) (void)writer_start(l);
    }
    if (l->writer && !layer_broken(l)) used += pipe_write(l, str_sub(bytes, used, bytes.n));
    sha256_update(&l->hash, bytes.p, used);
    l->bytes += used;
    if (layer_broken(l)) {
        registry_cancel(l->fetch);
        return bytes.n;
    }
    l->want.on_progress(l->want.user, l->bytes, false);
    return used;
}

/* All bytes are here: their digest, then the unpacker's turn. */
static void layer_complete(struct pull_layer *l) {
    char text[DIGEST_TEXT_CHARS + 1];
    struct digest d = sha256_final(&l->hash);
    if (!str_eq(str_of(digest_text(&d, text)), l->want.blob->digest)) {
        (void)err_set(&l->e, ERR_CORRUPT, "the registry sent bytes with digest %s", text);
        return;
    }
    if (!l->writer) (void)writer_start(l); /* a blob shorter than a magic number */
}

static void layer_fetched(void *user, const struct registry_reply *reply, const struct err *e) {
    struct pull_layer *l = user;
    (void)reply;
    l->fetch = NULL;
    if (l->cancelled) {
        (void)err_set(&l->e, ERR_CANCELLED, "cancelled");
    } else if (!layer_broken(l)) {
        if (e)
            l->e = *e;
        else
            layer_complete(l);
    }
    if (l->e.kind != ERR_NONE) {
        layer_job(l, abort_run);
        return;
    }
    if (!l->left_early) l->want.on_progress(l->want.user, l->bytes, true);
    layer_await_exit(l);
}

/* ---- the public functions ---- */

struct pull_layer *pull_layer_start(const struct pull_layer_want *w) {
    struct pull_layer *l = xnew(struct pull_layer);
    *l = (struct pull_layer){.want = *w,
                             .pipe = -1,
                             .pidfd = -1,
                             .writable = {.ready = pipe_writable},
                             .exited = {.ready = unpacker_exited},
                             .task = {.run = layer_finish}};
    sha256_init(&l->hash);
    struct registry_want get = {.source = w->source,
                                .kind = REGISTRY_BLOB,
                                .what = w->blob->digest,
                                .size_bytes = w->blob->size_bytes,
                                .user = l,
                                .on_body = layer_body,
                                .on_done = layer_fetched};
    l->fetch = registry_get(w->registry, &get);
    return l;
}

void pull_layer_cancel(struct pull_layer *l) {
    if (l->cancelled) return;
    l->cancelled = true;
    if (l->fetch) {
        registry_cancel(l->fetch);
    } else if (l->exited.impl) {
        (void)err_set(&l->e, ERR_CANCELLED, "cancelled");
        layer_job(l, abort_run);
    }
}
