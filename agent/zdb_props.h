/* SPDX-License-Identifier: Apache-2.0 — zdb_props.h: properties of a 0-db namespace, from what
 * people write to what NSSET takes. Without I/O. Any thread. */
#pragma once

#include "base/err.h"

#define ZDB_PROPS_MAX        16
#define ZDB_PROP_VALUE_BYTES 64 /* NSSET takes 63 */

struct zdb_prop {
    const char *name; /* NSSET's; static storage */
    char value[ZDB_PROP_VALUE_BYTES];
};
struct zdb_props {
    struct zdb_prop items[ZDB_PROPS_MAX];
    size_t count;
};

/* Adds "size" "10G", "password" "..." ("" clears it), "public"/"worm"/"lock"/"freeze" yes|no|1|0,
 * "durability" always|never|interval:MS, "versions" N|all, "mode" user|seq. A key that is there
 * already is replaced. INVALID says what the key takes. */
int zdb_props_add(struct zdb_props *p, struct str key, struct str value, struct err *e) MUST_CHECK;
/* The same from NSSET's own name and value, as they come over the admin socket. */
int zdb_props_add_raw(struct zdb_props *p, struct str name, struct str value,
                      struct err *e) MUST_CHECK;
/* The value of NSSET's name, or NULL. */
const char *zdb_props_get(const struct zdb_props *p, const char *name);
/* "maxsize" as a number; false when it is not among them. */
bool zdb_props_size(const struct zdb_props *p, uint64_t *out_bytes);

/* 1 to 128 bytes, no '/', no control characters, not "." or "..", not "default": INVALID. */
int zdb_name_check(struct str name, struct err *e) MUST_CHECK;
