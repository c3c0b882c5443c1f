/* SPDX-License-Identifier: Apache-2.0 — admission.c: an array of grants behind a leaf lock. */
#include "agent/admission.h"

#include <pthread.h>
#include <sys/statvfs.h>

#define ID_BYTES_MAX 128

struct grant {
    uint64_t hash; /* of id: looked at first */
    char id[ID_BYTES_MAX + 1];
    bool is_pod;
    uint64_t memory_bytes;
    uint64_t cpu_milli;
    bool is_storage;
    uint64_t storage_bytes;
};

struct node_contract {
    pthread_mutex_t lock; /* leaf: nothing is called while it is held */
    struct grant *grants; /* owned; in no order */
    size_t count;
    size_t room;
    uint64_t memory_bytes;
    uint64_t cpu_milli;
    uint64_t storage_bytes; /* of the file system; 0: not known */
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
                        .cpu_milli = r->cpu_milli,
                        .is_storage = r->is_storage,
                        .storage_bytes = r->storage_bytes};
    memcpy(g->id, r->id.p, r->id.n);
}

/* What other namespaces have been promised. */
static uint64_t promised_storage(const struct node_contract *c, size_t except) {
    uint64_t sum = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (i == except || !c->grants[i].is_storage) continue;
        if (__builtin_add_overflow(sum, c->grants[i].storage_bytes, &sum)) return UINT64_MAX;
    }
    return sum;
}

/* Bytes that are left for it, under the lock. */
static uint64_t storage_left(const struct node_contract *c, size_t at) {
    uint64_t promised = promised_storage(c, at);
    if (c->storage_bytes == 0) return UINT64_MAX;
    return promised < c->storage_bytes ? c->storage_bytes - promised : 0;
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
    uint64_t left = r->is_storage ? storage_left(c, at) : UINT64_MAX;
    if (!full && r->storage_bytes <= left) store(c, at, r);
    (void)pthread_mutex_unlock(&c->lock);
    if (r->storage_bytes > left)
        return err_set(e, ERR_LIMIT,
                       "contract '%s' has %llu bytes of storage left, %llu are asked for: make it "
                       "smaller, or remove a namespace",
                       ADMISSION_CONTRACT, (unsigned long long)left,
                       (unsigned long long)r->storage_bytes);
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

void node_contract_set_storage(struct node_contract *c, uint64_t bytes) {
    c->storage_bytes = bytes;
}

void node_contract_measure_storage(struct node_contract *c, int dir) {
    struct statvfs v;
    if (fstatvfs(dir, &v) == 0) c->storage_bytes = (uint64_t)v.f_frsize * v.f_blocks;
}

struct admission node_contract_admission(struct node_contract *c) {
    return (struct admission){.self = c, .admit = admit, .release = release};
}

void node_contract_usage(struct node_contract *c, struct admission_usage *out) {
    struct admission_usage u = {
        .contract = ADMISSION_CONTRACT, .memory_bytes = c->memory_bytes, .cpu_milli = c->cpu_milli};
    (void)pthread_mutex_lock(&c->lock);
    u.storage_bytes = c->storage_bytes;
    u.promised_storage_bytes = promised_storage(c, c->count);
    for (size_t i = 0; i < c->count; i++) {
        const struct grant *g = &c->grants[i];
        if (g->is_storage) {
            u.namespaces++;
            u.namespaces_unlimited += g->storage_bytes == 0;
            continue;
        }
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
