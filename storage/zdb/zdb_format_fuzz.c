/* SPDX-License-Identifier: Apache-2.0 — zdb_format_fuzz.c: any bytes as a data file, an index file,
 * a descriptor and a cursor; what is accepted is written back the same. */
#include "storage/zdb/zdb_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

static void walk_data(struct str in) {
    struct zdb_record r;
    uint8_t back[ZDB_RECORD_BYTES];
    for (size_t at = ZDB_DATA_HEADER_BYTES; at < in.n;) {
        struct str rest = str_sub(in, at, in.n);
        if (zdb_record_decode(rest, &r) < 0) return;
        zdb_record_encode(&r, back);
        must(memcmp(back, rest.p, sizeof back) == 0);
        at += ZDB_RECORD_BYTES + (size_t)r.key_bytes + r.payload_bytes;
    }
}

static void walk_index(struct str in) {
    struct zdb_entry x;
    uint8_t back[ZDB_ENTRY_BYTES];
    for (size_t at = ZDB_INDEX_HEADER_BYTES; at < in.n;) {
        struct str rest = str_sub(in, at, in.n);
        if (zdb_entry_decode(rest, &x) < 0) return;
        zdb_entry_encode(&x, back);
        must(memcmp(back, rest.p, sizeof back) == 0);
        at += ZDB_ENTRY_BYTES + (size_t)x.key_bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str in = str_make((const char *)data, size);
    struct zdb_file_header h;
    struct zdb_descriptor d;
    struct zdb_cursor c;
    struct err e = {0};
    uint8_t back[ZDB_DESCRIPTOR_BYTES_MAX];
    if (zdb_data_header_decode(in, &h, &e) == 0) walk_data(in);
    if (zdb_index_header_decode(in, &h, &e) == 0) walk_index(in);
    if (zdb_descriptor_decode(in, &d, &e) == 0) {
        size_t n = zdb_descriptor_encode(&d, back);
        back[14] = data[14]; /* 0-db always sets the flag "extended", which says nothing */
        must(n <= size && memcmp(back, data, n) == 0);
    }
    if (zdb_cursor_decode(in, &c) == 0) {
        zdb_cursor_encode(&c, back);
        must(memcmp(back, data, ZDB_CURSOR_BYTES) == 0);
    }
    return 0;
}
