/* SPDX-License-Identifier: Apache-2.0 — auth.c: the cache of tokens and how they are fetched.
 *
 * A 401 leads to auth_renew(): Basic is answered at once, Bearer by asking the realm: GET with
 * Basic for a password (or nothing for anonymous), POST refresh_token for an identity token. When
 * another transfer renewed in the meantime, the cache holds a header other than the refused one,
 * and that is used instead of asking again. A fetched token goes to the transfer that asked alone,
 * which shares it once a server took it: so tokens that last one request do for transfers side by
 * side, each of which has one of its own in the end. A registry on https cannot send a credential
 * to a realm on plain http. */
#include "storage/image/auth.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/digest.h"

#include <assert.h>

#define REPLY_BYTES_MAX (256U << 10)
#define TOKEN_MS_MAX    30000U
#define EXPIRY_SLACK_S  5U
#define EXPIRES_S_MAX   86400U

struct auth_entry {
    char *key, *header; /* owned; NULL: free */
    uint64_t until_ms;  /* UINT64_MAX: does not expire */
    uint64_t used;      /* tick of the last use */
};

struct auth {
    struct http_client *http; /* borrowed */
    struct auth_entry cache[AUTH_CACHE_MAX];
    uint64_t tick;
};

struct auth_renewal {
    struct auth *auth;
    struct auth_request request; /* challenge and refused are not used after the start */
    struct http_exchange *exchange;
    struct buf reply;
    unsigned status;
};

/* ---- credentials ---- */

static struct str without_scheme(struct str s) {
    if (str_starts(s, STR("https://"))) s = str_sub(s, 8, s.n);
    if (str_starts(s, STR("http://"))) s = str_sub(s, 7, s.n);
    ptrdiff_t slash = str_find(s, '/');
    return slash < 0 ? s : str_sub(s, 0, (size_t)slash);
}

static struct str docker_name(struct str authority) {
    if (str_eq(authority, STR("index.docker.io")) || str_eq(authority, STR("registry-1.docker.io")))
        return STR("docker.io");
    return authority;
}

bool auth_address_is(struct str address, struct str authority) {
    return str_eq_nocase(docker_name(without_scheme(address)), docker_name(authority));
}

static void credential_id(struct auth_credential *c) {
    const struct str parts[] = {c->username, c->password, c->identity_token, c->registry_token};
    AUTO(sha256_done) struct sha256 h = SHA256_NONE;
    sha256_init(&h);
    for (size_t i = 0; i < COUNT(parts); i++) {
        uint64_t n = parts[i].n;
        sha256_update(&h, &n, sizeof(n));
        if (n) sha256_update(&h, parts[i].p, parts[i].n);
    }
    struct digest d = sha256_final(&h);
    (void)digest_hex(&d, c->id);
}

static int password_decode(struct arena *a, struct str text, struct auth_credential *c,
                           struct err *e) {
    char *plain = arena_alloc(a, BASE64_BYTES(text.n) + 1);
    size_t n;
    if (!plain) return err_set(e, ERR_LIMIT, "the credential is too long");
    if (base64_decode(BASE64_STD, str_trim(text), plain, &n) < 0)
        return err_set(e, ERR_INVALID, "the credential's 'auth' is not valid base64");
    while (n > 0 && plain[n - 1] == '\0') n--; /* some tools encode a terminating NUL */
    struct str both = str_make(plain, n);
    ptrdiff_t colon = str_find(both, ':');
    if (colon < 0)
        return err_set(e, ERR_INVALID, "the credential's 'auth' is not base64 of user:password");
    c->username = str_sub(both, 0, (size_t)colon);
    c->password = str_sub(both, (size_t)colon + 1, both.n);
    return 0;
}

int auth_credential_make(struct arena *a, const struct image_auth *given,
                         struct auth_credential *out, struct err *e) {
    struct auth_credential c = {.username = arena_str(a, given->username),
                                .password = arena_str(a, given->password),
                                .identity_token = arena_str(a, given->identity_token),
                                .registry_token = arena_str(a, given->registry_token)};
    if (!c.username.p || !c.password.p || !c.identity_token.p || !c.registry_token.p)
        return err_set(e, ERR_LIMIT, "the credential is too long");
    if (c.username.n == 0 && given->auth.n > 0 && password_decode(a, given->auth, &c, e) < 0)
        return -1;
    credential_id(&c);
    *out = c;
    return 0;
}

/* ---- the cache ---- */

static char *key_text(const struct auth_key *k) {
    return xasprintf("%.*s\n%.*s\n%s", STR_ARG(k->host->base), STR_ARG(k->repository),
                     k->credential->id);
}

static void secret_free(char *s) {
    if (!s) return;
    explicit_bzero(s, strlen(s));
    free(s);
}

static void entry_clear(struct auth_entry *n) {
    free(n->key);
    secret_free(n->header);
    *n = (struct auth_entry){0};
}

