/* SPDX-License-Identifier: Apache-2.0 — admission.h: the question "may this run, and on whose
 * account?"
 *
 * cri/ asks before anything is made; agent/ answers from contracts. Everything runs under a
 * contract: there is no second, unasked path. Any thread; an answer must not block. */
#pragma once

#include "base/err.h"

struct admission_request {
    struct str id;          /* of the pod or container; the grant is kept under it */
    struct str pod_id;      /* of a container: its pod; of a pod: its own id */
    struct str contract;    /* annotation "gridlet.io/contract", or empty: the node's own */
    uint64_t memory_bytes;  /* limit asked for; 0: none */
    uint64_t cpu_milli;     /* limit asked for; 0: none */
    bool is_storage;        /* neither pod nor container: a namespace of the node's 0-db server */
    uint64_t storage_bytes; /* of it: its size; 0: no limit */
};

struct admission {
    void *self;
    /* 0, or -1 with LIMIT (the contract's capacity) or NOT_FOUND (no such contract). Idempotent per
     * id: a second request replaces the first. */
    int (*admit)(void *self, const struct admission_request *r, struct err *e);
    /* Gives the grant back; unknown ids are ignored. */
    void (*release)(void *self, struct str id);
};
