/* SPDX-License-Identifier: Apache-2.0 — pull_flight.c: from a reference to a committed image.
 *
 * States: preparing (a job reads hosts.toml and config.json) -> resolving (manifest, through an
 *   index to the one of our platform) -> config -> layers (several at once) -> committing (a job)
 *   -> done. `step` says which; `busy` counts what must end before the flight can: jobs, fetches,
 *   layers.
 * The first failure is kept, cancels everything that runs, and is reported when busy is 0.
 *
 * Layers: those that the store has are held and done. One whose diff_id another flight (or another
 * place of the same image) is bringing in waits for that; whenever a layer ends, all flights look
 * again, so a waiter finds it in the store or brings it in itself. Each done layer is held until
 * the image was committed or the flight failed, and released exactly once then. */
#include "storage/image/pull_flight.h"

#include "base/digest.h"
#include "base/file.h"
#include "storage/image/docker_config.h"

#include <assert.h>
#include <errno.h>

#define FLIGHT_BYTES_MAX (48U << 20)
#define INDEX_DEPTH_MAX  4
#define PROGRESS_MS      100U

enum flight_step { PREPARING, RESOLVING, CONFIG, LAYERS, COMMITTING };

struct flight_layer {
    struct pull_flight *flight;
    size_t index;
    struct pull_layer *running; /* NULL when not */
    char dir[16];
    bool held;    /* done: dir is held */
    bool checked; /* the store was asked since the last change */
};

struct pull_flight {
    struct pull_flight_want want;
    struct pull_flight *next; /* in shared->flights */
    struct arena arena;       /* everything that lives as long as the flight */
    enum flight_step step;
    unsigned busy;
    struct registry_source source;
    struct registry_fetch *fetch; /* of a document */
    struct buf body;
    struct str expected;     /* digest of the document that is fetched; empty: a tag's */
    uint64_t expected_bytes; /* 0: not known */
    unsigned index_depth;
    char digest[DIGEST_TEXT_CHARS + 1]; /* of what the reference resolved to */
    struct manifest manifest;
    const struct str *diff_ids;
    struct str config_json;
    struct flight_layer *layers;
    struct image_layer_progress *progress;
    struct job job;
    struct task task, progress_task;
    struct timer progress_timer;
    bool progress_posted;
    struct err e;
    struct err job_e;
};

static void flight_schedule(struct pull_flight *f);

/* ---- the end ---- */

static void layers_release(struct pull_flight *f) {
    for (size_t i = 0; f->layers && i < f->manifest.layer_count; i++) {
        if (!f->layers[i].held) continue;
        struct str dir = str_of(f->layers[i].dir);
        image_release(f->want.shared->store, &dir, 1);
        f->layers[i].held = false;
    }
}

