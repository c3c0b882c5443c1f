/* SPDX-License-Identifier: Apache-2.0 — registry.c: the attempts that make up one fetch.
 *
 * States of a fetch: attempt (an exchange runs) -> [renewal (a token is fetched) -> attempt]
 *   -> next host -> ... -> [waiting (a timer runs) -> attempt] -> done.
 * A host that gave a final answer (404, 403, login refused) is struck off; one that failed in
 * passing (no connection, stall, 429, 5xx, broken off) is tried again in the next round, after a
 * wait that doubles and obeys Retry-After. Any new byte resets the count of rounds. A transfer that
 * broke off goes on at the same host, by Range; a server that answers 200 instead of 206 sends
 * everything again, and what was delivered before is skipped. The last host is the registry itself:
 * its failure gives the error's kind, the text names all. */
#include "storage/image/registry.h"

#include <stdarg.h>

#define ACCEPT                                                                                     \
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "        \
    "application/vnd.docker.distribution.manifest.list.v2+json, "                                  \
    "application/vnd.docker.distribution.manifest.v2+json"
#define FETCH_HEADERS_MAX (HOSTS_HEADERS_MAX + 3)
#define REPLY_BYTES_MAX   (HTTP_HEADER_BYTES_MAX * 4)

struct registry {
    struct loop *loop; /* borrowed */
    struct http_client *http;
    struct auth *auth;
    struct registry_patience patience;
    struct registry_fetch *waiting; /* fetches whose timer runs */
};

struct host_state {
    bool struck; /* not tried again */
    enum err_kind kind;
    char why[256]; /* of its last failure; empty: not tried */
};

struct registry_fetch {
    struct registry *r;
    struct registry_want want;
    char *what; /* owned copy */
    struct host_state hosts[HOSTS_MAX];
    size_t host;                    /* the one that is tried now */
    struct http_exchange *exchange; /* at most one of these two, or the timer */
    struct auth_renewal *renewal;
    struct timer wait;
    struct registry_fetch *next_waiting;
    struct arena reply_arena; /* strings of the last reply */
    struct auth_challenge challenge;
    struct registry_reply reply;
    char *sent_auth;         /* header of the last request, owned */
    struct auth_token token; /* fetched for this host and not accepted yet; nobody else has it */
    unsigned status;
    uint64_t offset;   /* bytes delivered */
    uint64_t skip;     /* bytes of this reply that were delivered before */
    uint64_t received; /* bytes of this reply */
    uint64_t retry_after_ms;
    unsigned rounds, attempts;
    bool renewed;    /* this host's login was renewed since its last failure in passing */
    bool progressed; /* new bytes since the last failure */
    bool no_range, range_wrong, cancelled, restarted;
};

static void fetch_attempt(struct registry_fetch *f);
static void fetch_next(struct registry_fetch *f);

static const struct registry_host *fetch_host(const struct registry_fetch *f) {
    return &f->want.source->hosts[f->host];
}

/* ---- the end ---- */

static void fetch_done(struct registry_fetch *f, const struct err *e) {
    struct registry_want want = f->want;
    struct arena arena = f->reply_arena;
    struct registry_reply reply = f->reply;
    timer_cancel(&f->wait);
    auth_token_done(&f->token);
    free(f->what);
    free(f->sent_auth);
    free(f);
    want.on_done(want.user, e ? NULL : &reply, e);
    arena_done(&arena);
}

static void fetch_fail(struct registry_fetch *f) {
    struct err e = {0};
    AUTO(buf_done) struct buf text = BUF(ERR_MSG_BYTES_MAX);
    enum err_kind kind = ERR_UNSUPPORTED;
    for (size_t i = 0; i < f->want.source->host_count; i++) {
        if (!f->hosts[i].why[0]) continue;
        kind = f->hosts[i].kind;
        if (buf_fmt(&text, "%s%.*s: %s", text.n ? "; " : "",
                    STR_ARG(f->want.source->hosts[i].authority), f->hosts[i].why) < 0)
            break;
    }
    bool down = kind == ERR_IO || kind == ERR_TIMEOUT;
    (void)err_set(&e, kind, "%s%s", down ? "registry unavailable: " : "",
                  text.n ? buf_c(&text) : "hosts.toml lets no host serve this");
    fetch_done(f, &e);
}

