/* SPDX-License-Identifier: Apache-2.0 — unzstd.c: zstd through libzstd. */
#include "storage/unpack/unzstd.h"

#include <assert.h>
#include <zstd.h>
#include <zstd_errors.h>

#define ZSTD_WINDOW_LOG_MAX 27 /* 128 MiB: what the zstd program accepts without being asked */

struct unzstd {
    ZSTD_DCtx *ctx; /* owned */
    uint64_t frames;
    bool inside; /* of a frame */
};

struct unzstd *unzstd_new(void) {
    struct unzstd *z = xnew(struct unzstd);
    z->ctx = ZSTD_createDCtx();
    if (!z->ctx) abort();
    size_t r = ZSTD_DCtx_setParameter(z->ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    assert(!ZSTD_isError(r));
    (void)r;
    return z;
}

void unzstd_free(struct unzstd *z) {
    if (!z) return;
    (void)ZSTD_freeDCtx(z->ctx);
    free(z);
}

int unzstd_step(struct unzstd *z, struct decode_io *io, struct err *e) {
    if (!z->inside && io->in_n == 0) return 0;
    ZSTD_inBuffer in = {io->in, io->in_n, 0};
    ZSTD_outBuffer out = {io->out, io->out_n, 0};
    size_t r = ZSTD_decompressStream(z->ctx, &out, &in);
    if (ZSTD_isError(r)) {
        if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
            return err_set(e, ERR_LIMIT, "zstd: a frame wants a window of more than %d MiB",
                           1 << (ZSTD_WINDOW_LOG_MAX - 20));
        return err_set(e, ERR_CORRUPT, "zstd: the compressed data is damaged: %s",
                       ZSTD_getErrorName(r));
    }
    io->in += in.pos;
    io->in_n -= in.pos;
    io->out += out.pos;
    io->out_n -= out.pos;
    z->inside = r != 0;
    if (r == 0) z->frames++;
    return 0;
}

int unzstd_end(const struct unzstd *z, struct err *e) {
    if (z->inside) return err_set(e, ERR_CORRUPT, "zstd: the stream ends inside of a frame");
    if (z->frames == 0) return err_set(e, ERR_CORRUPT, "zstd: the stream is empty");
    return 0;
}