static void flight_unlink(struct pull_flight *f) {
    for (struct pull_flight **at = &f->want.shared->flights; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
}

/* Ends the flight when nothing of it runs any more. */
static void flight_settle(struct pull_flight *f) {
    if (f->busy > 0 || f->progress_posted) return;
    if (f->e.kind == ERR_NONE && f->step != COMMITTING) return;
    layers_release(f);
    flight_unlink(f);
    f->want.on_done(f->want.user, f->e.kind == ERR_NONE ? f->manifest.config.digest : STR_NONE,
                    f->e.kind == ERR_NONE ? NULL : &f->e);
    timer_cancel(&f->progress_timer);
    buf_done(&f->body);
    arena_done(&f->arena);
    free(f);
}

/* Keeps the first failure and stops the rest; the caller settles. */
static void flight_fail(struct pull_flight *f, const struct err *e) {
    if (f->e.kind != ERR_NONE) return;
    f->e = *e;
    if (f->fetch) registry_cancel(f->fetch);
    for (size_t i = 0; f->layers && i < f->manifest.layer_count; i++)
        if (f->layers[i].running) pull_layer_cancel(f->layers[i].running);
}

/* ---- progress ---- */

static void progress_run(struct task *t) {
    struct pull_flight *f = CONTAINER_OF(t, struct pull_flight, progress_task);
    struct image_pull_progress p = {f->progress, f->progress ? f->manifest.layer_count : 0};
    if (f->e.kind == ERR_NONE) f->want.on_progress(f->want.user, &p); /* may cancel f */
    f->progress_posted = false;
    flight_settle(f);
}

static void progress_now(struct pull_flight *f) {
    timer_cancel(&f->progress_timer);
    if (f->progress_posted) return;
    f->progress_posted = true;
    loop_post(f->want.shared->loop, &f->progress_task);
}

static void progress_due(struct timer *t) {
    progress_now(CONTAINER_OF(t, struct pull_flight, progress_timer));
}

static void progress_phase(struct pull_flight *f, size_t i, enum image_layer_phase phase) {
    if (f->progress[i].phase == phase) return;
    f->progress[i].phase = phase;
    if (phase == IMAGE_LAYER_DONE || phase == IMAGE_LAYER_EXISTS)
        f->progress[i].done_bytes = f->progress[i].total_bytes;
    progress_now(f);
}

/* ---- committing ---- */

static void commit_done(struct task *t) {
    struct pull_flight *f = CONTAINER_OF(t, struct pull_flight, task);
    f->busy--;
    if (f->job_e.kind != ERR_NONE) flight_fail(f, &f->job_e);
    flight_settle(f);
}

static void commit_run(struct job *j) {
    struct pull_flight *f = CONTAINER_OF(j, struct pull_flight, job);
    struct str dirs[IMAGE_PULLED_LAYERS_MAX];
    for (size_t i = 0; i < f->manifest.layer_count; i++) dirs[i] = str_of(f->layers[i].dir);
    struct image_record r = {.id = f->manifest.config.digest,
                             .config_json = f->config_json,
                             .name = f->want.ref.name,
                             .tag = f->want.ref.tag,
                             .digest = str_of(f->digest),
                             .dirs = dirs,
                             .dir_count = f->manifest.layer_count};
    if (image_commit(f->want.shared->store, &r, &f->job_e) == 0)
        err_clear(&f->job_e);
    else if (f->job_e.kind == ERR_INVALID)
        f->job_e.kind = ERR_CORRUPT; /* the image's config, not the request */
    loop_post(f->want.shared->loop, &f->task);
}

static void flight_job(struct pull_flight *f, void (*run)(struct job *),
                       void (*done)(struct task *)) {
    f->busy++;
    f->job.run = run;
    f->task.run = done;
    err_clear(&f->job_e);
    loop_work(f->want.shared->loop, &f->job);
}

/* ---- layers ---- */

static void layer_progress(void *user, uint64_t bytes, bool unpacking) {
    struct flight_layer *l = user;
    struct pull_flight *f = l->flight;
    f->progress[l->index].done_bytes = bytes;
    if (unpacking) progress_phase(f, l->index, IMAGE_LAYER_UNPACKING);
    if (!f->progress_timer.impl && !f->progress_posted)
        timer_arm(f->want.shared->loop, &f->progress_timer, PROGRESS_MS);
}

/* A layer ended somewhere: whoever waits for one looks again. */
static void flights_look_again(struct pull_shared *s) {
    for (struct pull_flight *f = s->flights; f; f = f->next) flight_schedule(f);
}

static void layer_done(void *user, const char *dir, const struct err *e) {
    struct flight_layer *l = user;
    struct pull_flight *f = l->flight;
    struct pull_shared *shared = f->want.shared;
    l->running = NULL;
    shared->layers_running--;
    f->busy--;
    if (dir) {
        (void)memcpy(l->dir, dir, sizeof(l->dir));
        l->held = true;
        progress_phase(f, l->index, IMAGE_LAYER_DONE);
    } else {
        struct err why = *e;
        (void)err_in(&why, "layer %.*s", STR_ARG(f->manifest.layers[l->index].digest));
        flight_fail(f, &why);
    }
    if (f->e.kind == ERR_NONE) flight_schedule(f);
    flight_settle(f); /* may free f */
    flights_look_again(shared);
}

static bool diff_id_in_flight(const struct pull_shared *s, struct str diff_id) {
    for (const struct pull_flight *f = s->flights; f; f = f->next)
        for (size_t i = 0; f->layers && i < f->manifest.layer_count; i++)
            if (f->layers[i].running && str_eq(f->diff_ids[i], diff_id)) return true;
    return false;
}

static void layer_start(struct pull_flight *f, size_t i) {
    struct pull_shared *s = f->want.shared;
    const struct pull_layer_want w = {.loop = s->loop,
                                      .store = s->store,
                                      .registry = s->registry,
                                      .source = &f->source,
                                      .blob = &f->manifest.layers[i],
                                      .diff_id = f->diff_ids[i],
                                      .user = &f->layers[i],
                                      .on_progress = layer_progress,
                                      .on_done = layer_done};
    f->busy++;
    s->layers_running++;
    f->layers[i].running = pull_layer_start(&w);
    progress_phase(f, i, IMAGE_LAYER_DOWNLOADING);
}

/* Brings layer i as far as it can go now; true when it is done. */
static bool layer_advance(struct pull_flight *f, size_t i, unsigned *running) {
    struct flight_layer *l = &f->layers[i];
    struct pull_shared *s = f->want.shared;
    if (l->held || l->running) return l->held;
    if (diff_id_in_flight(s, f->diff_ids[i])) {
        l->checked = false;
        return false;
    }
    if (!l->checked && layer_exists(s->store, f->diff_ids[i], l->dir)) {
        l->held = true;
        progress_phase(f, i, IMAGE_LAYER_EXISTS);
        return true;
    }
    l->checked = true;
    if (*running >= s->layers_at_once || s->layers_running >= PULL_LAYERS_RUNNING_MAX) return false;
    layer_start(f, i);
    (*running)++;
    return false;
}

static void flight_schedule(struct pull_flight *f) {
    unsigned running = 0;
    size_t done = 0;
    if (f->step != LAYERS || f->e.kind != ERR_NONE) return;
    for (size_t i = 0; i < f->manifest.layer_count; i++) running += f->layers[i].running != NULL;
    for (size_t i = 0; i < f->manifest.layer_count && f->e.kind == ERR_NONE; i++)
        done += layer_advance(f, i, &running);
    if (done < f->manifest.layer_count || f->e.kind != ERR_NONE) return;
    f->step = COMMITTING;
    flight_job(f, commit_run, commit_done);
}

static int layers_begin(struct pull_flight *f, struct err *e) {
    size_t n = f->manifest.layer_count;
    f->layers = arena_array(&f->arena, n, sizeof(*f->layers));
    f->progress = arena_array(&f->arena, n, sizeof(*f->progress));
    if (!f->layers || !f->progress) {
        f->layers = NULL;
        f->progress = NULL;
        return err_set(e, ERR_LIMIT, "the image's documents hold too much");
    }
    for (size_t i = 0; i < n; i++) {
        f->layers[i] = (struct flight_layer){.flight = f, .index = i};
        f->progress[i] =
            (struct image_layer_progress){.digest = f->manifest.layers[i].digest,
                                          .total_bytes = f->manifest.layers[i].size_bytes};
    }
    f->step = LAYERS;
    return 0;
}

/* ---- documents: manifests and the config ---- */

static void document_get(struct pull_flight *f, enum registry_kind kind, struct str what,
                         uint64_t size_bytes);

static int manifest_take(struct pull_flight *f, struct str json, struct str type, struct err *e) {
    const struct manifest_platform platform = manifest_platform_host();
    if (manifest_parse(&f->arena, json, type, &platform, &f->manifest, e) < 0) return -1;
    if (!f->manifest.is_index) {
        f->step = CONFIG;
        document_get(f, REGISTRY_BLOB, f->manifest.config.digest, f->manifest.config.size_bytes);
        return 0;
    }
    if (++f->index_depth >= INDEX_DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "the image's indexes are nested deeper than %d",
                       INDEX_DEPTH_MAX - 1);
    document_get(f, REGISTRY_MANIFEST, f->manifest.chosen.digest, f->manifest.chosen.size_bytes);
    return 0;
}

static int config_take(struct pull_flight *f, struct str json, struct err *e) {
    const struct manifest_platform platform = manifest_platform_host();
    f->config_json = json;
    if (manifest_config_parse(&f->arena, json, &platform, f->manifest.layer_count, &f->diff_ids,
                              e) < 0 ||
        layers_begin(f, e) < 0)
        return -1;
    flight_schedule(f);
    return 0;
}

/* Checks the document's digest (and what the registry says of it), then takes it. */
static int document_take(struct pull_flight *f, const struct registry_reply *reply, struct err *e) {
    char text[DIGEST_TEXT_CHARS + 1];
    struct digest d = digest_of(buf_view(&f->body));
    (void)digest_text(&d, text);
    const char *noun = f->step == CONFIG ? "config" : "manifest";
    if (f->expected.n && !str_eq(f->expected, str_of(text)))
        return err_set(e, ERR_CORRUPT, "%s %.*s: the registry sent bytes with digest %s", noun,
                       STR_ARG(f->expected), text);
    if (f->expected_bytes && f->expected_bytes != f->body.n)
        return err_set(e, ERR_CORRUPT, "%s %s has %zu bytes instead of %llu", noun, text, f->body.n,
                       (unsigned long long)f->expected_bytes);
    if (f->step != CONFIG && reference_is_digest(reply->digest) &&
        !str_eq(reply->digest, str_of(text)))
        return err_set(e, ERR_CORRUPT, "manifest: the registry announced %.*s and sent %s",
                       STR_ARG(reply->digest), text);
    struct str json = arena_str(&f->arena, buf_view(&f->body));
    if (!json.p) return err_set(e, ERR_LIMIT, "the image's documents hold too much");
    if (f->step == CONFIG) return config_take(f, json, e);
    if (f->index_depth == 0) (void)memcpy(f->digest, text, sizeof(text));
    return manifest_take(f, json, reply->media_type, e);
}

static size_t document_body(void *user, struct str bytes) {
    struct pull_flight *f = user;
    int r = buf_str(&f->body, bytes);
    assert(r == 0); /* the fetch has the same limit */
    (void)r;
    return bytes.n;
}

static void document_restart(void *user) {
    struct pull_flight *f = user;
    buf_clear(&f->body);
}

static void document_done(void *user, const struct registry_reply *reply, const struct err *e) {
    struct pull_flight *f = user;
    struct err why = {0};
    f->fetch = NULL;
    f->busy--;
    if (e) {
        why = *e;
        flight_fail(f, &why);
    } else if (f->e.kind == ERR_NONE && document_take(f, reply, &why) < 0) {
        flight_fail(f, &why);
    }
    flight_settle(f);
}

static void document_get(struct pull_flight *f, enum registry_kind kind, struct str what,
                         uint64_t size_bytes) {
    buf_clear(&f->body);
    f->expected = reference_is_digest(what) ? what : STR_NONE;
    f->expected_bytes = size_bytes;
    const struct registry_want w = {.source = &f->source,
                                    .kind = kind,
                                    .what = what,
                                    .size_bytes = size_bytes,
                                    .bytes_max = MANIFEST_BYTES_MAX,
                                    .user = f,
                                    .on_body = document_body,
                                    .on_restart = document_restart,
                                    .on_done = document_done};
    f->busy++;
    f->fetch = registry_get(f->want.shared->registry, &w);
}

/* ---- preparing ---- */

/* Which credential is meant for host h. A given one goes to the registry itself, or to the server
 * that it names; mirrors get what config.json has for them. */
static int credential_choose(struct pull_flight *f, const struct registry_host *h,
                             struct str config, struct auth_credential *out, struct err *e) {
    struct str address = f->want.server_address;
    const struct image_auth none = {0};
    if (f->want.credential.id[0]) {
        bool named = address.n > 0 && auth_address_is(address, h->authority);
        bool own = h->is_upstream && (address.n == 0 || auth_address_is(address, f->want.ref.host));
        *out = f->want.credential;
        return named || own ? 0 : auth_credential_make(&f->arena, &none, out, e);
    }
    if (config.n == 0) return auth_credential_make(&f->arena, &none, out, e);
    return docker_config_find(&f->arena, config, h->is_upstream ? f->want.ref.host : h->authority,
                              out, e);
}

static int flight_prepare(struct pull_flight *f, struct err *e) {
    const struct pull_shared *s = f->want.shared;
    struct str config = STR_NONE;
    struct registry_source source = {.repository = f->want.ref.path};
    if (hosts_load(&f->arena, s->registries_dir, f->want.ref.host, &source.hosts,
                   &source.host_count, e) < 0)
        return -1;
    if (s->docker_config && !f->want.credential.id[0]) {
        int r = file_read_arena(&f->arena, AT_FDCWD, s->docker_config, DOCKER_CONFIG_BYTES_MAX,
                                &config);
        if (r < 0 && r != -ENOENT) return err_sys(e, -r, "read '%s'", s->docker_config);
    }
    struct auth_credential *all =
        arena_array(&f->arena, source.host_count, sizeof(struct auth_credential));
    if (!all) return err_set(e, ERR_LIMIT, "hosts.toml holds too much");
    for (size_t i = 0; i < source.host_count; i++)
        if (credential_choose(f, &source.hosts[i], config, &all[i], e) < 0)
            return s->docker_config ? err_in(e, "'%s'", s->docker_config) : -1;
    source.credentials = all;
    f->source = source;
    return 0;
}

static void prepare_run(struct job *j) {
    struct pull_flight *f = CONTAINER_OF(j, struct pull_flight, job);
    if (flight_prepare(f, &f->job_e) == 0) err_clear(&f->job_e);
    loop_post(f->want.shared->loop, &f->task);
}

static void prepare_done(struct task *t) {
    struct pull_flight *f = CONTAINER_OF(t, struct pull_flight, task);
    f->busy--;
    if (f->job_e.kind != ERR_NONE) flight_fail(f, &f->job_e);
    if (f->e.kind == ERR_NONE) {
        f->step = RESOLVING;
        struct str what = f->want.ref.digest.n ? f->want.ref.digest : f->want.ref.tag;
        document_get(f, REGISTRY_MANIFEST, what, 0);
    }
    flight_settle(f);
}

/* ---- the public functions ---- */

static struct str own(struct pull_flight *f, struct str s) {
    struct str copy = arena_str(&f->arena, s);
    assert(copy.p); /* the caller's limits are far below the arena's */
    return copy;
}

struct pull_flight *pull_flight_start(const struct pull_flight_want *w) {
    struct pull_flight *f = xnew(struct pull_flight);
    struct err e = {0};
    *f = (struct pull_flight){.want = *w,
                              .progress_task = {.run = progress_run},
                              .progress_timer = {.fire = progress_due}};
    f->arena = ARENA(FLIGHT_BYTES_MAX);
    f->body = BUF(MANIFEST_BYTES_MAX);
    struct auth_credential *c = &f->want.credential;
    c->username = own(f, c->username);
    c->password = own(f, c->password);
    c->identity_token = own(f, c->identity_token);
    c->registry_token = own(f, c->registry_token);
    f->want.server_address = own(f, w->server_address);
    int r = reference_parse(&f->arena, w->ref.full, &f->want.ref, &e);
    assert(r == 0); /* it was parsed before */
    (void)r;
    f->next = w->shared->flights;
    w->shared->flights = f;
    flight_job(f, prepare_run, prepare_done);
    return f;
}

void pull_flight_cancel(struct pull_flight *f) {
    struct err e = {0};
    (void)err_set(&e, ERR_CANCELLED, "cancelled");
    flight_fail(f, &e);
    flight_settle(f);
}
