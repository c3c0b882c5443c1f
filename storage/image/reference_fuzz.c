/* SPDX-License-Identifier: Apache-2.0 — reference_fuzz.c: any bytes as an image reference; what is
 * accepted must be accepted again in its full form, and give the same. */
#include "storage/image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_done) struct arena a = ARENA(1U << 16);
    struct err e = {0};
    struct reference first, again;
    struct str hex;
    (void)reference_is_id(str_make((const char *)data, size), &hex);
    if (reference_parse(&a, str_make((const char *)data, size), &first, &e) < 0) return 0;
    if (reference_parse(&a, first.full, &again, &e) < 0 || !str_eq(first.full, again.full) ||
        !str_eq(first.host, again.host) || !str_eq(first.path, again.path))
        abort();
    return 0;
}
