/* SPDX-License-Identifier: Apache-2.0 — grpc_session_test.c: the session against an nghttp2 client,
 * without a socket. */
#include "base/grpc_session.h"

#include "base/clock.h"
#include "base/testdata/h2_client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MESSAGE_BYTES_MAX  ((size_t)16 << 20)
#define REQUESTS_BYTES_MAX ((size_t)20 << 20)
#define WHOLE              SIZE_MAX

#define SAY  "/gridlet.test.Echo/Say"
#define KEEP "/gridlet.test.Echo/Keep" /* the fixture does not answer it */

struct fixture {
    struct grpc_budget budget;
    struct grpc_session *session;
    struct h2_client *client;
    size_t piece_bytes; /* what the session is fed at a time */
    int heads, requests, closed;
    bool held_back; /* the client does not see the output */
    struct grpc_stream *kept;
    uint64_t deadline_ns; /* of the last request */
    struct buf to_client;
};

static int set_up(void **state) {
    struct fixture *f = xnew(struct fixture);
    f->budget = (struct grpc_budget){.message_bytes_max = MESSAGE_BYTES_MAX,
                                     .requests_bytes_max = REQUESTS_BYTES_MAX};
    f->session = grpc_session_new(&f->budget);
    f->client = h2_client_new();
    f->piece_bytes = WHOLE;
    f->to_client = BUF(H2_BYTES_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    grpc_session_free(f->session);
    assert_int_equal(f->budget.requests_bytes_used, 0);
    h2_client_free(f->client);
    buf_done(&f->to_client);
    free(f);
    return 0;
}

/* Echoes the message. */
static void answer(struct fixture *f, struct grpc_stream *st) {
    f->requests++;
    f->deadline_ns = grpc_stream_deadline_ns(st);
    if (str_eq(grpc_stream_path(st), STR(KEEP))) {
        f->kept = st;
        return;
    }
    AUTO(buf_done) struct buf message = grpc_stream_take_message(st);
    uint8_t *framed = xmalloc(GRPC_FRAME_PREFIX_BYTES + message.n);
    grpc_frame_prefix((uint32_t)message.n, framed);
    if (message.n) memcpy(framed + GRPC_FRAME_PREFIX_BYTES, message.p, message.n);
    grpc_stream_reply(st, framed, GRPC_FRAME_PREFIX_BYTES + message.n);
}

static void take_events(struct fixture *f) {
    struct grpc_stream *st = NULL;
    for (;;) {
        switch (grpc_session_event(f->session, &st)) {
        case GRPC_EVENT_NONE: return;
        case GRPC_EVENT_HEAD:
            f->heads++;
            if (str_eq(grpc_stream_path(st), STR("/no/no")))
                grpc_stream_fail(st, GRPC_UNIMPLEMENTED, STR("no such thing: 100% \xc3\xa9"));
            break;
        case GRPC_EVENT_REQUEST: answer(f, st); break;
        case GRPC_EVENT_CLOSED:
            f->closed++;
            if (st == f->kept) f->kept = NULL;
            break;
        }
    }
}

/* One direction, then the other; true while something moved. */
static bool exchange(struct fixture *f) {
    AUTO(buf_done) struct buf up = BUF(H2_BYTES_MAX);
    h2_output(f->client, &up);
    for (size_t at = 0; at < up.n;) {
        size_t n = up.n - at < f->piece_bytes ? up.n - at : f->piece_bytes;
        if (grpc_session_feed(f->session, (const uint8_t *)up.p + at, n) < 0) return false;
        take_events(f);
        at += n;
    }
    take_events(f);
    size_t before;
    do {
        before = f->to_client.n;
        assert_int_equal(grpc_session_output(f->session, &f->to_client), 0);
        take_events(f);
    } while (f->to_client.n > before);
    bool moved = up.n > 0;
    if (!f->held_back && f->to_client.n > 0) {
        assert_int_equal(h2_feed(f->client, f->to_client.p, f->to_client.n), 0);
        buf_clear(&f->to_client);
        moved = true;
    }
    return moved;
}

static void settle(struct fixture *f) {
    while (exchange(f)) continue;
}

static struct str framed(struct buf *b, struct str message) {
    uint8_t prefix[GRPC_FRAME_PREFIX_BYTES];
    grpc_frame_prefix((uint32_t)message.n, prefix);
    assert_int_equal(buf_append(b, prefix, sizeof prefix), 0);
    assert_int_equal(buf_str(b, message), 0);
    return buf_view(b);
}

static struct h2_call *call(struct fixture *f, struct h2_request r) {
    struct h2_call *c = h2_send(f->client, &r);
    settle(f);
    return c;
}

static const struct str hello = {"\0\0\0\0\5hello", 10};

static void assert_echoed(const struct h2_call *c, struct str wire) {
    assert_true(c->closed);
    assert_int_equal(c->error, NGHTTP2_NO_ERROR);
    assert_int_equal(c->http_status, 200);
    assert_int_equal(c->code, GRPC_OK);
    assert_true(str_eq(buf_view(&c->reply), wire));
}

static void assert_failed(const struct h2_call *c, enum grpc_code code, const char *part) {
    assert_true(c->closed);
    assert_int_equal(c->http_status, 200);
    assert_int_equal(c->code, code);
    assert_int_equal(c->reply.n, 0);
    if (!strstr(c->message, part)) fail_msg("'%s' is not in '%s'", part, c->message);
}

/* ---- what works ---- */

static void a_call_is_answered_whole_and_byte_by_byte(void **state) {
    struct fixture *f = *state;
    assert_echoed(call(f, (struct h2_request){.path = SAY, .body = hello}), hello);
    f->piece_bytes = 1;
    assert_echoed(call(f, (struct h2_request){.path = SAY, .body = hello}), hello);
    assert_int_equal(f->heads, 2);
    assert_int_equal(f->requests, 2);
    assert_int_equal(f->closed, 2);
}

static void an_empty_message_is_a_message(void **state) {
    struct str empty = {"\0\0\0\0\0", 5};
    assert_echoed(call(*state, (struct h2_request){.path = SAY, .body = empty}), empty);
}

static void content_types_of_grpc_are_accepted(void **state) {
    const char *types[] = {"application/grpc+proto", "application/grpc;x=y"};
    for (size_t i = 0; i < COUNT(types); i++)
        assert_echoed(
            call(*state, (struct h2_request){.path = SAY, .content_type = types[i], .body = hello}),
            hello);
}

static void a_message_at_the_limit_passes_and_comes_back(void **state) {
    AUTO(buf_done) struct buf b = BUF(H2_BYTES_MAX);
    AUTO_FREE char *big = xmalloc(MESSAGE_BYTES_MAX);
    struct str wire = framed(&b, str_make(big, MESSAGE_BYTES_MAX));
    assert_echoed(call(*state, (struct h2_request){.path = SAY, .body = wire}), wire);
}

static void as_many_streams_as_allowed_run_at_once(void **state) {
    struct fixture *f = *state;
    settle(f); /* the client learns the limit and queues what is over it */
    for (int i = 0; i < GRPC_STREAMS_MAX + 50; i++)
        (void)h2_send(f->client, &(struct h2_request){.path = SAY, .body = hello});
    settle(f);
    for (size_t i = 0; i < f->client->call_count; i++) assert_echoed(f->client->calls[i], hello);
}

static void a_timeout_becomes_a_deadline(void **state) {
    struct fixture *f = *state;
    clock_fake(1000, 0);
    (void)call(f, (struct h2_request){.path = SAY, .timeout = "5m", .body = hello});
    clock_real();
    assert_true(f->deadline_ns == 1000 + 5000000);
    (void)call(f, (struct h2_request){.path = SAY, .timeout = "99999999H", .body = hello});
    assert_true(f->deadline_ns == UINT64_MAX);
    (void)call(f, (struct h2_request){.path = SAY, .body = hello});
    assert_true(f->deadline_ns == UINT64_MAX);
}

/* ---- what is refused ---- */

static void what_is_not_grpc_gets_an_http_status(void **state) {
    struct h2_call *c =
        call(*state, (struct h2_request){.path = SAY, .content_type = "text/plain", .body = hello});
    assert_int_equal(c->http_status, 415);
    c = call(*state,
             (struct h2_request){.path = SAY, .content_type = "application/grpcx", .body = hello});
    assert_int_equal(c->http_status, 415);
    c = call(*state, (struct h2_request){.path = SAY, .method = "PUT", .body = hello});
    assert_int_equal(c->http_status, 405);
    assert_int_equal(((struct fixture *)*state)->heads, 0);
}

static void a_stream_can_be_refused_at_its_head(void **state) {
    struct fixture *f = *state;
    /* The client does not end its request: it is answered and reset without error. */
    struct h2_call *c =
        call(f, (struct h2_request){.path = "/no/no", .body = hello, .keep_open = true});
    assert_failed(c, GRPC_UNIMPLEMENTED, "no such thing: 100%25 %C3%A9");
    assert_int_equal(c->error, NGHTTP2_NO_ERROR);
    assert_int_equal(f->requests, 0);
}

static void compression_is_refused(void **state) {
    struct fixture *f = *state;
    assert_failed(call(f, (struct h2_request){.path = SAY, .encoding = "gzip", .body = hello}),
                  GRPC_UNIMPLEMENTED, "compressed");
    assert_failed(call(f, (struct h2_request){.path = SAY, .body = {"\1\0\0\0\1x", 6}}),
                  GRPC_UNIMPLEMENTED, "compressed");
    assert_echoed(call(f, (struct h2_request){.path = SAY, .encoding = "identity", .body = hello}),
                  hello);
}

static void malformed_requests_are_refused(void **state) {
    const struct str bodies[] = {
        {"", 0},                        /* no message */
        {"\0\0\0", 3},                  /* half a prefix */
        {"\0\0\0\0\5hell", 9},          /* half a message */
        {"\0\0\0\0\1xy", 7},            /* bytes behind it */
        {"\2\0\0\0\1x", 6},             /* unknown flag */
        {"\0\0\0\0\1x\0\0\0\0\1x", 12}, /* two messages */
    };
    for (size_t i = 0; i < COUNT(bodies); i++)
        assert_failed(call(*state, (struct h2_request){.path = SAY, .body = bodies[i]}),
                      GRPC_INVALID_ARGUMENT, "message");
    assert_failed(
        call(*state, (struct h2_request){.path = SAY, .timeout = "tomorrow", .body = hello}),
        GRPC_INVALID_ARGUMENT, "grpc-timeout");
}

static void an_announced_size_over_the_limit_is_refused_at_once(void **state) {
    struct fixture *f = *state;
    struct str huge = {"\0\1\0\0\1", 5}; /* 16 MiB and one byte */
    assert_failed(call(f, (struct h2_request){.path = SAY, .body = huge, .keep_open = true}),
                  GRPC_RESOURCE_EXHAUSTED, "size limit");
    assert_int_equal(f->requests, 0);
}

static void half_received_requests_share_a_budget(void **state) {
    struct fixture *f = *state;
    AUTO(buf_done) struct buf b = BUF(H2_BYTES_MAX);
    AUTO_FREE char *big = xmalloc(MESSAGE_BYTES_MAX);
    struct str wire = framed(&b, str_make(big, MESSAGE_BYTES_MAX));
    wire.n--; /* never complete */
    struct h2_call *first =
        call(f, (struct h2_request){.path = SAY, .body = wire, .keep_open = true});
    assert_false(first->closed);
    assert_failed(call(f, (struct h2_request){.path = SAY, .body = wire, .keep_open = true}),
                  GRPC_RESOURCE_EXHAUSTED, "too many requests");
    assert_true(f->budget.requests_bytes_used <= MESSAGE_BYTES_MAX + GRPC_FRAME_PREFIX_BYTES);
    h2_cancel(f->client, first);
    settle(f);
    assert_int_equal(f->budget.requests_bytes_used, 0);
}

static void header_lists_over_the_limit_are_refused(void **state) {
    AUTO_FREE char *value = xmalloc(GRPC_HEADER_BYTES_MAX + 1);
    memset(value, 'x', GRPC_HEADER_BYTES_MAX);
    assert_failed(call(*state, (struct h2_request){.path = SAY, .extra = value, .body = hello}),
                  GRPC_RESOURCE_EXHAUSTED, "headers");
    value[GRPC_HEADER_BYTES_MAX / 2] = '\0';
    assert_echoed(call(*state, (struct h2_request){.path = SAY, .extra = value, .body = hello}),
                  hello);
}

static void a_path_over_the_limit_is_cut(void **state) {
    struct fixture *f = *state;
    char path[2 * GRPC_PATH_BYTES_MAX];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_echoed(call(f, (struct h2_request){.path = path, .body = hello}), hello);
    assert_int_equal(f->heads, 1);
}

static void replies_that_nobody_reads_are_bounded(void **state) {
    struct fixture *f = *state;
    settle(f);
    AUTO(buf_done) struct buf b = BUF(H2_BYTES_MAX);
    AUTO_FREE char *big = xmalloc(MESSAGE_BYTES_MAX);
    struct str wire = framed(&b, str_make(big, MESSAGE_BYTES_MAX - GRPC_FRAME_PREFIX_BYTES));
    nghttp2_settings_entry closed = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}; /* of replies */
    assert_int_equal(nghttp2_submit_settings(f->client->h2, 0, &closed, 1), 0);
    int limit = (int)(GRPC_REPLIES_BYTES_MAX / MESSAGE_BYTES_MAX);
    for (int i = 0; i < limit; i++)
        assert_false(call(f, (struct h2_request){.path = SAY, .body = wire})->closed);
    assert_failed(call(f, (struct h2_request){.path = SAY, .body = wire}), GRPC_RESOURCE_EXHAUSTED,
                  "more bytes of replies");
}

