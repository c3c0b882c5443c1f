/* SPDX-License-Identifier: Apache-2.0 — seccomp.c: compiled profiles, kept.
 *
 * Compiling takes milliseconds, starting a container should not: programs are kept by what they
 * were made from. RuntimeDefault differs by the few capabilities that open more of it; a Localhost
 * profile is known by its file's identity and time of change. The lock covers the table only; two
 * threads that miss at once both compile, and one result stays. */
#include "cri/seccomp.h"

#include "base/file.h"
#include "cri/seccomp_filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>

struct cache_key {
    enum seccomp_kind kind;
    uint64_t capabilities;
    uint64_t device, inode, size, changed_s, changed_ns;
};
struct cache_entry {
    struct cache_key key;
    char *program; /* owned; NULL: free */
    size_t bytes;
    uint32_t flags;
    uint64_t used; /* turn of the last use */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* leaf lock of the two below */
static struct cache_entry cache[SECCOMP_CACHE_MAX];
static uint64_t turn;

static bool key_eq(const struct cache_key *a, const struct cache_key *b) {
    return a->kind == b->kind && a->capabilities == b->capabilities && a->device == b->device &&
           a->inode == b->inode && a->size == b->size && a->changed_s == b->changed_s &&
           a->changed_ns == b->changed_ns;
}

/* 1: *out has the program; 0: not kept; or -ENOSPC. */
static int cache_get(const struct cache_key *key, struct buf *out, uint32_t *out_flags) {
    int r = 0;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < SECCOMP_CACHE_MAX; i++) {
        struct cache_entry *c = &cache[i];
        if (!c->program || !key_eq(&c->key, key)) continue;
        c->used = ++turn;
        *out_flags = c->flags;
        r = buf_append(out, c->program, c->bytes);
        r = r < 0 ? r : 1;
        break;
    }
    (void)pthread_mutex_unlock(&lock);
    return r;
}

static void cache_put(const struct cache_key *key, const struct buf *program, uint32_t flags) {
    char *copy = xmalloc(program->n + 1);
    memcpy(copy, program->p, program->n);
    (void)pthread_mutex_lock(&lock);
    struct cache_entry *oldest = &cache[0];
    for (size_t i = 1; i < SECCOMP_CACHE_MAX; i++)
        if (cache[i].used < oldest->used) oldest = &cache[i];
    free(oldest->program);
    *oldest = (struct cache_entry){
        .key = *key, .program = copy, .bytes = program->n, .flags = flags, .used = ++turn};
    (void)pthread_mutex_unlock(&lock);
}

void seccomp_cache_clear(void) {
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < SECCOMP_CACHE_MAX; i++) free(cache[i].program);
    memset(cache, 0, sizeof cache);
    (void)pthread_mutex_unlock(&lock);
}

static int compile_default(uint64_t capabilities, struct buf *out, uint32_t *out_flags,
                           struct err *e) {
    struct seccomp_filter *f = NULL;
    int r = seccomp_default_build(capabilities, &f);
    if (r == 0) r = seccomp_filter_export(f, out);
    seccomp_filter_free(f);
    if (r < 0) return err_sys(e, -r, "compile the default seccomp profile");
    *out_flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    return 0;
}

static int open_profile(const struct seccomp_request *r, struct cache_key *key, struct err *e) {
    struct stat st;
    AUTO_CLOSE int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return err_sys(e, errno, "seccomp profile '%s'", r->path);
    if (fstat(fd, &st) < 0) return err_sys(e, errno, "seccomp profile '%s'", r->path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "seccomp profile '%s' is not a file", r->path);
    key->device = st.st_dev;
    key->inode = st.st_ino;
    key->size = (uint64_t)st.st_size;
    key->changed_s = (uint64_t)st.st_ctim.tv_sec;
    key->changed_ns = (uint64_t)st.st_ctim.tv_nsec;
    return steal_fd(&fd);
}

static int compile(const struct seccomp_request *r, int fd, struct buf *out, uint32_t *out_flags,
                   struct err *e) {
    if (r->kind == SECCOMP_RUNTIME_DEFAULT)
        return compile_default(r->capabilities, out, out_flags, e);
    AUTO(buf_done) struct buf text = BUF(SECCOMP_PROFILE_BYTES_MAX);
    int code = file_read_fd(fd, SECCOMP_PROFILE_BYTES_MAX, &text);
    if (code == -EFBIG)
        return err_set(e, ERR_LIMIT, "seccomp profile '%s' is larger than %u bytes", r->path,
                       SECCOMP_PROFILE_BYTES_MAX);
    if (code < 0) return err_sys(e, -code, "read seccomp profile '%s'", r->path);
    if (seccomp_compile_json(buf_view(&text), out, out_flags, e) < 0)
        return err_in(e, "seccomp profile '%s'", r->path);
    return 0;
}

int seccomp_program(const struct seccomp_request *r, struct buf *out, uint32_t *out_flags,
                    struct err *e) {
    struct cache_key key = {.kind = r->kind};
    AUTO_CLOSE int fd = -1;
    if (r->kind == SECCOMP_UNCONFINED) {
        *out_flags = 0;
        return 0;
    }
    if (r->kind == SECCOMP_RUNTIME_DEFAULT)
        key.capabilities = r->capabilities & seccomp_default_capabilities();
    else if ((fd = open_profile(r, &key, e)) < 0)
        return -1;
    int kept = cache_get(&key, out, out_flags);
    if (kept < 0) return err_set(e, ERR_LIMIT, "the seccomp program is too large");
    if (kept) return 0;
    AUTO(buf_done) struct buf program = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    uint32_t flags = 0;
    if (compile(r, fd, &program, &flags, e) < 0) return -1;
    if (buf_append(out, program.p, program.n) < 0)
        return err_set(e, ERR_LIMIT, "the seccomp program is too large");
    cache_put(&key, &program, flags);
    *out_flags = flags;
    return 0;
}
