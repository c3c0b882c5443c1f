/* SPDX-License-Identifier: Apache-2.0 — grpc_frame_fuzz.c: a frame fed whole and in pieces gives
 * the same. The first byte is the size of the pieces. */
#include "base/grpc_frame.h"

#define MESSAGE_BYTES_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(struct grpc_frame *f, const uint8_t *bytes, size_t n, size_t piece) {
    grpc_frame_init(f, MESSAGE_BYTES_MAX);
    int r = 0;
    for (size_t at = 0; r == 0 && at < n; at += piece)
        r = grpc_frame_feed(f, bytes + at, n - at < piece ? n - at : piece);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t piece = data[0] ? data[0] : 1;
    AUTO(grpc_frame_done) struct grpc_frame whole, pieces;
    int r = feed(&whole, data + 1, size - 1, size);
    if (feed(&pieces, data + 1, size - 1, piece) != r) abort();
    if (r < 0) return 0;
    if (grpc_frame_complete(&whole) != grpc_frame_complete(&pieces)) abort();
    if (!str_eq(buf_view(&whole.message), buf_view(&pieces.message))) abort();
    return 0;
}
