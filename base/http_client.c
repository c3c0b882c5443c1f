/* SPDX-License-Identifier: Apache-2.0 — http_client.c: libcurl's multi interface on base/loop.h.
 *
 * curl tells which sockets to watch and when it wants to be called; watches and one timer do it.
 * All work that a caller asks for (start, resume, cancel) only marks the exchange and puts it on
 * the to-do list, which client_settle() works off when no curl function is on the stack: curl is
 * never re-entered. on_headers and on_body are called from curl's callbacks; on_done is not.
 *
 * Back pressure: curl hands out pieces of 16 KiB of a receive buffer that may hold half a megabyte,
 * and copies all the rest when a callback pauses in the middle. So what the consumer does not take
 * goes to a backlog here, the socket is paused after curl returned, and the backlog is offered
 * first when the consumer resumes. Only a backlog over its limit pauses from inside the callback.
 *
 * States of an exchange: queued -> hop (in the multi handle) -> [redirect: hop again] -> ended
 * (curl is through, the backlog may not be) -> on_done, freed. */
#include "base/http_client.h"

#include "base/buf.h"
#include "base/clock.h"

#include <curl/curl.h>
#include <signal.h>

#define DEFAULT_MS        30000U
#define URL_BYTES_MAX     8192U
#define BULK_BUFFER_BYTES (512L << 10)
#define CONNECTIONS_MAX   64L
#define IDLE_MAX          16L

struct http_response {
    unsigned status;
    struct buf lines; /* all header lines of the last reply */
};

struct http_exchange {
    struct http_client *client; /* borrowed */
    struct http_exchange *next; /* in client->all */
    struct http_exchange *next_todo;
    struct http_request request; /* url, headers: see the owned copies below */
    char *url;                   /* owned: of the current hop */
    struct curl_slist *headers;  /* owned: of the current hop */
    char *body, *ca_pem, *cert, *key;
    CURL *easy;
    struct http_response response;
    struct buf backlog;
    size_t backlog_at; /* bytes of the backlog that were consumed */
    struct timer stall;
    uint64_t last_byte_ms;
    uint64_t body_bytes;
    unsigned redirects;
    struct err e;
    char curl_text[CURL_ERROR_SIZE];
    bool queued, added, ended, cancelled, resume, paused_here, paused_curl;
    bool failed; /* e says why */
    bool hop_is_redirect, shown, cut;
};

struct http_client {
    struct loop *loop; /* borrowed */
    CURLM *multi;
    struct timer timer;
    struct task task;
    bool task_posted, settling, closing;
    struct http_exchange *all;
    struct http_exchange *todo, *todo_last;
    struct http_socket *sockets; /* all that curl watches */
};

struct http_socket {
    struct watch watch;
    struct http_client *client;
    struct http_socket *next;
};

static void client_settle(struct http_client *c);

/* ---- what curl asks of the loop ---- */

static void client_act(struct http_client *c, curl_socket_t fd, int events) {
    int running = 0;
    (void)curl_multi_socket_action(c->multi, fd, events, &running);
    client_settle(c);
}

static void socket_ready(struct watch *w, int events) {
    struct http_socket *s = CONTAINER_OF(w, struct http_socket, watch);
    int mask = 0;
    if (events & (WATCH_READ | WATCH_HUP)) mask |= CURL_CSELECT_IN;
    if (events & WATCH_WRITE) mask |= CURL_CSELECT_OUT;
    client_act(s->client, w->fd, mask);
}

static void socket_drop(struct http_client *c, struct http_socket *s) {
    watch_stop(&s->watch);
    for (struct http_socket **at = &c->sockets; *at; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    free(s);
}

static int socket_cb(CURL *easy, curl_socket_t fd, int what, void *user, void *socket) {
    struct http_client *c = user;
    struct http_socket *s = socket;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s) socket_drop(c, s);
        (void)curl_multi_assign(c->multi, fd, NULL);
        return 0;
    }
    if (!s) {
        s = xnew(struct http_socket);
        *s = (struct http_socket){.watch = {.ready = socket_ready}, .client = c};
        s->next = c->sockets;
        c->sockets = s;
        (void)curl_multi_assign(c->multi, fd, s);
    }
    int events = (what & CURL_POLL_IN ? WATCH_READ : 0) | (what & CURL_POLL_OUT ? WATCH_WRITE : 0);
    return watch_start(c->loop, &s->watch, fd, events) < 0 ? -1 : 0;
}

