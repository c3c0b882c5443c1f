/* SPDX-License-Identifier: Apache-2.0 — manifest_fuzz.c: any bytes as a manifest and as a config.
 */
#include "storage/image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_done) struct arena a = ARENA(32U << 20);
    const struct manifest_platform platform = {STR("linux"), STR("amd64"), STR_NONE};
    struct str json = str_make((const char *)data, size);
    struct manifest m = {0};
    const struct str *diff_ids;
    struct err e = {0};
    if (manifest_parse(&a, json, STR_NONE, &platform, &m, &e) < 0 && e.kind == ERR_NONE) abort();
    if (m.layer_count > IMAGE_PULLED_LAYERS_MAX) abort();
    if (manifest_config_parse(&a, json, &platform, 1, &diff_ids, &e) < 0 && e.kind == ERR_NONE)
        abort();
    return 0;
}
