/* SPDX-License-Identifier: Apache-2.0 — json_fuzz.c: what is accepted must survive writing and
 * reading again. */
#include "base/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy(struct json_out *w, const struct json *v) {
    if (v->key.p) json_out_key(w, v->key);
    switch (v->type) {
    case JSON_NULL: json_out_null(w, NULL); return;
    case JSON_BOOL: json_out_bool(w, NULL, v->boolean); return;
    case JSON_NUMBER: json_out_raw(w, NULL, v->text); return;
    case JSON_STRING: json_out_str(w, NULL, v->text); return;
    case JSON_ARRAY: json_out_array(w, NULL); break;
    case JSON_OBJECT: json_out_object(w, NULL); break;
    }
    for (const struct json *child = v->first; child; child = child->next) copy(w, child);
    json_out_close(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_done) struct arena a = ARENA(8 << 20);
    const struct json *v = NULL;
    struct err e = {0};
    struct json_limits limits = {.bytes_max = 64 << 10, .values_max = 5000};
    if (json_parse(&a, str_make((const char *)data, size), limits, &v, &e) < 0) {
        assert(e.kind == ERR_INVALID || e.kind == ERR_LIMIT);
        return 0;
    }
    AUTO(buf_done) struct buf first = BUF(1 << 20);
    AUTO(buf_done) struct buf second = BUF(1 << 20);
    struct json_out w = JSON_OUT(&first);
    copy(&w, v);
    assert(json_out_end(&w) == 0);
    limits.bytes_max = first.n;
    const struct json *again = NULL;
    if (json_parse(&a, buf_view(&first), limits, &again, &e) < 0) abort();
    struct json_out w2 = JSON_OUT_PRETTY(&second);
    w2.indent = 0;
    copy(&w2, again);
    assert(json_out_end(&w2) == 0 && str_eq(buf_view(&first), buf_view(&second)));
    return 0;
}
