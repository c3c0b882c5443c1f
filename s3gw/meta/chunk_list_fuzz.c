/* SPDX-License-Identifier: Apache-2.0 — chunk_list_fuzz.c: what decodes encodes to the same list.
 */
#include "s3gw/meta/chunk_list.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct meta_chunk chunks[META_CHUNKS_MAX];
    struct str in = {(const char *)data, size};
    struct chunk_list l = CHUNK_LIST(in);
    size_t count = 0;
    int n;
    struct meta_chunk c;
    while ((n = chunk_list_next(&l, &c)) > 0) chunks[count++] = c;
    AUTO(buf_done) struct buf b = BUF(2 * CHUNK_LIST_BYTES_MAX);
    must(chunk_list_encode((struct meta_chunks){chunks, count}, &b) == 0);
    struct chunk_list again = CHUNK_LIST(buf_view(&b));
    for (size_t i = 0; i < count; i++) {
        must(chunk_list_next(&again, &c) == 1);
        must(c.id == chunks[i].id && c.size_bytes == chunks[i].size_bytes);
    }
    must(chunk_list_next(&again, &c) == 0);
    struct part_list parts = PART_LIST(in);
    uint32_t before = 0;
    while (part_list_next(&parts) > 0) {
        must(parts.number > before && parts.number <= META_PARTS_MAX);
        before = parts.number;
    }
    return 0;
}
