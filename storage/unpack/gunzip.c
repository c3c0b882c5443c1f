/* SPDX-License-Identifier: Apache-2.0 — gunzip.c: gzip through ISA-L's igzip. */
#include "storage/unpack/gunzip.h"

#include <isa-l/igzip_lib.h>

struct gunzip {
    struct inflate_state state;
    uint64_t members; /* completely decoded ones */
    bool inside;      /* of a member */
};

struct gunzip *gunzip_new(void) {
    struct gunzip *g = xnew(struct gunzip);
    isal_inflate_init(&g->state);
    return g;
}

void gunzip_free(struct gunzip *g) { free(g); }

static int refuse(const struct gunzip *g, int code, struct err *e) {
    if (code == ISAL_INCORRECT_CHECKSUM)
        return err_set(e, ERR_CORRUPT, "gzip: the checksum or length of a member is wrong");
    if (code == ISAL_INVALID_WRAPPER || code == ISAL_UNSUPPORTED_METHOD)
        return err_set(e, ERR_CORRUPT,
                       g->members > 0 ? "gzip: data behind the last member is not gzip"
                                      : "gzip: the stream does not start with a gzip header");
    return err_set(e, ERR_CORRUPT, "gzip: the compressed data is damaged (code %d)", code);
}

int gunzip_step(struct gunzip *g, struct decode_io *io, struct err *e) {
    struct inflate_state *s = &g->state;
    if (!g->inside) {
        if (io->in_n == 0) return 0;
        isal_inflate_reset(s);
        s->crc_flag = ISAL_GZIP;
        g->inside = true;
    }
    uint32_t in_n = io->in_n > UINT32_MAX ? UINT32_MAX : (uint32_t)io->in_n;
    uint32_t out_n = io->out_n > UINT32_MAX ? UINT32_MAX : (uint32_t)io->out_n;
    s->next_in = (uint8_t *)(uintptr_t)io->in; /* read only, by ISA-L's documentation */
    s->avail_in = in_n;
    s->next_out = io->out;
    s->avail_out = out_n;
    int code = isal_inflate(s);
    if (code < 0 || code == ISAL_NEED_DICT) return refuse(g, code, e);
    io->in += in_n - s->avail_in;
    io->in_n -= in_n - s->avail_in;
    io->out += out_n - s->avail_out;
    io->out_n -= out_n - s->avail_out;
    if (s->block_state == ISAL_BLOCK_FINISH) {
        g->inside = false;
        g->members++;
    }
    return 0;
}

int gunzip_end(const struct gunzip *g, struct err *e) {
    if (g->inside) return err_set(e, ERR_CORRUPT, "gzip: the stream ends inside of a member");
    if (g->members == 0) return err_set(e, ERR_CORRUPT, "gzip: the stream is empty");
    return 0;
}
