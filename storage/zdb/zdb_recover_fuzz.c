/* SPDX-License-Identifier: Apache-2.0 — zdb_recover_fuzz.c: any bytes as the two files of a
 * namespace: it opens or is refused; if it opens, every key is read, written and found again. What
 * cannot be read is found by a scrub, too.
 * Input: u16 length of the data file, the data file, the index file. */
#include "storage/zdb/zdb_namespace.h"

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SCAN_MAX 100000

static void must(bool ok) {
    if (!ok) abort();
}

/* Returns how many values could not be read. */
static unsigned read_all(struct zdb_namespace *ns, enum zdb_direction direction) {
    AUTO(buf_done) struct buf out = BUF(ZDB_PAYLOAD_BYTES_MAX);
    struct zdb_scanned found;
    struct err e = {0};
    const struct zdb_cursor *cursor = NULL;
    unsigned count = 0;
    unsigned bad = 0;
    for (; zdb_scan(ns, direction, cursor, &found, &e) == 0; cursor = &found.cursor) {
        struct str key = str_make((const char *)found.key, found.key_bytes);
        AUTO(zdb_value_done) struct zdb_value v = {0};
        AUTO(zdb_value_done) struct zdb_value before = {0};
        must(++count < SCAN_MAX); /* it ends */
        buf_clear(&out);
        if (zdb_find(ns, key, &v, &e) < 0) continue;
        if (zdb_read(ns, key, &v, &out, &e) < 0) {
            bad++;
            continue;
        }
        must(out.n == v.payload_bytes && zdb_crc(0, out.p, out.n) == v.crc);
        (void)!zdb_history(ns, key, v.parent_id, v.parent_offset, &before, &e);
    }
    return bad;
}

static void scrub(struct zdb_namespace *ns, unsigned bad) {
    struct zdb_scrub_options o = {0};
    struct zdb_scrub_result result;
    struct err e = {0};
    must(zdb_scrub(ns, &o, &result, &e) == 0);
    must(bad == 0 || result.corrupt > 0);
}

static void must_have(struct zdb_namespace *ns, struct str key, struct err *e) {
    AUTO(zdb_value_done) struct zdb_value v = {0};
    must(zdb_find(ns, key, &v, e) == 0 && zdb_check(ns, key, &v, e) == 0);
}

/* Whatever the files are, the namespace's numbers and what was written stay. */
static void compact(struct zdb_namespace *ns, struct str key, struct err *e) {
    struct zdb_compact_options all = {0};
    struct zdb_compact_result result;
    struct zdb_info before;
    struct zdb_info after;
    must(zdb_jump(ns, e) == 0);
    zdb_info(ns, &before);
    must(zdb_compact(ns, &all, &result, e) == 0 || e->kind == ERR_LIMIT);
    zdb_info(ns, &after);
    must(before.entries == after.entries && before.live_bytes == after.live_bytes);
    must_have(ns, key, e);
    read_all(ns, ZDB_FORWARD);
    read_all(ns, ZDB_BACK);
}

static void use(const struct zdb_options *o) {
    struct zdb_namespace *ns = NULL;
    struct zdb_info info;
    AUTO(zdb_value_done) struct zdb_value v = {0};
    struct err e = {0};
    if (zdb_open(o, &ns, &e) < 0) return;
    scrub(ns, read_all(ns, ZDB_FORWARD));
    (void)read_all(ns, ZDB_BACK);
    zdb_info(ns, &info);
    struct zdb_put put = {info.mode == ZDB_SEQ ? STR_NONE : STR("fuzz"), STR("value"), 1};
    struct zdb_put_result r;
    uint8_t id[ZDB_ID_BYTES];
    must(zdb_put(ns, &put, &r, &e) == 0);
    must(zdb_close(ns, &e) == 0);
    must(zdb_open(o, &ns, &e) == 0);
    zdb_id_encode(r.id, id);
    struct str key = info.mode == ZDB_SEQ ? str_make((char *)id, sizeof id) : put.key;
    must(zdb_find(ns, key, &v, &e) == 0 && zdb_check(ns, key, &v, &e) == 0);
    compact(ns, key, &e);
    must(zdb_close(ns, &e) == 0);
    must(zdb_open(o, &ns, &e) == 0);
    must_have(ns, key, &e);
    must(zdb_close(ns, &e) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[] = "/dev/shm/zdb-fuzz-XXXXXX"; /* syncs cost nothing there */
    if (size < 2) return 0;
    struct str rest = str_make((const char *)data + 2, size - 2);
    size_t n = data[0] | (size_t)data[1] << 8;
    must(mkdtemp(path) != NULL);
    AUTO_CLOSE int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(file_write_atomic(dir, "d0", str_sub(rest, 0, n), 0600) == 0);
    must(file_write_atomic(dir, "i0", str_sub(rest, n, rest.n), 0600) == 0);
    struct zdb_options o = {.data_path = path, .index_path = path, .name = STR("fuzz")};
    o.durability = ZDB_NEVER;
    use(&o);
    must(file_remove_tree(AT_FDCWD, path) == 0);
    return 0;
}
