/* SPDX-License-Identifier: Apache-2.0 — tls.c: OpenSSL sessions over the caller's memory.
 *
 * OpenSSL reads and writes through a BIO of ours that copies from and to the spans of the present
 * call: its own memory BIOs keep the largest size that they ever had, which would be paid for each
 * idle connection. `in` and `out` are set during a call only. Record buffers are released when they
 * are empty (SSL_MODE_RELEASE_BUFFERS).
 *
 * Sessions are resumed by tickets alone: nothing is kept per client here. The keys of tickets
 * belong to the SSL_CTX, so they change with each reload. Renegotiation, which only TLS 1.2 has, is
 * refused. */
#include "base/tls.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_config {
    SSL_CTX *ctx; /* owned; sessions hold references too */
};

struct tls {
    SSL *ssl;            /* owned */
    struct str *in;      /* of the present call, or NULL */
    struct tls_out *out; /* the same */
    const char *failure;
    bool failed;
};

static BIO_METHOD *spans; /* one for the process */
static pthread_once_t spans_once = PTHREAD_ONCE_INIT;

/* ---- the BIO ---- */

static int span_read(BIO *bio, char *out, int n) {
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0) return 0;
    if (!t->in || t->in->n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t take = (size_t)n < t->in->n ? (size_t)n : t->in->n;
    memcpy(out, t->in->p, take);
    *t->in = str_sub(*t->in, take, t->in->n);
    return (int)take;
}

static int span_write(BIO *bio, const char *bytes, int n) {
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0) return 0;
    size_t room = t->out ? t->out->bytes_max - t->out->n : 0;
    if (room == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    size_t put = (size_t)n < room ? (size_t)n : room;
    memcpy(t->out->p + t->out->n, bytes, put);
    t->out->n += put;
    return (int)put;
}

static long span_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* nothing else is known here */
}

static void make_spans(void) {
    spans = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "spans");
    if (!spans || !BIO_meth_set_read(spans, span_read) || !BIO_meth_set_write(spans, span_write) ||
        !BIO_meth_set_ctrl(spans, span_ctrl))
        abort(); /* out of memory: the process is crash-only */
}

/* ---- configuration ---- */

/* The oldest error that OpenSSL has noted, as text; the others are dropped. */
static const char *take_reason(void) {
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "no reason is known";
}

static int set_error(struct err *e, const char *what, const char *path) {
    unsigned long code = ERR_peek_error();
    if (ERR_SYSTEM_ERROR(code)) {
        ERR_clear_error();
        return err_sys(e, ERR_GET_REASON(code), "read the TLS %s '%s'", what, path);
    }
    return err_set(e, ERR_INVALID, "use the TLS %s '%s': %s", what, path, take_reason());
}

static int no_passphrase(char *out, int n, int writing, void *user) {
    (void)out;
    (void)n;
    (void)writing;
    (void)user;
    return -1; /* OpenSSL would ask at the terminal */
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                           const unsigned char *offered, unsigned offered_n, void *user) {
    static const unsigned char ours[] = "\x08http/1.1\x08http/1.0"; /* curl -0 offers it */
    (void)ssl;
    (void)user;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof ours - 1, offered, offered_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void set_up(SSL_CTX *ctx) {
    static const unsigned char context[] = "gridlet";
    int ok = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
             SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) && SSL_CTX_set_num_tickets(ctx, 1) &&
             SSL_CTX_set_session_id_context(ctx, context, sizeof context - 1);
    if (!ok) abort(); /* an OpenSSL without these cannot run this program */
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
}

static int load_files(SSL_CTX *ctx, const char *cert, const char *key, struct err *e) {
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return set_error(e, "certificate", cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return set_error(e, "key", key);
    if (SSL_CTX_check_private_key(ctx) != 1) return set_error(e, "key", key);
    return 0;
}

int tls_config_reload(struct tls_config *c, const char *cert, const char *key, struct err *e) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) abort();
    set_up(ctx);
    if (load_files(ctx, cert, key, e) < 0) {
        SSL_CTX_free(ctx);
        return -1;
    }
    SSL_CTX_free(c->ctx);
    c->ctx = ctx;
    return 0;
}

int tls_config_load(const char *cert, const char *key, struct tls_config **out, struct err *e) {
    struct tls_config *c = xnew(struct tls_config);
    if (tls_config_reload(c, cert, key, e) < 0) {
        tls_config_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void tls_config_free(struct tls_config *c) {
    if (!c) return;
    SSL_CTX_free(c->ctx);
    free(c);
}

/* ---- sessions ---- */

struct tls *tls_new(struct tls_config *c) {
    (void)pthread_once(&spans_once, make_spans);
    struct tls *t = xnew(struct tls);
    t->failure = "";
    t->ssl = SSL_new(c->ctx);
    BIO *bio = BIO_new(spans);
    if (!t->ssl || !bio) abort();
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_accept_state(t->ssl);
    return t;
}

void tls_free(struct tls *t) {
    if (!t) return;
    SSL_free(t->ssl);
    free(t);
}

/* What a call that gave r <= 0 means. */
static ssize_t outcome(struct tls *t, int r) {
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: break;
    }
    t->failed = true;
    t->failure = take_reason();
    return -EPROTO;
}

ssize_t tls_read(struct tls *t, struct str *in, struct tls_out *out, char *plain, size_t n) {
    assert(n > 0);
    if (t->failed) return -EPROTO;
    t->in = in;
    t->out = out;
    ERR_clear_error();
    size_t got = 0;
    int r = SSL_read_ex(t->ssl, plain, n, &got);
    ssize_t result = r == 1 ? (ssize_t)got : outcome(t, r);
    t->in = NULL;
    t->out = NULL;
    return result;
}

ssize_t tls_write(struct tls *t, struct str plain, struct tls_out *out) {
    assert(plain.n > 0);
    if (t->failed) return -EPROTO;
    /* A record that is begun must be gone on with: so it is begun only where it fits whole. */
    if (!tls_is_open(t) || out->bytes_max - out->n < TLS_RECORD_ROOM) return -EAGAIN;
    t->out = out;
    ERR_clear_error();
    size_t put = 0;
    size_t n = plain.n < TLS_RECORD_BYTES ? plain.n : TLS_RECORD_BYTES;
    int r = SSL_write_ex(t->ssl, plain.p, n, &put);
    ssize_t result = r == 1 ? (ssize_t)put : outcome(t, r);
    t->out = NULL;
    return result == 0 ? -EPROTO : result;
}

void tls_end(struct tls *t, struct tls_out *out) {
    if (t->failed || !tls_is_open(t)) return;
    t->out = out;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
    t->out = NULL;
}

bool tls_is_open(const struct tls *t) { return SSL_is_init_finished(t->ssl); }

bool tls_has_plain(const struct tls *t) { return SSL_pending(t->ssl) > 0; }

const char *tls_failure(const struct tls *t) { return t->failure; }
