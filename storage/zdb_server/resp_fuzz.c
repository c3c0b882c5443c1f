/* SPDX-License-Identifier: Apache-2.0 — resp_fuzz.c: any bytes, whole and grown byte by byte: the
 * same requests come out, views stay inside, `need` never lies. */
#include "storage/zdb_server/resp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct resp_request whole, grown;

static void same(struct str in) {
    enum resp_result want = resp_parse(in, &whole);
    enum resp_result got = RESP_MORE;
    size_t need = 0;
    for (size_t n = 0; n <= in.n && got == RESP_MORE; n++) {
        got = resp_parse(str_make(in.p, n), &grown);
        if (got != RESP_MORE && n < need) abort();
        if (got == RESP_MORE && (grown.need <= n || grown.need > RESP_REQUEST_BYTES_MAX)) abort();
        if (got == RESP_MORE && grown.need > need) need = grown.need;
    }
    if (got != want) abort();
    if (got == RESP_REQUEST && (grown.bytes != whole.bytes || grown.count != whole.count)) abort();
    if (got == RESP_BAD && grown.error != whole.error) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str in = str_make((const char *)data, size);
    if (size <= 512) same(in);
    for (;;) {
        if (resp_parse(in, &whole) != RESP_REQUEST) return 0;
        if (whole.bytes == 0 || whole.bytes > in.n) abort();
        for (size_t i = 0; i < whole.count; i++)
            if (whole.args[i].p < in.p || whole.args[i].p + whole.args[i].n > in.p + in.n) abort();
        in = str_sub(in, whole.bytes, in.n);
    }
}