static struct auth_entry *cache_find(struct auth *a, const char *key) {
    for (size_t i = 0; i < AUTH_CACHE_MAX; i++) {
        struct auth_entry *n = &a->cache[i];
        if (!n->key || strcmp(n->key, key) != 0) continue;
        if (n->until_ms > clock_ms()) return n;
        entry_clear(n);
        return NULL;
    }
    return NULL;
}

/* Takes key and header; the least recently used entry gives way. */
static void cache_put(struct auth *a, char *key, char *header, uint64_t until_ms) {
    struct auth_entry *slot = cache_find(a, key);
    if (!slot) slot = &a->cache[0];
    for (size_t i = 0; i < AUTH_CACHE_MAX && slot->key && strcmp(slot->key, key) != 0; i++)
        if (!a->cache[i].key || a->cache[i].used < slot->used) slot = &a->cache[i];
    entry_clear(slot);
    *slot = (struct auth_entry){key, header, until_ms, ++a->tick};
}

struct str auth_header(struct auth *a, const struct auth_key *key) {
    AUTO_FREE char *text = key_text(key);
    struct auth_entry *n = cache_find(a, text);
    if (!n && key->credential->registry_token.n > 0) {
        char *header = xasprintf("Bearer %.*s", STR_ARG(key->credential->registry_token));
        cache_put(a, xstrdup(text), header, UINT64_MAX);
        return str_of(header);
    }
    if (!n) return STR_NONE;
    n->used = ++a->tick;
    return str_of(n->header);
}

void auth_token_done(struct auth_token *t) {
    secret_free(t->header);
    *t = (struct auth_token){.header = NULL};
}

void auth_share(struct auth *a, const struct auth_key *key, struct auth_token *t) {
    if (t->header) cache_put(a, key_text(key), STEAL(t->header), t->until_ms);
}

/* ---- asking for a token ---- */

int auth_encode(struct buf *b, struct str value) {
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        int r = plain ? buf_append(b, &c, 1) : buf_fmt(b, "%%%02X", c);
        if (r < 0) return r;
    }
    return 0;
}

static int field_add(struct buf *b, const char *name, struct str value) {
    if (value.n == 0) return 0;
    char mark = b->n == 0 ? 0 : '&';
    if (b->n && str_find(buf_view(b), '?') < 0 && str_contains(buf_view(b), STR("://"))) mark = '?';
    int r = mark ? buf_append(b, &mark, 1) : 0;
    if (r == 0) r = buf_fmt(b, "%s=", name);
    return r < 0 ? r : auth_encode(b, value);
}

/* "Basic ..." in fresh memory. */
static char *basic_header(const struct auth_credential *c) {
    char *plain = xasprintf("%.*s:%.*s", STR_ARG(c->username), STR_ARG(c->password));
    char *header = xmalloc(6 + BASE64_CHARS(strlen(plain)) + 1);
    (void)memcpy(header, "Basic ", 6);
    (void)base64_encode(BASE64_STD, str_of(plain), header + 6);
    secret_free(plain);
    return header;
}

static void renewal_free(struct auth_renewal *n) {
    if (n->reply.p) explicit_bzero(n->reply.p, n->reply.n);
    buf_done(&n->reply);
    free(n);
}

static void renewal_headers(void *user, const struct http_response *r) {
    struct auth_renewal *n = user;
    n->status = http_status(r);
}

static size_t renewal_body(void *user, struct str bytes) {
    struct auth_renewal *n = user;
    int r = buf_str(&n->reply, bytes);
    assert(r == 0); /* the transfer has the same limit */
    (void)r;
    return bytes.n;
}

static int renewal_take(struct auth_renewal *n, struct auth_token *out, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(4 * REPLY_BYTES_MAX);
    struct str token;
    uint64_t expires_s;
    if (n->status == 400 || n->status == 401 || n->status == 403)
        return err_set(e, ERR_DENIED, "the token server refused the credential (status %u)",
                       n->status);
    if (n->status != 200)
        return err_set(e, ERR_IO, "the token server answered with status %u", n->status);
    if (auth_token_parse(&a, buf_view(&n->reply), &token, &expires_s, e) < 0) return -1;
    if (expires_s > EXPIRES_S_MAX) expires_s = EXPIRES_S_MAX;
    if (expires_s > 2 * EXPIRY_SLACK_S) expires_s -= EXPIRY_SLACK_S;
    *out = (struct auth_token){.header = xasprintf("Bearer %.*s", STR_ARG(token)),
                               .until_ms = clock_ms() + expires_s * 1000};
    return 0;
}

static void renewal_done(void *user, const struct err *failed) {
    struct auth_renewal *n = user;
    struct err e = {0};
    struct auth_token token = {.header = NULL};
    if (failed)
        e = *failed;
    else if (renewal_take(n, &token, &e) == 0)
        err_clear(&e);
    void (*done)(void *, struct auth_token *, const struct err *) = n->request.on_done;
    void *done_user = n->request.user;
    renewal_free(n);
    done(done_user, &token, e.kind == ERR_NONE ? NULL : &e);
    auth_token_done(&token);
}

