/* SPDX-License-Identifier: Apache-2.0 — recovery.c: picking up after a predecessor, killed or not,
 * or after a reboot.
 *
 *   1. records of pods: those that were ready under this kernel's boot are candidates; their shims
 * are asked what lives
 *   2. records of containers: exit.json says ended, the shim's list says running, else created -
 * or, without a shim, lost
 *   3. candidates without a shim, and pods of an earlier boot: everything given back, recorded as
 * not ready
 *   4. intents under run/ without a record: undone by the function that a failed RunPodSandbox uses
 *   5. whatever belongs to no pod that is left - addresses, cgroups, folders - goes
 * A record that is none is set aside (root/corrupt/) and what it may have held goes: a pod's by its
 * intent, which lies under run/ as long as the pod does, a container's by the names of groups, and
 * its record only after them, so that a daemon killed in between is followed by one that still
 * knows.
 * Every step is idempotent: a daemon killed in recovery is followed by one that does it again. All
 * shims are asked first and heard afterwards, so two hundred of them cost one round trip, not two
 * hundred. */
#include "cri/recovery.h"
#include "base/clock.h"
#include "base/log.h"

#include "base/file.h"
#include "cri/container.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#define SHIM_ANSWER_MS_MAX 5000 /* for all shims together */

/* A pod under recovery. */
struct survivor {
    struct pod *pod;
    int sock; /* of its shim, or -1 */
    bool was_ready;
    struct shim_message live[SHIM_CONTAINERS_MAX]; /* what the shim says runs */
    struct shim_message
        *ended[SHIM_CONTAINERS_MAX]; /* owned; how live[i] ended, which no file tells */
    size_t live_count;
};

struct recovery {
    struct cri *cri;
    struct survivor **survivors; /* owned */
    size_t count, capacity;
    char **corrupt; /* owned: ids of containers whose records are none */
    size_t corrupt_count;
};

static void recovery_done(struct recovery *r) {
    for (size_t i = 0; i < r->count; i++) {
        if (r->survivors[i]->sock >= 0) (void)close(r->survivors[i]->sock);
        for (size_t n = 0; n < r->survivors[i]->live_count; n++) free(r->survivors[i]->ended[n]);
        free(r->survivors[i]);
    }
    free(r->survivors);
    for (size_t i = 0; i < r->corrupt_count; i++) free(r->corrupt[i]);
    free(r->corrupt);
}

static void each_name(int dir_fd, const char *folder, struct recovery *r,
                      void (*visit)(struct recovery *r, const char *name)) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int more = file_dir_open(&d, dir_fd, folder);
    while (more >= 0 && (more = file_dir_next(&d, &entry)) > 0) visit(r, entry.name);
    if (more < 0 && more != -ENOENT)
        LOG_ERROR("a folder of records could not be read", F_C("folder", folder),
                  F_C("error", strerror(-more)));
}

static void discard(struct recovery *r, const char *folder, const char *id) {
    struct err e;
    if (node_discard(r->cri, folder, id, &e) < 0)
        LOG_WARN("a folder without a record stays", F_C("id", id), F_ERR(&e));
}

static void set_aside(struct recovery *r, const char *folder, const char *id, const char *why) {
    struct err e;
    bool kept = false;
    if (node_set_aside(r->cri, folder, id, &kept, &e) < 0)
        LOG_ERROR("a record that is none stays in the way", F_C("folder", folder), F_C("id", id),
                  F_ERR(&e));
    else
        LOG_ERROR("a record is none: it was set aside, what it may have held is given back",
                  F_C("folder", folder), F_C("id", id), F_C("error", why),
                  F_C("kept_in", kept ? CORRUPT_FOLDER : "(nothing: too many are kept)"));
}

/* ---- 1: pods and their shims ---- */

static void greet(struct survivor *s) {
    struct err e;
    AUTO_CLOSE int run = pod_open_folder(s->pod, s->pod->cri->run_fd, &e);
    if (run < 0 || shim_connect(run, &s->sock, &e) < 0) return;
    struct shim_message hello = shim_message_make(SHIM_HELLO, "");
    int fds[SHIM_FDS_MAX];
    shim_message_add_fd(&hello, fds, s->pod->cri->init_fd, SHIM_ROLE_INIT);
    if (shim_send(s->sock, &hello, fds) < 0) (void)close(STEAL_FD(s->sock));
}

