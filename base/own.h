/* SPDX-License-Identifier: Apache-2.0 — own.h: scope-bound ownership of memory and descriptors.
 *
 * Every pointer and descriptor has one owner. A local owner is declared with AUTO_* and released
 * when the scope ends; STEAL / STEAL_FD hand the value over and leave an empty owner behind.
 * Allocation of objects whose size does not come from a peer goes through xmalloc/xnew, which end
 * the process when memory is gone: every daemon is crash-only. */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define MUST_CHECK                      __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define UNUSED                          __attribute__((unused))
#define COUNT(array)                    (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void auto_free(void *p) { free(*(void **)p); }
static inline void auto_close(const int *fd) {
    if (*fd >= 0) (void)close(*fd);
}

/* AUTO(x_done) struct x v: calls x_done(&v) at the end of the scope. */
#define AUTO(done) __attribute__((cleanup(done)))
#define AUTO_FREE  AUTO(auto_free)
#define AUTO_CLOSE AUTO(auto_close)

/* Yields the value and leaves NULL (or -1) in its place. */
#define STEAL(p)                                                                                   \
    __extension__({                                                                                \
        __typeof__(p) stolen_ = (p);                                                               \
        (p) = NULL;                                                                                \
        stolen_;                                                                                   \
    })
static inline int steal_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}
#define STEAL_FD(fd) steal_fd(&(fd))

/* Zeroed memory or the end of the process; never NULL. Free with free(). */
void *xmalloc(size_t bytes) __attribute__((malloc, returns_nonnull, alloc_size(1)));
/* Grows or shrinks; new bytes are not zeroed. */
void *xrealloc(void *p, size_t bytes) __attribute__((returns_nonnull, alloc_size(2)));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* printf into fresh memory. */
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((malloc, returns_nonnull));
#define xnew(type) ((type *)xmalloc(sizeof(type)))
