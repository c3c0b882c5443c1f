/* SPDX-License-Identifier: Apache-2.0 — pull_fake.h: a registry that misbehaves and a store that
 * counts, for pull_test.c.
 *
 * The registry is a server in this process with a table of resources and their troubles. In the
 * store a "layer" is the plain bytes that a child process read from the pipe; holds are counted, so
 * that each test ends with none left. */
#pragma once

#include "base/base64.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/http_fake.h"
#include "storage/image/layer.h"
#include "storage/image/pull.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- the fake store ---- */

#define LAYERS_MAX 64

struct image_store {
    pthread_mutex_t lock;
    char diff_ids[LAYERS_MAX][72];
    size_t layer_count;
    int holds; /* of all layers together */
    int writers;
    int writers_started;
    char committed[72]; /* id of the last image */
    char name[256], tag[128], digest[72];
    size_t dir_count;
};

struct layer_writer {
    struct image_store *store;
    pid_t pid;
    int pidfd;
    int memfd; /* what the child read */
};

bool layer_exists(struct image_store *s, struct str diff_id, char out_dir[16]) {
    bool found = false;
    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->layer_count && !found; i++) {
        found = str_eq(str_of(s->diff_ids[i]), diff_id);
        if (found) (void)snprintf(out_dir, 16, "%zu", i);
    }
    s->holds += found;
    (void)pthread_mutex_unlock(&s->lock);
    return found;
}

static _Noreturn void child_read(int from, int to) {
    char bytes[4096];
    for (;;) {
        ssize_t n = read(from, bytes, sizeof(bytes));
        if (n <= 0 || (n >= 4 && memcmp(bytes, "EXIT", 4) == 0)) _exit(0);
        if (write(to, bytes, (size_t)n) != n) _exit(1);
    }
}

struct layer_writer *layer_write(struct image_store *s, enum layer_compression c, int *out_fd,
                                 int *out_pidfd, struct err *e) {
    int ends[2];
    assert_int_equal(c, LAYER_PLAIN);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        (void)err_sys(e, errno, "pipe");
        return NULL;
    }
    struct layer_writer *w = xnew(struct layer_writer);
    w->store = s;
    w->memfd = memfd_create("layer", MFD_CLOEXEC);
    w->pid = fork();
    if (w->pid == 0) {
        (void)close(ends[1]);
        child_read(ends[0], w->memfd);
    }
    (void)close(ends[0]);
    w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    (void)pthread_mutex_lock(&s->lock);
    s->writers++;
    s->writers_started++;
    (void)pthread_mutex_unlock(&s->lock);
    *out_fd = ends[1];
    *out_pidfd = w->pidfd;
    return w;
}

void layer_abort(struct layer_writer *w) {
    if (!w) return;
    (void)kill(w->pid, SIGKILL);
    (void)waitpid(w->pid, NULL, 0);
    (void)close(w->pidfd);
    (void)close(w->memfd);
    (void)pthread_mutex_lock(&w->store->lock);
    w->store->writers--;
    (void)pthread_mutex_unlock(&w->store->lock);
    free(w);
}

int layer_commit(struct layer_writer *w, struct str diff_id, char out_dir[16],
                 struct layer_result *out, struct err *e) {
    AUTO(buf_done) struct buf bytes = BUF(64U << 20);
    char text[DIGEST_TEXT_CHARS + 1];
    struct image_store *s = w->store;
    (void)lseek(w->memfd, 0, SEEK_SET);
    int r = file_read_fd(w->memfd, bytes.bytes_max, &bytes);
    layer_abort(w);
    if (r < 0) return err_sys(e, -r, "read layer");
    struct digest d = digest_of(buf_view(&bytes));
    if (!str_eq(str_of(digest_text(&d, text)), diff_id))
        return err_set(e, ERR_CORRUPT, "wrong diff_id");
    (void)pthread_mutex_lock(&s->lock);
    (void)memcpy(s->diff_ids[s->layer_count], text, sizeof(text));
    (void)snprintf(out_dir, 16, "%zu", s->layer_count++);
    s->holds++;
    (void)pthread_mutex_unlock(&s->lock);
    *out = (struct layer_result){.bytes = bytes.n};
    return 0;
}