static void fetch_cancelled(struct registry_fetch *f) {
    struct err e = {0};
    (void)err_set(&e, ERR_CANCELLED, "cancelled");
    fetch_done(f, &e);
}

/* ---- failures of one attempt ---- */

static void PRINTF_LIKE(3, 4)
    host_failed(struct registry_fetch *f, enum err_kind kind, const char *fmt, ...) {
    struct host_state *h = &f->hosts[f->host];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(h->why, sizeof(h->why), fmt, args);
    va_end(args);
    h->kind = kind;
}

static void host_struck(struct registry_fetch *f) {
    f->hosts[f->host].struck = true;
    f->host++;
    f->renewed = false;
    auth_token_done(&f->token);
    fetch_next(f);
}

static void waiting_remove(struct registry_fetch *f) {
    for (struct registry_fetch **at = &f->r->waiting; *at; at = &(*at)->next_waiting)
        if (*at == f) {
            *at = f->next_waiting;
            return;
        }
}

static void wait_over(struct timer *t) {
    struct registry_fetch *f = CONTAINER_OF(t, struct registry_fetch, wait);
    waiting_remove(f);
    if (f->cancelled)
        fetch_cancelled(f);
    else
        fetch_next(f);
}

static void fetch_wait(struct registry_fetch *f, uint64_t ms) {
    f->next_waiting = f->r->waiting;
    f->r->waiting = f;
    timer_arm(f->r->loop, &f->wait, ms);
}

/* The host may do better later. */
static void host_failed_in_passing(struct registry_fetch *f) {
    f->renewed = false;
    auth_token_done(&f->token); /* it may be spent */
    if (f->attempts >= REGISTRY_ATTEMPTS_MAX) {
        fetch_fail(f);
    } else if (f->progressed) {
        f->progressed = false;
        f->rounds = 0;
        fetch_wait(f, f->r->patience.backoff_ms);
    } else {
        f->host++;
        fetch_next(f);
    }
}

static bool host_usable(const struct registry_fetch *f, size_t i) {
    const struct registry_host *h = &f->want.source->hosts[i];
    bool by_tag = f->want.kind == REGISTRY_MANIFEST && str_find(f->want.what, ':') < 0;
    return !f->hosts[i].struck && (by_tag ? h->can_resolve : h->can_pull);
}

/* Tries the next usable host; at the end of the list, waits and begins again. */
static void fetch_next(struct registry_fetch *f) {
    while (f->host < f->want.source->host_count && !host_usable(f, f->host)) f->host++;
    if (f->host < f->want.source->host_count) {
        fetch_attempt(f);
        return;
    }
    size_t last = f->want.source->host_count - 1;
    bool any = false;
    for (size_t i = 0; i <= last; i++) any = any || host_usable(f, i);
    if (f->hosts[last].struck && f->hosts[last].kind == ERR_NOT_FOUND)
        any = false; /* the registry itself knows that there is no such thing */
    if (!any || ++f->rounds >= REGISTRY_TRIES_MAX) {
        fetch_fail(f);
        return;
    }
    uint64_t backoff_ms = f->r->patience.backoff_ms << (f->rounds - 1);
    uint64_t ms = f->retry_after_ms > backoff_ms ? f->retry_after_ms : backoff_ms;
    f->retry_after_ms = 0;
    f->host = 0;
    fetch_wait(f, ms);
}

/* ---- a reply's header ---- */

static struct str kept(struct registry_fetch *f, struct str s) {
    struct str copy = s.p ? arena_str(&f->reply_arena, s) : STR_NONE;
    return copy.p ? copy : STR("");
}

