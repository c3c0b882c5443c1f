/* SPDX-License-Identifier: Apache-2.0 — zdb_address.h: where a 0-db server listens. Without I/O. */
#pragma once

#include "base/err.h"

#define ZDB_ADDRESS_BYTES_MAX 256
#define ZDB_PORT              9900 /* 0-db's own */

struct zdb_address {
    bool is_unix;
    char host[ZDB_ADDRESS_BYTES_MAX]; /* name or number without brackets; or the socket's path */
    char port[6];                     /* decimal */
    char text[ZDB_ADDRESS_BYTES_MAX]; /* as it was given, for messages */
};

/* "HOST", "HOST:PORT", "[IPV6]:PORT", or whatever holds a '/': the path of a unix socket.
 * INVALID. */
int zdb_address_parse(struct str text, struct zdb_address *out, struct err *e) MUST_CHECK;
