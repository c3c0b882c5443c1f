/* SPDX-License-Identifier: Apache-2.0 — auth.h: credentials, and the tokens that registries give
 * for them.
 *
 * A cache of Authorization headers, keyed by server, repository and credential: what one pull was
 * given is never used for a pull with another credential. Loop thread. Source: distribution's token
 * and OAuth2 specifications; CRI AuthConfig. */
#pragma once

#include "base/buf.h"
#include "storage/image/auth_challenge.h"
#include "storage/image/hosts.h"
#include "storage/image/pull.h"

#define AUTH_CACHE_MAX       256
#define AUTH_TOKEN_BYTES_MAX (32U << 10)

struct auth_credential { /* all empty: anonymous */
    struct str username, password, identity_token, registry_token;
    char id[65]; /* hex digest of the four: what caches and sharing go by */
};

/* From a CRI AuthConfig; copies into out's arena a. INVALID: `auth` is not base64 of
 * "user:password". */
int auth_credential_make(struct arena *a, const struct image_auth *given,
                         struct auth_credential *out, struct err *e) MUST_CHECK;
/* True when a server_address ("https://index.docker.io/v1/", "r:5000") names this authority. */
bool auth_address_is(struct str address, struct str authority);

struct auth;
struct auth *auth_new(struct http_client *http);
void auth_free(struct auth *a);

struct auth_key {
    const struct registry_host *host;
    struct str repository;
    const struct auth_credential *credential;
};

/* The value of the Authorization header to send; empty when none is known. Valid until the next
 * call of auth. */
struct str auth_header(struct auth *a, const struct auth_key *key);

/* A header that nobody else has seen yet: some token servers give tokens for one request. Whoever
 * fetched it uses it first, and shares it when a server accepted it. */
struct auth_token {
    char *header; /* owned; NULL: none */
    uint64_t until_ms;
};
void auth_token_done(struct auth_token *t);
/* From now on auth_header() gives it for this key; *t is none afterwards, and may be before. */
void auth_share(struct auth *a, const struct auth_key *key, struct auth_token *t);

struct auth_renewal;
struct auth_request {
    struct auth_key key; /* what it points to lives until on_done */
    const struct auth_challenge *challenge;
    struct str refused; /* the header that the server did not accept, or empty */
    bool own;           /* what others fetched was tried and is no use */
    void *user;
    void (*on_done)(void *user, struct auth_token *token, const struct err *e); /* takes it over */
};

/* After a 401. 1: there is a new header now, on_done is not called. 0: on_done follows, and
 * *out_renewal can be cancelled until then. -1: DENIED (nothing better can be had), INVALID. */
int auth_renew(struct auth *a, const struct auth_request *r, struct auth_renewal **out_renewal,
               struct err *e) MUST_CHECK;
/* on_done follows with CANCELLED. */
void auth_renewal_cancel(struct auth_renewal *n);

/* The answer of a token server: out_token lives in a; *out_expires_s is 60 when it says nothing. */
int auth_token_parse(struct arena *a, struct str json, struct str *out_token,
                     uint64_t *out_expires_s, struct err *e) MUST_CHECK;
/* Appends value, percent-encoded as in a query or form. 0 or -ENOSPC. */
int auth_encode(struct buf *b, struct str value) MUST_CHECK;
