/* SPDX-License-Identifier: Apache-2.0 — http_head_fuzz.c: a request's head, cut at every place that
 * the first byte chooses, must be read as when it comes whole; what is accepted keeps its promises.
 */
#include "base/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

static void check_accepted(const struct http_head *h, struct str bytes, ssize_t n) {
    must((size_t)n <= bytes.n && n <= HTTP_HEAD_BYTES_MAX);
    must(str_ends(str_sub(bytes, 0, (size_t)n), STR("\r\n\r\n")));
    must(!(h->chunked && h->has_length) && (h->has_length || h->length == 0));
    must(!h->chunked || h->minor == 1);
    must(h->minor == 0 || h->host.name.n > 0);
    must(h->field_count <= HTTP_FIELDS_MAX);
    for (size_t i = 0; i < h->field_count; i++)
        must(http_is_token(h->fields[i].name) && http_is_value(h->fields[i].value));
    AUTO_FREE char *decoded = xmalloc(h->target.n + 1);
    must(http_uri_decode(h->target, HTTP_PLUS_LITERAL, decoded) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    size_t step = data[0] ? data[0] : 1;
    struct str bytes = str_make((const char *)data + 1, size - 1);
    struct http_head whole, cut;
    http_head_init(&whole);
    ssize_t r = http_head_feed(&whole, bytes.p, bytes.n);
    http_head_init(&cut);
    ssize_t again = 0;
    for (size_t n = 0; again == 0 && n < bytes.n;) {
        n = n + step < bytes.n ? n + step : bytes.n;
        again = http_head_feed(&cut, bytes.p, n);
    }
    must(r == again && whole.refusal.status == cut.refusal.status &&
         whole.refusal.why == cut.refusal.why);
    if (r > 0) check_accepted(&whole, bytes, r);
    return 0;
}