/* "bytes 5-9/10" must continue exactly where we are; "*" as the total is accepted. */
static bool range_is_ours(const struct registry_fetch *f, struct str header) {
    struct str from, to, total = header;
    uint64_t from_n, to_n, total_n;
    if (!str_starts(total, STR("bytes "))) return false;
    total = str_sub(total, 6, total.n);
    if (!str_next(&total, '-', &from) || !str_next(&total, '/', &to)) return false;
    if (str_u64(from, &from_n) < 0 || str_u64(to, &to_n) < 0) return false;
    if (from_n != f->offset || to_n < from_n) return false;
    if (str_eq(total, STR("*"))) return true;
    return str_u64(total, &total_n) == 0 && to_n < total_n &&
           (f->want.size_bytes == 0 || total_n == f->want.size_bytes);
}

static struct auth_key fetch_key(const struct registry_fetch *f) {
    return (struct auth_key){fetch_host(f), f->want.source->repository,
                             &f->want.source->credentials[f->host]};
}

static void reply_headers(void *user, const struct http_response *h) {
    struct registry_fetch *f = user;
    struct auth_key key = fetch_key(f);
    uint64_t seconds;
    arena_done(&f->reply_arena);
    f->challenge = (struct auth_challenge){0};
    f->status = http_status(h);
    if (f->status != 401) auth_share(f->r->auth, &key, &f->token);
    struct str type = http_response_header(h, STR("content-type"), 0);
    ptrdiff_t semicolon = type.p ? str_find(type, ';') : -1;
    if (semicolon >= 0) type = str_trim(str_sub(type, 0, (size_t)semicolon));
    f->reply.media_type = kept(f, type);
    f->reply.digest = kept(f, http_response_header(h, STR("docker-content-digest"), 0));
    struct str after = http_response_header(h, STR("retry-after"), 0);
    if (after.p && str_u64(after, &seconds) == 0)
        f->retry_after_ms =
            seconds > REGISTRY_RETRY_AFTER_MAX / 1000 ? REGISTRY_RETRY_AFTER_MAX : seconds * 1000;
    struct err ignored = {0};
    struct str ask;
    for (size_t i = 0; i < 8 && (ask = http_response_header(h, STR("www-authenticate"), i)).p; i++)
        if (auth_challenge_add(&f->reply_arena, ask, &f->challenge, &ignored) < 0) break;
    f->skip = f->status == 200 ? f->offset : 0;
    f->range_wrong =
        f->status == 206 && !range_is_ours(f, http_response_header(h, STR("content-range"), 0));
}

static bool status_is_good(const struct registry_fetch *f) {
    return f->status == 200 || (f->status == 206 && f->offset > 0 && !f->range_wrong);
}

static size_t reply_body(void *user, struct str bytes) {
    struct registry_fetch *f = user;
    if (f->cancelled || !status_is_good(f)) return bytes.n;
    if (f->want.on_restart && !f->restarted && f->status == 200) {
        f->restarted = true;
        f->offset = f->skip = 0;
        f->want.on_restart(f->want.user);
    }
    size_t skipped = f->skip < bytes.n ? (size_t)f->skip : bytes.n;
    f->skip -= skipped;
    bytes = str_sub(bytes, skipped, bytes.n);
    if (bytes.n == 0) return skipped;
    size_t used = f->want.on_body(f->want.user, bytes);
    f->offset += used;
    if (used > 0) f->progressed = true;
    return skipped + used;
}

/* ---- the end of an attempt ---- */

static void renewal_done(void *user, struct auth_token *token, const struct err *e) {
    struct registry_fetch *f = user;
    f->renewal = NULL;
    auth_token_done(&f->token);
    f->token = *token;
    token->header = NULL;
    if (f->cancelled) {
        fetch_cancelled(f);
    } else if (!e) {
        fetch_attempt(f);
    } else if (e->kind == ERR_IO || e->kind == ERR_TIMEOUT) {
        host_failed(f, e->kind, "%s", e->msg);
        host_failed_in_passing(f);
    } else {
        host_failed(f, e->kind, "%s", e->msg);
        host_struck(f);
    }
}

/* After a 401. The first answer may be what another transfer has fetched meanwhile; if that does
 * not do (expired, or spent), a token of our own does, or nothing. */
