/* SPDX-License-Identifier: Apache-2.0 — launch_builder.c: appends strings and tables behind a
 * spec's header and seals the whole. */
#include "cri/launch_builder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADER_BYTES sizeof(struct launch_spec)
#define ALIGNMENT    8

_Static_assert(sizeof(struct launch_spec) % ALIGNMENT == 0, "tables follow the header aligned");

void launch_build_init(struct launch_builder *b, enum launch_mode mode) {
    *b = (struct launch_builder){
        .spec = {.magic = LAUNCH_MAGIC, .mode = mode, .umask = 022, .oom_score_adj = INT32_MIN},
        .body = BUF(LAUNCH_SPEC_BYTES_MAX - HEADER_BYTES)};
}

void launch_build_done(struct launch_builder *b) { buf_done(&b->body); }

/* Appends n bytes, and `pad` zero bytes; returns the offset in the block, 0 on failure. */
static uint32_t append(struct launch_builder *b, const void *bytes, size_t n, size_t pad) {
    static const char zeros[ALIGNMENT];
    size_t at = b->body.n;
    if (buf_append(&b->body, bytes, n) < 0 || buf_append(&b->body, zeros, pad) < 0) {
        b->failed = true;
        return 0;
    }
    return (uint32_t)(HEADER_BYTES + at);
}

struct launch_ref launch_build_str(struct launch_builder *b, struct str s) {
    if (s.n == 0) return (struct launch_ref){0};
    if (memchr(s.p, '\0', s.n)) b->failed = true;
    uint32_t at = append(b, s.p, s.n, 1);
    return at ? (struct launch_ref){at, (uint32_t)s.n} : (struct launch_ref){0};
}

struct launch_ref launch_build_table(struct launch_builder *b, const void *items, size_t item_bytes,
                                     size_t count) {
    size_t bytes = 0;
    if (count == 0) return (struct launch_ref){0};
    if (__builtin_mul_overflow(item_bytes, count, &bytes) || bytes > LAUNCH_SPEC_BYTES_MAX) {
        b->failed = true;
        return (struct launch_ref){0};
    }
    (void)append(b, "", 0, (ALIGNMENT - b->body.n % ALIGNMENT) % ALIGNMENT);
    uint32_t at = append(b, items, bytes, 0);
    return at ? (struct launch_ref){at, (uint32_t)count} : (struct launch_ref){0};
}

struct launch_ref launch_build_strs(struct launch_builder *b, const struct str *strs,
                                    size_t count) {
    if (count > LAUNCH_ARGS_MAX) {
        b->failed = true;
        return (struct launch_ref){0};
    }
    if (count == 0) return (struct launch_ref){0};
    AUTO_FREE struct launch_ref *refs = xmalloc(count * sizeof *refs);
    for (size_t i = 0; i < count; i++) refs[i] = launch_build_str(b, strs[i]);
    return launch_build_table(b, refs, sizeof *refs, count);
}

static int write_all(int fd, const char *p, size_t n) {
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return -errno;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int launch_build_seal(struct launch_builder *b, int *out_fd, struct err *e) {
    if (b->failed)
        return err_set(e, ERR_LIMIT,
                       "launch spec: over %u bytes, too many entries, or a NUL byte in a string",
                       LAUNCH_SPEC_BYTES_MAX);
    size_t bytes = HEADER_BYTES + b->body.n;
    b->spec.bytes = (uint32_t)bytes;
    AUTO_FREE char *block = xmalloc(bytes);
    memcpy(block, &b->spec, HEADER_BYTES);
    if (b->body.n) memcpy(block + HEADER_BYTES, b->body.p, b->body.n);
    const char *field = NULL;
    if (launch_spec_check(block, bytes, &field) < 0)
        return err_set(e, ERR_INVALID, "launch spec: bad field '%s'", field);
    AUTO_CLOSE int fd = memfd_create("launch", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return err_sys(e, errno, "launch spec: memfd_create");
    int r = write_all(fd, block, bytes);
    if (r < 0) return err_sys(e, -r, "launch spec: write");
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return err_sys(e, errno, "launch spec: seal");
    *out_fd = STEAL_FD(fd);
    return 0;
}
