/* SPDX-License-Identifier: Apache-2.0 — listing.h: all pods and containers at one moment, and
 * finding one by what a person calls it.
 *
 * Loop thread. */
#pragma once

#include "agent/daemon.h"
#include "cri/proto/api.pb-c.h"

struct listing {
    struct daemon *daemon;
    struct admin_call *call;
    Runtime__V1__ListPodSandboxResponse *pods;       /* owned */
    Runtime__V1__ListContainersResponse *containers; /* owned */
    void (*then)(struct listing *l);
};

/* Asks for both lists, then calls then(listing), who owns it and must call listing_free(). When it
 * fails, the call is failed instead. */
void listing_get(struct daemon *d, struct admin_call *call, void (*then)(struct listing *l));
void listing_free(struct listing *l);

/* One thing that a name stands for; borrowed from the listing. */
struct target {
    const Runtime__V1__PodSandbox *pod;      /* always */
    const Runtime__V1__Container *container; /* NULL: the pod itself was named */
};
/* ref: a container's or pod's id, name, or an id's prefix of >= 3 hex digits, in this order. A name
 * that several share means the one that runs; else INVALID lists the ids. NOT_FOUND. */
int listing_find(const struct listing *l, struct str ref, struct target *out,
                 struct err *e) MUST_CHECK;
/* The container that is meant when only containers will do: of a pod, its only one. */
int listing_find_container(const struct listing *l, struct str ref, struct target *out,
                           struct err *e) MUST_CHECK;
const Runtime__V1__PodSandbox *listing_pod(const struct listing *l, const char *id);

/* "running", "exited", ...; static. */
const char *listing_state(Runtime__V1__ContainerState state);
