/* SPDX-License-Identifier: Apache-2.0 — http_server_test.c: raw bytes over real sockets.
 *
 * Server and client share the thread: the test's socket is watched by the same loop, so a test says
 * what it sends and runs the loop until what it waits for is there. */
#include "base/http_rig.h"
#include "base/http_server.h"

#include "base/clock.h"

#include <sys/un.h>

/* ---- one request, many ---- */

static void a_small_request_is_answered(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    assert_true(str_contains(client_head(c), STR("Date: ")));
    assert_true(str_contains(client_head(c), STR("Content-Length: 5\r\n")));
    assert_int_equal(r->access_status, 200);
    assert_int_equal(r->access_sent, 5);
    assert_int_equal(r->dones, 1);
    assert_int_equal(r->errors, 0);
}

static void a_connection_is_used_again_and_holds_nothing_between(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    for (int i = 0; i < 3; i++) {
        client_send(c, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
        client_expect_reply(c, 200, "hello");
        struct http_counts counts;
        http_server_counts(r->server, &counts);
        assert_int_equal(counts.connections, 1);
        assert_int_equal(counts.calls, 0);
        assert_int_equal(counts.requests, i + 1);
    }
}

static void a_head_may_come_byte_by_byte(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    struct str request = STR("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3;x\r\nabc\r\n2\r\nde\r\n0\r\nx-t: v\r\n\r\n");
    for (size_t i = 0; i < request.n; i++) {
        client_send(c, str_sub(request, i, i + 1));
        rig_turn(r);
    }
    client_expect_reply(c, 200, "abcde");
    assert_string_equal(r->trailer, "v");
}

static void pipelined_requests_are_answered_in_order(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    AUTO(buf_done) struct buf all = BUF(1 << 20);
    for (int i = 0; i < 200; i++)
        assert_int_equal(buf_fmt(&all,
                                 "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
                                 "%04d",
                                 i),
                         0);
    client_send(c, buf_view(&all));
    for (int i = 0; i < 200; i++) {
        char want[8];
        (void)snprintf(want, sizeof want, "%04d", i);
        client_expect_reply(c, 200, want);
    }
    assert_int_equal(r->dones, 200);
}

static void a_pipelined_request_waits_for_a_slow_one(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(
        c, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    rig_until(r, &r->waiting);
    assert_int_equal(r->requests, 1);
    rig_answer_waiting(r, "late");
    client_expect_reply(c, 200, "late");
    client_expect_reply(c, 200, "hello");
}

static void a_head_request_gets_no_body(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                       "HEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\n"
                       "HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n"
                       "GET /none HTTP/1.1\r\nHost: a\r\n\r\n"
                       "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_head(c, 200, "Content-Length: 5\r\n");
    client_expect_head(c, 200, "\r\n");
    assert_false(str_contains(client_head(c), STR("Content-Length")));
    client_expect_head(c, 200, "Content-Length: ");
    client_expect_head(c, 204, "\r\n");
    client_expect_reply(c, 200, "hello");
    assert_int_equal(r->pieces, 0);
}

static void old_clients_get_length_or_the_end(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /hello HTTP/1.0\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    client_expect_end(c);
    c = rig_connect(r);
    client_send(c, STR("GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    client_expect_head(c, 200, "Connection: close\r\n");
    client_expect_rest(c, "onetwothree");
    c = rig_connect(r);
    client_send(c, STR("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    assert_true(str_contains(client_head(c), STR("Connection: keep-alive\r\n")));
    client_send(c, STR("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    client_expect_end(c);
}

/* ---- bodies ---- */

static void a_client_that_waits_for_100_gets_it_when_the_body_is_wanted(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                       "Expect: 100-continue\r\n\r\n"));
    client_expect_head(c, 100, "\r\n");
    client_send(c, STR("abc"));
    client_expect_reply(c, 200, "abc");
    /* One that did not wait gets none. */
    client_send(c, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                       "Expect: 100-continue\r\n\r\nabc"));
    client_expect_reply(c, 200, "abc");
    /* One that is refused neither: the connection ends, as its body may come or not. */
    client_send(c, STR("PUT /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                       "Expect: 100-continue\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    assert_true(str_contains(client_head(c), STR("Connection: close\r\n")));
    client_expect_end(c);
}

static void a_body_that_nobody_read_is_dropped_or_ends_the_connection(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("PUT /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    client_send(c, STR("abcGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    AUTO_FREE char *big = xasprintf("PUT /hello HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n\r\n",
                                    HTTP_DRAIN_BYTES_MAX + 1);
    client_send(c, str_of(big));
    client_expect_reply(c, 200, "hello");
    assert_true(str_contains(client_head(c), STR("Connection: close\r\n")));
    /* What is still sent does not reset the connection before the reply was read. */
    client_send(c, STR("more and more"));
    client_expect_end(c);
}

static void a_big_body_flows_only_as_fast_as_it_is_taken(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    enum { BYTES = 64 << 20 };
    AUTO_FREE char *head =
        xasprintf("PUT /slow HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", BYTES);
    client_send(c, str_of(head));
    client_send_pattern(c, BYTES);
    rig_until(r, &r->waiting);
    for (int i = 0; i < 20; i++) rig_turn(r);
    /* The handler took one buffer; the rest is in the kernel's buffers or was not sent. */
    assert_true(c->pattern_left > BYTES / 2);
    assert_int_equal(r->received, RIG_BODY_BYTES);
    rig_go_on(r);
    client_expect_reply(c, 200, "done");
    assert_int_equal(r->received, BYTES);
    assert_true(r->pattern_ok);
}

static void a_body_that_is_cut_or_malformed_fails_the_call(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"));
    rig_until(r, &r->requests);
    client_shut(c);
    client_expect_end(c);
    assert_int_equal(r->last_error.kind, ERR_CANCELLED);
    assert_int_equal(r->dones, 1);
    c = rig_connect(r);
    client_send(c, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabcd\r\n"));
    client_expect_reply(c, 400, "400 Bad Request: a chunk longer than its size\n");
    client_expect_end(c);
    assert_int_equal(r->last_error.kind, ERR_INVALID);
    assert_int_equal(r->dones, 2);
}

/* ---- replies ---- */

static void pieces_become_chunks(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(
        c, STR("GET /pieces HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_head(c, 200, "Transfer-Encoding: chunked\r\n");
    client_expect_bytes(c, "3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n");
    client_expect_reply(c, 200, "hello");
    assert_int_equal(r->access_sent, 5);
}

static void a_big_reply_waits_for_the_client(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (int i = 0; i < 50; i++) rig_turn(r); /* the client reads nothing */
    assert_in_range(r->pieces, 1, RIG_BIG_PIECES / 2);
    client_expect_head(c, 200, "Content-Length: ");
    client_expect_pattern(c, (uint64_t)RIG_BIG_PIECES * RIG_BODY_BYTES);
    assert_int_equal(r->pieces, RIG_BIG_PIECES);
    assert_int_equal(r->access_sent, (uint64_t)RIG_BIG_PIECES * RIG_BODY_BYTES);
}

static void a_range_of_a_file_is_sent(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c,
                STR("GET /file HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_head(c, 200, "Content-Length: ");
    client_expect_pattern(c, RIG_FILE_BYTES);
    client_expect_reply(c, 200, "hello");
}

static void a_file_that_was_cut_breaks_the_connection(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /file-short HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_head(c, 200, "Content-Length: ");
    client_expect_end_somewhere(c);
    assert_int_equal(r->last_error.kind, ERR_CORRUPT);
}

static void a_reply_that_cannot_be_written_becomes_a_500(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /inject HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(c, 500, "");
    client_expect_end(c);
    assert_int_equal(r->last_error.kind, ERR_INVALID);
    assert_int_equal(r->access_status, 500);
}

static void a_failed_call_breaks_the_connection_off(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /fail HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_end_somewhere(c);
    assert_int_equal(r->last_error.kind, ERR_IO);
    assert_int_equal(r->dones, 1);
}

/* ---- what is refused ---- */

static void a_malformed_request_gets_400_and_the_end(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hello HTTP/1.1\r\n\r\n"));
    client_expect_reply(c, 400, "400 Bad Request: Content-Length beside Transfer-Encoding\n");
    client_expect_end(c);
    assert_int_equal(r->requests, 0);
    assert_int_equal(r->access_status, 400);
    assert_true(r->access_refused);
}

static void clients_that_go_away_end_their_calls_once(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    rig_until(r, &r->waiting);
    client_reset(c);
    for (int i = 0; i < 5; i++) rig_turn(r);
    assert_int_equal(r->dones, 0); /* the handler has the turn */
    assert_true(http_call_gone(r->waiting_call));
    rig_answer_waiting(r, "nobody hears it");
    rig_until(r, &r->dones);
    assert_int_equal(r->dones, 1);
    assert_int_equal(r->last_error.kind, ERR_CANCELLED);
}

static void a_client_that_sent_all_may_shut_its_side(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    rig_until(r, &r->waiting);
    client_shut(c);
    for (int i = 0; i < 5; i++) rig_turn(r);
    rig_answer_waiting(r, "heard");
    client_expect_reply(c, 200, "heard");
    client_expect_end(c);
    assert_int_equal(r->errors, 0);
}

/* ---- limits ---- */

static void slow_heads_bodies_and_readers_are_ended(void **state) {
    struct rig *r = *state;
    rig_restart(r, &(struct http_limits){.head_ms = 60,
                                         .body_window_ms = 60,
                                         .body_bytes_per_s_min = 1000,
                                         .write_window_ms = 60,
                                         .idle_ms = 60});
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /hello HTTP/1.1\r\nHo"));
    client_expect_reply(c, 408, "408 Request Timeout: a request whose head came too slowly\n");
    client_expect_end(c);
    c = rig_connect(r);
    client_send(c, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc"));
    client_expect_reply(c, 408, "408 Request Timeout: a request whose body came too slowly\n");
    client_expect_end(c);
    assert_int_equal(r->last_error.kind, ERR_TIMEOUT);
    c = rig_connect(r);
    client_expect_end(c); /* never sent anything */
    c = rig_connect(r);
    client_send(c, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    client_expect_end(c); /* idle */
    int before = r->dones;
    c = rig_connect(r);
    client_send(c, STR("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
    while (r->dones == before) rig_turn(r);
    assert_int_equal(r->last_error.kind, ERR_TIMEOUT);
    struct http_counts counts;
    http_server_counts(r->server, &counts);
    assert_int_equal(counts.timed_out, 5);
}

static void a_slow_reader_is_judged_by_what_it_takes(void **state) {
    struct rig *r = *state;
    rig_restart(r, &(struct http_limits){.write_window_ms = 60, .write_bytes_per_s_min = 1000});
    struct client *c = rig_connect(r);
    client_send(c, STR("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
    static char some[RIG_BODY_BYTES];
    clock_fake(clock_ns(), clock_wall_ns());
    for (int i = 0; i < 20; i++) { /* several windows */
        for (int turns = 0; turns < 10; turns++) rig_turn(r);
        assert_in_range(recv(c->fd, some, sizeof some, 0), 1, sizeof some);
        clock_fake_advance(20);
    }
    assert_int_equal(r->dones, 0);
    clock_real();
    while (r->dones == 0) rig_turn(r); /* now it takes nothing */
    assert_int_equal(r->last_error.kind, ERR_TIMEOUT);
}

static size_t refusal_in_xml(void *user, const struct http_refusal *r, struct str id, char *out,
                             size_t bytes_max) {
    (void)user;
    assert_int_equal(id.n, HTTP_CALL_ID_CHARS);
    return (size_t)snprintf(out, bytes_max, "<E>%u</E>", r->status);
}

static void refusals_may_have_another_form(void **state) {
    struct rig *r = *state;
    http_server_free(r->server);
    r->options.refusal = refusal_in_xml;
    r->options.refusal_type = "application/xml";
    rig_start(r, &(struct http_limits){0});
    struct client *c = rig_connect(r);
    client_send(c, STR("GET / HTTP/1.1\r\n\r\n"));
    client_expect_reply(c, 400, "<E>400</E>");
    assert_true(str_contains(client_head(c), STR("Content-Type: application/xml\r\n")));
}

static void a_slow_body_cannot_hide_behind_short_reads(void **state) {
    struct rig *r = *state;
    rig_restart(r, &(struct http_limits){.body_window_ms = 60, .body_bytes_per_s_min = 1000000});
    struct client *c = rig_connect(r);
    client_send(c, STR("PUT /trickle HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
    while (r->dones == 0) { /* each byte is a read of its own */
        client_send(c, STR("x"));
        rig_turn(r);
    }
    client_expect_reply(c, 408, "408 Request Timeout: a request whose body came too slowly\n");
    assert_int_equal(r->last_error.kind, ERR_TIMEOUT);
}

static void connections_are_limited_in_all_and_per_address(void **state) {
    struct rig *r = *state;
    rig_restart(r, &(struct http_limits){.connections_max = 3, .connections_per_address_max = 2});
    struct client *a = rig_connect(r), *b = rig_connect(r);
    client_send(a, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(a, 200, "hello");
    client_send(b, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(b, 200, "hello");
    client_expect_end_somewhere(rig_connect(r));
    struct client *local = rig_connect_unix(r);
    client_send(local, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(local, 200, "hello");
    assert_string_equal(r->access_peer, "unix");
    client_expect_end_somewhere(rig_connect_unix(r));
    struct http_counts counts;
    http_server_counts(r->server, &counts);
    assert_int_equal(counts.over_address_limit, 1);
    assert_int_equal(counts.over_limit, 1);
    client_close(a);
    rig_until_connections(r, 2);
    struct client *again = rig_connect(r);
    client_send(again, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(again, 200, "hello");
}

/* ---- addresses ---- */

static void it_listens_on_both_families_and_says_the_peer(void **state) {
    struct rig *r = *state;
    uint16_t port = 0;
    struct err e = {0};
    assert_int_equal(http_server_listen(r->server, ":0", &port, &e), 0);
    struct client *c = rig_connect_port(r, port, AF_INET);
    client_send(c, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    assert_true(str_starts(str_of(r->access_peer), STR("127.0.0.1:")));
    c = rig_connect_port(r, port, AF_INET6);
    client_send(c, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    assert_true(str_starts(str_of(r->access_peer), STR("[::1]:")));
}

static void places_to_listen_are_checked(void **state) {
    struct rig *r = *state;
    struct err e = {0};
    static const char *const bad[] = {"",       "80",  "1.2.3:80", "[::1:80", "::1",   "a:80",
                                      ":65536", ":-1", "1.2.3.4:", "unix:",   "[]:80", "127.0.0.1"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(http_server_listen(r->server, bad[i], NULL, &e), -1);
        if (e.kind != ERR_INVALID) fail_msg("'%s': %s", bad[i], e.msg);
    }
    AUTO_FREE char *taken = xasprintf("127.0.0.1:%u", r->port);
    assert_int_equal(http_server_listen(r->server, taken, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    AUTO_FREE char *same = xasprintf("unix:%s", r->path);
    assert_int_equal(http_server_listen(r->server, same, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    assert_int_equal(http_server_listen(r->server, "unix:/dev/null", NULL, &e), -1);
    assert_int_equal(e.kind, ERR_EXISTS);
    while (http_server_listen(r->server, "127.0.0.1:0", NULL, &e) == 0) {
    }
    assert_int_equal(e.kind, ERR_LIMIT);
}

/* ---- the end ---- */

static void stopping_lets_calls_end_and_tells_once(void **state) {
    struct rig *r = *state;
    struct client *idle = rig_connect(r), *busy = rig_connect(r);
    client_send(idle, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(idle, 200, "hello");
    client_send(busy, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    rig_until(r, &r->waiting);
    http_server_stop(r->server, 100000, rig_stopped, r);
    client_expect_end(idle);
    assert_int_equal(r->stops, 0);
    rig_answer_waiting(r, "last");
    client_expect_reply(busy, 200, "last");
    assert_true(str_contains(client_head(busy), STR("Connection: close\r\n")));
    client_expect_end(busy);
    rig_until(r, &r->stops);
    assert_int_equal(r->stops, 1);
    assert_int_equal(rig_connect_errno(r), ECONNREFUSED);
}

static void a_grace_that_is_over_breaks_calls_off(void **state) {
    struct rig *r = *state;
    struct client *busy = rig_connect(r), *stuck = rig_connect(r);
    client_send(busy, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"));
    client_send(stuck, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    rig_until(r, &r->waiting);
    while (r->requests < 2) rig_turn(r);
    http_server_stop(r->server, 20, rig_stopped, r);
    rig_until(r, &r->stops);
    client_expect_end_somewhere(busy);
    client_expect_end_somewhere(stuck);
    assert_int_equal(r->dones, 1);
    assert_int_equal(r->last_error.kind, ERR_CANCELLED);
    rig_answer_waiting(r, "too late");
    while (r->dones < 2) rig_turn(r);
    assert_int_equal(r->stops, 1);
}

static void a_server_may_be_freed_while_a_handler_has_the_turn(void **state) {
    struct rig *r = *state;
    struct client *busy = rig_connect(r), *reading = rig_connect(r);
    client_send(reading, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"));
    client_send(busy, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    rig_until(r, &r->waiting);
    while (r->requests < 2) rig_turn(r);
    http_server_free(r->server);
    r->server = NULL;
    assert_int_equal(r->dones, 1);
    client_expect_end_somewhere(busy);
    client_expect_end_somewhere(reading);
    rig_answer_waiting(r, "nobody hears it");
    while (r->dones < 2) rig_turn(r);
}

static void ids_are_told_apart(void **state) {
    struct rig *r = *state;
    struct client *c = rig_connect(r);
    char first[HTTP_CALL_ID_CHARS + 1];
    client_send(c, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    memcpy(first, r->access_id, sizeof first);
    client_send(c, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_reply(c, 200, "hello");
    assert_int_equal(strlen(first), HTTP_CALL_ID_CHARS);
    assert_string_not_equal(first, r->access_id);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_small_request_is_answered),
        TEST(a_connection_is_used_again_and_holds_nothing_between),
        TEST(a_head_may_come_byte_by_byte),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(a_pipelined_request_waits_for_a_slow_one),
        TEST(a_head_request_gets_no_body),
        TEST(old_clients_get_length_or_the_end),
        TEST(a_client_that_waits_for_100_gets_it_when_the_body_is_wanted),
        TEST(a_body_that_nobody_read_is_dropped_or_ends_the_connection),
        TEST(a_big_body_flows_only_as_fast_as_it_is_taken),
        TEST(a_body_that_is_cut_or_malformed_fails_the_call),
        TEST(pieces_become_chunks),
        TEST(a_big_reply_waits_for_the_client),
        TEST(a_range_of_a_file_is_sent),
        TEST(a_file_that_was_cut_breaks_the_connection),
        TEST(a_reply_that_cannot_be_written_becomes_a_500),
        TEST(a_failed_call_breaks_the_connection_off),
        TEST(a_malformed_request_gets_400_and_the_end),
        TEST(clients_that_go_away_end_their_calls_once),
        TEST(a_client_that_sent_all_may_shut_its_side),
        TEST(slow_heads_bodies_and_readers_are_ended),
        TEST(a_slow_reader_is_judged_by_what_it_takes),
        TEST(refusals_may_have_another_form),
        TEST(a_slow_body_cannot_hide_behind_short_reads),
        TEST(connections_are_limited_in_all_and_per_address),
        TEST(it_listens_on_both_families_and_says_the_peer),
        TEST(places_to_listen_are_checked),
        TEST(stopping_lets_calls_end_and_tells_once),
        TEST(a_grace_that_is_over_breaks_calls_off),
        TEST(a_server_may_be_freed_while_a_handler_has_the_turn),
        TEST(ids_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