static void visit_pod(struct recovery *r, const char *id) {
    struct err e;
    bool same_boot = false;
    struct survivor *s = xnew(struct survivor);
    s->sock = -1;
    s->pod = pod_load(r->cri, r->cri->root_fd, id, &s->was_ready, &same_boot, &e);
    if (!s->pod) {
        free(s);
        if (e.kind == ERR_NOT_FOUND)
            discard(r, PODS_FOLDER, id);
        else if (e.kind == ERR_CORRUPT)
            set_aside(r, PODS_FOLDER, id, e.msg);
        else
            LOG_ERROR("a pod is left out", F_C("pod", id), F_ERR(&e));
        return;
    }
    s->pod->state = POD_NOTREADY;
    if (s->was_ready && same_boot) greet(s);
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 16;
        r->survivors = xrealloc(r->survivors, r->capacity * sizeof *r->survivors);
    }
    r->survivors[r->count++] = s;
}

/* Of a container that was listed just before: it ended, and exit.json could not be written. */
static void hear_end(struct survivor *s, const struct shim_message *m) {
    size_t last = s->live_count - 1;
    if (s->live_count == 0 || strcmp(s->live[last].container, m->container) != 0) return;
    if (s->ended[last]) return;
    s->ended[last] = xnew(struct shim_message);
    *s->ended[last] = *m;
}

/* False when the shim does not answer: it counts as dead then. */
static bool hear(struct survivor *s, uint64_t until_ms) {
    for (;;) {
        struct shim_message m;
        int fds[SHIM_FDS_MAX];
        uint64_t now = clock_ms();
        struct pollfd wait = {.fd = s->sock, .events = POLLIN};
        if (poll(&wait, 1, now < until_ms ? (int)(until_ms - now) : 0) <= 0) return false;
        int got = shim_receive(s->sock, &m, fds);
        if (got == -EAGAIN) continue;
        if (got <= 0) return false;
        for (size_t i = 0; i < SHIM_FDS_MAX; i++)
            if (fds[i] >= 0) (void)close(fds[i]);
        if (m.op == SHIM_LISTED) return true;
        if (m.op == SHIM_CONTAINER && s->live_count < COUNT(s->live)) s->live[s->live_count++] = m;
        if (m.op == SHIM_EXITED || m.op == SHIM_START_FAILED) hear_end(s, &m);
        /* other events are of the time after HELLO, or told by records */
    }
}

static void hear_all(struct recovery *r) {
    uint64_t until = clock_ms() + SHIM_ANSWER_MS_MAX;
    for (size_t i = 0; i < r->count; i++) {
        struct survivor *s = r->survivors[i];
        if (s->sock < 0) continue;
        if (hear(s, until))
            s->pod->state = POD_READY;
        else
            (void)close(STEAL_FD(s->sock));
    }
}

/* ---- 2: containers ---- */

static const struct survivor *survivor_of(const struct recovery *r, const char *pod_id) {
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->survivors[i]->pod->id, pod_id) == 0) return r->survivors[i];
    return NULL;
}

/* Its place in the shim's list, or -1. */
static int listed(const struct survivor *s, const char *id) {
    for (size_t i = 0; i < s->live_count; i++)
        if (strcmp(s->live[i].container, id) == 0) return (int)i;
    return -1;
}

/* An end that no file tells is written down now. */
static void mark_ended(struct container *k, const struct container_exit *x) {
    struct err e;
    k->exit = *x;
    k->started_at_ns = x->started_at_ns;
    k->state = CONTAINER_EXITED;
    if (container_exit_save(k->dir_fd, &k->exit, &e) < 0)
        LOG_ERROR("the end of a container could not be recorded", F_C("container", k->record->id),
                  F_ERR(&e));
}

static void mark_lost(struct container *k, const char *message) {
    struct container_exit x = {.code = LOST_CODE, .finished_at_ns = clock_wall_ns()};
    (void)snprintf(x.reason, sizeof x.reason, "Lost");
    (void)snprintf(x.message, sizeof x.message, "%s", message);
    mark_ended(k, &x);
}

/* What a predecessor did not come to: groups of its execs, and the whole one of what has ended. */
static void remove_old_cgroups(struct container *k) {
    struct cgroup_node *n = container_cri(k)->cgroups;
    AUTO(arena_done) struct arena a = ARENA(CONTAINER_ARENA_MAX);
    const struct str *names = NULL;
    size_t count = 0;
    struct err e;
    int r = 0;
    if (k->state == CONTAINER_EXITED)
        r = cgroup_remove(n, k->cgroup.c, &e);
    else if (k->state == CONTAINER_RUNNING)
        r = cgroup_list(n, k->cgroup.c, &a, &names, &count, &e);
    for (size_t i = 0; r == 0 && i < count; i++) {
        char *path = arena_fmt(&a, "%s/%.*s", k->cgroup.c, STR_ARG(names[i]));
        if (path && str_starts(names[i], STR(EXEC_CGROUP_PREFIX))) r = cgroup_remove(n, path, &e);
    }
    if (r < 0) LOG_WARN("a cgroup stays", F_C("cgroup", k->cgroup.c), F_ERR(&e));
}

