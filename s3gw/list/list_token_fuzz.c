/* SPDX-License-Identifier: Apache-2.0 — list_token_fuzz.c: any text as a token; what is accepted is
 * written again as the same text. */
#include "s3gw/list/list_token.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct str token = str_make((const char *)data, size);
    struct str key;
    struct str again;
    int r = list_token_read(&a, STR("bucket"), token, &key);
    must(r == 0 || r == -EINVAL);
    if (r < 0) return 0;
    must(list_token_write(&a, STR("bucket"), key, &again) == 0);
    /* Padding is the one thing that the decoder lets pass. */
    while (token.n > 0 && token.p[token.n - 1] == '=') token.n--;
    must(str_eq(again, token));
    return 0;
}