static int scope_text(const struct auth_request *r, struct buf *out) {
    if (r->challenge->scope.n > 0) return buf_str(out, r->challenge->scope);
    return buf_fmt(out, "repository:%.*s:pull", STR_ARG(r->key.repository));
}

/* Fills url, and form for a POST (else it stays empty). 0 or -ENOSPC. */
static int token_request(const struct auth_request *r, struct buf *url, struct buf *form) {
    const struct auth_challenge *c = r->challenge;
    AUTO(buf_done) struct buf scope = BUF(4096);
    bool post = r->key.credential->identity_token.n > 0;
    struct buf *fields = post ? form : url;
    int bad = buf_str(url, c->realm) < 0 || scope_text(r, &scope) < 0;
    if (post) {
        bad = bad || field_add(form, "grant_type", STR("refresh_token")) < 0;
        bad = bad || field_add(form, "client_id", STR("gridlet")) < 0;
        bad = bad || field_add(form, "refresh_token", r->key.credential->identity_token) < 0;
    }
    bad = bad || field_add(fields, "service", c->service) < 0;
    bad = bad || field_add(fields, "scope", buf_view(&scope)) < 0;
    return bad ? -1 : 0;
}

static int renewal_start(struct auth *a, const struct auth_request *r, struct auth_renewal **out,
                         struct err *e) {
    AUTO(buf_done) struct buf url = BUF(8192);
    AUTO(buf_done) struct buf form = BUF(128U << 10);
    const struct auth_credential *c = r->key.credential;
    if (token_request(r, &url, &form) < 0)
        return err_set(e, ERR_LIMIT, "the registry's token request is too long");
    bool secret = c->username.n > 0 || c->identity_token.n > 0;
    if (secret && str_starts(r->key.host->base, STR("https://")) &&
        !str_starts(r->challenge->realm, STR("https://")))
        return err_set(
            e, ERR_DENIED, "the registry wants the credential sent to '%.*s', which is not https",
            r->challenge->realm.n > 100 ? 100 : (int)r->challenge->realm.n, r->challenge->realm.p);
    char *basic = c->username.n > 0 && form.n == 0 ? basic_header(c) : NULL;
    struct http_header headers[] = {{STR("Content-Type"), STR("application/x-www-form-urlencoded")},
                                    {STR("Authorization"), str_of(basic)}};
    struct auth_renewal *n = xnew(struct auth_renewal);
    *n = (struct auth_renewal){.auth = a, .request = *r, .reply = BUF(REPLY_BYTES_MAX)};
    struct http_request q = {.method = form.n ? HTTP_POST : HTTP_GET,
                             .url = buf_c(&url),
                             .headers = form.n ? &headers[0] : &headers[1],
                             .header_count = form.n || basic ? 1 : 0,
                             .body = buf_view(&form),
                             .tls = r->key.host->tls,
                             .connect_ms = r->key.host->dial_ms,
                             .total_ms = TOKEN_MS_MAX,
                             .body_bytes_max = REPLY_BYTES_MAX,
                             .user = n,
                             .on_headers = renewal_headers,
                             .on_body = renewal_body,
                             .on_done = renewal_done};
    n->exchange = http_start(a->http, &q, e);
    secret_free(basic);
    if (form.p) explicit_bzero(form.p, form.n);
    if (!n->exchange) {
        renewal_free(n);
        return err_in(e, "token server");
    }
    *out = n;
    return 0;
}

int auth_renew(struct auth *a, const struct auth_request *r, struct auth_renewal **out_renewal,
               struct err *e) {
    AUTO_FREE char *key = key_text(&r->key);
    const struct auth_credential *c = r->key.credential;
    struct auth_entry *known = cache_find(a, key);
    bool refused = known && str_eq(str_of(known->header), r->refused);
    if (known && !refused && !r->own) return 1;
    if (refused) entry_clear(known);
    if (c->registry_token.n > 0)
        return err_set(e, ERR_DENIED, "the registry refused the registry token");
    if (r->challenge->bearer) return renewal_start(a, r, out_renewal, e);
    if (!r->challenge->basic)
        return err_set(e, ERR_DENIED, "the registry asks for no login that is known here");
    if (c->username.n == 0)
        return err_set(e, ERR_DENIED, "the registry wants a user name and password");
    char *header = basic_header(c);
    if (str_eq(str_of(header), r->refused)) {
        secret_free(header);
        return err_set(e, ERR_DENIED, "the registry refused the user name or password");
    }
    cache_put(a, STEAL(key), header, UINT64_MAX);
    return 1;
}

void auth_renewal_cancel(struct auth_renewal *n) { http_cancel(n->exchange); }

struct auth *auth_new(struct http_client *http) {
    struct auth *a = xnew(struct auth);
    a->http = http;
    return a;
}

void auth_free(struct auth *a) {
    if (!a) return;
    for (size_t i = 0; i < AUTH_CACHE_MAX; i++) entry_clear(&a->cache[i]);
    free(a);
}
