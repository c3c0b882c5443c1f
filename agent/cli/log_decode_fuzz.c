/* SPDX-License-Identifier: Apache-2.0 — log_decode_fuzz.c: any line has a payload inside itself. */
#include "agent/cli/log_decode.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str line = {(const char *)data, size};
    struct log_entry e;
    bool known = log_decode(line, &e);
    assert(e.payload.n <= size);
    if (e.payload.n) assert(e.payload.p >= line.p && e.payload.p + e.payload.n == line.p + size);
    if (!known) assert(e.payload.n == size && e.full);
    return 0;
}
