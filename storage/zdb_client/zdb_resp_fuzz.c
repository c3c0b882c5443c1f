/* SPDX-License-Identifier: Apache-2.0 — zdb_resp_fuzz.c: whole, then byte by byte: the same
 * replies. */
#include "storage/zdb_client/zdb_resp.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t replies, values;
    uint64_t hash;
    bool failed;
};

static void look(struct seen *s, const struct zdb_reply *v) {
    s->values++;
    s->hash = s->hash * 31 + str_hash(v->text) + (uint64_t)v->integer + (uint64_t)v->type;
    assert(v->text.p == NULL || v->text.p[v->text.n] == '\0');
    for (size_t i = 0; i < v->count; i++) look(s, &v->items[i]);
}

static struct seen read_in(const uint8_t *data, size_t size, size_t step) {
    struct seen s = {.failed = false};
    struct err e = {0};
    struct zdb_resp *r = zdb_resp_new();
    for (size_t at = 0; at < size && !s.failed; at += step) {
        size_t n = size - at < step ? size - at : step;
        s.failed = zdb_resp_feed(r, str_make((const char *)data + at, n), &e) < 0;
        struct zdb_reply *v = NULL;
        int next = 0;
        while (!s.failed && (next = zdb_resp_next(r, &v, &e)) > 0) {
            s.replies++;
            look(&s, v);
            zdb_reply_free(v);
        }
        s.failed |= next < 0;
    }
    zdb_resp_free(r);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > ZDB_REPLY_FEED_MAX) return 0;
    struct seen whole = read_in(data, size, size ? size : 1);
    struct seen bytes = read_in(data, size, 1);
    assert(whole.replies == bytes.replies && whole.values == bytes.values);
    assert(whole.hash == bytes.hash && whole.failed == bytes.failed);
    return 0;
}
