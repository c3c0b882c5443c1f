/* SPDX-License-Identifier: Apache-2.0 — http_interop_test.c: curl and openssl as they are, over
 * HTTP and HTTPS, and many connections at once. */
#include "base/http_rig.h"

#include "base/file.h"
#include "base/proc.h"
#include "base/tls_cert.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

#define UPLOAD_BYTES     (100U << 20)
#define IDLE_CONNECTIONS 2000U
#define ARGS_MAX         24
#define OUTPUT_BYTES_MAX (128U << 20)

struct world {
    struct rig *rig;
    struct tls_config *tls;
    uint16_t tls_port;
    char cert[96], key[96], upload[96];
    struct buf output;
    int status;
};

static int setup(void **state) {
    struct world *w = xnew(struct world);
    assert_int_equal(rig_setup((void **)&w->rig), 0);
    *state = w;
    const struct str names[] = {STR("localhost"), STR("127.0.0.1")};
    struct buf cert, key;
    struct err e = {0};
    assert_int_equal(tls_cert_make(names, COUNT(names), 2, &cert, &key, &e), 0);
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, w->rig->folder);
    assert_int_equal(file_write_atomic(dir, "cert.pem", buf_view(&cert), 0600), 0);
    assert_int_equal(file_write_atomic(dir, "key.pem", buf_view(&key), 0600), 0);
    buf_done(&cert);
    buf_done(&key);
    (void)snprintf(w->cert, sizeof w->cert, "%s/cert.pem", w->rig->folder);
    (void)snprintf(w->key, sizeof w->key, "%s/key.pem", w->rig->folder);
    (void)snprintf(w->upload, sizeof w->upload, "%s/upload", w->rig->folder);
    if (tls_config_load(w->cert, w->key, &w->tls, &e) < 0) fail_msg("%s", e.msg);
    if (http_server_listen_tls(w->rig->server, "127.0.0.1:0", w->tls, &w->tls_port, &e) < 0)
        fail_msg("%s", e.msg);
    w->output = BUF(OUTPUT_BYTES_MAX);
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    (void)unlink(w->cert);
    (void)unlink(w->key);
    (void)unlink(w->upload);
    void *rig = w->rig;
    (void)rig_teardown(&rig);
    tls_config_free(w->tls);
    buf_done(&w->output);
    free(w);
    return 0;
}

/* ---- programs ---- */

