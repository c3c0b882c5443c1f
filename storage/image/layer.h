/* SPDX-License-Identifier: Apache-2.0 — layer.h: turning a layer's byte stream into a committed
 * layer folder.
 *
 * A writer owns one gridlet-unpack process: compressed bytes go in by a pipe, a tree under
 * layers/tmp-* comes out, and the process reports diff_id, sizes and the opaque folders. The bytes'
 * own digest is checked by the writer's caller (it sees them first). Any thread, one at a time. */
#pragma once

#include "storage/image/image.h"

struct layer_writer;

enum layer_compression { LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };

struct layer_result {
    char diff_id[72]; /* "sha256:..." of the uncompressed stream */
    uint64_t bytes, inodes;
};

/* True when a layer with this diff_id is in the store; it is then held (see image_hold) under
 * out_dir until released. */
bool layer_exists(struct image_store *s, struct str diff_id, char out_dir[16]);

/* Starts an unpacker. *out_fd: the non-blocking write end of its pipe, owned by the caller, who
 * closes it at the end of the stream. *out_pidfd: borrowed, readable when the unpacker is gone. */
struct layer_writer *layer_write(struct image_store *s, enum layer_compression c, int *out_fd,
                                 int *out_pidfd, struct err *e) MUST_CHECK;
/* After the pidfd became readable: verifies the report against diff_id, sets opaque marks, syncs,
 * commits under a short directory name (held until released) and frees w. On failure everything of
 * the layer is gone and w is freed. CORRUPT: the stream or its diff_id is not what was promised.
 * Blocks on the disk: call it from the pool. */
int layer_commit(struct layer_writer *w, struct str diff_id, char out_dir[16],
                 struct layer_result *out, struct err *e) MUST_CHECK;
/* Kills the unpacker, removes what it made, frees w. NULL-safe. */
void layer_abort(struct layer_writer *w);

/* The record that makes an image visible; all layers must exist (and be held by the caller).
 * Durable at return. */
struct image_record {
    struct str id;          /* config digest */
    struct str config_json; /* <= 1 MiB */
    struct str name;        /* "docker.io/library/nginx" */
    struct str tag;         /* or empty */
    struct str digest;      /* manifest digest that the name resolved to */
    const struct str *dirs; /* layers, lowest first */
    size_t dir_count;
};
int image_commit(struct image_store *s, const struct image_record *r, struct err *e) MUST_CHECK;
