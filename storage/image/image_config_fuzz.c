/* SPDX-License-Identifier: Apache-2.0 — image_config_fuzz.c */
#include "storage/image/image_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_done) struct arena a = ARENA(8 << 20);
    struct image_config config;
    struct err e = {0};
    if (image_config_parse(&a, str_make((const char *)data, size), &config, &e) < 0 &&
        (e.kind == ERR_NONE || !e.msg[0]))
        abort(); /* a refusal says why */
    return 0;
}
