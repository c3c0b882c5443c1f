/* SPDX-License-Identifier: Apache-2.0 — gateway_rig.h: a gateway in this process, its loop on a
 * thread of its own, and a client with real sockets that signs (SigV4 in the header).
 *
 * For tests only, hence all static. The client blocks; ctest's time limit ends a wait in vain. */
#pragma once

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "s3gw/date.h"
#include "s3gw/gateway/gateway_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#define RIG_ACCESS      "GKIATESTTESTTEST"
#define RIG_SECRET      "secret-of-the-tests"
#define RIG_REPLY_MAX   ((size_t)64 << 20)
#define RIG_HEADERS_MAX 16

struct gateway_rig {
    char dir[64];
    struct loop *loop;
    struct gateway *gw;
    uint16_t port;
    pthread_t thread;
    struct task stop;
};

static UNUSED void *rig_thread(void *user) {
    loop_run(((struct gateway_rig *)user)->loop);
    return NULL;
}

static UNUSED void rig_start(struct gateway_rig *r) {
    struct err e = {0};
    r->loop = loop_new(4);
    const struct gateway_options o = {.root = r->dir,
                                      .loop = r->loop,
                                      .workers = 4,
                                      .domain = STR("s3.test"),
                                      .given = {RIG_ACCESS, RIG_SECRET},
                                      .no_background = true};
    if (gateway_open(&o, &r->gw, &e) < 0) fail_msg("%s", e.msg);
    if (gateway_listen(r->gw, "127.0.0.1:0", &r->port, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(pthread_create(&r->thread, NULL, rig_thread, r), 0);
}

static UNUSED void rig_stopped(void *user) { loop_stop(((struct gateway_rig *)user)->loop); }
static UNUSED void rig_stop_task(struct task *t) {
    struct gateway_rig *r = CONTAINER_OF(t, struct gateway_rig, stop);
    gateway_stop(r->gw, 5000, rig_stopped, r);
}
static UNUSED void rig_stop(struct gateway_rig *r) {
    r->stop.run = rig_stop_task;
    loop_post(r->loop, &r->stop);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    gateway_close(r->gw);
    loop_free(r->loop);
}

static UNUSED int rig_setup(void **state) {
    struct gateway_rig *r = xnew(struct gateway_rig);
    log_set_level(LOG_LEVEL_WARN);
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/gateway-rig-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    rig_start(r);
    *state = r;
    return 0;
}

static UNUSED int rig_teardown(void **state) {
    struct gateway_rig *r = *state;
    rig_stop(r);
    assert_int_equal(file_remove_tree(AT_FDCWD, r->dir), 0);
    free(r);
    return 0;
}

/* ---- the client ---- */

struct rig_ask {
    const char *method, *path, *query;    /* path and query: encoded, the query sorted by name */
    const char *headers[RIG_HEADERS_MAX]; /* "name: value", lower case */
    struct str body;
    const char *secret;  /* NULL: RIG_SECRET; "": anonymous */
    const char *payload; /* of x-amz-content-sha256; NULL: the body's digest */
};
struct rig_reply {
    unsigned status;
    char head[8192];
    struct str body;  /* in bytes */
    struct buf bytes; /* owned */
};

static UNUSED int rig_header_cmp(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Appends Authorization; headers: "name: value", n of them. */
struct rig_signed {
    const char **headers;
    size_t n;
    const char *payload, *date;
};
static UNUSED void rig_sign(const struct rig_ask *q, const struct rig_signed *s, struct buf *out) {
    const char **headers = s->headers;
    const char *payload = s->payload;
    const char *date = s->date;
    size_t n = s->n;
    struct buf canonical = BUF(1 << 20);
    struct buf names = BUF(4096);
    qsort((void *)headers, n, sizeof *headers, rig_header_cmp);
    assert_int_equal(
        buf_fmt(&canonical, "%s\n%s\n%s\n", q->method, q->path, q->query ? q->query : ""), 0);
    for (size_t i = 0; i < n; i++) {
        const char *colon = strchr(headers[i], ':');
        struct str name = str_make(headers[i], (size_t)(colon - headers[i]));
        assert_int_equal(buf_fmt(&canonical, "%.*s:%s\n", STR_ARG(name), colon + 2), 0);
        assert_int_equal(buf_fmt(&names, "%s%.*s", i ? ";" : "", STR_ARG(name)), 0);
    }
    assert_int_equal(buf_fmt(&canonical, "\n%s\n%s", buf_c(&names), payload), 0);
    char hex[DIGEST_HEX_CHARS + 1];
    struct digest d = digest_of(buf_view(&canonical));
    AUTO_FREE char *scope = xasprintf("%.8s/us-east-1/s3/aws4_request", date);
    AUTO_FREE char *text =
        xasprintf("AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, digest_hex(&d, hex));
    AUTO_FREE char *first = xasprintf("AWS4%s", q->secret ? q->secret : RIG_SECRET);
    uint8_t k[HASH_BYTES_MAX];
    (void)hmac(HASH_SHA256, str_of(first), str_make(date, 8), k);
    const char *const rest[] = {"us-east-1", "s3", "aws4_request", text};
    for (size_t i = 0; i < COUNT(rest); i++)
        (void)hmac(HASH_SHA256, str_make((char *)k, DIGEST_BYTES), str_of(rest[i]), k);
    assert_int_equal(buf_fmt(out,
                             "authorization: AWS4-HMAC-SHA256 Credential=" RIG_ACCESS
                             "/%s, SignedHeaders=%s, Signature=%s\r\n",
                             scope, buf_c(&names), hex_encode(k, DIGEST_BYTES, hex)),
                     0);
    buf_done(&canonical);
    buf_done(&names);
}

static UNUSED int rig_connect(const struct gateway_rig *r) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(r->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* The request as bytes, signed. */
static UNUSED struct buf rig_request(const struct rig_ask *q) {
    struct buf out = BUF(RIG_REPLY_MAX);
    char date[DATE_BASIC_CHARS + 1];
    char hex[DIGEST_HEX_CHARS + 1];
    struct digest d = digest_of(q->body);
    const char *payload = q->payload ? q->payload : digest_hex(&d, hex);
    (void)date_basic(clock_wall_ns() / 1000000000, date);
    AUTO_FREE char *h_date = xasprintf("x-amz-date: %s", date);
    AUTO_FREE char *h_sha = xasprintf("x-amz-content-sha256: %s", payload);
    const char *headers[RIG_HEADERS_MAX + 3] = {"host: localhost", h_date, h_sha};
    size_t n = 3;
    for (size_t i = 0; i < RIG_HEADERS_MAX && q->headers[i]; i++) {
        if (strncmp(q->headers[i], "host:", 5) == 0)
            headers[0] = q->headers[i];
        else
            headers[n++] = q->headers[i];
    }
    assert_int_equal(buf_fmt(&out, "%s %s%s%s HTTP/1.1\r\n", q->method, q->path,
                             q->query ? "?" : "", q->query ? q->query : ""),
                     0);
    bool anonymous = q->secret && !q->secret[0];
    if (!anonymous) rig_sign(q, &(struct rig_signed){headers, n, payload, date}, &out);
    for (size_t i = 0; i < n; i++)
        if (!anonymous || (i != 1 && i != 2))
            assert_int_equal(buf_fmt(&out, "%s\r\n", headers[i]), 0);
    if (q->body.p) assert_int_equal(buf_fmt(&out, "content-length: %zu\r\n", q->body.n), 0);
    assert_int_equal(buf_fmt(&out, "connection: close\r\n\r\n"), 0);
    assert_int_equal(buf_str(&out, q->body), 0);
    return out;
}

static UNUSED void rig_receive(int fd, struct rig_reply *out) {
    out->bytes = BUF(RIG_REPLY_MAX);
    for (;;) {
        assert_int_equal(buf_reserve(&out->bytes, 65536), 0);
        ssize_t n = recv(fd, out->bytes.p + out->bytes.n, 65536, 0);
        if (n <= 0) break;
        out->bytes.n += (size_t)n;
    }
    const char *end = strstr(buf_c(&out->bytes), "\r\n\r\n");
    assert_non_null(end);
    size_t head = (size_t)(end - out->bytes.p) + 4;
    assert_true(head < sizeof out->head);
    memcpy(out->head, out->bytes.p, head);
    out->head[head] = '\0';
    assert_int_equal(sscanf(out->head, "HTTP/1.1 %u ", &out->status), 1);
    out->body = str_make(out->bytes.p + head, out->bytes.n - head);
}

/* Sends everything, then reads until the server closes. */
static UNUSED void rig_send(const struct gateway_rig *r, struct str bytes, struct rig_reply *out) {
    *out = (struct rig_reply){.status = 0};
    AUTO_CLOSE int fd = rig_connect(r);
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n <= 0) break;
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    rig_receive(fd, out);
}

static UNUSED void rig_ask(const struct gateway_rig *r, const struct rig_ask *q,
                           struct rig_reply *out) {
    struct buf bytes = rig_request(q);
    rig_send(r, buf_view(&bytes), out);
    buf_done(&bytes);
}
static UNUSED void rig_reply_done(struct rig_reply *p) { buf_done(&p->bytes); }

/* Asks and expects a status; part: of head or body, or NULL. */
static UNUSED void rig_expect(const struct gateway_rig *r, const struct rig_ask *q, unsigned status,
                              const char *part) {
    AUTO(rig_reply_done) struct rig_reply reply;
    rig_ask(r, q, &reply);
    struct str all = buf_view(&reply.bytes);
    if (reply.status != status || (part && !str_contains(all, str_of(part))))
        fail_msg("%s %s: expected %u '%s': %.*s", q->method, q->path, status, part ? part : "",
                 (int)(all.n < 3000 ? all.n : 3000), all.p);
}
/* The value of a reply's header (lower or upper case as the gateway writes it), copied into out. */
static UNUSED const char *rig_header(const struct rig_reply *p, const char *name, char *out,
                                     size_t out_bytes) {
    AUTO_FREE char *start = xasprintf("\r\n%s: ", name);
    const char *at = strcasestr(p->head, start);
    out[0] = '\0';
    if (!at) return out;
    at += strlen(start);
    (void)snprintf(out, out_bytes, "%.*s", (int)strcspn(at, "\r"), at);
    return out;
}
