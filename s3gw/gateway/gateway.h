/* SPDX-License-Identifier: Apache-2.0 — gateway.h: the S3 gateway as a library: listeners, the
 * metadata, the data, and the operations between them.
 *
 * Loop thread only. Requests are authenticated on the loop and served by workers; one call is one
 * `struct call` (call.h), one operation one entry of a table (route.h). */
#pragma once

#include "base/http_server.h"
#include "s3gw/gateway/identity.h"

struct gateway;
struct gateway_options {
    const char *root;            /* folder that must exist; all that lasts lies in it */
    struct loop *loop;           /* borrowed */
    unsigned workers;            /* of the loop */
    struct str domain;           /* of virtual-host style; empty: path style only. Copied */
    struct str region;           /* beside which us-east-1 is accepted; empty: that alone. Copied */
    struct identity_given given; /* root key; borrowed for the call */
    struct http_limits limits;
    bool no_background; /* for tests: garbage is reclaimed by hand */
};
/* Opens everything under root; listens nowhere yet. Errors: INVALID, BUSY, CORRUPT, IO, ... */
int gateway_open(const struct gateway_options *o, struct gateway **out, struct err *e) MUST_CHECK;
/* where: as http_server_listen(). out_port may be NULL. */
int gateway_listen(struct gateway *g, const char *where, uint16_t *out_port,
                   struct err *e) MUST_CHECK;
/* The same over TLS, with ROOT/tls/cert.pem and key.pem, which are made when they are missing: for
 * localhost, the domain and what is below it, this host's name. */
int gateway_listen_tls(struct gateway *g, const char *where, uint16_t *out_port,
                       struct err *e) MUST_CHECK;
/* Lets calls that run end, at most grace_ms; then done. */
void gateway_stop(struct gateway *g, uint64_t grace_ms, void (*done)(void *user), void *user);
/* After done, or loop_run() has returned. NULL-safe. */
void gateway_close(struct gateway *g);

const struct identities *gateway_identities(const struct gateway *g);
struct gateway_count {
    const char *operation; /* static */
    uint64_t calls, errors_4xx, errors_5xx;
};
/* The nth operation's, in the order of the tables; false behind the last. */
bool gateway_count(const struct gateway *g, size_t index, struct gateway_count *out);
