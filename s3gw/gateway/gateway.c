/* SPDX-License-Identifier: Apache-2.0 — gateway.c: opening, listening, stopping; the access log.
 *
 * On disk: ROOT/meta (s3gw/meta), ROOT/chunks (the engine), ROOT/tls, ROOT/root.json. Order of
 * closing: the server first, so that no call begins; then what jobs are under way; the reclaimer,
 * which asks the metadata; the metadata, which answers the ops of the last calls; the engine, which
 * those calls may still hold. */
#include "s3gw/gateway/gateway.h"

#include "base/file.h"
#include "base/log.h"
#include "base/tls_cert.h"
#include "s3gw/gateway/gateway_internal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define CERT_DAYS    3650
#define HOST_CHARS   256
#define META_READERS 16

/* ---- the log and the counters ---- */

static void on_request(void *user, struct http_call *c) { call_begin(user, c); }

static void on_access(void *user, const struct http_access *a) {
    struct gateway *g = user;
    g->access = (struct gateway_access){a->status, a->received_bytes, a->sent_bytes, a->took_ns,
                                        a->error != NULL};
    if (!a->head)
        LOG_INFO("refused", F_C("peer", a->peer), F_STR("request", a->id),
                 F_U64("status", a->status));
}

static void count_call(struct gateway *g, const struct call *c) {
    for (size_t i = 0; c->route && i < route_count(); i++) {
        if (route_at(i) != c->route) continue;
        g->counts[i].calls++;
        if (g->access.status >= 500) g->counts[i].errors_5xx++;
        if (g->access.status >= 400 && g->access.status < 500) g->counts[i].errors_4xx++;
    }
}

void gateway_log_call(struct gateway *g, const struct call *c) {
    count_call(g, c);
    LOG_INFO("access", F_STR("request", str_of(c->id)), F_C("peer", http_call_peer(c->http)),
             F_C("operation", c->route ? c->route->name : "-"), F_STR("method", c->request.method),
             F_STR("bucket", c->target.bucket), F_STR("key", c->target.key),
             F_STR("user", c->who ? c->auth.access_key : STR("-")),
             F_U64("status", g->access.status),
             F_C("code", c->result < 0 ? s3_code_name(c->error.code) : "-"),
             F_U64("received", g->access.received_bytes), F_U64("sent", g->access.sent_bytes),
             F_U64("took_us", g->access.took_ns / 1000),
             F_C("complete", g->access.failed ? "false" : "true"));
}

bool gateway_count(const struct gateway *g, size_t index, struct gateway_count *out) {
    if (index >= route_count()) return false;
    *out = g->counts[index];
    out->operation = route_at(index)->name;
    return true;
}

/* The document for what HTTP itself refuses. */
static size_t refusal(void *user, const struct http_refusal *r, struct str id, char *out,
                      size_t bytes_max) {
    (void)user;
    struct s3_error x = {.details = 0};
    struct buf text = BUF(bytes_max);
    const struct s3_error_place place = {.request_id = id, .host_id = STR(GATEWAY_HOST_ID)};
    enum s3_code code = r->status == 408 ? S3_REQUEST_TIMEOUT : S3_INVALID_REQUEST;
    (void)s3_fail_with(&x, code, "The request is not well-formed HTTP: %s", r->why);
    size_t n = s3_error_document(&x, &place, &text) == 0 ? text.n : 0;
    memcpy(out, text.p ? text.p : "", n);
    buf_done(&text);
    return n;
}

/* ---- opening ---- */

static int open_meta(struct gateway *g, const struct gateway_options *o, struct err *e) {
    AUTO_FREE char *folder = xasprintf("%s/meta", o->root);
    int r = file_mkdirs(AT_FDCWD, folder, 0700);
    if (r < 0) return err_sys(e, -r, "make the folder '%s'", folder);
    const struct meta_options mo = {.folder = folder, .loop = o->loop, .readers = META_READERS};
    return meta_open(&mo, &g->meta, e);
}

static int open_data(struct gateway *g, const struct gateway_options *o, struct err *e) {
    AUTO_FREE char *folder = xasprintf("%s/chunks", o->root);
    const struct data_options d = {
        .folder = folder, .meta = g->meta, .no_background = o->no_background};
    return data_open(&d, &g->data, e);
}

static struct str copy(struct str s) {
    char *p = xmalloc(s.n + 1);
    if (s.n > 0) memcpy(p, s.p, s.n);
    return str_make(p, s.n);
}

