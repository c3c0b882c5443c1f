/* SPDX-License-Identifier: Apache-2.0 — layer_sample.h: layers and images for tests of the store.
 * Only tests include it. */
#pragma once

#include "base/digest.h"
#include "base/file.h"
#include "storage/image/layer.h"
#include "storage/unpack/scratch.h"
#include "storage/unpack/tar_sample.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

static inline const char *sample_unpacker(void) {
    static char path[512];
    const char *bin = getenv("GRIDLET_BIN"); /* set by ctest */
    (void)snprintf(path, sizeof path, "%s/gridlet-unpack", bin ? bin : "build/dev/bin");
    return path;
}

/* "sha256:..." of bytes, in the caller's buffer. */
static inline struct str sample_digest(struct str bytes, char out[DIGEST_TEXT_CHARS + 1]) {
    struct digest d = digest_of(bytes);
    return str_of(digest_text(&d, out));
}

/* Writes everything to an unpacker's pipe and closes it; ends early when the unpacker has gone. */
static inline void sample_feed(int fd, struct str bytes) {
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t at = 0; at < bytes.n;) {
        ssize_t n = write(fd, bytes.p + at, bytes.n - at);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (n > 0)
            at += (size_t)n;
        else if (errno != EAGAIN || poll(&p, 1, -1) < 0)
            break;
    }
    (void)close(fd);
}

static inline void sample_await(int pidfd) {
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int r = poll(&p, 1, 60000);
    assert(r == 1);
    (void)r;
}

struct sample_layer {
    enum layer_compression compression;
    struct str stream;
    struct str diff_id;
};

/* One whole layer through the writer; what layer_commit() returns. */
static inline int sample_commit(struct image_store *s, struct sample_layer l, char dir[16],
                                struct err *e) {
    int fd;
    int pidfd;
    struct layer_result result;
    struct layer_writer *w = layer_write(s, l.compression, &fd, &pidfd, e);
    if (!w) return -1;
    sample_feed(fd, l.stream);
    sample_await(pidfd);
    return layer_commit(w, l.diff_id, dir, &result, e);
}

/* A layer of the plain archive tar (which gets its end mark here), held. */
static inline int sample_plain(struct image_store *s, struct buf *tar, char dir[16],
                               struct err *e) {
    char diff_id[DIGEST_TEXT_CHARS + 1];
    sample_end(tar);
    struct sample_layer l = {LAYER_PLAIN, buf_view(tar), sample_digest(buf_view(tar), diff_id)};
    return sample_commit(s, l, dir, e);
}
