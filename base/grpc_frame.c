/* SPDX-License-Identifier: Apache-2.0 — grpc_frame.c: 5-byte framing, as a pure function of bytes.
 */
#include "base/grpc_frame.h"

#include <errno.h>

void grpc_frame_init(struct grpc_frame *f, size_t message_bytes_max) {
    *f = (struct grpc_frame){.message = BUF(message_bytes_max)};
}

uint32_t grpc_frame_length(const struct grpc_frame *f) {
    if (f->prefix_bytes < GRPC_FRAME_PREFIX_BYTES) return 0;
    return (uint32_t)f->prefix[1] << 24 | (uint32_t)f->prefix[2] << 16 |
           (uint32_t)f->prefix[3] << 8 | f->prefix[4];
}

int grpc_frame_feed(struct grpc_frame *f, const uint8_t *bytes, size_t n) {
    while (n > 0 && f->prefix_bytes < GRPC_FRAME_PREFIX_BYTES) {
        f->prefix[f->prefix_bytes++] = *bytes++;
        n--;
        if (f->prefix[0] == 1) return -ENOTSUP;
        if (f->prefix[0] != 0) return -EPROTO;
        if (grpc_frame_length(f) > f->message.bytes_max) return -EMSGSIZE;
    }
    if (n > grpc_frame_length(f) - f->message.n) return -EPROTO;
    return buf_append(&f->message, bytes, n);
}

bool grpc_frame_complete(const struct grpc_frame *f) {
    return f->prefix_bytes == GRPC_FRAME_PREFIX_BYTES && f->message.n == grpc_frame_length(f);
}

void grpc_frame_done(struct grpc_frame *f) { buf_done(&f->message); }

void grpc_frame_prefix(uint32_t n, uint8_t out[GRPC_FRAME_PREFIX_BYTES]) {
    out[0] = 0;
    out[1] = (uint8_t)(n >> 24);
    out[2] = (uint8_t)(n >> 16);
    out[3] = (uint8_t)(n >> 8);
    out[4] = (uint8_t)n;
}