static void fetch_login(struct registry_fetch *f) {
    struct err e = {0};
    struct auth_request q = {.key = fetch_key(f),
                             .challenge = &f->challenge,
                             .refused = str_of(f->sent_auth),
                             .own = f->renewed,
                             .user = f,
                             .on_done = renewal_done};
    int r = f->token.header ? err_set(&e, ERR_DENIED, "the registry denies access to '%.*s'",
                                      STR_ARG(f->want.source->repository))
                            : auth_renew(f->r->auth, &q, &f->renewal, &e);
    f->renewed = true;
    if (r < 0) {
        host_failed(f, e.kind, "%s", e.msg);
        host_struck(f);
    } else if (r > 0) {
        fetch_attempt(f);
    }
}

/* A reply that was received whole and is neither good nor 401. */
static void status_failed(struct registry_fetch *f) {
    unsigned s = f->status;
    bool passing = s == 408 || s == 425 || s == 429 || s >= 500;
    if (s == 404)
        host_failed(f, ERR_NOT_FOUND, "not found");
    else if (s == 403)
        host_failed(f, ERR_DENIED, "access denied (status 403)");
    else if (f->range_wrong)
        host_failed(f, ERR_CORRUPT, "answered another range than was asked for");
    else
        host_failed(f, ERR_IO, "answered with status %u", s);
    if (passing)
        host_failed_in_passing(f);
    else
        host_struck(f);
}

static bool length_is_wrong(struct registry_fetch *f) {
    uint64_t size = f->want.size_bytes;
    if (f->skip == 0 && (size == 0 || f->offset == size)) return false;
    host_failed(f, ERR_CORRUPT, "ended the transfer after %llu of %llu bytes",
                (unsigned long long)f->offset, (unsigned long long)size);
    return true;
}

static void transfer_failed(struct registry_fetch *f, const struct err *e) {
    switch (e->kind) {
    case ERR_IO:
    case ERR_TIMEOUT:
        host_failed(f, e->kind, "%s", e->msg);
        host_failed_in_passing(f);
        return;
    case ERR_LIMIT: /* wrong bytes were delivered, so no other host can help */
        host_failed(f, ERR_CORRUPT, "%s", e->msg);
        if (f->offset > 0)
            fetch_fail(f);
        else
            host_struck(f);
        return;
    case ERR_NONE:
    case ERR_INVALID:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_DENIED:
    case ERR_BUSY:
    case ERR_CANCELLED:
    case ERR_CORRUPT:
    case ERR_UNSUPPORTED:
    case ERR_INTERNAL:
    case ERR_KINDS: host_failed(f, e->kind, "%s", e->msg); host_struck(f);
    }
}

static void reply_done(void *user, const struct err *e) {
    struct registry_fetch *f = user;
    f->exchange = NULL;
    if (f->cancelled || (e && e->kind == ERR_CANCELLED)) {
        fetch_cancelled(f);
    } else if (e) {
        transfer_failed(f, e);
    } else if (f->status == 401) {
        fetch_login(f);
    } else if ((f->status == 416 || f->range_wrong) && f->offset > 0 && !f->no_range) {
        f->no_range = true;
        fetch_attempt(f);
    } else if (!status_is_good(f)) {
        status_failed(f);
    } else if (length_is_wrong(f)) {
        host_failed_in_passing(f);
    } else {
        fetch_done(f, NULL);
    }
}

/* ---- an attempt ---- */

static int url_build(const struct registry_fetch *f, struct buf *url) {
    const struct registry_host *h = fetch_host(f);
    const char *kind = f->want.kind == REGISTRY_MANIFEST ? "manifests" : "blobs";
    int r = buf_fmt(url, "%.*s/%.*s/%s/%s", STR_ARG(h->base), STR_ARG(f->want.source->repository),
                    kind, f->what);
    if (r == 0 && h->ns.n > 0) {
        r = buf_str(url, STR("?ns="));
        if (r == 0) r = auth_encode(url, h->ns);
    }
    return r;
}

