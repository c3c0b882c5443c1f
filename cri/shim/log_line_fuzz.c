/* SPDX-License-Identifier: Apache-2.0 — log_line_fuzz.c: the first byte says how the rest is cut;
 * no byte may be lost or made up, no piece too long. */
#include "cri/shim/log_line.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t check(const struct log_piece *piece) {
    assert(piece->head.n + piece->tail.n <= LOG_LINE_BYTES_MAX);
    assert(str_find(piece->head, '\n') < 0 && str_find(piece->tail, '\n') < 0);
    return piece->head.n + piece->tail.n + piece->full;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char hold[LOG_LINE_BYTES_MAX];
    struct log_line line = {.hold = hold};
    struct log_piece piece;
    size_t seen = 0;
    if (size == 0) return 0;
    size_t step = data[0] < 128 ? data[0] + 1u : (size_t)(data[0] - 127) * 400;
    struct str in = {(const char *)data + 1, size - 1};
    for (size_t at = 0; at < in.n; at += step) {
        struct str part = str_sub(in, at, at + step);
        while (log_line_next(&line, &part, &piece)) seen += check(&piece);
        log_line_hold(&line, part);
    }
    if (log_line_end(&line, &piece)) seen += check(&piece);
    assert(seen == in.n);
    return 0;
}
