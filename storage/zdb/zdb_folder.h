/* SPDX-License-Identifier: Apache-2.0 — zdb_folder.h: a strict reader of a namespace's folders, as
 * 0-db walks them: headers, records and entries without a gap, `previous` chains within and across
 * files, every present value whole, every version reachable. Only tests include it. */
#pragma once

#include "storage/zdb/zdb_sample.h"

#define FOLDER_FILES_MAX 512

struct folder {
    enum zdb_mode mode;
    uint32_t count;
    struct {
        struct buf data, index;
        uint8_t *records, *entries; /* owned: 1 where one starts */
        uint64_t first_id;
    } files[FOLDER_FILES_MAX];
};

static inline struct zdb_entry folder_entry(const struct folder *f, uint32_t file_id, uint32_t at,
                                            struct str *out_key) {
    struct zdb_entry x = {0};
    assert_true(file_id < f->count && at < f->files[file_id].index.n);
    assert_int_equal(f->files[file_id].entries[at], 1);
    struct str in = str_sub(buf_view(&f->files[file_id].index), at, SIZE_MAX);
    assert_int_equal(zdb_entry_decode(in, &x), 0);
    *out_key = str_sub(in, ZDB_ENTRY_BYTES, ZDB_ENTRY_BYTES + (size_t)x.key_bytes);
    return x;
}

static inline uint32_t folder_walk_data(struct folder *f, uint32_t id, uint32_t previous) {
    struct str in = buf_view(&f->files[id].data);
    struct zdb_file_header h;
    struct zdb_record r;
    struct err e = {0};
    assert_int_equal(zdb_data_header_decode(in, &h, &e), 0);
    assert_int_equal(h.file_id, id);
    size_t at = ZDB_DATA_HEADER_BYTES;
    for (; at < in.n; at += ZDB_RECORD_BYTES + (size_t)r.key_bytes + r.payload_bytes) {
        assert_int_equal(zdb_record_decode(str_sub(in, at, in.n), &r), 0);
        if (r.previous != previous)
            fail_msg("d%u at %zu: previous is %u, not %u", id, at, r.previous, previous);
        previous = (uint32_t)at;
        f->files[id].records[at] = 1;
    }
    assert_int_equal(at, in.n);
    return previous;
}

static inline uint32_t folder_walk_index(struct folder *f, uint32_t id, uint32_t previous) {
    struct str in = buf_view(&f->files[id].index);
    struct zdb_file_header h;
    struct zdb_entry x;
    struct err e = {0};
    assert_int_equal(zdb_index_header_decode(in, &h, &e), 0);
    assert_int_equal(h.file_id, id);
    if (id == 0) f->mode = h.mode;
    assert_int_equal(h.mode, f->mode);
    size_t at = ZDB_INDEX_HEADER_BYTES;
    for (; at < in.n; at += ZDB_ENTRY_BYTES + (size_t)x.key_bytes) {
        assert_int_equal(zdb_entry_decode(str_sub(in, at, in.n), &x), 0);
        if (f->mode == ZDB_SEQ) assert_int_equal(x.key_bytes, ZDB_ID_BYTES);
        if (x.previous != previous)
            fail_msg("i%u at %zu: previous is %u, not %u", id, at, x.previous, previous);
        previous = (uint32_t)at;
        f->files[id].entries[at] = 1;
    }
    assert_int_equal(at, in.n);
    return previous;
}

/* The entry's record is there, the key's, and whole. */
static inline void folder_check_record(const struct folder *f, uint32_t file_id,
                                       const struct zdb_entry *x, struct str key) {
    uint32_t data_id = f->mode == ZDB_USER ? file_id : x->data_id;
    struct zdb_record r;
    assert_true(data_id < f->count && x->offset < f->files[data_id].data.n);
    assert_int_equal(f->files[data_id].records[x->offset], 1);
    struct str in = str_sub(buf_view(&f->files[data_id].data), x->offset, SIZE_MAX);
    assert_int_equal(zdb_record_decode(in, &r), 0);
    assert_int_equal(r.flags, 0);
    assert_int_equal(r.payload_bytes, x->payload_bytes);
    assert_int_equal(r.crc, x->crc);
    size_t head = ZDB_RECORD_BYTES + (size_t)r.key_bytes;
    assert_true(str_eq(str_sub(in, ZDB_RECORD_BYTES, head), key));
    assert_int_equal(zdb_crc(0, in.p + head, r.payload_bytes), r.crc);
}

