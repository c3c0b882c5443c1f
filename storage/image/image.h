/* SPDX-License-Identifier: Apache-2.0 — image.h: images as pods see them: a config and a stack of
 * layers.
 *
 * The store keeps unpacked layers and small records; compressed blobs are not kept. An image's id
 * is the digest of its config ("sha256:<64 hex>"), the same string in Image.id, image_ref and a
 * container's image_id. Layers are shared by all images, keyed by diff_id; each lives in
 * `layers/<dir>/` where <dir> is a short name (base 36 number), so that the longest overlayfs
 * option string fits one page on any kernel: init mounts with relative names from layers_fd.
 * Everything here may be called from any thread; a call may block on the disk. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct image_store;

#define IMAGE_PULLED_LAYERS_MAX 128                           /* the registries' own limit is 127 */
#define IMAGE_LAYERS_MAX        (IMAGE_PULLED_LAYERS_MAX + 1) /* one more of ours: see implied.h */

struct image_config {
    struct str user; /* as written in the image: "", "1000", "www-data:users" */
    struct str working_dir;
    struct str stop_signal; /* "SIGQUIT", "15", "" */
    const struct str *env, *entrypoint, *cmd, *volumes;
    size_t env_count, entrypoint_count, cmd_count, volume_count;
};

struct image {
    struct str id;             /* "sha256:..." of the config */
    uint64_t size_bytes;       /* of the unpacked layers and the config */
    const struct str *tags;    /* "docker.io/library/nginx:latest" */
    const struct str *digests; /* "docker.io/library/nginx@sha256:..." */
    size_t tag_count, digest_count;
    const struct str *layers; /* directory names, lowest layer first */
    size_t layer_count;
    bool pinned;
    struct image_config config;
    struct str config_json; /* the config as it was pulled */
};

struct image_usage {
    uint64_t bytes, inodes;
};

/* root: the daemon's lasting folder; the store owns root/images.db and root/layers/. Half-made
 * layers of a crashed process are removed. unpack_path: the gridlet-unpack program. */
struct image_store *image_store_open(const char *root, const char *unpack_path,
                                     struct err *e) MUST_CHECK;
void image_store_close(struct image_store *s);

/* ref: a tag, digest, short or full form, an image id or an id's prefix of >= 12 hex digits. *out
 * lives in a. NOT_FOUND when absent; INVALID when ref is malformed or a prefix is ambiguous. */
int image_find(struct image_store *s, struct arena *a, struct str ref, struct image *out,
               struct err *e) MUST_CHECK;
/* All images, each once, sorted by id. */
int image_list(struct image_store *s, struct arena *a, const struct image **out, size_t *out_count,
               struct err *e) MUST_CHECK;
/* Removes the image with all its references, in every repository; visible at once and durable at
 * return. Layers that no image and no hold needs are deleted (in the background). Absent: 0. */
int image_remove(struct image_store *s, struct str ref, struct err *e) MUST_CHECK;

/* Keeps the layers of a container's root file system whatever becomes of the image. Counted per
 * layer, not durable: who needs them says so again after a restart, before image_store_collect().
 * When the last hold on a layer goes and its image is gone too, it is deleted in the background; a
 * layer that never came to be in an image (of a pull that failed) waits for the next collection. */
void image_hold(struct image_store *s, const struct str *layers, size_t count);
void image_release(struct image_store *s, const struct str *layers, size_t count);
/* Deletes layers that nothing needs; called once after a restart, when all holds are back. Before
 * it no layer is deleted. */
void image_store_collect(struct image_store *s);

/* Bytes and inodes of all layers. */
void image_store_usage(struct image_store *s, struct image_usage *out);
/* The folder that layer names are relative to; borrowed, open for the store's life. */
int image_layers_fd(const struct image_store *s);
const char *image_layers_path(const struct image_store *s);

/* Reads a regular file of an image (of its layers alone) as overlayfs would show it: whiteouts,
 * opaque folders and symbolic links obeyed, nothing outside the layers reachable. For /etc/passwd
 * of an image that is not mounted. The layers must be held. *out lives in a. NOT_FOUND; LIMIT: over
 * 1 MiB; INVALID: no regular file. */
int image_read_file(struct image_store *s, const struct image *im, struct str path, struct arena *a,
                    struct str *out, struct err *e) MUST_CHECK;
