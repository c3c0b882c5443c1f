/* SPDX-License-Identifier: Apache-2.0 — zdb_settings_fuzz.c: what is accepted is written the same
 * when it is read again. */
#include "storage/zdb/zdb_settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(buf_done) struct buf first = BUF(ZDB_SETTINGS_BYTES_MAX);
    AUTO(buf_done) struct buf second = BUF(ZDB_SETTINGS_BYTES_MAX);
    struct zdb_lasting s;
    struct err e = {0};
    if (zdb_settings_decode(str_make((const char *)data, size), &s, &e) < 0) return 0;
    zdb_settings_encode(&s, &first);
    if (zdb_settings_decode(buf_view(&first), &s, &e) < 0) abort();
    zdb_settings_encode(&s, &second);
    if (!str_eq(buf_view(&first), buf_view(&second))) abort();
    return 0;
}