static void find_listed(struct container *k, const struct shim_message *live,
                        const struct shim_message *ended) {
    if (ended) {
        struct container_exit x = container_exit_told(ended, live->at_ns);
        mark_ended(k, &x);
        return;
    }
    k->state = live->at_ns ? CONTAINER_RUNNING : CONTAINER_STARTING; /* STARTED follows */
    k->pid = live->pid;
    k->started_at_ns = live->at_ns;
}

static void find_state(struct container *k, const struct survivor *s) {
    struct err e;
    int at = listed(s, k->record->id);
    if (container_exit_load(k->dir_fd, &k->exit, &e) == 0) {
        k->state = CONTAINER_EXITED;
        k->started_at_ns = k->exit.started_at_ns;
    } else if (at >= 0) {
        find_listed(k, &s->live[at], s->ended[at]);
    } else if (e.kind != ERR_NOT_FOUND) {
        mark_lost(k, e.msg);
    } else if (s->pod->state == POD_READY) {
        k->state = CONTAINER_CREATED;
    } else {
        mark_lost(k, "the machine restarted, or the process that watched this container died");
    }
}

static void grant_again(const struct cri *c, const struct admission_request *grant) {
    struct err e;
    const struct admission *a = &c->options.admission;
    if (a->admit(a->self, grant, &e) < 0)
        LOG_WARN("what runs is over its contract", F_STR("id", grant->id), F_ERR(&e));
}

static void remember_corrupt(struct recovery *r, const char *id) {
    r->corrupt = xrealloc(r->corrupt, (r->corrupt_count + 1) * sizeof *r->corrupt);
    r->corrupt[r->corrupt_count++] = xstrdup(id);
}

/* A container that cannot be: its record is none, or its pod is gone. */
static void drop_container(struct recovery *r, const char *id,
                           const Gridlet__Record__Container *record, const struct err *why) {
    struct err e;
    if (record && cgroup_remove(r->cri->cgroups, record->cgroup, &e) < 0)
        LOG_WARN("a cgroup stays", F_C("cgroup", record->cgroup), F_ERR(&e));
    if (record || why->kind == ERR_NOT_FOUND)
        discard(r, CONTAINERS_FOLDER, id);
    else if (why->kind == ERR_CORRUPT)
        remember_corrupt(r, id);
    else
        LOG_ERROR("a container is left out", F_C("container", id), F_ERR(why));
}

static void visit_container(struct recovery *r, const char *id) {
    struct cri *c = r->cri;
    struct err e;
    Gridlet__Record__Container *record = container_record_load(c, id, &e);
    const struct survivor *s = record ? survivor_of(r, record->pod_id) : NULL;
    AUTO_FREE char *path = xasprintf("%s/%s", CONTAINERS_FOLDER, id);
    int dir = s ? file_open_dir(c->root_fd, path) : -1;
    if (dir < 0) {
        drop_container(r, id, record, &e);
        if (record) gridlet__record__container__free_unpacked(record, NULL);
        return;
    }
    struct container *k = container_new(s->pod, record);
    k->dir_fd = dir;
    if (container_resolve(k, NULL, &e) < 0)
        LOG_WARN("a container can no longer be started as it was created", F_C("container", id),
                 F_ERR(&e));
    image_hold(c->options.images, k->image.layers, k->image.layer_count);
    k->held = true;
    find_state(k, s);
    if (s->pod->state == POD_READY) remove_old_cgroups(k);
    struct admission_request grant = {.id = str_of(k->record->id),
                                      .pod_id = str_of(s->pod->id),
                                      .contract = pod_contract(s->pod),
                                      .memory_bytes = k->spec.memory_bytes,
                                      .cpu_milli = k->spec.cpu_milli};
    grant_again(c, &grant);
}

/* The groups that a container would have in each pod: whose it was, nobody knows. Ids are unique,
 * so it is in one at most. */
static void end_corrupt_container(struct recovery *r, const char *id) {
    struct cri *c = r->cri;
    struct cgroup_path pod;
    struct cgroup_path leaf;
    struct err e;
    for (size_t i = 0; i < r->count; i++) {
        (void)snprintf(pod.c, sizeof pod.c, "%s", r->survivors[i]->pod->cgroup);
        if (cgroup_leaf_path(c->cgroups, &pod, str_of(id), &leaf, &e) < 0) continue;
        AUTO_CLOSE int group = cgroup_dir_fd(c->cgroups, leaf.c, &e);
        if (group >= 0 && cgroup_remove(c->cgroups, leaf.c, &e) < 0)
            LOG_WARN("a cgroup stays", F_C("cgroup", leaf.c), F_ERR(&e));
    }
    set_aside(r, CONTAINERS_FOLDER, id, "the container's record cannot be read");
}

/* ---- 3: settle the pods ---- */