void image_release(struct image_store *s, const struct str *layers, size_t count) {
    (void)layers;
    (void)pthread_mutex_lock(&s->lock);
    s->holds -= (int)count;
    (void)pthread_mutex_unlock(&s->lock);
}

int image_commit(struct image_store *s, const struct image_record *r, struct err *e) {
    if (r->dir_count == 13) return err_set(e, ERR_IO, "disk full");
    (void)snprintf(s->committed, sizeof(s->committed), "%.*s", STR_ARG(r->id));
    (void)snprintf(s->name, sizeof(s->name), "%.*s", STR_ARG(r->name));
    (void)snprintf(s->tag, sizeof(s->tag), "%.*s", (int)r->tag.n, r->tag.n ? r->tag.p : "");
    (void)snprintf(s->digest, sizeof(s->digest), "%.*s", STR_ARG(r->digest));
    s->dir_count = r->dir_count;
    return 0;
}

/* ---- the fake registry ---- */

enum trouble {
    FINE,
    STATUS,   /* answer with `status` */
    CUT,      /* close after half of what was asked for */
    SHORT,    /* a whole reply with fewer bytes than the manifest says */
    WRONG,    /* the right number of other bytes */
    ENDLESS,  /* no end */
    STALL,    /* half, then silence */
    REDIRECT, /* to `elsewhere` */
    BAD_RANGE /* 206 with a range that was not asked for, when one was */
};

struct resource {
    char path[200];
    const char *type;
    struct str body; /* owned */
    enum trouble trouble;
    int times; /* how often the trouble strikes; -1: always */
    const char *status;
    bool no_range;
    int served, ranges;
};

struct registry_fake {
    struct http_fake *http;
    struct resource resources[96];
    size_t count;
    const char *elsewhere; /* base URL of another server */
    bool want_token, want_basic;
    int token_uses;      /* how many requests one token lasts */
    int tokens;          /* given out: t1, t2, ... */
    int uses[64];        /* requests with each of them */
    int leaked;          /* requests that bore Authorization where there must be none */
    bool no_credentials; /* Authorization here is a leak */
    char last_scope[200];
    char last_form[400];
};

static void rule_ok(int fd, struct resource *r, uint64_t from) {
    struct str rest = str_sub(r->body, (size_t)from, r->body.n);
    AUTO_FREE char *headers =
        from ? xasprintf("Content-Range: bytes %llu-%zu/%zu\r\nContent-Type: %s\r\n",
                         (unsigned long long)from, r->body.n - 1, r->body.n, r->type)
             : xasprintf("Content-Type: %s\r\n", r->type);
    (void)http_fake_reply(fd, from ? "206 Partial Content" : "200 OK", headers, rest);
}

/* Header for everything, half of the bytes. */
static void rule_half(int fd, struct resource *r, uint64_t from) {
    AUTO_FREE char *head =
        from ? xasprintf("HTTP/1.1 206 x\r\nContent-Range: bytes %llu-%zu/%zu\r\nContent-Length: "
                         "%zu\r\n\r\n",
                         (unsigned long long)from, r->body.n - 1, r->body.n,
                         r->body.n - (size_t)from)
             : xasprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                         r->type, r->body.n);
    struct str rest = str_sub(r->body, (size_t)from, r->body.n);
    (void)http_fake_send(fd, str_of(head));
    (void)http_fake_send(fd, str_sub(rest, 0, rest.n / 2));
}

