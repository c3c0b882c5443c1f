/* SPDX-License-Identifier: Apache-2.0 — db.c: see db.h. */
#include "storage/image/db.h"

#define DB_CACHE_BYTES (256 * 1024)

struct sqlite *db_open(const struct db_options *o, struct err *e) {
    const struct sqlite_options options = {
        .path = o->path,
        .schema = o->schema,
        .version = o->version,
        .remedy = "stop all containers and this daemon, move it away with the files whose names "
                  "begin with its name and start again; images are then pulled anew",
        .cache_bytes = DB_CACHE_BYTES,
        .check = true,
    };
    return sqlite_open(&options, e);
}
