/* SPDX-License-Identifier: Apache-2.0 — http_uri_fuzz.c: any target, decoded and encoded again. */
#include "base/http_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

/* What was decoded, encoded and decoded again, is the same. */
static void round_trip(struct str text) {
    AUTO_FREE char *once = xmalloc(text.n + 1);
    ssize_t n = http_uri_decode(text, HTTP_PLUS_LITERAL, once);
    must(n >= 0);
    AUTO(buf_done) struct buf encoded = BUF(1 << 20);
    if (http_uri_encode(&encoded, str_make(once, (size_t)n), HTTP_SLASH_KEPT) < 0) return;
    AUTO_FREE char *twice = xmalloc(encoded.n + 1);
    ssize_t m = http_uri_decode(buf_view(&encoded), HTTP_PLUS_IS_BLANK, twice);
    must(m == n && memcmp(once, twice, (size_t)n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct http_host host;
    if (http_host_parse(text, &host) == 0) must(host.name.n > 0 && host.port <= UINT16_MAX);
    struct http_uri u;
    if (http_uri_parse(text, &u) < 0) return 0;
    round_trip(u.path);
    struct http_param p;
    struct str query = u.query;
    while (http_query_next(&query, &p)) {
        round_trip(p.name);
        round_trip(p.value);
    }
    return 0;
}
