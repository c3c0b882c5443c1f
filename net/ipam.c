/* SPDX-License-Identifier: Apache-2.0 — ipam.c: the persistent pool of pod addresses and host
 * ports.
 *
 * Entries are in a list; each holds its pod's record. An entry is busy while a caller works with it
 * (writing its file, wiring its link), outside of the lock, so that the file syncs of several pods
 * overlap. Its address counts as taken from before the file is written until after it is removed:
 * whatever is interrupted, two pods never hold the same address, and a file without a living pod is
 * found by the sweep.
 *
 * A file is written under a dotted name, synced, renamed, and the folder synced. Removal is
 * unlink and a sync of the folder. An IPv6 address is the IPv4 address's offset in the other range,
 * so one bitmap serves both. Offsets 0 (the network), 1 (the gateway) and the last one (broadcast)
 * are never given. A record whose addresses are outside of the ranges (they were changed) is kept
 * until it is returned, without a bit. */
#include "net/ipam.h"
#include "net/hostport.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#define CORRUPT_FOLDER "corrupt"

enum { OFFSET_NONE = 0, OFFSET_FIRST = 2, TEMP_NAME_BYTES = POD_ID_BYTES_MAX + 8 };

struct ipam_entry {
    struct pod_record record; /* first: the held pointer is turned back into the entry */
    uint32_t offset;          /* OFFSET_NONE: outside of the range */
    bool busy;
    struct ipam_entry *next; /* owned */
};

struct ipam {
    int folder; /* owned descriptor */
    struct cidr cidr4, cidr6;
    uint32_t offset_end; /* the first offset that is not given */
    unsigned corrupt;    /* written by ipam_open() only */
    char corrupt_first[ERR_MSG_BYTES_MAX];

    pthread_mutex_t lock; /* a leaf: guards what follows */
    pthread_cond_t settled;
    struct ipam_entry *entries; /* owned */
    size_t count;
    uint64_t *taken; /* owned bitmap of offsets */
    uint32_t cursor; /* where the next search starts */
};

/* ---- the bitmap; with the lock ---- */

static bool is_taken(const struct ipam *pool, uint32_t offset) {
    return pool->taken[offset / 64] >> (offset % 64) & 1;
}

static void set_taken(struct ipam *pool, uint32_t offset, bool taken) {
    if (offset == OFFSET_NONE) return;
    assert(is_taken(pool, offset) != taken);
    pool->taken[offset / 64] ^= UINT64_C(1) << (offset % 64);
}

static uint32_t take_offset(struct ipam *pool) {
    for (uint32_t tried = OFFSET_FIRST; tried < pool->offset_end; tried++) {
        uint32_t offset = pool->cursor;
        if (++pool->cursor >= pool->offset_end) pool->cursor = OFFSET_FIRST;
        if (is_taken(pool, offset)) continue;
        set_taken(pool, offset, true);
        return offset;
    }
    return OFFSET_NONE;
}

/* ---- the table; with the lock ---- */

static struct ipam_entry *entry_of(const struct ipam *pool, struct str pod_id) {
    for (struct ipam_entry *entry = pool->entries; entry; entry = entry->next)
        if (str_eq(str_of(entry->record.pod_id), pod_id)) return entry;
    return NULL;
}

static struct ipam_entry *wait_for_entry(struct ipam *pool, struct str pod_id) {
    struct ipam_entry *entry;
    while ((entry = entry_of(pool, pod_id)) && entry->busy)
        (void)pthread_cond_wait(&pool->settled, &pool->lock);
    return entry;
}

static void entry_free(struct ipam_entry *entry) {
    if (!entry) return;
    pod_record_done(&entry->record);
    free(entry);
}

static void add_entry(struct ipam *pool, struct ipam_entry *entry) {
    entry->next = pool->entries;
    pool->entries = entry;
    pool->count++;
}

/* Gives back the address and forgets the entry. */
static void drop_entry(struct ipam *pool, struct ipam_entry *entry) {
    struct ipam_entry **at = &pool->entries;
    while (*at != entry) at = &(*at)->next;
    *at = entry->next;
    pool->count--;
    set_taken(pool, entry->offset, false);
    entry_free(entry);
    (void)pthread_cond_broadcast(&pool->settled);
}

/* ---- files ---- */

