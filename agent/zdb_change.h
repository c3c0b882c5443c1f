/* SPDX-License-Identifier: Apache-2.0 — zdb_change.h: making, changing and removing a namespace of
 * a 0-db server, each as one step that is done or undone. Loop thread. */
#pragma once

#include "agent/zdb_props.h"
#include "storage/zdb_client/zdb_client.h"

enum zdb_change_kind { ZDB_CHANGE_CREATE, ZDB_CHANGE_SET, ZDB_CHANGE_REMOVE };

struct zdb_change {
    enum zdb_change_kind kind;
    struct str name;               /* copied */
    const struct zdb_props *props; /* copied; NULL: none */
    void (*done)(void *user, const struct err *e);
    void *user;
};
/* done comes once, from the loop; e is NULL when everything was done. A namespace whose making
 * failed half way is removed again; of a change, what came before the failure stays, and the error
 * names the property. c must live until then. */
void zdb_change_start(struct zdb_client *c, const struct zdb_change *change);
