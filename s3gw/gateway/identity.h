/* SPDX-License-Identifier: Apache-2.0 — identity.h: who may ask: users and their access keys.
 *
 * There is the root user of the gateway, whose key comes from the environment or is made at the
 * first start and kept in ROOT/root.json. Immutable after opening; any thread. */
#pragma once

#include "base/str.h"
#include "s3gw/auth/auth.h"

#define IDENTITY_ACCOUNT  "000000000000"
#define IDENTITY_ID_CHARS 64

struct identity {
    char canonical_id[IDENTITY_ID_CHARS + 1]; /* the owner that buckets and objects carry */
    const char *display_name;                 /* static */
    const char *arn;                          /* "arn:aws:iam::ACCOUNT:root"; static */
    bool is_root;                             /* may do everything */
};

struct identities {
    struct identity root;
    char access_key[AUTH_ACCESS_KEY_MAX + 1];
    char secret[AUTH_SECRET_MAX + 1]; /* a secret: identities_done() wipes it */
    bool is_made;                     /* by this start */
};

/* What of a key the environment says; either both or none. NULL: none. */
struct identity_given {
    const char *access_key, *secret;
};
/* root_fd: the gateway's folder. Errors: INVALID (half a key, too long, root.json is not ours), IO.
 */
int identities_open(int root_fd, const struct identity_given *given, struct identities *out,
                    struct err *e) MUST_CHECK;
void identities_done(struct identities *i); /* idempotent */
/* The key store of s3_auth_request(); valid as long as `i`. */
struct s3_auth_keys identities_keys(struct identities *i);