static void rule_endless(int fd) {
    AUTO_FREE char *zeros = xmalloc(65536);
    (void)http_fake_send(fd, STR("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
    while (http_fake_send(fd, str_make(zeros, 65536))) {
    }
}

static bool trouble_serve(struct registry_fake *g, int fd, struct resource *r, uint64_t from) {
    AUTO_FREE char *other = xmalloc(r->body.n + 1);
    AUTO_FREE char *location =
        g->elsewhere ? xasprintf("Location: %s%s\r\n", g->elsewhere, r->path) : NULL;
    switch (r->trouble) {
    case FINE: break;
    case STATUS:
        return http_fake_reply(fd, r->status, "Retry-After: 0\r\n", STR("{\"errors\":[]}"));
    case CUT: rule_half(fd, r, from); return false;
    case SHORT: return http_fake_reply(fd, "200 OK", "", str_sub(r->body, 0, r->body.n / 2));
    case WRONG: return http_fake_reply(fd, "200 OK", "", str_make(other, r->body.n));
    case ENDLESS: rule_endless(fd); return false;
    case STALL:
        rule_half(fd, r, from);
        http_fake_wait_close(fd);
        return false;
    case REDIRECT: return http_fake_reply(fd, "307 Temporary Redirect", location, STR(""));
    case BAD_RANGE:
        if (!from) {
            rule_half(fd, r, 0);
            return false;
        }
        return http_fake_reply(fd, "206 x", "Content-Range: bytes 1-4/5\r\n", STR("abcd"));
    }
    rule_ok(fd, r, from);
    return true;
}

static void token_serve(struct registry_fake *g, int fd, const char *request) {
    AUTO_FREE char *auth = http_fake_header(request, "authorization");
    const char *scope = strstr(request, "scope=");
    bool post = strncmp(request, "POST", 4) == 0;
    if (scope)
        (void)snprintf(g->last_scope, sizeof(g->last_scope), "%.*s", (int)strcspn(scope, " &"),
                       scope);
    if (post)
        (void)snprintf(g->last_form, sizeof(g->last_form), "%s", strstr(request, "\r\n\r\n") + 4);
    if (g->want_basic && !post && (!auth || strcmp(auth, "Basic dXNlcjpwYXNz") != 0)) {
        (void)http_fake_reply(fd, "401 no", "", STR(""));
        return;
    }
    g->tokens++;
    assert_true(g->tokens < (int)COUNT(g->uses));
    AUTO_FREE char *body = xasprintf("{\"token\":\"t%d\",\"expires_in\":300}", g->tokens);
    (void)http_fake_reply(fd, "200 OK", "", str_of(body));
}

/* True when the request may go on. */
static bool token_check(struct registry_fake *g, int fd, const char *request) {
    AUTO_FREE char *auth = http_fake_header(request, "authorization");
    if (g->no_credentials && auth) g->leaked++;
    if (!g->want_token) return true;
    uint64_t n = 0;
    bool known = auth && strncmp(auth, "Bearer t", 8) == 0 && str_u64(str_of(auth + 8), &n) == 0 &&
                 n > 0 && n <= (uint64_t)g->tokens;
    if (known && g->uses[n] < g->token_uses) {
        g->uses[n]++;
        return true;
    }
    AUTO_FREE char *challenge =
        xasprintf("WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%u/token\",service=\"s\","
                  "scope=\"repository:app:pull\"\r\n",
                  g->http->port);
    (void)http_fake_reply(fd, "401 Unauthorized", challenge, STR("{}"));
    return false;
}

static struct resource *resource_find(struct registry_fake *g, const char *request) {
    for (size_t i = 0; i < g->count; i++) {
        size_t n = strlen(g->resources[i].path);
        const char *at = strchr(request, ' ');
        if (at && strncmp(at + 1, g->resources[i].path, n) == 0 &&
            (at[1 + n] == ' ' || at[1 + n] == '?'))
            return &g->resources[i];
    }
    return NULL;
}

static bool registry_handle(struct http_fake *http, int fd, const char *request) {
    struct registry_fake *g = http->user;
    uint64_t from = 0;
    AUTO_FREE char *range = http_fake_header(request, "range");
    (void)pthread_mutex_lock(&http->lock);
    if (strstr(request, " /token")) {
        token_serve(g, fd, request);
        (void)pthread_mutex_unlock(&http->lock);
        return true;
    }
    if (!token_check(g, fd, request)) {
        (void)pthread_mutex_unlock(&http->lock);
        return true;
    }
    struct resource *r = resource_find(g, request);
    struct resource copy = r ? *r : (struct resource){0};
    if (r) {
        r->served++;
        r->ranges += range != NULL;
        if (r->times == 0) copy.trouble = FINE;
        if (r->times > 0) r->times--;
    }
    (void)pthread_mutex_unlock(&http->lock);
    if (!r) return http_fake_reply(fd, "404 Not Found", "", STR("{}"));
    if (range && !copy.no_range) {
        struct str number = str_sub(str_of(range), 6, strlen(range) - 1);
        assert_int_equal(str_u64(number, &from), 0);
    }
    return trouble_serve(g, fd, &copy, from);
}

/* ---- a test's world ---- */

struct world {
    struct loop *loop;
    struct image_store store;
    struct image_puller *puller;
    struct registry_fake main, other;
    char folder[32];
    int left; /* pulls that have not ended */
    struct err e;
    char id[72];
    int done, failed, progress;
    struct image_pull *cancel_on_progress;
    const char *start_on_layers; /* pulled as soon as the first has its manifest */
};

static int setup(void **state) {
    struct world *w = xnew(struct world);
    struct err e = {0};
    *state = w;
    (void)pthread_mutex_init(&w->store.lock, NULL);
    (void)snprintf(w->folder, sizeof(w->folder), "/tmp/pull_test.XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->loop = loop_new(2);
    w->main.http = http_fake_start(registry_handle, &w->main);
    w->other.http = http_fake_start(registry_handle, &w->other);
    struct image_puller_options o = {
        .registries_dir = w->folder, .stall_ms = 3000, .backoff_ms = 1};
    w->puller = image_puller_new(w->loop, &w->store, &o, &e);
    return w->puller ? 0 : -1;
}

static void registry_clear(struct registry_fake *g) {
    http_fake_stop(g->http);
    for (size_t i = 0; i < g->count; i++) free((char *)(uintptr_t)g->resources[i].body.p);
}

static int teardown(void **state) {
    struct world *w = *state;
    image_puller_free(w->puller);
    loop_free(w->loop);
    registry_clear(&w->main);
    registry_clear(&w->other);
    int bad = w->store.holds != 0 || w->store.writers != 0;
    if (bad) print_message("holds %d, writers %d\n", w->store.holds, w->store.writers);
    bad = bad || file_remove_tree(AT_FDCWD, w->folder) < 0;
    free(w);
    return bad ? -1 : 0;
}

static void world_done(void *user, struct str id, const struct err *e) {
    struct world *w = user;
    if (e) {
        w->failed++;
        w->e = *e;
    } else {
        w->done++;
        (void)snprintf(w->id, sizeof(w->id), "%.*s", STR_ARG(id));
    }
    if (--w->left == 0) loop_stop(w->loop);
}

static struct image_pull *pull_as(struct world *w, const char *what, struct image_auth auth);

static void world_progress(void *user, const struct image_pull_progress *p) {
    struct world *w = user;
    w->progress++;
    const char *next = p->layer_count > 0 ? STEAL(w->start_on_layers) : NULL;
    if (next) (void)pull_as(w, next, (struct image_auth){0});
    if (!w->cancel_on_progress) return;
    image_pull_cancel(w->cancel_on_progress);
    w->cancel_on_progress = NULL;
}

static struct image_pull *pull_as(struct world *w, const char *what, struct image_auth auth) {
    AUTO_FREE char *ref = xasprintf("127.0.0.1:%u/%s", w->main.http->port, what);
    struct image_pull_request r = {.ref = str_of(ref),
                                   .auth = auth,
                                   .user = w,
                                   .on_progress = world_progress,
                                   .on_done = world_done};
    w->left++;
    return image_pull_start(w->puller, &r);
}

static void run_as(struct world *w, const char *what, struct image_auth auth) {
    (void)pull_as(w, what, auth);
    loop_run(w->loop);
}

static void run(struct world *w, const char *what) { run_as(w, what, (struct image_auth){0}); }

static void succeeds(struct world *w, const char *what) {
    int before = w->done;
    run(w, what);
    if (w->done == before) fail_msg("%s", w->e.msg);
}

static void fails(struct world *w, const char *what, enum err_kind kind, const char *text) {
    int before = w->failed;
    run(w, what);
    assert_int_equal(w->failed, before + 1);
    if (w->e.kind != kind || !strstr(w->e.msg, text))
        fail_msg("%s: %s", err_kind_name(w->e.kind), w->e.msg);
    assert_true(str_starts(str_of(w->e.msg), STR("pull \"127.0.0.1:")));
}

static PRINTF_LIKE(4, 5) struct resource *put(struct registry_fake *g, struct str body,
                                              const char *type, const char *path_format, ...) {
    struct resource *r = &g->resources[g->count++];
    va_list args;
    va_start(args, path_format);
    (void)vsnprintf(r->path, sizeof(r->path), path_format, args);
    va_end(args);
    char *copy = xmalloc(body.n + 1);
    (void)memcpy(copy, body.p, body.n);
    r->body = str_make(copy, body.n);
    r->type = type;
    return r;
}

static struct resource *put_blob(struct registry_fake *g, const char *repo, struct str body,
                                 char digest[72]) {
    struct digest d = digest_of(body);
    (void)digest_text(&d, digest);
    return put(g, body, "application/octet-stream", "/v2/%s/blobs/%s", repo, digest);
}

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define INDEX_TYPE    "application/vnd.oci.image.index.v1+json"

struct made { /* the resources of an image */
    struct resource *tag, *config, *layers[16];
    char digest[72];
};

/* An image of `count` plain layers of `bytes` bytes; seed makes layers differ. */
static struct made image_put(struct registry_fake *g, const char *repo, size_t count, size_t bytes,
                             char seed) {
    struct made m = {0};
    AUTO(buf_done) struct buf layers = BUF(1U << 16);
    AUTO(buf_done) struct buf ids = BUF(1U << 16);
    AUTO_FREE char *body = xmalloc(bytes);
    char digest[72];
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < bytes; k++) body[k] = (char)(k * 31 + i + (size_t)seed + k / 251);
        m.layers[i] = put_blob(g, repo, str_make(body, bytes), digest);
        assert_int_equal(buf_fmt(&layers,
                                 "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
                                 "\"digest\":\"%s\",\"size\":%zu}",
                                 i ? "," : "", digest, bytes),
                         0);
        assert_int_equal(buf_fmt(&ids, "%s\"%s\"", i ? "," : "", digest), 0);
    }
    AUTO_FREE char *config = xasprintf("{\"rootfs\":{\"diff_ids\":[%s]}}", buf_c(&ids));
    m.config = put_blob(g, repo, str_of(config), digest);
    AUTO_FREE char *manifest = xasprintf(
        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+"
        "json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
        digest, strlen(config), buf_c(&layers));
    struct digest d = digest_of(str_of(manifest));
    (void)digest_text(&d, m.digest);
    (void)put(g, str_of(manifest), MANIFEST_TYPE, "/v2/%s/manifests/%s", repo, m.digest);
    m.tag = put(g, str_of(manifest), MANIFEST_TYPE, "/v2/%s/manifests/1", repo);
    return m;
}

static void hit(struct resource *r, enum trouble trouble, int times) {
    r->trouble = trouble;
    r->times = times;
}
