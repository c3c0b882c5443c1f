/* SPDX-License-Identifier: Apache-2.0 — auth_check_main.c: for tests: verifies requests that an SDK
 * signed.
 *
 * One JSON object per line on stdin, {method, path, query, headers: [[name, value]...], vhost, now,
 * service, token, body (base64), bucket, fields: [[name, value]...]}; one line each on stdout: "ok
 * KIND PAYLOAD SHA256" with the hash of the decoded body, or the error's code and message. */
#include "base/base64.h"
#include "base/json.h"
#include "s3gw/auth/auth_rig.h"
#include "s3gw/body/chunked.h"

#include <stdio.h>

#define PAIRS_MAX 128

static int read_pairs(const struct json *list, struct s3_pair out[PAIRS_MAX], size_t *n) {
    for (const struct json *p = json_first(list); p; p = p->next) {
        const struct json *name = json_first(p);
        if (*n == PAIRS_MAX || !name || json_str(name, &out[*n].name) < 0 ||
            json_str(name->next, &out[*n].value) < 0)
            return -1;
        (*n)++;
    }
    return 0;
}

/* The body after its framing; fails as the gateway would. */
static int decode_body(const struct rig *rig, struct str body, struct sha256 *hash,
                       struct s3_error *x) {
    struct chunked c;
    struct str piece;
    enum chunked_event event;
    if (!chunked_applies(rig->out.payload)) {
        sha256_update(hash, body.p, body.n);
        return 0;
    }
    if (chunked_init(&c, &rig->out, &rig->r, x) < 0) return -1;
    while ((event = chunked_next(&c, &body, &piece, x)) == CHUNKED_PIECE)
        sha256_update(hash, piece.p, piece.n);
    int r = event == CHUNKED_ERROR ? -1 : chunked_finish(&c, x);
    chunked_done(&c);
    return r;
}

static void answer(struct rig *rig, struct arena *a, const struct json *doc) {
    AUTO(sha256_done) struct sha256 hash = SHA256_NONE;
    char hex[DIGEST_HEX_CHARS + 1];
    struct str text = STR_NONE;
    size_t n = 0;
    struct err e = {0};
    if (json_opt_str(doc, "body", &text, &e) < 0) return;
    char *body = arena_alloc(a, BASE64_BYTES(text.n) + 1);
    if (!body || base64_decode(BASE64_STD, text, body, &n) < 0) return;
    sha256_init(&hash);
    sha256_update(&hash, body, n);
    struct digest raw = sha256_final(&hash);
    if (!str_eq(rig->r.service, STR("s3"))) rig->r.body = &raw;
    sha256_init(&hash);
    if (rig_ask(rig) != S3_OK || decode_body(rig, str_make(body, n), &hash, &rig->x) < 0) {
        (void)printf("%s %s\n", s3_code_name(rig->x.code), rig->x.message);
        return;
    }
    struct digest d = sha256_final(&hash);
    if (rig->out.payload == AUTH_PAYLOAD_SHA256 && !digest_eq(&d, &rig->out.sha256))
        (void)printf("%s\n", s3_code_name(S3_XAMZ_CONTENT_SHA256_MISMATCH));
    else
        (void)printf("ok %d %d %s\n", rig->out.kind, rig->out.payload, digest_hex(&d, hex));
}

static int serve(struct str line, struct err *e) {
    static struct s3_pair headers[PAIRS_MAX];
    static struct s3_pair fields[PAIRS_MAX];
    AUTO(arena_done) struct arena a = ARENA(64 << 20);
    const struct json *doc = NULL;
    struct str token = STR_NONE;
    struct s3_form form = {.fields = fields};
    struct json_limits limits = {.bytes_max = 16 << 20, .values_max = 10000};
    struct rig rig;
    if (json_parse(&a, line, limits, &doc, e) < 0) return -1;
    rig_open(&rig);
    rig.r.headers = headers;
    int r = 0;
    if (json_need_str(doc, "method", &rig.r.method, e) < 0 ||
        json_need_str(doc, "path", &rig.r.path, e) < 0 ||
        json_opt_str(doc, "query", &rig.r.query, e) < 0 ||
        json_opt_str(doc, "vhost", &rig.r.vhost_bucket, e) < 0 ||
        json_opt_str(doc, "service", &rig.r.service, e) < 0 ||
        json_opt_str(doc, "token", &token, e) < 0 ||
        json_opt_str(doc, "bucket", &form.bucket, e) < 0 ||
        json_opt_i64(doc, "now", &rig.r.now_s, e) < 0)
        r = -1;
    else if (read_pairs(json_get(doc, "headers"), headers, &rig.r.header_count) < 0 ||
             read_pairs(json_get(doc, "fields"), fields, &form.count) < 0)
        r = err_set(e, ERR_INVALID, "headers and fields must be lists of pairs");
    if (r == 0) {
        rig.token = str_to_c(&a, token);
        if (form.count) rig.r.form = &form;
        answer(&rig, &a, doc);
        (void)fflush(stdout);
    }
    rig_close(&rig);
    return r;
}

int main(void) {
    AUTO_FREE char *line = NULL;
    size_t room = 0;
    struct err e = {0};
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;)
        if (serve(str_make(line, (size_t)n), &e) < 0) {
            (void)fprintf(stderr, "auth_check: %s\n", e.msg);
            return 1;
        }
    return 0;
}
