/* SPDX-License-Identifier: Apache-2.0 — pull.h: bringing an image from a registry into the store.
 *
 * Lives on the loop thread. Layers download in parallel and unpack while they download; identical
 * concurrent pulls are one download. Nothing of a failed pull stays but layers that were complete,
 * and those only until the next collect. */
#pragma once

#include "base/loop.h"
#include "storage/image/image.h"

struct image_puller;
struct image_pull;

struct image_puller_options {
    const char *registries_dir; /* containerd's hosts.toml layout; need not exist */
    const char *docker_config;  /* path of a Docker config.json for default credentials, or NULL */
    unsigned layers_at_once;    /* 0: 4 */
    uint64_t stall_ms;          /* no byte for so long: retry; 0: 30,000 */
    uint64_t backoff_ms;        /* before the second round of tries, then doubled; 0: 250 */
};

struct image_auth { /* all may be empty; copied by image_pull_start() */
    struct str username, password;
    struct str auth; /* base64("user:password") */
    struct str server_address;
    struct str identity_token, registry_token;
};

enum image_layer_phase {
    IMAGE_LAYER_WAITING,
    IMAGE_LAYER_DOWNLOADING,
    IMAGE_LAYER_UNPACKING,
    IMAGE_LAYER_DONE,
    IMAGE_LAYER_EXISTS
};
struct image_layer_progress {
    struct str digest;
    uint64_t done_bytes, total_bytes; /* compressed */
    enum image_layer_phase phase;
};
struct image_pull_progress {
    const struct image_layer_progress *layers;
    size_t layer_count; /* 0 while the manifest is being resolved */
};

struct image_pull_request {
    struct str ref; /* copied */
    struct image_auth auth;
    void *user;
    /* Loop thread; at most every 100 ms and at each change of a phase. May be NULL. */
    void (*on_progress)(void *user, const struct image_pull_progress *p);
    /* Loop thread, exactly once: image_id on success (borrowed for the call), else e. */
    void (*on_done)(void *user, struct str image_id, const struct err *e);
};

struct image_puller *image_puller_new(struct loop *l, struct image_store *s,
                                      const struct image_puller_options *o,
                                      struct err *e) MUST_CHECK;
/* Loop thread, or after loop_run() returned; loop_free() and image_store_close() come later, in
 * this order. Pulls that still run end with CANCELLED, some from inside this call, some by tasks.
 */
void image_puller_free(struct image_puller *p);

/* Loop thread. Never calls back from inside. */
struct image_pull *image_pull_start(struct image_puller *p, const struct image_pull_request *r);
/* Loop thread; on_done follows with CANCELLED (other pulls that share the download go on). */
void image_pull_cancel(struct image_pull *pull);
