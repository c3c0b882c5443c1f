/* SPDX-License-Identifier: Apache-2.0 — pull.c: who waits for which pull.
 *
 * An image_pull is one caller's wish, a flight (pull_flight.c) the work. Wishes for the same
 * reference with the same credential share a flight; a flight that nobody waits for is cancelled.
 * A wish that cannot begin fails by a task, because nothing calls back from image_pull_start(). */
#include "storage/image/pull.h"

#include "storage/image/pull_flight.h"

#include <assert.h>

#define LAYERS_AT_ONCE       4U
#define STALL_MS             30000U
#define BACKOFF_MS           250U
#define PULLS_MAX            1024U
#define CREDENTIAL_BYTES_MAX (256U << 10)

struct flight_entry;

struct image_pull {
    struct image_puller *puller;
    struct image_pull_request request; /* ref and auth are not kept */
    struct flight_entry *entry;        /* NULL: it failed or was cancelled */
    struct image_pull *next;           /* in entry->pulls */
    struct task task;
    struct err e;
};

struct flight_entry { /* a flight and those who wait for it */
    struct image_puller *puller;
    struct pull_flight *flight;
    char *key; /* owned: reference and credential */
    struct image_pull *pulls;
    struct flight_entry *next;
    bool closed; /* it is ending: nobody may join */
};

struct image_puller {
    struct pull_shared shared;
    struct flight_entry *entries;
    unsigned pulls;
    struct task free_task;
    bool closing; /* image_puller_free() was called: the last flight frees it */
};

/* ---- the end of the puller ---- */

static void puller_free_run(struct task *t) {
    struct image_puller *p = CONTAINER_OF(t, struct image_puller, free_task);
    free(p->shared.registries_dir);
    free(p->shared.docker_config);
    free(p);
}

/* By a task, because the caller may still be at work in the puller. */
static void puller_settle(struct image_puller *p) {
    if (!p->closing || p->pulls > 0 || p->entries || p->free_task.run) return;
    p->free_task.run = puller_free_run;
    loop_post(p->shared.loop, &p->free_task);
}

/* ---- one wish ends ---- */

static void pull_free(struct image_pull *p) {
    struct image_puller *puller = p->puller;
    free(p);
    puller->pulls--;
    puller_settle(puller);
}

static void pull_failed(struct task *t) {
    struct image_pull *p = CONTAINER_OF(t, struct image_pull, task);
    const struct image_pull_request r = p->request;
    struct err e = p->e;
    pull_free(p);
    r.on_done(r.user, STR_NONE, &e);
}

static void pull_fail_later(struct image_pull *p) {
    p->entry = NULL;
    p->task.run = pull_failed;
    loop_post(p->puller->shared.loop, &p->task);
}

/* ---- flights ---- */

static void entry_remove(struct flight_entry *n) {
    for (struct flight_entry **at = &n->puller->entries; *at; at = &(*at)->next)
        if (*at == n) {
            *at = n->next;
            break;
        }
    free(n->key);
    free(n);
}

static void flight_progress(void *user, const struct image_pull_progress *progress) {
    struct flight_entry *n = user;
    for (struct image_pull *p = n->pulls, *next; p; p = next) {
        next = p->next; /* p may be cancelled in its callback */
        if (p->entry && p->request.on_progress) p->request.on_progress(p->request.user, progress);
    }
}

static void flight_done(void *user, struct str image_id, const struct err *failed) {
    struct flight_entry *n = user;
    struct image_pull *pulls = STEAL(n->pulls);
    struct err e = {0};
    if (failed) {
        e = *failed;
        (void)err_in(&e, "pull \"%.*s\"", (int)strcspn(n->key, "\n"), n->key);
    }
    struct image_puller *puller = n->puller;
    entry_remove(n);
    for (struct image_pull *p = pulls; p; p = p->next) p->entry = NULL; /* cancel does nothing */
    while (pulls) {
        struct image_pull *p = pulls;
        const struct image_pull_request r = p->request;
        pulls = p->next;
        pull_free(p);
        r.on_done(r.user, image_id, failed ? &e : NULL);
    }
    puller_settle(puller);
}

static bool auth_is_empty(const struct image_auth *a) {
    return a->username.n == 0 && a->password.n == 0 && a->auth.n == 0 && a->identity_token.n == 0 &&
           a->registry_token.n == 0;
}

