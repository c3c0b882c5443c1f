/* SPDX-License-Identifier: Apache-2.0 — zdb_settings.h: the settings of a namespace that 0-db's
 * descriptor does not know, as the text of the file `zdb-settings`.
 *
 * Lines "key value\n", each key at most once; a missing key means what zdb_options says. Bytes in,
 * values out. Any thread. docs/formats.md describes it. */
#pragma once

#include "storage/zdb/zdb_namespace.h"

#define ZDB_SETTINGS_BYTES_MAX 256

struct zdb_lasting {
    bool has_durability, has_versions_max;
    enum zdb_durability durability;
    uint32_t interval_ms; /* of ZDB_INTERVAL */
    uint32_t versions_max;
};

/* Appends to out, which has room for ZDB_SETTINGS_BYTES_MAX (asserted). */
void zdb_settings_encode(const struct zdb_lasting *s, struct buf *out);
/* Whole and strict. Errors: CORRUPT (names the line). */
int zdb_settings_decode(struct str in, struct zdb_lasting *out, struct err *e) MUST_CHECK;