/* Runs the program while the server serves; its output and exit status are in w then. */
static void run(struct world *w, const char *path, int stdin_fd, const char *const *args) {
    AUTO_CLOSE int out = open(w->rig->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    const char *argv[ARGS_MAX] = {path};
    for (size_t i = 0; args[i]; i++) argv[i + 1] = args[i];
    const char *const envp[] = {"LC_ALL=C", "no_proxy=*", NULL};
    struct proc_fd fds[] = {{out, 1}, {STDERR_FILENO, 2}, {stdin_fd, 0}};
    struct proc_spec spec = PROC_SPEC;
    spec.path = path;
    spec.argv = argv;
    spec.envp = envp;
    spec.fds = fds;
    spec.fd_count = stdin_fd < 0 ? 2 : 3;
    struct proc p = PROC_NONE;
    struct err e = {0};
    if (proc_spawn(&spec, &p, &e) < 0) fail_msg("%s", e.msg);
    struct proc_exit x = {0};
    while (proc_try_wait(&p, &x) == -EAGAIN) rig_turn(w->rig);
    proc_done(&p);
    assert_int_equal(x.signal, 0);
    w->status = x.status;
    buf_done(&w->output);
    assert_int_equal(lseek(out, 0, SEEK_SET), 0);
    assert_int_equal(file_read_fd(out, OUTPUT_BYTES_MAX, &w->output), 0);
}

#define CURL(w, ...)                                                                               \
    run(w, "/usr/bin/curl", -1,                                                                    \
        (const char *const[]){"-sS", "--max-time", "120", "--cacert", (w)->cert, __VA_ARGS__,      \
                              NULL})

static void expect_output(struct world *w, const char *want) {
    assert_int_equal(w->status, 0);
    if (!str_eq(buf_view(&w->output), str_of(want)))
        fail_msg("'%.*s' is not '%s'", (int)w->output.n, w->output.p, want);
}

static void expect_pattern(struct world *w, uint64_t from, size_t n) {
    assert_int_equal(w->status, 0);
    assert_int_equal(w->output.n, n);
    for (size_t at = 0; at < n; at += RIG_BODY_BYTES) {
        size_t piece = n - at < RIG_BODY_BYTES ? n - at : RIG_BODY_BYTES;
        assert_memory_equal(w->output.p + at, rig_pattern(from + at), piece);
    }
}

/* The server's address over HTTP, then over HTTPS. */
static const char *origin(struct world *w, int encrypted) {
    static char text[64];
    (void)snprintf(text, sizeof text, encrypted ? "https://127.0.0.1:%u" : "http://127.0.0.1:%u",
                   encrypted ? w->tls_port : w->rig->port);
    return text;
}

static char *url(struct world *w, int encrypted, const char *path) {
    return xasprintf("%s%s", origin(w, encrypted), path);
}

/* ---- curl ---- */

static void curl_uses_a_connection_again(void **state) {
    struct world *w = *state;
    for (int tls = 0; tls < 2; tls++) {
        AUTO_FREE char *hello = url(w, tls, "/hello");
        CURL(w, "-w", "%{num_connects}%{http_version}", hello, hello, hello);
        expect_output(w, "hello11.1hello01.1hello01.1");
    }
}

static void curl_heads_and_gets_nothing(void **state) {
    struct world *w = *state;
    for (int tls = 0; tls < 2; tls++) {
        AUTO_FREE char *hello = url(w, tls, "/hello"), *none = url(w, tls, "/none");
        CURL(w, "-w", "%{http_code}", none, none);
        expect_output(w, "204204");
        CURL(w, "-I", hello);
        assert_true(str_contains(buf_view(&w->output), STR("\r\nContent-Length: 5\r\n")));
    }
}

static void curl_uploads_100_mib_after_100_continue(void **state) {
    struct world *w = *state;
    AUTO_CLOSE int fd = open(w->upload, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    rig_fill(fd, UPLOAD_BYTES);
    for (int tls = 0; tls < 2; tls++) {
        w->rig->received = 0;
        AUTO_FREE char *sink = url(w, tls, "/sink");
        CURL(w, "-T", w->upload, "-H", "Expect: 100-continue", sink);
        expect_output(w, "done");
        assert_int_equal(w->rig->received, UPLOAD_BYTES);
        w->rig->received = 0;
        CURL(w, "-T", w->upload, "-H", "Transfer-Encoding: chunked", sink);
        expect_output(w, "done");
        assert_int_equal(w->rig->received, UPLOAD_BYTES);
    }
    assert_true(w->rig->pattern_ok);
}

static void curl_sends_small_bodies(void **state) {
    struct world *w = *state;
    for (int tls = 0; tls < 2; tls++) {
        AUTO_FREE char *echo = url(w, tls, "/echo");
        CURL(w, "-d", "some=thing", echo, "-d", "other", "-H", "Transfer-Encoding: chunked");
        expect_output(w, "some=thing&other");
    }
}

static void curl_downloads_what_is_sent(void **state) {
    struct world *w = *state;
    for (int tls = 0; tls < 2; tls++) {
        AUTO_FREE char *file = url(w, tls, "/file"), *range = url(w, tls, "/range");
        AUTO_FREE char *pieces = url(w, tls, "/pieces"), *big = url(w, tls, "/big");
        CURL(w, file);
        expect_pattern(w, 0, RIG_FILE_BYTES);
        CURL(w, "-r", "65536-131071", range);
        expect_pattern(w, 65536, 65536);
        CURL(w, pieces);
        expect_output(w, "onetwothree");
        CURL(w, big);
        expect_pattern(w, 0, RIG_BIG_PIECES * RIG_BODY_BYTES);
        CURL(w, "--limit-rate", "200M", "-0", pieces);
        expect_output(w, "onetwothree");
    }
}

static void curl_gets_an_early_answer_to_a_big_upload(void **state) {
    struct world *w = *state;
    AUTO_CLOSE int fd = open(w->upload, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    rig_fill(fd, 4 * RIG_BODY_BYTES);
    for (int tls = 0; tls < 2; tls++) {
        AUTO_FREE char *hello = url(w, tls, "/hello");
        CURL(w, "-T", w->upload, "-H", "Expect:", hello);
        expect_output(w, "hello");
    }
}

/* ---- openssl ---- */

static int request_file(struct world *w, const char *text) {
    int fd = open(w->rig->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void openssl_s_client_is_answered_in_both_versions(void **state) {
    struct world *w = *state;
    AUTO_FREE char *at = xasprintf("127.0.0.1:%u", w->tls_port);
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    for (size_t i = 0; i < COUNT(versions); i++) {
        AUTO_CLOSE int in = request_file(w, "GET /hello HTTP/1.1\r\nHost: a\r\n"
                                            "Connection: close\r\n\r\n");
        run(w, "/usr/bin/openssl", in,
            (const char *const[]){"s_client", "-connect", at, versions[i], "-CAfile", w->cert,
                                  "-verify_return_error", "-alpn", "http/1.1", "-ign_eof", NULL});
        assert_int_equal(w->status, 0);
        struct str out = buf_view(&w->output);
        assert_true(str_contains(out, STR("ALPN protocol: http/1.1")));
        assert_true(str_contains(out, STR("HTTP/1.1 200 OK\r\n")));
        assert_true(str_contains(out, STR("\r\n\r\nhello")));
    }
}

static void what_is_no_tls_is_closed(void **state) {
    struct world *w = *state;
    struct client *c = rig_connect_port(w->rig, w->tls_port, AF_INET);
    client_send(c, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    client_expect_end_somewhere(c);
    c = rig_connect(w->rig); /* and TLS where there is none */
    client_send(c, STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    client_expect_reply(c, 400, "400 Bad Request: a control byte in the head\n");
}

static void a_handshake_that_does_not_come_is_ended(void **state) {
    struct world *w = *state;
    struct err e = {0};
    rig_restart(w->rig, &(struct http_limits){.head_ms = 60});
    assert_int_equal(
        http_server_listen_tls(w->rig->server, "127.0.0.1:0", w->tls, &w->tls_port, &e), 0);
    struct client *silent = rig_connect_port(w->rig, w->tls_port, AF_INET);
    struct client *half = rig_connect_port(w->rig, w->tls_port, AF_INET);
    client_send(half, STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    client_expect_end_somewhere(silent);
    client_expect_end_somewhere(half);
    assert_int_equal(w->rig->requests, 0);
}

/* ---- many ---- */

static void many_handshakes_at_once_all_succeed(void **state) {
    struct world *w = *state;
    AUTO_FREE char *range = url(w, 1, "/hello?[1-60]");
    CURL(w, "-Z", "--no-progress-meter", "--parallel-max", "60", "--parallel-immediate", range);
    assert_int_equal(w->status, 0);
    assert_int_equal(w->output.n, 60 * strlen("hello"));
    struct http_counts counts;
    http_server_counts(w->rig->server, &counts);
    assert_in_range(counts.accepted, 9, 60); /* more than have their turn at once */
}

static uint64_t resident_bytes(void) {
    AUTO(buf_done) struct buf b = BUF(0);
    assert_int_equal(file_read_all(AT_FDCWD, "/proc/self/statm", 256, &b), 0);
    struct str rest = buf_view(&b), part;
    assert_true(str_next(&rest, ' ', &part) && str_next(&rest, ' ', &part));
    uint64_t pages = 0;
    assert_int_equal(str_u64(part, &pages), 0);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int connect_one(struct rig *r) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(r->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    return fd;
}

static void idle_connections_cost_next_to_nothing(void **state) {
    struct world *w = *state;
    struct rig *r = w->rig;
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < 2 * IDLE_CONNECTIONS + 100) skip();
    static int fds[IDLE_CONNECTIONS];
    uint64_t before = resident_bytes();
    for (size_t i = 0; i < IDLE_CONNECTIONS; i++) {
        fds[i] = connect_one(r);
        if (i % 100 == 0) rig_turn(r);
    }
    while ((size_t)r->dones < IDLE_CONNECTIONS) rig_turn(r);
    uint64_t each = (resident_bytes() - before) / IDLE_CONNECTIONS;
    print_message("an idle connection costs %llu bytes\n", (unsigned long long)each);
    assert_in_range(each, 0, 3000);
    struct http_counts counts;
    http_server_counts(r->server, &counts);
    assert_int_equal(counts.connections, IDLE_CONNECTIONS);
    assert_int_equal(counts.calls, 0);
    for (size_t i = 0; i < IDLE_CONNECTIONS; i++) (void)close(fds[i]);
    rig_until_connections(r, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(idle_connections_cost_next_to_nothing), /* first: the heap is fresh */
        TEST(curl_uses_a_connection_again),
        TEST(curl_heads_and_gets_nothing),
        TEST(curl_uploads_100_mib_after_100_continue),
        TEST(curl_sends_small_bodies),
        TEST(curl_downloads_what_is_sent),
        TEST(curl_gets_an_early_answer_to_a_big_upload),
        TEST(openssl_s_client_is_answered_in_both_versions),
        TEST(what_is_no_tls_is_closed),
        TEST(a_handshake_that_does_not_come_is_ended),
        TEST(many_handshakes_at_once_all_succeed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
