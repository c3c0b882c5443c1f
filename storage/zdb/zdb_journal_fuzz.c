/* SPDX-License-Identifier: Apache-2.0 — zdb_journal_fuzz.c: what is accepted is written the same
 * again. Half of the inputs get the right checksum, so that more than that is tried. */
#include "storage/zdb/zdb_journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

static void decode(struct str in) {
    AUTO(buf_done) struct buf again = BUF(ZDB_JOURNAL_BYTES_MAX);
    struct zdb_journal j;
    struct zdb_fix f;
    struct err e = {0};
    if (zdb_journal_decode(in, &j, &e) < 0) return;
    must(zdb_journal_begin(&again, &j) == 0);
    for (uint32_t i = 0; i < j.fix_count; i++) {
        zdb_journal_get(&j, i, &f);
        must(zdb_journal_fix(&again, &f) == 0);
    }
    must(zdb_journal_end(&again) == 0);
    must(str_eq(buf_view(&again), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str in = str_make((const char *)data, size);
    decode(in);
    if (size < 4) return 0;
    AUTO_FREE char *copy = xmalloc(size);
    memcpy(copy, data, size);
    uint32_t crc = zdb_crc(0, copy, size - 4);
    memcpy(copy + size - 4, &crc, sizeof crc);
    decode(str_make(copy, size));
    return 0;
}
