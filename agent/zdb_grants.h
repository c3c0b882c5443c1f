/* SPDX-License-Identifier: Apache-2.0 — zdb_grants.h: takes the namespaces of a server to the
 * contract, after a start. Loop thread. */
#pragma once

#include "cri/admission.h"
#include "storage/zdb_client/zdb_client.h"

struct zdb_grants {
    const char *root; /* borrowed: where intents lie */
    struct zdb_client *client;
    struct admission admission;
    /* Once, from the loop; count: namespaces besides the server's own. */
    void (*done)(void *user, size_t count, const struct err *e);
    void *user;
};
/* Copies it. A limit that the contract refuses now is logged and kept: the data is there. */
void zdb_grants_load(const struct zdb_grants *g);

/* "zdb/NAME": under which a grant is kept; out has ZDB_GRANT_BYTES. */
#define ZDB_GRANT_BYTES (4 + ZDB_NAMESPACE_BYTES_MAX + 1)
struct str zdb_grant_id(struct str name, char *out);
