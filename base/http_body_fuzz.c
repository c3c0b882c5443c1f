/* SPDX-License-Identifier: Apache-2.0 — http_body_fuzz.c: a chunked body, cut at every place that
 * the first byte chooses, must be read as when it comes whole. */
#include "base/http_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum http_body_event event;
    uint64_t hash;
    size_t rest;
    const char *why;
    struct http_body body;
    struct http_trailer_room room;
};

static void run(struct outcome *o, struct str rest, size_t step) {
    const struct http_head h = {.chunked = true};
    http_body_init(&o->body, &h, &o->room);
    o->hash = 0;
    o->event = HTTP_BODY_MORE;
    while (rest.n > 0 && o->event == HTTP_BODY_MORE) {
        struct str in = str_sub(rest, 0, step), piece;
        size_t given = in.n;
        while ((o->event = http_body_next(&o->body, &in, 7, &piece)) == HTTP_BODY_PIECE)
            for (size_t i = 0; i < piece.n; i++) o->hash = o->hash * 31 + (uint8_t)piece.p[i];
        rest = str_sub(rest, given - in.n, rest.n);
    }
    o->rest = rest.n;
    o->why = o->body.refusal.why;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    struct str bytes = str_make((const char *)data + 1, size - 1);
    static struct outcome whole, cut;
    run(&whole, bytes, bytes.n);
    run(&cut, bytes, data[0] ? data[0] : 1);
    if (whole.event != cut.event || whole.hash != cut.hash || whole.rest != cut.rest ||
        whole.why != cut.why || whole.body.trailer_count != cut.body.trailer_count)
        abort();
    return 0;
}
