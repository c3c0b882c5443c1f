/* SPDX-License-Identifier: Apache-2.0 */
#include "base/http_client.h"
#include "base/http_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#define BIG_BYTES (3U << 20)

struct world {
    struct loop *loop;
    struct http_client *client;
    struct http_fake *server, *other;
    char seen_auth[100], seen_accept[100], seen_body[100]; /* of the last request for /seen */
    /* what came back */
    struct http_exchange *x;
    unsigned status;
    char header[100];
    struct buf body;
    struct err e;
    int heads, dones;
    size_t take; /* bytes consumed at a time; 0: all */
    bool cancel_in_body;
    struct timer resume;
};

static void seen(struct world *w, const char *request) {
    AUTO_FREE char *auth = http_fake_header(request, "authorization");
    AUTO_FREE char *accept = http_fake_header(request, "accept");
    (void)snprintf(w->seen_auth, sizeof(w->seen_auth), "%s", auth ? auth : "");
    (void)snprintf(w->seen_accept, sizeof(w->seen_accept), "%s", accept ? accept : "");
    (void)snprintf(w->seen_body, sizeof(w->seen_body), "%s", strstr(request, "\r\n\r\n") + 4);
}

static bool send_big(int fd) {
    AUTO_FREE char *bytes = xmalloc(BIG_BYTES);
    for (size_t i = 0; i < BIG_BYTES; i++) bytes[i] = (char)(i * 7 + i / 255);
    return http_fake_reply(fd, "200 OK", "", str_make(bytes, BIG_BYTES));
}

static bool send_long_header(int fd) {
    AUTO_FREE char *line = xmalloc(1100);
    (void)memset(line, 'a', 1000);
    (void)memcpy(line + 1, ": ", 2);
    (void)memcpy(line + 1000, "\r\n", 2);
    (void)http_fake_send(fd, STR("HTTP/1.1 200 OK\r\n"));
    for (int i = 0; i < 80; i++)
        if (!http_fake_send(fd, str_of(line))) return false;
    return http_fake_send(fd, STR("Content-Length: 0\r\n\r\n"));
}

static bool redirect(struct http_fake *f, int fd, const char *request) {
    struct world *w = f->user;
    AUTO_FREE char *location = NULL;
    if (strstr(request, "/away"))
        location = xasprintf("Location: http://127.0.0.1:%u/seen\r\n", w->other->port);
    if (strstr(request, "/home")) location = xstrdup("Location: /seen\r\n");
    if (strstr(request, "/loop")) location = xstrdup("Location: /loop\r\n");
    if (strstr(request, "/file")) location = xstrdup("Location: file:///etc/passwd\r\n");
    return http_fake_reply(fd, "302 Found", location, STR("moved"));
}