static size_t headers_build(struct registry_fetch *f, struct http_header *out, char *range,
                            size_t range_bytes) {
    const struct registry_host *h = fetch_host(f);
    const struct auth_key key = fetch_key(f);
    size_t n = 0;
    for (size_t i = 0; i < h->header_count; i++) out[n++] = h->headers[i];
    if (f->want.kind == REGISTRY_MANIFEST)
        out[n++] = (struct http_header){STR("Accept"), STR(ACCEPT)};
    struct str auth = f->token.header ? str_of(f->token.header) : auth_header(f->r->auth, &key);
    free(f->sent_auth);
    f->sent_auth = auth.n ? xasprintf("%.*s", STR_ARG(auth)) : NULL;
    if (auth.n) out[n++] = (struct http_header){STR("Authorization"), str_of(f->sent_auth)};
    if (f->offset > 0 && !f->no_range && !f->want.on_restart) {
        (void)snprintf(range, range_bytes, "bytes=%llu-", (unsigned long long)f->offset);
        out[n++] = (struct http_header){STR("Range"), str_of(range)};
    }
    return n;
}

static void fetch_attempt(struct registry_fetch *f) {
    AUTO(buf_done) struct buf url = BUF(4096);
    struct http_header headers[FETCH_HEADERS_MAX];
    char range[40];
    struct err e = {0};
    const struct registry_host *h = fetch_host(f);
    uint64_t max = f->want.size_bytes ? f->want.size_bytes : f->want.bytes_max;
    f->status = 0;
    f->range_wrong = f->restarted = false;
    f->attempts++;
    if (f->offset == 0) f->restarted = true; /* nothing to forget */
    int r = url_build(f, &url);
    struct http_request q = {.method = HTTP_GET,
                             .url = buf_c(&url),
                             .headers = headers,
                             .header_count = headers_build(f, headers, range, sizeof(range)),
                             .tls = h->tls,
                             .connect_ms = h->dial_ms,
                             .stall_ms = f->r->patience.stall_ms,
                             .body_bytes_max = max,
                             .bulk = f->want.kind == REGISTRY_BLOB,
                             .user = f,
                             .on_headers = reply_headers,
                             .on_body = reply_body,
                             .on_done = reply_done};
    if (r < 0)
        (void)err_set(&e, ERR_LIMIT, "the URL is too long");
    else
        f->exchange = http_start(f->r->http, &q, &e);
    if (f->exchange) return;
    host_failed(f, e.kind, "%s", e.msg);
    host_struck(f);
}

/* ---- the public functions ---- */

struct registry_fetch *registry_get(struct registry *r, const struct registry_want *w) {
    struct registry_fetch *f = xnew(struct registry_fetch);
    *f = (struct registry_fetch){.r = r, .want = *w, .wait = {.fire = wait_over}};
    f->reply_arena = ARENA(REPLY_BYTES_MAX);
    f->what = xasprintf("%.*s", STR_ARG(w->what));
    f->want.what = str_of(f->what);
    fetch_wait(f, 0); /* the first attempt may fail at once, and nothing calls back from in here */
    return f;
}

void registry_resume(struct registry_fetch *f) {
    if (f->exchange) http_resume(f->exchange);
}

void registry_cancel(struct registry_fetch *f) {
    if (f->cancelled) return;
    f->cancelled = true;
    if (f->exchange)
        http_cancel(f->exchange);
    else if (f->renewal)
        auth_renewal_cancel(f->renewal);
    else
        timer_arm(f->r->loop, &f->wait, 0);
}

struct registry *registry_new(struct loop *l, const struct registry_patience *p) {
    struct registry *r = xnew(struct registry);
    *r = (struct registry){.loop = l, .http = http_client_new(l), .patience = *p};
    r->auth = auth_new(r->http);
    return r;
}

void registry_free(struct registry *r) {
    if (!r) return;
    http_client_free(r->http);
    while (r->waiting) {
        struct registry_fetch *f = r->waiting;
        waiting_remove(f);
        fetch_cancelled(f);
    }
    auth_free(r->auth);
    free(r);
}
