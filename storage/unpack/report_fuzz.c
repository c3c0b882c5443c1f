/* SPDX-License-Identifier: Apache-2.0 — report_fuzz.c: gridletd reads what a compromised unpacker
 * may have written. */
#include "storage/unpack/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
    struct report report;
    struct err e = {0};
    if (report_decode(str_make((const char *)data, size), &a, &report, &e) < 0 &&
        e.kind == ERR_NONE)
        abort();
    return 0;
}