static int want_build(struct arena *a, const struct image_pull_request *r,
                      struct pull_flight_want *w, struct err *e) {
    const struct image_auth *given = &r->auth;
    if (reference_parse(a, r->ref, &w->ref, e) < 0) return -1;
    w->server_address = given->server_address;
    if (w->server_address.n > CREDENTIAL_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "the credential is too long");
    if (auth_is_empty(given)) return 0;
    return auth_credential_make(a, given, &w->credential, e);
}

static struct flight_entry *entry_find(struct image_puller *p, const char *key) {
    for (struct flight_entry *n = p->entries; n; n = n->next)
        if (!n->closed && strcmp(n->key, key) == 0) return n;
    return NULL;
}

/* The flight for w, which may be under way already. */
static struct flight_entry *entry_get(struct image_puller *p, struct pull_flight_want *w) {
    char *key = xasprintf("%.*s\n%s\n%.*s", STR_ARG(w->ref.full), w->credential.id,
                          STR_ARG(w->server_address));
    struct flight_entry *n = entry_find(p, key);
    if (n) {
        free(key);
        return n;
    }
    n = xnew(struct flight_entry);
    *n = (struct flight_entry){.puller = p, .key = key, .next = p->entries};
    p->entries = n;
    w->shared = &p->shared;
    w->user = n;
    w->on_progress = flight_progress;
    w->on_done = flight_done;
    n->flight = pull_flight_start(w);
    return n;
}

struct image_pull *image_pull_start(struct image_puller *p, const struct image_pull_request *r) {
    AUTO(arena_done) struct arena a = ARENA(4 * CREDENTIAL_BYTES_MAX);
    struct pull_flight_want want = {0};
    struct image_pull *pull = xnew(struct image_pull);
    *pull = (struct image_pull){.puller = p, .request = *r};
    pull->request.ref = STR_NONE;
    pull->request.auth = (struct image_auth){0};
    p->pulls++;
    int rc = p->pulls > PULLS_MAX
                 ? err_set(&pull->e, ERR_LIMIT, "more than %u pulls at once", PULLS_MAX)
                 : want_build(&a, r, &want, &pull->e);
    if (rc < 0) {
        (void)err_in(&pull->e, "pull \"%.*s\"", r->ref.n > 255 ? 255 : (int)r->ref.n,
                     r->ref.n ? r->ref.p : "");
        pull_fail_later(pull);
        return pull;
    }
    pull->entry = entry_get(p, &want);
    pull->next = pull->entry->pulls;
    pull->entry->pulls = pull;
    return pull;
}

void image_pull_cancel(struct image_pull *pull) {
    struct flight_entry *n = pull->entry;
    if (!n) return;
    for (struct image_pull **at = &n->pulls; *at; at = &(*at)->next)
        if (*at == pull) {
            *at = pull->next;
            break;
        }
    (void)err_set(&pull->e, ERR_CANCELLED, "pull \"%.*s\": cancelled", (int)strcspn(n->key, "\n"),
                  n->key);
    pull_fail_later(pull);
    if (n->pulls) return;
    n->closed = true;
    pull_flight_cancel(n->flight);
}

/* ---- the puller ---- */

struct image_puller *image_puller_new(struct loop *l, struct image_store *s,
                                      const struct image_puller_options *o, struct err *e) {
    (void)e; /* nothing of it can fail today */
    struct image_puller *p = xnew(struct image_puller);
    p->shared = (struct pull_shared){
        .loop = l,
        .store = s,
        .registries_dir = o->registries_dir ? xstrdup(o->registries_dir) : NULL,
        .docker_config = o->docker_config ? xstrdup(o->docker_config) : NULL,
        .layers_at_once = o->layers_at_once ? o->layers_at_once : LAYERS_AT_ONCE,
    };
    const struct registry_patience patience = {o->stall_ms ? o->stall_ms : STALL_MS,
                                               o->backoff_ms ? o->backoff_ms : BACKOFF_MS};
    p->shared.registry = registry_new(l, &patience);
    return p;
}

void image_puller_free(struct image_puller *p) {
    if (!p) return;
    p->closing = true;
    for (struct flight_entry *n = p->entries, *next; n; n = next) {
        next = n->next; /* n may be gone after its cancellation */
        n->closed = true;
        pull_flight_cancel(n->flight);
    }
    registry_free(STEAL(p->shared.registry));
    puller_settle(p);
}
