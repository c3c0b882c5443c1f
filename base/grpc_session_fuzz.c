/* SPDX-License-Identifier: Apache-2.0 — grpc_session_fuzz.c: any bytes into the server's end of an
 * HTTP/2 connection. The first byte is the size of the pieces that are fed at a time. */
#include "base/grpc_session.h"

#define MESSAGE_BYTES_MAX  4096
#define REQUESTS_BYTES_MAX 8192
#define OUTPUT_BYTES_MAX   (4 * GRPC_OUTPUT_BYTES_PER_TAKE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Requests are answered by turns with a message, an error, and not at all. */
static void answer(struct grpc_stream *st, unsigned turn) {
    AUTO(buf_done) struct buf message = grpc_stream_take_message(st);
    if (turn % 3 == 0) {
        uint8_t *framed = xmalloc(GRPC_FRAME_PREFIX_BYTES + message.n);
        grpc_frame_prefix((uint32_t)message.n, framed);
        if (message.n) memcpy(framed + GRPC_FRAME_PREFIX_BYTES, message.p, message.n);
        grpc_stream_reply(st, framed, GRPC_FRAME_PREFIX_BYTES + message.n);
    } else if (turn % 3 == 1) {
        grpc_stream_fail(st, GRPC_NOT_FOUND, buf_view(&message));
    }
}

static void take_events(struct grpc_session *s) {
    struct grpc_stream *st = NULL;
    unsigned turn = 0;
    for (;;) {
        switch (grpc_session_event(s, &st)) {
        case GRPC_EVENT_NONE: return;
        case GRPC_EVENT_HEAD:
            if (str_ends(grpc_stream_path(st), STR("?")))
                grpc_stream_fail(st, GRPC_UNIMPLEMENTED, grpc_stream_path(st));
            break;
        case GRPC_EVENT_REQUEST: answer(st, turn++); break;
        case GRPC_EVENT_CLOSED: break;
        }
    }
}

static bool feed(struct grpc_session *s, const uint8_t *bytes, size_t n) {
    if (grpc_session_feed(s, bytes, n) < 0) return false;
    take_events(s);
    AUTO(buf_done) struct buf out = BUF(OUTPUT_BYTES_MAX);
    int r = grpc_session_output(s, &out);
    take_events(s);
    return r == 0 && !grpc_session_over(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t piece = data[0] ? data[0] : size;
    struct grpc_budget budget = {.message_bytes_max = MESSAGE_BYTES_MAX,
                                 .requests_bytes_max = REQUESTS_BYTES_MAX};
    struct grpc_session *s = grpc_session_new(&budget);
    for (size_t at = 1; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        if (!feed(s, data + at, n)) break;
    }
    grpc_session_abort(s);
    take_events(s);
    grpc_session_free(s);
    if (budget.requests_bytes_used != 0) abort();
    return 0;
}
