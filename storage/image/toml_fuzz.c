/* SPDX-License-Identifier: Apache-2.0 — toml_fuzz.c: any bytes as a hosts.toml file. */
#include "storage/image/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_done) struct arena a = ARENA(4U << 20);
    struct err e = {0};
    const struct toml *root;
    if (toml_parse(&a, str_make((const char *)data, size), &root, &e) < 0 && e.kind == ERR_NONE)
        abort();
    return 0;
}
