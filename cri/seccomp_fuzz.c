/* SPDX-License-Identifier: Apache-2.0 — seccomp_fuzz.c: Localhost profiles of any bytes. */
#include "cri/seccomp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(buf_done) struct buf out = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    struct err e = {0};
    uint32_t flags = 0;
    int r = seccomp_compile_json(str_make((const char *)data, size), &out, &flags, &e);
    if (r < 0 && (e.kind == ERR_NONE || out.n)) abort();
    if (r == 0 && out.n % 8) abort();
    return 0;
}
