/* SPDX-License-Identifier: Apache-2.0 — admin_frame_fuzz.c: any bytes are frames or an error; what
 * is written can be read. */
#include "agent/admin_frame.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(struct str body) {
    AUTO(arena_done) struct arena a = ARENA(8 << 20);
    struct admin_request request;
    struct admin_reply reply;
    struct err e = {0};
    if (admin_request_parse(&a, body, &request, &e) == 0) assert(request.command.n > 0);
    if (admin_reply_parse(&a, body, &reply, &e) < 0) return;
    if (reply.kind != ADMIN_ERROR) {
        assert(reply.value);
        return;
    }
    AUTO(buf_done) struct buf out = BUF(64 << 10);
    struct str again;
    size_t bytes = 0;
    assert(admin_error_write(&out, &reply.error) == 0);
    assert(admin_frame_next(buf_view(&out), &again, &bytes) == 1 && bytes == out.n);
    struct admin_reply copy;
    assert(admin_reply_parse(&a, again, &copy, &e) == 0 && copy.kind == ADMIN_ERROR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str rest = {(const char *)data, size};
    struct str body;
    size_t bytes = 0;
    while (admin_frame_next(rest, &body, &bytes) == 1) {
        look_at(body);
        rest = str_sub(rest, bytes, rest.n);
    }
    return 0;
}