static inline void folder_check_present(const struct folder *f, uint32_t file_id, uint32_t at) {
    struct str key;
    struct str same;
    struct zdb_entry x = folder_entry(f, file_id, at, &key);
    folder_check_record(f, file_id, &x, key);
    for (unsigned n = 0; x.parent_id != 0 || x.parent_offset != 0; n++) {
        uint32_t id = x.parent_id;
        assert_true(n < 100000);
        x = folder_entry(f, id, x.parent_offset, &same);
        assert_true(str_eq(same, key));
        assert_int_equal(x.flags, ZDB_DELETED);
        folder_check_record(f, id, &x, key);
    }
}

static inline void folder_check_entries(const struct folder *f, uint32_t id) {
    struct str key;
    uint64_t own;
    for (uint32_t at = ZDB_INDEX_HEADER_BYTES; at < f->files[id].index.n; at++) {
        if (!f->files[id].entries[at]) continue;
        struct zdb_entry x = folder_entry(f, id, at, &key);
        if (x.flags & ZDB_DELETED) continue;
        folder_check_present(f, id, at);
        if (f->mode == ZDB_USER) continue;
        assert_int_equal(zdb_id_decode(key, &own), 0);
        assert_int_equal(own, f->files[id].first_id +
                                  (at - ZDB_INDEX_HEADER_BYTES) / ZDB_SEQ_ENTRY_BYTES);
    }
}

static inline void folder_check(const struct sample *s) {
    struct folder *f = xnew(struct folder);
    char path[128];
    uint32_t record = 0;
    uint32_t entry = 0;
    uint64_t first_id = 0;
    for (;; f->count++) {
        uint32_t id = f->count;
        (void)snprintf(path, sizeof path, "%s/i%u", s->index, id);
        if (file_exists(AT_FDCWD, path) == 0) break;
        assert_true(id < FOLDER_FILES_MAX);
        f->files[id].index = sample_file(s->index, strrchr(path, '/') + 1);
        (void)snprintf(path, sizeof path, "d%u", id);
        f->files[id].data = sample_file(s->data, path);
        f->files[id].records = xmalloc(f->files[id].data.n);
        f->files[id].entries = xmalloc(f->files[id].index.n);
        record = folder_walk_data(f, id, record);
        entry = folder_walk_index(f, id, entry);
        f->files[id].first_id = first_id;
        first_id += (f->files[id].index.n - ZDB_INDEX_HEADER_BYTES) / ZDB_SEQ_ENTRY_BYTES;
    }
    assert_true(f->count > 0);
    for (uint32_t id = 0; id < f->count; id++) folder_check_entries(f, id);
    for (uint32_t id = 0; id < f->count; id++) {
        buf_done(&f->files[id].data);
        buf_done(&f->files[id].index);
        free(f->files[id].records);
        free(f->files[id].entries);
    }
    free(f);
}

/* No file but pairs, descriptor and settings. */
static inline void folder_has_no_leftovers(const struct sample *s) {
    const char *const folders[] = {s->data, s->index};
    for (size_t i = 0; i < COUNT(folders); i++) {
        AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
        struct file_entry entry;
        assert_int_equal(file_dir_open(&d, AT_FDCWD, folders[i]), 0);
        while (file_dir_next(&d, &entry) > 0)
            if (strchr(entry.name, '.') || strcmp(entry.name, "zdb-compact") == 0 ||
                strcmp(entry.name, "zdb-flush") == 0)
                fail_msg("%s/%s was left", folders[i], entry.name);
    }
}
