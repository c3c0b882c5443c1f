/* SPDX-License-Identifier: Apache-2.0 — zdb_settings.c: the text of `zdb-settings`. */
#include "storage/zdb/zdb_settings.h"

#include <assert.h>

static int parse_u32(struct str text, uint32_t least, uint32_t *out) {
    uint64_t n;
    if (text.n > 1 && text.p[0] == '0') return -1; /* one spelling for each value */
    if (str_u64(text, &n) < 0 || n < least || n >= UINT32_MAX) return -1;
    *out = (uint32_t)n;
    return 0;
}

static int parse_durability(struct str value, struct zdb_lasting *s) {
    struct str interval = STR("interval:");
    if (s->has_durability) return -1;
    s->has_durability = true;
    s->durability = ZDB_ALWAYS;
    if (str_eq(value, STR("always"))) return 0;
    s->durability = ZDB_NEVER;
    if (str_eq(value, STR("never"))) return 0;
    s->durability = ZDB_INTERVAL;
    if (!str_starts(value, interval)) return -1;
    return parse_u32(str_sub(value, interval.n, value.n), 1, &s->interval_ms);
}

static int parse_versions_max(struct str value, struct zdb_lasting *s) {
    if (s->has_versions_max) return -1;
    s->has_versions_max = true;
    s->versions_max = ZDB_KEEP_ALL;
    return str_eq(value, STR("all")) ? 0 : parse_u32(value, 0, &s->versions_max);
}

static int parse_line(struct str line, struct zdb_lasting *s) {
    struct str key;
    if (!str_next(&line, ' ', &key)) return -1;
    if (str_eq(key, STR("durability"))) return parse_durability(line, s);
    if (str_eq(key, STR("versions_max"))) return parse_versions_max(line, s);
    return -1;
}

int zdb_settings_decode(struct str in, struct zdb_lasting *out, struct err *e) {
    struct zdb_lasting s = {0};
    if (in.n > ZDB_SETTINGS_BYTES_MAX)
        return err_set(e, ERR_CORRUPT, "the settings have more than %d bytes",
                       ZDB_SETTINGS_BYTES_MAX);
    for (unsigned number = 1; in.n > 0; number++) {
        ptrdiff_t end = str_find(in, '\n');
        if (end < 0) return err_set(e, ERR_CORRUPT, "line %u of the settings has no end", number);
        if (parse_line(str_sub(in, 0, (size_t)end), &s) < 0)
            return err_set(e, ERR_CORRUPT, "line %u of the settings is not understood: '%.*s'",
                           number, (int)end, in.p);
        in = str_sub(in, (size_t)end + 1, in.n);
    }
    *out = s;
    return 0;
}

void zdb_settings_encode(const struct zdb_lasting *s, struct buf *out) {
    int r = 0;
    if (s->has_durability && s->durability == ZDB_ALWAYS)
        r |= buf_str(out, STR("durability always\n"));
    if (s->has_durability && s->durability == ZDB_NEVER)
        r |= buf_str(out, STR("durability never\n"));
    if (s->has_durability && s->durability == ZDB_INTERVAL)
        r |= buf_fmt(out, "durability interval:%u\n", s->interval_ms);
    if (s->has_versions_max && s->versions_max == ZDB_KEEP_ALL)
        r |= buf_str(out, STR("versions_max all\n"));
    else if (s->has_versions_max)
        r |= buf_fmt(out, "versions_max %u\n", s->versions_max);
    assert(r == 0);
}