static void client_timer_fired(struct timer *t) {
    client_act(CONTAINER_OF(t, struct http_client, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int timer_cb(CURLM *multi, long timeout_ms, void *user) {
    struct http_client *c = user;
    (void)multi;
    if (timeout_ms < 0)
        timer_cancel(&c->timer);
    else
        timer_arm(c->loop, &c->timer, (uint64_t)timeout_ms);
    return 0;
}

/* ---- the to-do list ---- */

static void exchange_queue(struct http_exchange *x) {
    struct http_client *c = x->client;
    if (!x->queued) {
        x->queued = true;
        x->next_todo = NULL;
        if (c->todo)
            c->todo_last->next_todo = x;
        else
            c->todo = x;
        c->todo_last = x;
    }
    if (c->task_posted || c->settling) return;
    c->task_posted = true;
    loop_post(c->loop, &c->task);
}

static void exchange_fail(struct http_exchange *x, enum err_kind kind, const char *text) {
    if (x->failed) return;
    x->failed = true;
    int url_n = (int)strcspn(x->url, "?"); /* what is behind it may be a secret */
    (void)err_set(&x->e, kind, "%.*s: %s", url_n > 300 ? 300 : url_n, x->url, text);
}

/* Takes what the backlog holds to the consumer; true when nothing is left. */
static bool backlog_drain(struct http_exchange *x) {
    while (x->backlog_at < x->backlog.n && !x->cancelled) {
        struct str rest = str_sub(buf_view(&x->backlog), x->backlog_at, x->backlog.n);
        size_t used = x->request.on_body(x->request.user, rest);
        x->backlog_at += used;
        if (used < rest.n) break;
    }
    if (x->backlog_at < x->backlog.n) return false;
    buf_clear(&x->backlog);
    x->backlog_at = 0;
    return true;
}

static void exchange_free(struct http_exchange *x) {
    timer_cancel(&x->stall);
    if (x->added) (void)curl_multi_remove_handle(x->client->multi, x->easy);
    if (x->easy) curl_easy_cleanup(x->easy);
    curl_slist_free_all(x->headers);
    buf_done(&x->response.lines);
    buf_done(&x->backlog);
    free(x->url);
    free(x->body);
    free(x->ca_pem);
    free(x->cert);
    free(x->key);
    free(x);
}

static void exchange_finish(struct http_exchange *x) {
    for (struct http_exchange **at = &x->client->all; *at; at = &(*at)->next)
        if (*at == x) {
            *at = x->next;
            break;
        }
    if (x->cancelled) {
        err_clear(&x->e);
        (void)err_set(&x->e, ERR_CANCELLED, "request cancelled");
    }
    const struct http_request r = x->request;
    struct err e = x->e;
    bool bad = x->failed || x->cancelled;
    exchange_free(x);
    r.on_done(r.user, bad ? &e : NULL);
}

/* ---- what curl calls during a transfer ---- */

static void exchange_show(struct http_exchange *x) {
    if (x->shown) return;
    x->shown = true;
    x->request.on_headers(x->request.user, &x->response);
}

static bool is_redirect(const struct http_exchange *x) {
    unsigned s = x->response.status;
    return x->request.method != HTTP_POST &&
           (s == 301 || s == 302 || s == 303 || s == 307 || s == 308) &&
           http_response_header(&x->response, STR("location"), 0).p != NULL;
}

static size_t header_cb(char *p, size_t size, size_t count, void *user) {
    struct http_exchange *x = user;
    size_t n = size * count;
    struct str line = str_make(p, n);
    x->last_byte_ms = clock_ms();
    if (x->cancelled || x->failed) return 0;
    if (x->shown) return n; /* trailers */
    if (str_starts(line, STR("HTTP/"))) buf_clear(&x->response.lines);
    if (buf_append(&x->response.lines, p, n) < 0) {
        exchange_fail(x, ERR_LIMIT, "the reply's header is larger than 64 KiB");
        return 0;
    }
    if (str_trim(line).n > 0) return n;
    long status = 0;
    (void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    x->response.status = (unsigned)status;
    if (status < 200) return n;
    x->hop_is_redirect = is_redirect(x);
    return n;
}

/* Counts n more bytes of the body; false when the transfer must end. */
static bool body_allowed(struct http_exchange *x, size_t n) {
    bool good = x->response.status >= 200 && x->response.status < 300;
    uint64_t max = good ? x->request.body_bytes_max : HTTP_ERROR_BODY_BYTES_MAX;
    if (n <= max && x->body_bytes <= max - n) {
        x->body_bytes += n;
        return true;
    }
    if (good)
        exchange_fail(x, ERR_LIMIT, "the reply's body is larger than it may be");
    else
        x->cut = true;
    return false;
}

static size_t body_cb(char *p, size_t size, size_t count, void *user) {
    struct http_exchange *x = user;
    size_t n = size * count;
    x->last_byte_ms = clock_ms();
    if (x->cancelled || x->failed) return 0;
    if (!x->hop_is_redirect) exchange_show(x);
    size_t waiting = x->backlog.n - x->backlog_at;
    if (waiting + n > HTTP_BACKLOG_BYTES_MAX) {
        x->paused_curl = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (x->cancelled || !body_allowed(x, n)) return 0;
    if (x->hop_is_redirect) return n;
    size_t used = waiting ? 0 : x->request.on_body(x->request.user, str_make(p, n));
    if (used >= n) return n;
    if (buf_append(&x->backlog, p + used, n - used) < 0) return 0; /* cannot be: checked above */
    exchange_queue(x);
    return n;
}

static void exchange_stalled(struct timer *t) {
    struct http_exchange *x = CONTAINER_OF(t, struct http_exchange, stall);
    uint64_t now = clock_ms();
    if (x->backlog.n > 0 || x->paused_curl || x->paused_here) x->last_byte_ms = now;
    uint64_t idle = now - x->last_byte_ms;
    if (idle < x->request.stall_ms) {
        timer_arm(x->client->loop, t, x->request.stall_ms - idle);
        return;
    }
    exchange_fail(x, ERR_TIMEOUT, "the peer sends nothing any more");
    x->ended = true;
    exchange_queue(x);
}

/* ---- one hop ---- */

#define SET(x, option, value) (void)curl_easy_setopt((x)->easy, option, value)

static void hop_set_tls(struct http_exchange *x) {
    const struct http_tls *tls = &x->request.tls;
    if (tls->skip_verify) {
        SET(x, CURLOPT_SSL_VERIFYPEER, 0L);
        SET(x, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (tls->ca_pem.n > 0) { /* replaces the bundle file; the system's CA folder stays in force */
        struct curl_blob blob = {
            .data = x->ca_pem, .len = tls->ca_pem.n, .flags = CURL_BLOB_NOCOPY};
        SET(x, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (x->cert) {
        SET(x, CURLOPT_SSLCERT, x->cert);
        SET(x, CURLOPT_SSLKEY, x->key ? x->key : x->cert);
    }
}

static void hop_set_method(struct http_exchange *x) {
    switch (x->request.method) {
    case HTTP_GET: SET(x, CURLOPT_HTTPGET, 1L); break;
    case HTTP_HEAD: SET(x, CURLOPT_NOBODY, 1L); break;
    case HTTP_POST:
        SET(x, CURLOPT_POST, 1L);
        SET(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->request.body.n);
        SET(x, CURLOPT_POSTFIELDS, x->body);
        break;
    }
}

static void hop_begin(struct http_exchange *x) {
    const struct http_request *r = &x->request;
    x->easy = curl_easy_init();
    if (!x->easy) abort(); /* out of memory */
    x->hop_is_redirect = x->ended = false;
    x->body_bytes = 0;
    buf_clear(&x->response.lines);
    SET(x, CURLOPT_PRIVATE, x);
    SET(x, CURLOPT_URL, x->url);
    SET(x, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(x, CURLOPT_NOSIGNAL, 1L);
    SET(x, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(x, CURLOPT_USERAGENT, "gridlet/" GRIDLET_VERSION);
    SET(x, CURLOPT_HTTPHEADER, x->headers);
    SET(x, CURLOPT_HEADERFUNCTION, header_cb);
    SET(x, CURLOPT_HEADERDATA, x);
    SET(x, CURLOPT_WRITEFUNCTION, body_cb);
    SET(x, CURLOPT_WRITEDATA, x);
    SET(x, CURLOPT_ERRORBUFFER, x->curl_text);
    SET(x, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_ms);
    if (r->total_ms) SET(x, CURLOPT_TIMEOUT_MS, (long)r->total_ms);
    if (r->bulk) {
        SET(x, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        SET(x, CURLOPT_BUFFERSIZE, BULK_BUFFER_BYTES);
    } else {
        SET(x, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    }
    hop_set_method(x);
    hop_set_tls(x);
    x->last_byte_ms = clock_ms();
    timer_arm(x->client->loop, &x->stall, r->stall_ms);
    x->added = true;
    if (curl_multi_add_handle(x->client->multi, x->easy) == CURLM_OK) return;
    x->added = false;
    exchange_fail(x, ERR_INTERNAL, "curl refused the request");
    x->ended = true;
}

static void hop_end(struct http_exchange *x) {
    if (x->added) (void)curl_multi_remove_handle(x->client->multi, x->easy);
    x->added = false;
    timer_cancel(&x->stall);
}

/* ---- redirects ---- */

static char *url_part(CURLU *u, CURLUPart part) {
    char *text = NULL;
    return curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

static bool part_differs(CURLU *a, CURLU *b, CURLUPart part) {
    char *x = url_part(a, part);
    char *y = url_part(b, part);
    bool differs = !x || !y || !str_eq_nocase(str_of(x), str_of(y));
    curl_free(x);
    curl_free(y);
    return differs;
}

static bool scheme_is(CURLU *u, const char *scheme) {
    char *text = url_part(u, CURLUPART_SCHEME);
    bool is = text && str_eq_nocase(str_of(text), str_of(scheme));
    curl_free(text);
    return is;
}

static void headers_keep_public(struct http_exchange *x) {
    static const char *const public_names[] = {"accept:", "range:", "user-agent:"};
    struct curl_slist *kept = NULL;
    for (const struct curl_slist *h = x->headers; h; h = h->next)
        for (size_t i = 0; i < COUNT(public_names); i++) {
            struct str name = str_sub(str_of(h->data), 0, strlen(public_names[i]));
            if (str_eq_nocase(name, str_of(public_names[i])))
                kept = curl_slist_append(kept, h->data);
        }
    curl_slist_free_all(x->headers);
    x->headers = kept;
}

static void redirect_check(struct http_exchange *x, CURLU *from, CURLU *to) {
    if (!scheme_is(to, "http") && !scheme_is(to, "https")) {
        exchange_fail(x, ERR_DENIED, "redirected to a URL that is neither http nor https");
        return;
    }
    if (scheme_is(from, "https") && !scheme_is(to, "https")) {
        exchange_fail(x, ERR_DENIED, "redirected from https to http, which is refused");
        return;
    }
    if (!part_differs(from, to, CURLUPART_SCHEME) && !part_differs(from, to, CURLUPART_HOST) &&
        !part_differs(from, to, CURLUPART_PORT))
        return;
    headers_keep_public(x);
    free(STEAL(x->cert));
    free(STEAL(x->key));
}

/* Moves x on to the Location of the reply; false: x failed. */
static bool exchange_redirect(struct http_exchange *x) {
    char *location = NULL;
    (void)curl_easy_getinfo(x->easy, CURLINFO_REDIRECT_URL, &location);
    if (x->redirects++ >= HTTP_REDIRECTS_MAX) {
        exchange_fail(x, ERR_LIMIT, "redirected more than 5 times");
        return false;
    }
    CURLU *from = curl_url();
    CURLU *to = curl_url();
    if (!location || strlen(location) > URL_BYTES_MAX ||
        curl_url_set(from, CURLUPART_URL, x->url, 0) != CURLUE_OK ||
        curl_url_set(to, CURLUPART_URL, location, 0) != CURLUE_OK)
        exchange_fail(x, ERR_DENIED, "redirected to a URL that is neither http nor https");
    else
        redirect_check(x, from, to);
    curl_url_cleanup(from);
    curl_url_cleanup(to);
    if (x->failed) return false;
    char *next = xstrdup(location); /* location belongs to the handle that is freed now */
    free(x->url);
    x->url = next;
    curl_easy_cleanup(STEAL(x->easy));
    return true;
}

/* ---- the end ---- */

static enum err_kind kind_of_curl(CURLcode code) {
    if (code == CURLE_OPERATION_TIMEDOUT) return ERR_TIMEOUT;
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM ||
        code == CURLE_SSL_CACERT_BADFILE)
        return ERR_DENIED;
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) return ERR_INVALID;
    return ERR_IO;
}

static void exchange_ended(struct http_exchange *x, CURLcode code) {
    hop_end(x);
    if (code == CURLE_OK || x->cut) {
        if (x->hop_is_redirect && !x->cancelled && exchange_redirect(x)) {
            hop_begin(x);
            if (!x->ended) return;
        }
        if (!x->failed && !x->cancelled) exchange_show(x);
    } else {
        exchange_fail(x, kind_of_curl(code),
                      x->curl_text[0] ? x->curl_text : curl_easy_strerror(code));
    }
    x->ended = true;
    exchange_queue(x);
}

/* Brings one exchange to where its marks say; may free it. */
static void exchange_work(struct http_exchange *x) {
    if (x->cancelled || (x->ended && x->failed)) {
        hop_end(x);
        exchange_finish(x);
        return;
    }
    if (!x->easy) {
        hop_begin(x);
        if (x->ended) exchange_finish(x);
        return;
    }
    bool resume = x->resume;
    x->resume = false;
    bool empty = x->backlog.n == 0 || (resume && backlog_drain(x));
    if (x->cancelled) {
        exchange_queue(x);
    } else if (x->ended) {
        if (empty) exchange_finish(x);
    } else if (!empty && !x->paused_here) {
        x->paused_here = true;
        (void)curl_easy_pause(x->easy, CURLPAUSE_RECV);
    } else if (empty && (x->paused_here || x->paused_curl)) {
        x->paused_here = x->paused_curl = false;
        x->last_byte_ms = clock_ms();
        (void)curl_easy_pause(x->easy, CURLPAUSE_RECV_CONT); /* may call body_cb */
    }
}

static void client_messages(struct http_client *c) {
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
        if (m->msg != CURLMSG_DONE) continue;
        CURLcode code = m->data.result;
        char *private = NULL;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
        exchange_ended((struct http_exchange *)(void *)private, code);
    }
}

static void client_settle(struct http_client *c) {
    if (c->settling) return;
    c->settling = true;
    client_messages(c);
    while (c->todo) {
        struct http_exchange *x = c->todo;
        c->todo = x->next_todo;
        x->queued = false;
        exchange_work(x);
        client_messages(c);
    }
    c->settling = false;
}

static void client_task(struct task *t) {
    struct http_client *c = CONTAINER_OF(t, struct http_client, task);
    c->task_posted = false;
    if (c->closing)
        free(c); /* http_client_free() left it to the task that was under way */
    else
        client_settle(c);
}

/* ---- the public functions ---- */

struct http_client *http_client_new(struct loop *l) {
    (void)signal(SIGPIPE, SIG_IGN);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) abort();
    struct http_client *c = xnew(struct http_client);
    *c = (struct http_client){
        .loop = l, .timer = {.fire = client_timer_fired}, .task = {.run = client_task}};
    c->multi = curl_multi_init();
    if (!c->multi) abort();
    (void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, socket_cb);
    (void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    (void)curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, timer_cb);
    (void)curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CONNECTIONS_MAX);
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, IDLE_MAX);
    return c;
}

void http_client_free(struct http_client *c) {
    if (!c) return;
    c->settling = c->closing = true; /* nothing is posted any more */
    while (c->all) {
        c->all->cancelled = true;
        exchange_finish(c->all);
    }
    (void)curl_multi_cleanup(c->multi);
    while (c->sockets) socket_drop(c, c->sockets);
    timer_cancel(&c->timer);
    curl_global_cleanup();
    if (!c->task_posted) free(c);
}

static bool text_is_line(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0') return false;
    return true;
}

static int headers_build(struct http_exchange *x, const struct http_request *r, struct err *e) {
    for (size_t i = 0; i < r->header_count; i++) {
        const struct http_header *h = &r->headers[i];
        if (h->name.n == 0 || !text_is_line(h->name) || !text_is_line(h->value))
            return err_set(e, ERR_INVALID, "request to %.200s: header '%.*s' is malformed", r->url,
                           h->name.n > 64 ? 64 : (int)h->name.n, h->name.p);
        AUTO_FREE char *line = h->value.n
                                   ? xasprintf("%.*s: %.*s", STR_ARG(h->name), STR_ARG(h->value))
                                   : xasprintf("%.*s;", STR_ARG(h->name));
        x->headers = curl_slist_append(x->headers, line);
    }
    return 0;
}

static char *bytes_dup(struct str s) {
    char *p = xmalloc(s.n + 1);
    if (s.n) (void)memcpy(p, s.p, s.n);
    return p;
}

struct http_exchange *http_start(struct http_client *c, const struct http_request *r,
                                 struct err *e) {
    struct str url = str_of(r->url);
    if ((!str_starts(url, STR("http://")) && !str_starts(url, STR("https://"))) ||
        url.n > URL_BYTES_MAX || !text_is_line(url)) {
        (void)err_set(e, ERR_INVALID, "'%.200s' is not an http or https URL", r->url);
        return NULL;
    }
    if (c->closing) {
        (void)err_set(e, ERR_CANCELLED, "the HTTP client is being closed");
        return NULL;
    }
    struct http_exchange *x = xnew(struct http_exchange);
    *x = (struct http_exchange){.client = c, .request = *r, .stall = {.fire = exchange_stalled}};
    x->response.lines = BUF(HTTP_HEADER_BYTES_MAX);
    x->backlog = BUF(HTTP_BACKLOG_BYTES_MAX);
    x->url = xstrdup(r->url);
    if (headers_build(x, r, e) < 0) {
        exchange_free(x);
        return NULL;
    }
    x->body = bytes_dup(r->body);
    if (r->tls.ca_pem.n) x->ca_pem = bytes_dup(r->tls.ca_pem);
    if (r->tls.client_cert) x->cert = xstrdup(r->tls.client_cert);
    if (r->tls.client_key) x->key = xstrdup(r->tls.client_key);
    if (!x->request.connect_ms) x->request.connect_ms = DEFAULT_MS;
    if (!x->request.stall_ms) x->request.stall_ms = DEFAULT_MS;
    x->next = c->all;
    c->all = x;
    exchange_queue(x);
    return x;
}

void http_resume(struct http_exchange *x) {
    x->resume = true;
    exchange_queue(x);
}

void http_cancel(struct http_exchange *x) {
    x->cancelled = true;
    exchange_queue(x);
}

unsigned http_status(const struct http_response *r) { return r->status; }

struct str http_response_header(const struct http_response *r, struct str name, size_t nth) {
    struct str rest = buf_view(&r->lines);
    for (struct str line; str_next(&rest, '\n', &line);) {
        ptrdiff_t colon = str_find(line, ':');
        if (colon <= 0 || !str_eq_nocase(str_sub(line, 0, (size_t)colon), name)) continue;
        if (nth-- > 0) continue;
        struct str value = str_trim(str_sub(line, (size_t)colon + 1, line.n));
        return value.p ? value : STR("");
    }
    return STR_NONE;
}