static bool handle(struct http_fake *f, int fd, const char *request) {
    struct world *w = f->user;
    if (strstr(request, " /seen")) {
        seen(w, request);
        return http_fake_reply(fd, "200 OK", "X-One: 1\r\nx-ONE: 2\r\nEmpty:\r\n", STR("hello"));
    }
    if (strstr(request, " /big")) return send_big(fd);
    if (strstr(request, " /long-header")) return send_long_header(fd);
    if (strstr(request, " /error")) return http_fake_reply(fd, "500 x", "", STR("oops"));
    if (strstr(request, " /cut")) {
        (void)http_fake_send(fd, STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"));
        return false;
    }
    if (strstr(request, " /stall")) {
        (void)http_fake_send(fd, STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"));
        http_fake_wait_close(fd);
        return false;
    }
    return redirect(f, fd, request);
}

static int setup(void **state) {
    struct world *w = xnew(struct world);
    *state = w;
    w->body = BUF(BIG_BYTES);
    w->loop = loop_new(1);
    w->client = http_client_new(w->loop);
    w->server = http_fake_start(handle, w);
    w->other = http_fake_start(handle, w);
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    http_client_free(w->client);
    loop_free(w->loop);
    http_fake_stop(w->server);
    http_fake_stop(w->other);
    buf_done(&w->body);
    free(w);
    return 0;
}

static void on_headers(void *user, const struct http_response *r) {
    struct world *w = user;
    w->heads++;
    w->status = http_status(r);
    struct str second = http_response_header(r, STR("X-one"), 1);
    if (second.p) (void)snprintf(w->header, sizeof(w->header), "%.*s", STR_ARG(second));
    assert_null(http_response_header(r, STR("X-one"), 2).p);
    assert_null(http_response_header(r, STR("none"), 0).p);
}

static void resume(struct timer *t) { http_resume(CONTAINER_OF(t, struct world, resume)->x); }

static size_t on_body(void *user, struct str bytes) {
    struct world *w = user;
    if (w->cancel_in_body) http_cancel(w->x);
    size_t n = w->take && w->take < bytes.n ? w->take : bytes.n;
    assert_int_equal(buf_append(&w->body, bytes.p, n), 0);
    if (n < bytes.n) timer_arm(w->loop, &w->resume, 0);
    return n;
}

static void on_done(void *user, const struct err *e) {
    struct world *w = user;
    w->dones++;
    if (e) w->e = *e;
    loop_stop(w->loop);
}

static struct http_request request_for(struct world *w, const char *url) {
    w->resume.fire = resume;
    err_clear(&w->e);
    buf_clear(&w->body);
    w->heads = w->dones = 0;
    return (struct http_request){.url = url,
                                 .stall_ms = strstr(url, "/stall") ? 200 : 10000,
                                 .body_bytes_max = BIG_BYTES,
                                 .user = w,
                                 .on_headers = on_headers,
                                 .on_body = on_body,
                                 .on_done = on_done};
}

static void run(struct world *w, struct http_request r) {
    struct err e = {0};
    w->x = http_start(w->client, &r, &e);
    if (!w->x) fail_msg("%s", e.msg);
    loop_run(w->loop);
    assert_int_equal(w->dones, 1);
}

static void get(struct world *w, const char *path) {
    static const struct http_header headers[] = {{{"Authorization", 13}, {"secret", 6}},
                                                 {{"Accept", 6}, {"text/x", 6}}};
    AUTO_FREE char *url = xasprintf("http://127.0.0.1:%u%s", w->server->port, path);
    struct http_request r = request_for(w, url);
    r.headers = headers;
    r.header_count = COUNT(headers);
    run(w, r);
}

static void a_reply_has_status_headers_and_body(void **state) {
    struct world *w = *state;
    get(w, "/seen");
    assert_int_equal(w->e.kind, ERR_NONE);
    assert_int_equal(w->status, 200);
    assert_string_equal(w->header, "2");
    assert_string_equal(buf_c(&w->body), "hello");
    assert_string_equal(w->seen_auth, "secret");
    assert_string_equal(w->seen_accept, "text/x");
    get(w, "/error");
    assert_int_equal(w->e.kind, ERR_NONE);
    assert_int_equal(w->status, 500);
}

static void a_post_sends_its_body_and_a_head_gets_none(void **state) {
    struct world *w = *state;
    AUTO_FREE char *url = xasprintf("http://127.0.0.1:%u/seen", w->server->port);
    struct http_request r = request_for(w, url);
    r.method = HTTP_POST;
    r.body = STR("a=b");
    run(w, r);
    assert_string_equal(w->seen_body, "a=b");
}

static void a_consumer_that_takes_little_gets_all_in_order(void **state) {
    struct world *w = *state;
    static const size_t takes[] = {5000, 100000, 1000000, 0};
    for (size_t i = 0; i < COUNT(takes); i++) {
        AUTO_FREE char *url = xasprintf("http://127.0.0.1:%u/big", w->server->port);
        struct http_request r = request_for(w, url);
        r.bulk = i % 2 == 0;
        w->take = takes[i];
        run(w, r);
        assert_int_equal(w->e.kind, ERR_NONE);
        assert_int_equal(w->body.n, BIG_BYTES);
        for (size_t k = 0; k < BIG_BYTES; k++)
            if (w->body.p[k] != (char)(k * 7 + k / 255)) fail_msg("byte %zu", k);
    }
}

static void secrets_stay_within_their_origin(void **state) {
    struct world *w = *state;
    get(w, "/home");
    assert_string_equal(w->seen_auth, "secret");
    assert_int_equal(w->heads, 1);
    assert_string_equal(buf_c(&w->body), "hello");
    get(w, "/away");
    assert_string_equal(w->seen_auth, "");
    assert_string_equal(w->seen_accept, "text/x");
}

static void bad_redirects_are_refused(void **state) {
    struct world *w = *state;
    get(w, "/loop");
    assert_int_equal(w->e.kind, ERR_LIMIT);
    assert_int_equal(w->heads, 0);
    get(w, "/file");
    assert_int_equal(w->e.kind, ERR_DENIED);
}

static void limits_of_header_and_body_hold(void **state) {
    struct world *w = *state;
    get(w, "/long-header");
    assert_int_equal(w->e.kind, ERR_LIMIT);
    AUTO_FREE char *url = xasprintf("http://127.0.0.1:%u/seen?token=secret", w->server->port);
    struct http_request r = request_for(w, url);
    r.body_bytes_max = 4;
    run(w, r);
    assert_int_equal(w->e.kind, ERR_LIMIT);
    assert_null(strstr(w->e.msg, "secret")); /* a query may be a presigned one */
    r = request_for(w, url);
    r.body_bytes_max = 5;
    run(w, r);
    assert_int_equal(w->e.kind, ERR_NONE);
}

static void broken_and_silent_peers_are_told_apart(void **state) {
    struct world *w = *state;
    get(w, "/cut");
    assert_int_equal(w->e.kind, ERR_IO);
    get(w, "/stall");
    assert_int_equal(w->e.kind, ERR_TIMEOUT);
    assert_string_equal(buf_c(&w->body), "abc");
    run(w, request_for(w, "http://127.0.0.1:1/"));
    assert_int_equal(w->e.kind, ERR_IO);
}

static void cancelling_ends_in_one_callback(void **state) {
    struct world *w = *state;
    w->cancel_in_body = true;
    get(w, "/big");
    assert_int_equal(w->e.kind, ERR_CANCELLED);
    w->cancel_in_body = false;
    AUTO_FREE char *url = xasprintf("http://127.0.0.1:%u/big", w->server->port);
    struct http_request r = request_for(w, url);
    struct err e = {0};
    w->x = http_start(w->client, &r, &e);
    assert_non_null(w->x);
    http_cancel(w->x);
    http_cancel(w->x);
    assert_int_equal(w->dones, 0); /* never from inside the call */
    loop_run(w->loop);
    assert_int_equal(w->dones, 1);
    assert_int_equal(w->e.kind, ERR_CANCELLED);
}

static void closing_the_client_cancels_what_runs(void **state) {
    struct world *w = *state;
    AUTO_FREE char *url = xasprintf("http://127.0.0.1:%u/big", w->server->port);
    struct http_request r = request_for(w, url);
    struct err e = {0};
    w->x = http_start(w->client, &r, &e);
    assert_non_null(w->x);
    http_client_free(STEAL(w->client));
    assert_int_equal(w->dones, 1);
    assert_int_equal(w->e.kind, ERR_CANCELLED);
}

static void malformed_requests_are_refused(void **state) {
    struct world *w = *state;
    static const char *const urls[] = {"", "ftp://x/", "file:///etc/passwd", "http://a\r\nb"};
    struct err e = {0};
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct http_request r = request_for(w, urls[i]);
        assert_null(http_start(w->client, &r, &e));
        assert_int_equal(e.kind, ERR_INVALID);
    }
    struct http_header bad = {STR("X"), STR("a\r\nB: c")};
    struct http_request r = request_for(w, "http://127.0.0.1:1/");
    r.headers = &bad;
    r.header_count = 1;
    assert_null(http_start(w->client, &r, &e));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_reply_has_status_headers_and_body),
        TEST(a_post_sends_its_body_and_a_head_gets_none),
        TEST(a_consumer_that_takes_little_gets_all_in_order),
        TEST(secrets_stay_within_their_origin),
        TEST(bad_redirects_are_refused),
        TEST(limits_of_header_and_body_hold),
        TEST(broken_and_silent_peers_are_told_apart),
        TEST(cancelling_ends_in_one_callback),
        TEST(closing_the_client_cancels_what_runs),
        TEST(malformed_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