static int read_record(int folder, const char *name, struct pod_record *out, struct err *e) {
    AUTO_CLOSE int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) return err_sys(e, errno, "open network record '%s'", name);
    if (!S_ISREG(st.st_mode) || st.st_size > RECORD_BYTES_MAX)
        return err_set(e, ERR_CORRUPT, "network record '%s': no file, or too long", name);
    AUTO_FREE char *text = xmalloc(RECORD_BYTES_MAX);
    ssize_t n = read(fd, text, RECORD_BYTES_MAX);
    if (n < 0) return err_sys(e, errno, "read network record '%s'", name);
    struct pod_record r;
    if (pod_record_parse(str_make(text, (size_t)n), &r, e) < 0) return err_in(e, "'%s'", name);
    if (strcmp(r.pod_id, name) != 0) {
        pod_record_done(&r);
        return err_set(e, ERR_CORRUPT, "network record '%s': is of another pod", name);
    }
    *out = r;
    return 0;
}

static int write_record(int folder, const struct pod_record *r, struct err *e) {
    AUTO(buf_done) struct buf text = BUF(RECORD_BYTES_MAX);
    char temp[TEMP_NAME_BYTES];
    (void)snprintf(temp, sizeof temp, ".%s", r->pod_id);
    if (pod_record_print(r, &text) < 0)
        return err_set(e, ERR_LIMIT, "network record of pod '%s': too many ports", r->pod_id);
    AUTO_CLOSE int fd =
        openat(folder, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(e, errno, "create network record of pod '%s'", r->pod_id);
    ssize_t n = write(fd, text.p, text.n);
    if (n >= 0 && (size_t)n < text.n) errno = ENOSPC;
    if (n != (ssize_t)text.n || fdatasync(fd) < 0 ||
        renameat(folder, temp, folder, r->pod_id) < 0 || fsync(folder) < 0) {
        int sys = errno;
        (void)unlinkat(folder, temp, 0);
        (void)unlinkat(folder, r->pod_id, 0);
        return err_sys(e, sys, "write network record of pod '%s'", r->pod_id);
    }
    return 0;
}

static int remove_record(int folder, const char *pod_id, struct err *e) {
    if (unlinkat(folder, pod_id, 0) < 0 && errno != ENOENT)
        return err_sys(e, errno, "remove network record of pod '%s'", pod_id);
    if (fsync(folder) < 0)
        return err_sys(e, errno, "sync the removal of the network record of pod '%s'", pod_id);
    return 0;
}

/* ---- opening ---- */

static void set_aside(struct ipam *pool, const char *name, const struct err *why) {
    if (pool->corrupt++ == 0)
        (void)snprintf(pool->corrupt_first, sizeof pool->corrupt_first, "%s", why->msg);
    char to[NAME_MAX + sizeof CORRUPT_FOLDER + 1];
    (void)snprintf(to, sizeof to, CORRUPT_FOLDER "/%s", name);
    (void)mkdirat(pool->folder, CORRUPT_FOLDER, 0700);
    (void)renameat(pool->folder, name, pool->folder, to);
}

static bool offset_usable(const struct ipam *pool, uint32_t offset) {
    return offset >= OFFSET_FIRST && offset < pool->offset_end;
}

static int adopt(struct ipam *pool, const char *name, struct err *e) {
    struct ipam_entry *entry = xnew(struct ipam_entry);
    if (read_record(pool->folder, name, &entry->record, e) < 0) {
        entry_free(entry);
        return -1;
    }
    uint32_t offset;
    if (cidr_offset(&pool->cidr4, &entry->record.ip4, &offset) && offset_usable(pool, offset)) {
        if (is_taken(pool, offset)) {
            entry_free(entry);
            return err_set(e, ERR_CORRUPT, "network record '%s': another pod has its address",
                           name);
        }
        entry->offset = offset;
        set_taken(pool, offset, true);
        /* Go on behind the highest: the likeliest to be the last that was given. */
        if (offset >= pool->cursor)
            pool->cursor = offset + 1 < pool->offset_end ? offset + 1 : OFFSET_FIRST;
    }
    add_entry(pool, entry);
    return 0;
}

static int read_all(struct ipam *pool, struct err *e) {
    int fd = openat(pool->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int sys = errno;
        if (fd >= 0) (void)close(fd);
        return err_sys(e, sys, "read the folder of network records");
    }
    for (struct dirent *d; (d = readdir(dir));) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) continue;
        if (strcmp(d->d_name, CORRUPT_FOLDER) == 0) continue;
        struct err why = {.kind = ERR_NONE};
        if (d->d_name[0] == '.')
            (void)unlinkat(pool->folder, d->d_name, 0);
        else if (pool->count >= IPAM_PODS_MAX || adopt(pool, d->d_name, &why) < 0)
            set_aside(pool, d->d_name, &why);
    }
    (void)closedir(dir);
    return 0;
}

