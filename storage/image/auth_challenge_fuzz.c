/* SPDX-License-Identifier: Apache-2.0 — auth_challenge_fuzz.c: any bytes as WWW-Authenticate. */
#include "storage/image/auth_challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_done) struct arena a = ARENA(8U << 20);
    struct auth_challenge c = {0};
    struct err e = {0};
    if (auth_challenge_add(&a, str_make((const char *)data, size), &c, &e) < 0 &&
        (e.kind == ERR_NONE || c.bearer || c.basic))
        abort();
    return 0;
}
