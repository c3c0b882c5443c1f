/* SPDX-License-Identifier: Apache-2.0 — auth_challenge.h: what a registry asks for in
 * WWW-Authenticate.
 *
 * Bytes in, views and unescaped copies out. Any thread. Source: RFC 9110 section 11.6.1, RFC 6750
 * section 3, distribution's token specification. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define AUTH_CHALLENGE_PARAMS_MAX 64 /* of one header */

struct auth_challenge {
    bool basic;                              /* Basic is offered */
    bool bearer;                             /* Bearer is offered, with a realm */
    struct str realm, service, scope, error; /* of the first Bearer challenge; live in a */
};

/* Adds the challenges of one header value to *c (zeroed before the first); a response may have
 * several such headers and a header several challenges. Unknown schemes are skipped. INVALID,
 * LIMIT: *c is unchanged. */
int auth_challenge_add(struct arena *a, struct str header, struct auth_challenge *c,
                       struct err *e) MUST_CHECK;
