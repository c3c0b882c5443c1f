/* SPDX-License-Identifier: Apache-2.0 — tls_test.c: sessions against OpenSSL's own client, bytes
 * carried over by hand, whole or one at a time. */
#include "base/tls.h"

#include "base/file.h"
#include "base/tls_cert.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world {
    char folder[64], cert[96], key[96];
    struct tls_config *config;
    SSL_CTX *ctx;
    /* one connection */
    struct tls *server;
    SSL *client;
    char out_bytes[4 * TLS_RECORD_ROOM];
    struct tls_out out;
    struct buf to_server;
    size_t step; /* bytes carried at a time; 0: all */
};

static void write_files(struct world *w, struct buf *cert, struct buf *key) {
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, w->folder);
    assert_int_equal(file_write_atomic(dir, "cert.pem", buf_view(cert), 0600), 0);
    assert_int_equal(file_write_atomic(dir, "key.pem", buf_view(key), 0600), 0);
    buf_done(cert);
    buf_done(key);
}

static void make_files(struct world *w) {
    const struct str names[] = {STR("localhost"), STR("127.0.0.1"), STR("::1"), STR("*.s3.local")};
    struct buf cert, key;
    struct err e = {0};
    assert_int_equal(tls_cert_make(names, COUNT(names), 30, &cert, &key, &e), 0);
    write_files(w, &cert, &key);
}

static int setup(void **state) {
    struct world *w = xnew(struct world);
    *state = w;
    (void)snprintf(w->folder, sizeof w->folder, "/tmp/tls-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->cert, sizeof w->cert, "%s/cert.pem", w->folder);
    (void)snprintf(w->key, sizeof w->key, "%s/key.pem", w->folder);
    make_files(w);
    struct err e = {0};
    if (tls_config_load(w->cert, w->key, &w->config, &e) < 0) fail_msg("%s", e.msg);
    w->ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_load_verify_locations(w->ctx, w->cert, NULL), 1);
    SSL_CTX_set_verify(w->ctx, SSL_VERIFY_PEER, NULL);
    w->to_server = BUF(1 << 20);
    return 0;
}

static void disconnect(struct world *w) {
    tls_free(w->server);
    SSL_free(w->client);
    w->server = NULL;
    w->client = NULL;
    buf_clear(&w->to_server);
}

static int teardown(void **state) {
    struct world *w = *state;
    disconnect(w);
    tls_config_free(w->config);
    SSL_CTX_free(w->ctx);
    buf_done(&w->to_server);
    assert_int_equal(file_remove_tree(AT_FDCWD, w->folder), 0);
    free(w);
    return 0;
}

static void connect_client(struct world *w) {
    w->server = tls_new(w->config);
    w->client = SSL_new(w->ctx);
    w->out = (struct tls_out){w->out_bytes, 0, sizeof w->out_bytes};
    SSL_set_bio(w->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(w->client);
    assert_int_equal(SSL_set1_host(w->client, "localhost"), 1);
}

/* Carries what each side has for the other. */
static void carry(struct world *w) {
    char bytes[65536];
    if (w->out.n) {
        assert_int_equal(BIO_write(SSL_get_rbio(w->client), w->out.p, (int)w->out.n), w->out.n);
        w->out.n = 0;
    }
    int n = BIO_read(SSL_get_wbio(w->client), bytes, sizeof bytes);
    if (n > 0) assert_int_equal(buf_append(&w->to_server, bytes, (size_t)n), 0);
}

/* One tls_read of what was carried, `step` bytes at a time. */
static ssize_t server_read(struct world *w, char *plain, size_t n) {
    for (;;) {
        struct str all = buf_view(&w->to_server);
        struct str in = w->step ? str_sub(all, 0, w->step) : all;
        size_t given = in.n;
        ssize_t r = tls_read(w->server, &in, &w->out, plain, n);
        buf_consume(&w->to_server, given - in.n);
        if (r != -EAGAIN || w->to_server.n == 0) return r;
    }
}

static int shake_hands(struct world *w) {
    char plain[16];
    for (int i = 0; i < 20; i++) {
        ERR_clear_error();
        int r = SSL_do_handshake(w->client);
        bool failed = r != 1 && SSL_get_error(w->client, r) != SSL_ERROR_WANT_READ;
        carry(w);
        ssize_t s = server_read(w, plain, sizeof plain);
        carry(w);
        if (s == -EPROTO) return -1;
        assert_int_equal(s, -EAGAIN);
        if (r == 1 && tls_is_open(w->server)) return 0;
        if (failed) return -1;
    }
    return -1;
}

static void exchange(struct world *w) {
    char plain[100];
    assert_int_equal(SSL_write(w->client, "ping", 4), 4);
    carry(w);
    assert_int_equal(server_read(w, plain, 3), 3);
    assert_true(tls_has_plain(w->server));
    assert_int_equal(server_read(w, plain + 3, sizeof plain - 3), 1);
    assert_memory_equal(plain, "ping", 4);
    assert_int_equal(tls_write(w->server, STR("pong"), &w->out), 4);
    carry(w);
    assert_int_equal(SSL_read(w->client, plain, sizeof plain), 4);
    assert_memory_equal(plain, "pong", 4);
}

static void bytes_go_both_ways_in_both_versions(void **state) {
    struct world *w = *state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (w->step = 0; w->step < 2; w->step++) { /* whole, then byte by byte */
            connect_client(w);
            assert_int_equal(SSL_set_min_proto_version(w->client, version), 1);
            assert_int_equal(SSL_set_max_proto_version(w->client, version), 1);
            assert_int_equal(shake_hands(w), 0);
            assert_int_equal(SSL_version(w->client), version);
            exchange(w);
            disconnect(w);
        }
    }
}