int ipam_check_ranges(const struct cidr *cidr4, const struct cidr *cidr6, struct err *e) {
    unsigned bits = cidr_host_bits(cidr4);
    if (cidr4->base.family != IP_V4 || bits < 2 || bits > IPAM_HOST_BITS_MAX)
        return err_set(e, ERR_INVALID, "pod range: needs an IPv4 prefix from /%d to /30",
                       32 - IPAM_HOST_BITS_MAX);
    if (cidr6->base.family == IP_NONE) return 0;
    if (cidr6->base.family != IP_V6 || cidr_host_bits(cidr6) < bits)
        return err_set(e, ERR_INVALID, "pod range: the IPv6 range is smaller than the IPv4 range");
    return 0;
}

struct ipam *ipam_open(const struct ipam_options *o, struct err *e) {
    if (ipam_check_ranges(&o->cidr4, &o->cidr6, e) < 0) return NULL;
    if (mkdir(o->folder, 0700) < 0 && errno != EEXIST) {
        (void)err_sys(e, errno, "create folder '%s'", o->folder);
        return NULL;
    }
    int folder = open(o->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        (void)err_sys(e, errno, "open folder '%s'", o->folder);
        return NULL;
    }
    struct ipam *pool = xnew(struct ipam);
    uint32_t size = UINT32_C(1) << cidr_host_bits(&o->cidr4);
    pool->folder = folder;
    pool->cidr4 = o->cidr4;
    pool->cidr6 = o->cidr6;
    pool->offset_end = size - 1;
    pool->taken = xmalloc((size / 64 + 1) * sizeof *pool->taken);
    pool->cursor = OFFSET_FIRST;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->settled, NULL);
    if (read_all(pool, e) < 0) {
        ipam_close(pool);
        return NULL;
    }
    return pool;
}

void ipam_close(struct ipam *pool) {
    if (!pool) return;
    for (struct ipam_entry *entry = pool->entries, *next; entry; entry = next) {
        next = entry->next;
        entry_free(entry);
    }
    (void)pthread_mutex_destroy(&pool->lock);
    (void)pthread_cond_destroy(&pool->settled);
    (void)close(pool->folder);
    free(pool->taken);
    free(pool);
}

unsigned ipam_corrupt(const struct ipam *pool, const char **out_first) {
    *out_first = pool->corrupt_first;
    return pool->corrupt;
}

/* ---- claiming and returning ---- */

static int check_ports(const struct ipam *pool, const struct pod_ports *ports, struct err *e) {
    for (const struct ipam_entry *entry = pool->entries; entry; entry = entry->next)
        for (size_t i = 0; i < entry->record.port_count; i++)
            if (hostport_check(&entry->record.ports[i], ports, entry->record.pod_id, e) < 0)
                return -1;
    return 0;
}

/* A new busy entry; with the lock. */
static int new_entry(struct ipam *pool, struct str pod_id, const struct pod_ports *ports,
                     struct ipam_entry **out, struct err *e) {
    if (check_ports(pool, ports, e) < 0) return -1;
    uint32_t offset = pool->count < IPAM_PODS_MAX ? take_offset(pool) : OFFSET_NONE;
    if (offset == OFFSET_NONE)
        return err_set(e, ERR_LIMIT,
                       "no address is left in the pod range: all %zu are with pods; "
                       "remove pods or give the node a larger range",
                       pool->count);
    struct ipam_entry *entry = xnew(struct ipam_entry);
    memcpy(entry->record.pod_id, pod_id.p, pod_id.n);
    entry->offset = offset;
    entry->record.ip4 = cidr_at(&pool->cidr4, offset);
    if (pool->cidr6.base.family == IP_V6) entry->record.ip6 = cidr_at(&pool->cidr6, offset);
    if (ports->count > 0) {
        size_t bytes = ports->count * sizeof *ports->items;
        entry->record.ports = memcpy(xmalloc(bytes), ports->items, bytes);
        entry->record.port_count = ports->count;
    }
    entry->busy = true;
    add_entry(pool, entry);
    *out = entry;
    return 0;
}

