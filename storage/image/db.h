/* SPDX-License-Identifier: Apache-2.0 — db.h: how the image store keeps its database.
 *
 * base/sqlite.h with the store's settings: the file belongs to one process (exclusive lock), is
 * checked whole when it is opened and has a small page cache, because the data are a few hundred
 * rows. Deleting a damaged file is a person's decision: running containers may still use the layers
 * that it knows of. */
#pragma once

#include "base/sqlite.h"

struct db_options {
    const char *path;
    const char *schema; /* run once in a new file */
    uint64_t version;   /* of the schema, 1 and up */
};
/* Errors as sqlite_open(). */
struct sqlite *db_open(const struct db_options *o, struct err *e) MUST_CHECK;
