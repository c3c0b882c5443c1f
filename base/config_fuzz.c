/* SPDX-License-Identifier: Apache-2.0 — config_fuzz.c: any text is settings or one clear error. */
#include "base/config.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
    char *root;
    bool fast;
    uint64_t number;
    uint64_t bytes;
    uint64_t ms;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct config_key keys[] = {
        {"root", CONFIG_STR, offsetof(struct settings, root), NULL, "DIR", "Text."},
        {"fast", CONFIG_BOOL, offsetof(struct settings, fast), NULL, NULL, "Bool."},
        {"number", CONFIG_U64, offsetof(struct settings, number), NULL, "N", "Number."},
        {"bytes", CONFIG_BYTES, offsetof(struct settings, bytes), NULL, "N", "Bytes."},
        {"ms", CONFIG_MS, offsetof(struct settings, ms), NULL, "N", "Time."}};
    static const struct config_program program = {
        .name = "fuzz", .synopsis = "", .keys = keys, .key_count = COUNT(keys)};
    struct settings s = {0};
    struct err e = {0};
    int r = config_yaml(&program, str_make((const char *)data, size), "fuzz.yaml", &s, &e);
    assert(r == 0 || e.kind == ERR_INVALID || e.kind == ERR_LIMIT);
    config_done(&program, &s);
    return 0;
}