/* ---- ends ---- */

static void a_reset_by_the_client_closes_the_stream(void **state) {
    struct fixture *f = *state;
    struct h2_call *c = call(f, (struct h2_request){.path = KEEP, .body = hello});
    assert_non_null(f->kept);
    h2_cancel(f->client, c);
    settle(f);
    assert_null(f->kept);
    assert_int_equal(f->closed, 1);
}

static void a_late_and_a_second_answer_are_dropped(void **state) {
    struct fixture *f = *state;
    struct h2_call *c = call(f, (struct h2_request){.path = KEEP, .body = hello});
    struct grpc_stream *st = f->kept;
    grpc_stream_fail(st, GRPC_NOT_FOUND, STR("first"));
    grpc_stream_fail(st, GRPC_INTERNAL, STR("second"));
    grpc_stream_reply(st, xmalloc(GRPC_FRAME_PREFIX_BYTES), GRPC_FRAME_PREFIX_BYTES);
    settle(f);
    assert_failed(c, GRPC_NOT_FOUND, "first");
}

static void abort_closes_every_stream(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) (void)call(f, (struct h2_request){.path = KEEP, .body = hello});
    grpc_session_abort(f->session);
    take_events(f);
    assert_int_equal(f->closed, 5);
}

static void goaway_lets_running_calls_end(void **state) {
    struct fixture *f = *state;
    struct h2_call *c = call(f, (struct h2_request){.path = KEEP, .body = hello});
    grpc_session_goaway(f->session);
    grpc_session_goaway(f->session);
    settle(f);
    assert_true(f->client->goaway);
    assert_int_equal(f->client->goaway_error, NGHTTP2_NO_ERROR);
    assert_false(grpc_session_over(f->session));
    grpc_stream_fail(f->kept, GRPC_UNAVAILABLE, STR("bye"));
    settle(f);
    assert_failed(c, GRPC_UNAVAILABLE, "bye");
    assert_true(grpc_session_over(f->session));
}

