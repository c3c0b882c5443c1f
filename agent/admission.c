/* SPDX-License-Identifier: Apache-2.0 — admission.c: an array of grants behind a leaf lock. */
#include "agent/admission.h"

#include <pthread.h>

#define ID_BYTES_MAX 128

struct grant {
    uint64_t hash; /* of id: looked at first */
    char id[ID_BYTES_MAX + 1];
    bool is_pod;
    uint64_t memory_bytes;
    uint64_t cpu_milli;
};

struct node_contract {
    pthread_mutex_t lock; /* leaf: nothing is called while it is held */
    struct grant *grants; /* owned; in no order */
    size_t count;
    size_t room;
    uint64_t memory_bytes;
    uint64_t cpu_milli;
};

static size_t find(const struct node_contract *c, struct str id) {
    uint64_t hash = str_hash(id);
    size_t i = 0;
    while (i < c->count && !(c->grants[i].hash == hash && str_eq(str_of(c->grants[i].id), id))) i++;
    return i;
}

static void store(struct node_contract *c, size_t at, const struct admission_request *r) {
    if (at == c->room) {
        c->room = c->room ? c->room * 2 : 64;
        c->grants = xrealloc(c->grants, c->room * sizeof *c->grants);
    }
    if (at == c->count) c->count++;
    struct grant *g = &c->grants[at];
    *g = (struct grant){.hash = str_hash(r->id),
                        .is_pod = str_eq(r->id, r->pod_id),
                        .memory_bytes = r->memory_bytes,
                        .cpu_milli = r->cpu_milli};
    memcpy(g->id, r->id.p, r->id.n);
}

static int admit(void *self, const struct admission_request *r, struct err *e) {
    struct node_contract *c = self;
    if (r->id.n == 0 || r->id.n > ID_BYTES_MAX)
        return err_set(e, ERR_INVALID, "admission: an id has 1 to %d bytes", ID_BYTES_MAX);
    if (r->contract.n && !str_eq(r->contract, STR(ADMISSION_CONTRACT)))
        return err_set(e, ERR_NOT_FOUND, "contract '%.*s': this node has only '%s'",
                       (int)(r->contract.n < 80 ? r->contract.n : 80), r->contract.p,
                       ADMISSION_CONTRACT);
    (void)pthread_mutex_lock(&c->lock);
    size_t at = find(c, r->id);
    bool full = at == ADMISSION_GRANTS_MAX;
    if (!full) store(c, at, r);
    (void)pthread_mutex_unlock(&c->lock);
    if (full)
        return err_set(e, ERR_LIMIT, "contract '%s' holds %d grants already: remove a pod",
                       ADMISSION_CONTRACT, ADMISSION_GRANTS_MAX);
    return 0;
}

static void release(void *self, struct str id) {
    struct node_contract *c = self;
    (void)pthread_mutex_lock(&c->lock);
    size_t at = find(c, id);
    if (at < c->count) c->grants[at] = c->grants[--c->count];
    (void)pthread_mutex_unlock(&c->lock);
}

struct node_contract *node_contract_new(void) {
    struct node_contract *c = xnew(struct node_contract);
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    (void)pthread_mutex_init(&c->lock, NULL);
    c->memory_bytes = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
    c->cpu_milli = cpus > 0 ? (uint64_t)cpus * 1000 : 1000;
    return c;
}

void node_contract_free(struct node_contract *c) {
    if (!c) return;
    (void)pthread_mutex_destroy(&c->lock);
    free(c->grants);
    free(c);
}

struct admission node_contract_admission(struct node_contract *c) {
    return (struct admission){.self = c, .admit = admit, .release = release};
}

void node_contract_usage(struct node_contract *c, struct admission_usage *out) {
    struct admission_usage u = {
        .contract = ADMISSION_CONTRACT, .memory_bytes = c->memory_bytes, .cpu_milli = c->cpu_milli};
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->count; i++) {
        const struct grant *g = &c->grants[i];
        if (g->is_pod) {
            u.pods++;
            continue; /* its containers say what they may use */
        }
        u.containers++;
        u.unlimited += g->memory_bytes == 0;
        if (__builtin_add_overflow(u.promised_memory_bytes, g->memory_bytes,
                                   &u.promised_memory_bytes))
            u.promised_memory_bytes = UINT64_MAX;
        if (__builtin_add_overflow(u.promised_cpu_milli, g->cpu_milli, &u.promised_cpu_milli))
            u.promised_cpu_milli = UINT64_MAX;
    }
    (void)pthread_mutex_unlock(&c->lock);
    *out = u;
}
