/* SPDX-License-Identifier: Apache-2.0 — zdb_journal.c: encoding and decoding of `zdb-compact`. */
#include "storage/zdb/zdb_journal.h"

#include <assert.h>
#include <errno.h>

static const char magic[4] = {'Z', 'C', 'J', '0'};
#define VERSION 1

static uint32_t get_u32(const char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static int put_u32(struct buf *out, uint32_t v) { return buf_append(out, &v, sizeof v); }

int zdb_journal_begin(struct buf *out, const struct zdb_journal *j) {
    assert(out->n == 0);
    int r = buf_append(out, magic, sizeof magic);
    const uint32_t fields[] = {VERSION, j->file_id, j->has_index, 0, 0};
    for (size_t i = 0; r == 0 && i < COUNT(fields); i++) r = put_u32(out, fields[i]);
    return r;
}

int zdb_journal_fix(struct buf *out, const struct zdb_fix *f) {
    const uint32_t fields[] = {f->kind, f->file_id, f->offset, f->x, f->y};
    return buf_append(out, fields, sizeof fields);
}

int zdb_journal_end(struct buf *out) {
    uint32_t count = (uint32_t)((out->n - ZDB_JOURNAL_HEADER_BYTES) / ZDB_JOURNAL_FIX_BYTES);
    if (count > ZDB_JOURNAL_FIXES_MAX) return -ENOSPC;
    memcpy(out->p + 16, &count, sizeof count);
    return put_u32(out, zdb_crc(0, out->p, out->n));
}

static int check_fixes(const struct zdb_journal *j, struct err *e) {
    for (uint32_t i = 0; i < j->fix_count; i++) {
        const char *p = j->fixes.p + (size_t)i * ZDB_JOURNAL_FIX_BYTES;
        uint32_t least =
            get_u32(p) == ZDB_FIX_PREVIOUS_RECORD ? ZDB_DATA_HEADER_BYTES : ZDB_INDEX_HEADER_BYTES;
        if (get_u32(p) >= ZDB_FIX_KINDS || get_u32(p + 8) < least)
            return err_set(e, ERR_CORRUPT, "fix %u of the journal is none", i);
    }
    return 0;
}

int zdb_journal_decode(struct str in, struct zdb_journal *out, struct err *e) {
    if (in.n < ZDB_JOURNAL_HEADER_BYTES + 4 || memcmp(in.p, magic, sizeof magic) != 0)
        return err_set(e, ERR_CORRUPT, "the journal does not start with '%.4s'", magic);
    if (get_u32(in.p + 4) != VERSION)
        return err_set(e, ERR_UNSUPPORTED, "the journal has version %u, only %d is known",
                       get_u32(in.p + 4), VERSION);
    struct zdb_journal j = {.file_id = get_u32(in.p + 8),
                            .has_index = get_u32(in.p + 12) == 1,
                            .fix_count = get_u32(in.p + 16)};
    uint64_t want = ZDB_JOURNAL_HEADER_BYTES + (uint64_t)j.fix_count * ZDB_JOURNAL_FIX_BYTES + 4;
    if (j.fix_count > ZDB_JOURNAL_FIXES_MAX || in.n != want)
        return err_set(e, ERR_CORRUPT, "the journal has %zu bytes, its fields say %llu", in.n,
                       (unsigned long long)want);
    if (zdb_crc(0, in.p, in.n - 4) != get_u32(in.p + in.n - 4))
        return err_set(e, ERR_CORRUPT, "the journal does not have its checksum");
    if (get_u32(in.p + 12) > 1 || get_u32(in.p + 20) != 0)
        return err_set(e, ERR_CORRUPT, "the journal's header has unknown values");
    j.fixes = str_sub(in, ZDB_JOURNAL_HEADER_BYTES, in.n - 4);
    if (check_fixes(&j, e) < 0) return -1;
    *out = j;
    return 0;
}

void zdb_journal_get(const struct zdb_journal *j, uint32_t i, struct zdb_fix *out) {
    assert(i < j->fix_count);
    const char *p = j->fixes.p + (size_t)i * ZDB_JOURNAL_FIX_BYTES;
    *out = (struct zdb_fix){.kind = (enum zdb_fix_kind)get_u32(p),
                            .file_id = get_u32(p + 4),
                            .offset = get_u32(p + 8),
                            .x = get_u32(p + 12),
                            .y = get_u32(p + 16)};
}