/* ---- attacks ---- */

static void rapid_resets_end_the_connection(void **state) {
    struct fixture *f = *state;
    settle(f);
    for (int i = 0; i < 2 * GRPC_RESET_BURST_MAX && !f->client->goaway; i++) {
        struct h2_call *c = h2_send(f->client, &(struct h2_request){.path = KEEP, .body = hello});
        (void)exchange(f);
        h2_cancel(f->client, c);
        (void)exchange(f);
    }
    assert_true(f->client->goaway);
    assert_int_not_equal(f->client->goaway_error, NGHTTP2_NO_ERROR);
    assert_true(f->requests >= GRPC_RESET_BURST_MAX);
    assert_true(grpc_session_over(f->session));
}

static void what_is_not_http2_is_an_error(void **state) {
    struct fixture *f = *state;
    struct str http1 = STR("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(grpc_session_feed(f->session, (const uint8_t *)http1.p, http1.n), -EPROTO);
}

static void a_ping_flood_without_reading_is_an_error(void **state) {
    struct fixture *f = *state;
    settle(f);
    int r = 0;
    for (int i = 0; r == 0 && i < 2 * GRPC_ACKS_MAX; i++) {
        AUTO(buf_done) struct buf up = BUF(H2_BYTES_MAX);
        assert_int_equal(nghttp2_submit_ping(f->client->h2, 0, NULL), 0);
        h2_output(f->client, &up);
        r = grpc_session_feed(f->session, (const uint8_t *)up.p, up.n);
    }
    assert_int_equal(r, -EPROTO);
}

static void streams_over_the_limit_are_reset(void **state) {
    struct fixture *f = *state;
    /* This client has not seen our SETTINGS and opens more than they allow. */
    f->held_back = true;
    for (int i = 0; i < GRPC_STREAMS_MAX + 10; i++)
        (void)h2_send(f->client, &(struct h2_request){.path = KEEP, .body = hello});
    (void)exchange(f);
    assert_int_equal(f->requests, GRPC_STREAMS_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_answered_whole_and_byte_by_byte),
        TEST(an_empty_message_is_a_message),
        TEST(content_types_of_grpc_are_accepted),
        TEST(a_message_at_the_limit_passes_and_comes_back),
        TEST(as_many_streams_as_allowed_run_at_once),
        TEST(a_timeout_becomes_a_deadline),
        TEST(what_is_not_grpc_gets_an_http_status),
        TEST(a_stream_can_be_refused_at_its_head),
        TEST(compression_is_refused),
        TEST(malformed_requests_are_refused),
        TEST(an_announced_size_over_the_limit_is_refused_at_once),
        TEST(half_received_requests_share_a_budget),
        TEST(header_lists_over_the_limit_are_refused),
        TEST(a_path_over_the_limit_is_cut),
        TEST(replies_that_nobody_reads_are_bounded),
        TEST(a_reset_by_the_client_closes_the_stream),
        TEST(a_late_and_a_second_answer_are_dropped),
        TEST(abort_closes_every_stream),
        TEST(goaway_lets_running_calls_end),
        TEST(rapid_resets_end_the_connection),
        TEST(what_is_not_http2_is_an_error),
        TEST(a_ping_flood_without_reading_is_an_error),
        TEST(streams_over_the_limit_are_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