/* Holds the entry that a pod has already; with the lock. */
static int hold_again(const struct ipam *pool, struct ipam_entry *entry,
                      const struct pod_ports *ports, struct err *e) {
    if (entry->offset == OFFSET_NONE || entry->record.ip6.family != pool->cidr6.base.family)
        return err_set(e, ERR_EXISTS, "pod '%s' holds addresses of another range",
                       entry->record.pod_id);
    const struct pod_ports held = {entry->record.ports, entry->record.port_count};
    if (!hostport_same(&held, ports))
        return err_set(e, ERR_EXISTS, "pod '%s' holds other host ports", entry->record.pod_id);
    entry->busy = true;
    return 0;
}

int ipam_claim(struct ipam *pool, struct str pod_id, const struct pod_ports *ports,
               const struct pod_record **out, struct err *e) {
    if (!pod_id_valid(pod_id) || str_eq(pod_id, STR(CORRUPT_FOLDER)))
        return err_set(e, ERR_INVALID, "pod id '%.*s': not usable as a name", STR_ARG(pod_id));
    (void)pthread_mutex_lock(&pool->lock);
    struct ipam_entry *entry = wait_for_entry(pool, pod_id);
    bool known = entry != NULL;
    int r = known ? hold_again(pool, entry, ports, e) : new_entry(pool, pod_id, ports, &entry, e);
    (void)pthread_mutex_unlock(&pool->lock);
    if (r < 0) return -1;
    if (!known && write_record(pool->folder, &entry->record, e) < 0) {
        (void)pthread_mutex_lock(&pool->lock);
        drop_entry(pool, entry);
        (void)pthread_mutex_unlock(&pool->lock);
        return -1;
    }
    *out = &entry->record;
    return 0;
}

const struct pod_record *ipam_hold(struct ipam *pool, struct str pod_id) {
    (void)pthread_mutex_lock(&pool->lock);
    struct ipam_entry *entry = wait_for_entry(pool, pod_id);
    if (entry) entry->busy = true;
    (void)pthread_mutex_unlock(&pool->lock);
    return entry ? &entry->record : NULL;
}

static struct ipam_entry *entry_of_held(const struct pod_record *held) {
    struct ipam_entry *entry = CONTAINER_OF((void *)(uintptr_t)held, struct ipam_entry, record);
    assert(entry->busy);
    return entry;
}

int ipam_drop_ip6(struct ipam *pool, const struct pod_record *held, struct err *e) {
    struct ipam_entry *entry = entry_of_held(held);
    (void)pthread_mutex_lock(&pool->lock);
    entry->record.ip6 = (struct ip_addr){.family = IP_NONE};
    (void)pthread_mutex_unlock(&pool->lock);
    return write_record(pool->folder, &entry->record, e);
}

void ipam_settle(struct ipam *pool, const struct pod_record *held) {
    (void)pthread_mutex_lock(&pool->lock);
    entry_of_held(held)->busy = false;
    (void)pthread_cond_broadcast(&pool->settled);
    (void)pthread_mutex_unlock(&pool->lock);
}

int ipam_return(struct ipam *pool, const struct pod_record *held, struct err *e) {
    struct ipam_entry *entry = entry_of_held(held);
    if (remove_record(pool->folder, held->pod_id, e) < 0) return -1;
    (void)pthread_mutex_lock(&pool->lock);
    drop_entry(pool, entry);
    (void)pthread_mutex_unlock(&pool->lock);
    return 0;
}

/* ---- looking ---- */

bool ipam_find(struct ipam *pool, struct str pod_id, struct ip_addr *out_ip4,
               struct ip_addr *out_ip6) {
    (void)pthread_mutex_lock(&pool->lock);
    const struct ipam_entry *entry = entry_of(pool, pod_id);
    if (entry) {
        *out_ip4 = entry->record.ip4;
        *out_ip6 = entry->record.ip6;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return entry != NULL;
}

void ipam_each(struct ipam *pool, void (*visit)(const struct pod_record *r, void *user),
               void *user) {
    (void)pthread_mutex_lock(&pool->lock);
    for (const struct ipam_entry *entry = pool->entries; entry; entry = entry->next)
        visit(&entry->record, user);
    (void)pthread_mutex_unlock(&pool->lock);
}