static void old_versions_are_refused(void **state) {
    struct world *w = *state;
    connect_client(w);
    SSL_set_security_level(w->client, 0);
    assert_int_equal(SSL_set_min_proto_version(w->client, TLS1_VERSION), 1);
    assert_int_equal(SSL_set_max_proto_version(w->client, TLS1_1_VERSION), 1);
    assert_int_equal(shake_hands(w), -1);
}

static void the_protocol_is_chosen_or_refused(void **state) {
    struct world *w = *state;
    connect_client(w);
    assert_int_equal(SSL_set_alpn_protos(w->client, (const unsigned char *)"\2h2\10http/1.1", 12),
                     0);
    assert_int_equal(shake_hands(w), 0);
    const unsigned char *chosen = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(w->client, &chosen, &n);
    assert_true(str_eq(str_make((const char *)chosen, n), STR("http/1.1")));
    disconnect(w);
    connect_client(w);
    assert_int_equal(SSL_set_alpn_protos(w->client, (const unsigned char *)"\2h2", 3), 0);
    assert_int_equal(shake_hands(w), -1);
    assert_string_not_equal(tls_failure(w->server), "");
}

static void what_is_no_tls_fails_and_stays_failed(void **state) {
    struct world *w = *state;
    connect_client(w);
    char plain[16];
    assert_int_equal(buf_str(&w->to_server, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 0);
    assert_int_equal(server_read(w, plain, sizeof plain), -EPROTO);
    assert_string_equal(tls_failure(w->server), "http request");
    assert_int_equal(server_read(w, plain, sizeof plain), -EPROTO);
    assert_int_equal(tls_write(w->server, STR("a"), &w->out), -EPROTO);
}

static void a_flipped_byte_fails(void **state) {
    struct world *w = *state;
    connect_client(w);
    assert_int_equal(shake_hands(w), 0);
    char plain[16];
    assert_int_equal(SSL_write(w->client, "ping", 4), 4);
    carry(w);
    w->to_server.p[w->to_server.n - 1] ^= 1;
    assert_int_equal(server_read(w, plain, sizeof plain), -EPROTO);
}

static void a_record_is_written_whole_or_not_begun(void **state) {
    struct world *w = *state;
    connect_client(w);
    assert_int_equal(tls_write(w->server, STR("early"), &w->out), -EAGAIN);
    assert_int_equal(shake_hands(w), 0);
    AUTO_FREE char *big = xmalloc(2 * TLS_RECORD_BYTES);
    struct str plain = str_make(big, 2 * TLS_RECORD_BYTES);
    w->out.bytes_max = TLS_RECORD_ROOM - 1;
    assert_int_equal(tls_write(w->server, plain, &w->out), -EAGAIN);
    assert_int_equal(w->out.n, 0);
    w->out.bytes_max = TLS_RECORD_ROOM;
    assert_int_equal(tls_write(w->server, plain, &w->out), TLS_RECORD_BYTES);
    assert_int_equal(tls_write(w->server, plain, &w->out), -EAGAIN);
}

static void both_sides_can_end(void **state) {
    struct world *w = *state;
    connect_client(w);
    assert_int_equal(shake_hands(w), 0);
    char plain[16];
    tls_end(w->server, &w->out);
    carry(w);
    assert_int_equal(SSL_read(w->client, plain, sizeof plain), 0);
    assert_int_equal(SSL_get_shutdown(w->client) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    (void)SSL_shutdown(w->client);
    carry(w);
    assert_int_equal(server_read(w, plain, sizeof plain), 0);
}

static void sessions_are_resumed_by_tickets_until_a_reload(void **state) {
    struct world *w = *state;
    connect_client(w);
    assert_int_equal(shake_hands(w), 0);
    exchange(w); /* the ticket comes with it */
    SSL_SESSION *session = SSL_get1_session(w->client);
    (void)SSL_shutdown(w->client);
    disconnect(w);
    connect_client(w);
    assert_int_equal(SSL_set_session(w->client, session), 1);
    assert_int_equal(shake_hands(w), 0);
    assert_true(SSL_session_reused(w->client));
    disconnect(w);
    struct err e = {0};
    make_files(w);
    assert_int_equal(tls_config_reload(w->config, w->cert, w->key, &e), 0);
    assert_int_equal(SSL_CTX_load_verify_locations(w->ctx, w->cert, NULL), 1);
    connect_client(w);
    assert_int_equal(SSL_set_session(w->client, session), 1);
    assert_int_equal(shake_hands(w), 0);
    assert_false(SSL_session_reused(w->client));
    SSL_SESSION_free(session);
}

static void files_that_do_not_fit_are_refused_and_change_nothing(void **state) {
    struct world *w = *state;
    struct err e = {0};
    assert_int_equal(tls_config_reload(w->config, "/nonexistent", w->key, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(tls_config_reload(w->config, w->key, w->key, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(tls_config_reload(w->config, w->cert, w->cert, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    const struct str name = STR("other");
    struct buf cert, key;
    assert_int_equal(tls_cert_make(&name, 1, 1, &cert, &key, &e), 0);
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, w->folder);
    assert_int_equal(file_write_atomic(dir, "key.pem", buf_view(&key), 0600), 0);
    buf_done(&cert);
    buf_done(&key);
    assert_int_equal(tls_config_reload(w->config, w->cert, w->key, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    connect_client(w); /* with what was loaded before */
    assert_int_equal(shake_hands(w), 0);
}

static void certificates_hold_exactly_the_names_given(void **state) {
    struct world *w = *state;
    connect_client(w);
    assert_int_equal(shake_hands(w), 0);
    X509 *x = SSL_get1_peer_certificate(w->client);
    assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "bucket.s3.local", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "evil.org", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.2", 0), 0);
    X509_free(x);
    static const struct str bad[] = {STR(""), STR("a,DNS:evil.org"), STR("a b"), STR("a\0b"),
                                     STR("1.2.3.4/8")};
    struct buf cert, key;
    struct err e = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(tls_cert_make(&bad[i], 1, 1, &cert, &key, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    assert_int_equal(tls_cert_make(bad, 0, 1, &cert, &key, &e), -1);
    const struct str fine = STR("a");
    assert_int_equal(tls_cert_make(&fine, 1, 0, &cert, &key, &e), -1);
    assert_int_equal(tls_cert_make(&fine, 1, TLS_CERT_DAYS_MAX + 1, &cert, &key, &e), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_both_ways_in_both_versions),
        TEST(old_versions_are_refused),
        TEST(the_protocol_is_chosen_or_refused),
        TEST(what_is_no_tls_fails_and_stays_failed),
        TEST(a_flipped_byte_fails),
        TEST(a_record_is_written_whole_or_not_begun),
        TEST(both_sides_can_end),
        TEST(sessions_are_resumed_by_tickets_until_a_reload),
        TEST(files_that_do_not_fit_are_refused_and_change_nothing),
        TEST(certificates_hold_exactly_the_names_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
