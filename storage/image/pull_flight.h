/* SPDX-License-Identifier: Apache-2.0 — pull_flight.h: the work of one image pull, whoever waits
 * for it.
 *
 * Loop thread, except for the jobs inside. */
#pragma once

#include "storage/image/pull_layer.h"
#include "storage/image/reference.h"

struct pull_flight;

struct pull_shared { /* what all flights of a puller use; owned by the puller */
    struct loop *loop;
    struct image_store *store;
    struct registry *registry;
    char *registries_dir, *docker_config; /* or NULL */
    unsigned layers_at_once;              /* of one flight */
    unsigned layers_running;              /* of all */
    struct pull_flight *flights;          /* all, linked by the flights */
};

#define PULL_LAYERS_RUNNING_MAX 16 /* unpackers at once, all pulls together */

struct pull_flight_want {
    struct pull_shared *shared;
    struct reference ref;              /* copied, like the credential */
    struct auth_credential credential; /* id is empty: none given, the node's own are used */
    struct str server_address;
    void *user;
    void (*on_progress)(void *user, const struct image_pull_progress *p);
    /* Exactly once, last; image_id is valid for the call. */
    void (*on_done)(void *user, struct str image_id, const struct err *e);
};

struct pull_flight *pull_flight_start(const struct pull_flight_want *w);
/* on_done follows, perhaps before this returns. */
void pull_flight_cancel(struct pull_flight *f);