static int open_parts(struct gateway *g, const struct gateway_options *o, struct err *e) {
    if (o->region.n > AUTH_REGION_MAX)
        return err_set(e, ERR_INVALID, "the region's name may have %d bytes", AUTH_REGION_MAX);
    g->root_fd = file_open_dir(AT_FDCWD, o->root);
    if (g->root_fd < 0) return err_sys(e, -g->root_fd, "open the folder '%s'", o->root);
    if (identities_open(g->root_fd, &o->given, &g->identities, e) < 0) return -1;
    if (open_meta(g, o, e) < 0 || open_data(g, o, e) < 0) return -1;
    g->auth = s3_auth_new(g->region, identities_keys(&g->identities));
    g->counts = xmalloc((route_count() + 1) * sizeof *g->counts);
    const struct http_options ho = {.user = g,
                                    .on_request = on_request,
                                    .on_access = on_access,
                                    .refusal = refusal,
                                    .refusal_type = "application/xml",
                                    .limits = o->limits};
    g->server = http_server_new(g->loop, &ho);
    return 0;
}

int gateway_open(const struct gateway_options *o, struct gateway **out, struct err *e) {
    struct gateway *g = xnew(struct gateway);
    g->loop = o->loop;
    g->root_fd = -1;
    g->root = xstrdup(o->root);
    g->domain = copy(o->domain);
    g->region = copy(o->region.n > 0 ? o->region : STR("us-east-1"));
    if (open_parts(g, o, e) < 0) {
        gateway_close(g);
        return -1;
    }
    *out = g;
    return 0;
}

int gateway_listen(struct gateway *g, const char *where, uint16_t *out_port, struct err *e) {
    return http_server_listen(g->server, where, out_port, e);
}

/* ---- TLS ---- */

/* The key is written last: both are there, or they are made again. */
static int make_certificate(struct gateway *g, int dir, struct err *e) {
    char host[HOST_CHARS] = "";
    AUTO_FREE char *below = xasprintf("*.%.*s", STR_ARG(g->domain));
    struct str names[] = {STR("localhost"), STR("127.0.0.1"), STR("::1"),
                          STR_NONE,         STR_NONE,         STR_NONE};
    size_t n = 3;
    if (gethostname(host, sizeof host - 1) == 0 && host[0]) names[n++] = str_of(host);
    if (g->domain.n > 0) {
        names[n++] = g->domain;
        names[n++] = str_of(below);
    }
    struct buf cert = BUF(TLS_CERT_PEM_BYTES_MAX);
    struct buf key = BUF(TLS_CERT_PEM_BYTES_MAX);
    int made = tls_cert_make(names, n, CERT_DAYS, &cert, &key, e);
    if (made == 0) {
        int r = file_write_durable(dir, "cert.pem", buf_view(&cert), 0644);
        if (r == 0) r = file_write_durable(dir, "key.pem", buf_view(&key), 0600);
        if (r < 0) made = err_sys(e, -r, "keep the certificate in '%s/tls'", g->root);
    }
    secret_wipe(key.p, key.n);
    buf_done(&cert);
    buf_done(&key);
    return made;
}

static int open_tls(struct gateway *g, struct err *e) {
    AUTO_CLOSE int dir = file_mkdirs_open(g->root_fd, "tls", 0700);
    if (dir < 0) return err_sys(e, -dir, "make the folder '%s/tls'", g->root);
    int there = file_exists(dir, "key.pem");
    if (there < 0) return err_sys(e, -there, "look for '%s/tls/key.pem'", g->root);
    if (!there && make_certificate(g, dir, e) < 0) return -1;
    AUTO_FREE char *cert = xasprintf("%s/tls/cert.pem", g->root);
    AUTO_FREE char *key = xasprintf("%s/tls/key.pem", g->root);
    return tls_config_load(cert, key, &g->tls, e);
}

int gateway_listen_tls(struct gateway *g, const char *where, uint16_t *out_port, struct err *e) {
    if (!g->tls && open_tls(g, e) < 0) return -1;
    return http_server_listen_tls(g->server, where, g->tls, out_port, e);
}

/* ---- its end ---- */

void gateway_stop(struct gateway *g, uint64_t grace_ms, void (*done)(void *user), void *user) {
    http_server_stop(g->server, grace_ms, done, user);
}

void gateway_close(struct gateway *g) {
    if (!g) return;
    http_server_free(g->server);
    loop_settle(g->loop);
    data_stop(g->data);
    if (g->meta) meta_close(g->meta);
    loop_settle(g->loop); /* answers that it posted: the last calls end */
    data_close(g->data);
    tls_config_free(g->tls);
    s3_auth_free(g->auth);
    identities_done(&g->identities);
    if (g->root_fd >= 0) (void)close(g->root_fd);
    free((char *)(uintptr_t)g->domain.p);
    free((char *)(uintptr_t)g->region.p);
    free(g->counts);
    free(g->root);
    free(g);
}

const struct identities *gateway_identities(const struct gateway *g) { return &g->identities; }
