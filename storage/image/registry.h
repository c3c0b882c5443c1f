/* SPDX-License-Identifier: Apache-2.0 — registry.h: getting manifests and blobs from a registry and
 * its mirrors, whatever the network does.
 *
 * One fetch is as many HTTP requests as it takes: hosts in turn, tokens renewed, waits after 429
 * and 5xx, broken transfers resumed where they stopped. What is delivered is one unbroken run of
 * bytes; whether they are the right ones is for the caller to check by digest. Loop thread. Source:
 * OCI distribution-spec v1.1, "Pulling manifests", "Pulling blobs"; RFC 9110 sections 10.2.3, 14.
 */
#pragma once

#include "storage/image/auth.h"

#define REGISTRY_TRIES_MAX       5   /* rounds over all hosts without a single new byte */
#define REGISTRY_ATTEMPTS_MAX    100 /* requests of one fetch, token requests not counted */
#define REGISTRY_RETRY_AFTER_MAX 60000U

struct registry;
struct registry_fetch;

struct registry_patience {
    uint64_t stall_ms;   /* no byte for so long: retry */
    uint64_t backoff_ms; /* before the second round over all hosts, doubled for each further one */
};
struct registry *registry_new(struct loop *l, const struct registry_patience *p);
/* Fetches that still run end with CANCELLED before it returns. */
void registry_free(struct registry *r);

struct registry_source { /* borrowed by a fetch until its on_done */
    const struct registry_host *hosts;
    size_t host_count;
    const struct auth_credential *credentials; /* one for each host */
    struct str repository;
};

enum registry_kind { REGISTRY_MANIFEST, REGISTRY_BLOB };

struct registry_reply {
    struct str media_type; /* Content-Type without parameters */
    struct str digest;     /* Docker-Content-Digest, or empty */
};

struct registry_want {
    const struct registry_source *source;
    enum registry_kind kind;
    struct str what;     /* tag or digest; copied */
    uint64_t size_bytes; /* exact, of a blob; 0: not known */
    uint64_t bytes_max;  /* when size_bytes is not known */
    void *user;
    /* As in http_client.h: returns how many bytes were consumed; less than all pauses until
     * registry_resume(). */
    size_t (*on_body)(void *user, struct str bytes);
    /* All bytes delivered so far are void, others follow; NULL: transfers are resumed by Range. */
    void (*on_restart)(void *user);
    /* Exactly once, last. reply is NULL when e is set. NOT_FOUND, DENIED, CORRUPT (wrong length),
     * IO and TIMEOUT (the text begins with "registry unavailable"), CANCELLED. */
    void (*on_done)(void *user, const struct registry_reply *reply, const struct err *e);
};

struct registry_fetch *registry_get(struct registry *r, const struct registry_want *w);
void registry_resume(struct registry_fetch *f);
void registry_cancel(struct registry_fetch *f);