static void give_back(struct pod *p) {
    struct err e;
    for (struct container *k = p->containers; k; k = k->next)
        if (cgroup_remove(p->cri->cgroups, k->cgroup.c, &e) < 0)
            LOG_WARN("a cgroup stays", F_C("cgroup", k->cgroup.c), F_ERR(&e));
    if (pod_undo(p, &e) < 0 || pod_save(p, POD_RECORD_NOTREADY, &e) < 0)
        LOG_ERROR("a dead pod could not be given back whole", F_C("pod", p->id), F_ERR(&e));
}

static void settle(struct recovery *r) {
    for (size_t i = 0; i < r->count; i++) {
        struct survivor *s = r->survivors[i];
        struct pod *p = s->pod;
        struct admission_request grant = {
            .id = str_of(p->id), .pod_id = str_of(p->id), .contract = pod_contract(p)};
        if (s->was_ready && p->state == POD_NOTREADY) give_back(p);
        if (p->state != POD_READY) continue;
        grant_again(r->cri, &grant);
        shim_attach(p, STEAL_FD(s->sock));
    }
}

/* ---- 4 and 5: what belongs to nobody ---- */

/* A shim whose pod nobody can tell anything about. */
static void end_shim(struct cri *c, const char *path) {
    struct err e;
    AUTO_CLOSE int run = file_open_dir(c->run_fd, path);
    AUTO_CLOSE int sock = -1;
    if (run < 0 || shim_connect(run, &sock, &e) < 0) return;
    struct shim_message m = shim_message_make(SHIM_SHUTDOWN, "");
    int r = shim_send(sock, &m, NULL);
    if (r < 0) LOG_WARN("a shim stays", F_C("folder", path), F_C("error", strerror(-r)));
}

static void visit_intent(struct recovery *r, const char *id) {
    struct cri *c = r->cri;
    struct err e;
    bool ready;
    bool same_boot;
    if (idmap_find(&c->pods, str_of(id))) return;
    struct pod *p = pod_load(c, c->run_fd, id, &ready, &same_boot, &e);
    if (p) {
        p->state = POD_MAKING;
        if (pod_undo(p, &e) < 0)
            LOG_ERROR("a half-made pod could not be undone", F_C("pod", id), F_ERR(&e));
        pod_free(p);
        return;
    }
    AUTO_FREE char *path = xasprintf("%s/%s", PODS_FOLDER, id);
    end_shim(c, path);
    int removed = file_remove_tree(c->run_fd, path);
    if (removed < 0) LOG_WARN("a folder of no pod stays", F_C("folder", path));
}

static void sweep_cgroups(struct cri *c) {
    AUTO(arena_done) struct arena a = ARENA(CONTAINER_ARENA_MAX);
    const struct str *names = NULL;
    size_t count = 0;
    struct err e;
    if (cgroup_list(c->cgroups, cgroup_root_path(c->cgroups), &a, &names, &count, &e) < 0) return;
    for (size_t i = 0; i < count; i++) {
        struct str prefix = STR("pod");
        if (!str_starts(names[i], prefix)) continue;
        if (idmap_find(&c->pods, str_sub(names[i], prefix.n, names[i].n))) continue;
        char *path = arena_fmt(&a, "%s/%.*s", cgroup_root_path(c->cgroups), STR_ARG(names[i]));
        if (path && cgroup_remove(c->cgroups, path, &e) < 0)
            LOG_WARN("a cgroup of no pod stays", F_C("cgroup", path), F_ERR(&e));
    }
}

static int sweep_network(struct cri *c, struct err *e) {
    AUTO_FREE struct str *ids = xmalloc((c->pods.count + 1) * sizeof *ids);
    size_t count = 0;
    for (size_t i = 0; i < c->pods.count; i++) {
        const struct pod *p = c->pods.entries[i].thing;
        if (p->state == POD_READY) ids[count++] = str_of(p->id);
    }
    return pod_network_sweep(c->options.network, ids, count, e);
}

int recover(struct cri *c, struct err *e) {
    AUTO(recovery_done) struct recovery r = {.cri = c};
    uint64_t began = clock_ms();
    each_name(c->root_fd, PODS_FOLDER, &r, visit_pod);
    hear_all(&r);
    each_name(c->root_fd, CONTAINERS_FOLDER, &r, visit_container);
    for (size_t i = 0; i < r.corrupt_count; i++) end_corrupt_container(&r, r.corrupt[i]);
    settle(&r);
    each_name(c->run_fd, PODS_FOLDER, &r, visit_intent);
    sweep_cgroups(c);
    if (sweep_network(c, e) < 0) return -1;
    image_store_collect(c->options.images);
    node_empty_trash(c);
    LOG_INFO("recovered", F_U64("pods", c->pods.count), F_U64("containers", c->containers.count),
             F_MS("took", clock_ms() - began));
    return 0;
}
