/* SPDX-License-Identifier: Apache-2.0 — store.c: opening the image store, holds, usage, collection.
 *
 * State of a layer: tmp-N (being unpacked) -> N in base 36 (complete, synced) -> recorded ->
 * trash-N. Only a record makes a folder count; opening moves everything else to the trash. An image
 * whose recorded layer has lost its folder (someone deleted it by hand) is forgotten, so that it is
 * pulled again instead of failing at every start of a container.
 *
 * Holds are counts in memory. After a restart nobody is known to hold anything until
 * image_store_collect(), so nothing is deleted before it. */
#include "storage/image/store.h"

#include "base/file.h"

#include <assert.h>
#include <errno.h>

#define STORE_SCHEMA_VERSION 2

static const char SCHEMA[] =
    "CREATE TABLE layers(dir INTEGER PRIMARY KEY, diff_id TEXT NOT NULL UNIQUE,"
    " bytes INTEGER NOT NULL, inodes INTEGER NOT NULL, bottom INTEGER NOT NULL,"
    " used INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE implied(dir INTEGER NOT NULL REFERENCES layers(dir) ON DELETE CASCADE,"
    " path TEXT NOT NULL, PRIMARY KEY(dir, path)) WITHOUT ROWID;"
    "CREATE TABLE images(id TEXT PRIMARY KEY, config TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE image_layers(image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,"
    " position INTEGER NOT NULL, dir INTEGER NOT NULL REFERENCES layers(dir),"
    " PRIMARY KEY(image, position)) WITHOUT ROWID;"
    "CREATE INDEX image_layers_by_dir ON image_layers(dir);"
    "CREATE TABLE tags(name TEXT NOT NULL, tag TEXT NOT NULL,"
    " image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,"
    " PRIMARY KEY(name, tag)) WITHOUT ROWID;"
    "CREATE INDEX tags_by_image ON tags(image);"
    "CREATE TABLE digests(name TEXT NOT NULL, digest TEXT NOT NULL,"
    " image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,"
    " PRIMARY KEY(name, digest)) WITHOUT ROWID;"
    "CREATE INDEX digests_by_image ON digests(image);";

void store_lock(struct image_store *s) { (void)pthread_mutex_lock(&s->lock); }
void store_unlock(struct image_store *s) { (void)pthread_mutex_unlock(&s->lock); }

/* ---- names ---- */

static const char DIGITS[] = "0123456789abcdefghijklmnopqrstuvwxyz";

void store_name_of(uint64_t dir, char out[STORE_NAME_BYTES]) {
    char reversed[STORE_NAME_BYTES];
    size_t n = 0;
    do {
        reversed[n++] = DIGITS[dir % 36];
        dir /= 36;
    } while (dir > 0);
    for (size_t i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
    out[n] = '\0';
}

int store_dir_of(struct str name, uint64_t *out) {
    uint64_t dir = 0;
    if (name.n == 0 || name.n > 10 || name.p[0] == '0') return -EINVAL; /* 36^10 < 2^63 */
    for (size_t i = 0; i < name.n; i++) {
        const char *digit = name.p[i] ? strchr(DIGITS, name.p[i]) : NULL;
        if (!digit) return -EINVAL;
        dir = dir * 36 + (uint64_t)(digit - DIGITS);
    }
    *out = dir;
    return 0;
}

/* ---- folders and records of layers ---- */

int store_tmp_make(struct image_store *s, char tmp[STORE_TMP_BYTES], struct err *e) {
    char number[STORE_NAME_BYTES];
    char name[STORE_TMP_BYTES];
    store_lock(s);
    store_name_of(++s->tmp_last, number);
    store_unlock(s);
    (void)snprintf(name, sizeof name, "tmp-%s", number);
    if (mkdirat(s->layers_fd, name, STORE_LAYER_MODE) < 0)
        return err_sys(e, errno, "make the folder '%s/%s'", s->layers_path, name);
    memcpy(tmp, name, sizeof name);
    return 0;
}

int store_tmp_keep(struct image_store *s, char tmp[STORE_TMP_BYTES], uint64_t *out_dir,
                   struct err *e) {
    char name[STORE_NAME_BYTES];
    store_lock(s);
    uint64_t dir = ++s->dir_last;
    store_unlock(s);
    store_name_of(dir, name);
    if (renameat2(s->layers_fd, tmp, s->layers_fd, name, RENAME_NOREPLACE) < 0)
        return err_sys(e, errno, "rename '%s' to '%s'", tmp, name);
    memcpy(tmp, name, sizeof name);
    int r = group_sync(&s->sync);
    if (r < 0) return err_sys(e, -r, "sync '%s'", s->layers_path);
    *out_dir = dir;
    return 0;
}

int store_layer_add(struct image_store *s, const struct layer_row *row, struct err *e) {
    return DB_RUN(s->db, e,
                  "INSERT INTO layers(dir, diff_id, bytes, inodes, bottom)"
                  " VALUES(?1, ?2, ?3, ?4, ?5)",
                  DB_NUMBER(row->dir), DB_TEXT(row->diff_id), DB_NUMBER(row->bytes),
                  DB_NUMBER(row->inodes), DB_NUMBER(row->bottom ? 1 : 0));
}

/* ---- holds ---- */

/* Where dir is, or where it belongs. */
static size_t hold_index(const struct image_store *s, uint64_t dir) {
    size_t low = 0;
    size_t high = s->hold_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->holds[middle].dir < dir)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool store_held(const struct image_store *s, uint64_t dir) {
    size_t i = hold_index(s, dir);
    return i < s->hold_count && s->holds[i].dir == dir;
}

void store_hold(struct image_store *s, uint64_t dir) {
    size_t i = hold_index(s, dir);
    if (i < s->hold_count && s->holds[i].dir == dir) {
        s->holds[i].count++;
        return;
    }
    if (s->hold_count == s->hold_capacity) {
        s->hold_capacity = s->hold_capacity ? 2 * s->hold_capacity : 64;
        s->holds = xrealloc(s->holds, s->hold_capacity * sizeof *s->holds);
    }
    memmove(s->holds + i + 1, s->holds + i, (s->hold_count - i) * sizeof *s->holds);
    s->holds[i] = (struct hold){dir, 1};
    s->hold_count++;
}

/* True when the last hold on dir went. */
static bool unhold(struct image_store *s, uint64_t dir) {
    size_t i = hold_index(s, dir);
    assert(i < s->hold_count && s->holds[i].dir == dir);
    if (--s->holds[i].count > 0) return false;
    s->hold_count--;
    memmove(s->holds + i, s->holds + i + 1, (s->hold_count - i) * sizeof *s->holds);
    return true;
}

void image_hold(struct image_store *s, const struct str *layers, size_t count) {
    store_lock(s);
    for (size_t i = 0; i < count; i++) {
        uint64_t dir;
        if (store_dir_of(layers[i], &dir) == 0) store_hold(s, dir);
    }
    store_unlock(s);
}

void image_release(struct image_store *s, const struct str *layers, size_t count) {
    bool last = false;
    struct err ignored; /* what could not be deleted now is found by the next collection */
    store_lock(s);
    for (size_t i = 0; i < count; i++) {
        uint64_t dir;
        if (store_dir_of(layers[i], &dir) == 0 && unhold(s, dir)) last = true;
    }
    if (last) (void)!store_drop_unneeded(s, STORE_DROP_USED, &ignored);
    store_unlock(s);
}

/* ---- deleting ---- */

struct dead_layer {
    uint64_t dir, bytes, inodes;
};

#define STORE_DROP_BATCH 64 /* layers of one transaction */

/* The next unneeded layers behind *after, and *after moved on. -1 or their count. */
static int find_unneeded(struct image_store *s, enum store_drop which, uint64_t *after,
                         struct dead_layer *out, struct err *e) {
    int found = 0;
    int r = 0;
    AUTO(db_rows_done) struct db_rows rows = {NULL};
    if (DB_SELECT(
            s->db, &rows, e,
            "SELECT dir, bytes, inodes FROM layers WHERE dir > ?1 AND used >= ?2 AND NOT EXISTS"
            " (SELECT 1 FROM image_layers WHERE image_layers.dir = layers.dir) ORDER BY dir",
            DB_NUMBER(*after), DB_NUMBER(which == STORE_DROP_USED ? 1 : 0)) < 0)
        return -1;
    while (found < STORE_DROP_BATCH && (r = db_next(&rows, e)) > 0) {
        *after = db_number(&rows, 0);
        if (store_held(s, *after)) continue;
        out[found++] = (struct dead_layer){*after, db_number(&rows, 1), db_number(&rows, 2)};
    }
    return r < 0 ? -1 : found;
}

static int forget_layers(struct image_store *s, const struct dead_layer *dead, int count,
                         struct err *e) {
    if (db_begin(s->db, e) < 0) return -1;
    for (int i = 0; i < count; i++)
        if (DB_RUN(s->db, e, "DELETE FROM layers WHERE dir = ?1", DB_NUMBER(dead[i].dir)) < 0) {
            db_rollback(s->db);
            return -1;
        }
    return db_commit(s->db, e);
}

int store_drop_unneeded(struct image_store *s, enum store_drop which, struct err *e) {
    if (!s->collected) return 0;
    struct dead_layer dead[STORE_DROP_BATCH];
    uint64_t after = 0;
    for (int count; (count = find_unneeded(s, which, &after, dead, e)) != 0;) {
        if (count < 0 || forget_layers(s, dead, count, e) < 0) return -1;
        for (int i = 0; i < count; i++) {
            char name[STORE_NAME_BYTES];
            store_name_of(dead[i].dir, name);
            s->usage.bytes -= dead[i].bytes;
            s->usage.inodes -= dead[i].inodes;
            (void)!trash_put(s->trash, name); /* what stays is without a record: swept at open */
        }
    }
    return 0;
}

void image_store_collect(struct image_store *s) {
    struct err ignored; /* nothing is lost: the next removal tries again */
    store_lock(s);
    s->collected = true;
    (void)!store_drop_unneeded(s, STORE_DROP_ALL, &ignored);
    store_unlock(s);
}

void image_store_usage(struct image_store *s, struct image_usage *out) {
    store_lock(s);
    *out = s->usage;
    store_unlock(s);
}

int image_layers_fd(const struct image_store *s) { return s->layers_fd; }
const char *image_layers_path(const struct image_store *s) { return s->layers_path; }

/* ---- opening ---- */

/* 1 when the layer is recorded. */
static int is_recorded(struct image_store *s, uint64_t dir, struct err *e) {
    AUTO(db_rows_done) struct db_rows rows = {NULL};
    if (DB_SELECT(s->db, &rows, e, "SELECT 1 FROM layers WHERE dir = ?1", DB_NUMBER(dir)) < 0)
        return -1;
    return db_next(&rows, e);
}

/* Folders without a record go to the trash. */
static int sweep(struct image_store *s, struct err *e) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int r = file_dir_open(&d, s->layers_fd, ".");
    while (r >= 0 && (r = file_dir_next(&d, &entry)) > 0) {
        uint64_t dir = 0;
        if (trash_has(entry.name)) continue;
        int keep = store_dir_of(str_of(entry.name), &dir) == 0 ? is_recorded(s, dir, e) : 0;
        if (keep < 0) return -1;
        if (keep == 0) r = trash_put(s->trash, entry.name);
    }
    return r < 0 ? err_sys(e, -r, "clean up the layers in '%s'", s->layers_path) : 0;
}

/* The first recorded layer behind `after` whose folder is gone: 1 and *out, 0, or -1. */
static int find_lost(struct image_store *s, uint64_t after, uint64_t *out, struct err *e) {
    int r;
    AUTO(db_rows_done) struct db_rows rows = {NULL};
    if (DB_SELECT(s->db, &rows, e, "SELECT dir FROM layers WHERE dir > ?1 ORDER BY dir",
                  DB_NUMBER(after)) < 0)
        return -1;
    while ((r = db_next(&rows, e)) > 0) {
        char name[STORE_NAME_BYTES];
        store_name_of(db_number(&rows, 0), name);
        if (file_exists(s->layers_fd, name) != 0) continue;
        *out = db_number(&rows, 0);
        return 1;
    }
    return r;
}

static int forget_lost(struct image_store *s, uint64_t dir, struct err *e) {
    if (db_begin(s->db, e) < 0) return -1;
    if (DB_RUN(s->db, e,
               "DELETE FROM images WHERE id IN (SELECT image FROM image_layers WHERE dir = ?1)",
               DB_NUMBER(dir)) < 0 ||
        DB_RUN(s->db, e, "DELETE FROM layers WHERE dir = ?1", DB_NUMBER(dir)) < 0) {
        db_rollback(s->db);
        return -1;
    }
    return db_commit(s->db, e);
}

static int load_counters(struct image_store *s, struct err *e) {
    AUTO(db_rows_done) struct db_rows rows = {NULL};
    if (DB_SELECT(s->db, &rows, e,
                  "SELECT ifnull(max(dir), 0), ifnull(sum(bytes), 0), ifnull(sum(inodes), 0)"
                  " FROM layers") < 0 ||
        db_next(&rows, e) < 0)
        return -1;
    s->dir_last = db_number(&rows, 0);
    s->usage = (struct image_usage){db_number(&rows, 1), db_number(&rows, 2)};
    return 0;
}

static int open_all(struct image_store *s, const char *root, struct err *e) {
    s->layers_path = xasprintf("%s/layers", root);
    s->layers_fd = file_mkdirs_open(AT_FDCWD, s->layers_path, 0700);
    s->sync.fd = s->layers_fd;
    if (s->layers_fd < 0) return err_sys(e, -s->layers_fd, "make the folder '%s'", s->layers_path);
    AUTO_FREE char *path = xasprintf("%s/images.db", root);
    const struct db_options o = {path, SCHEMA, STORE_SCHEMA_VERSION};
    s->db = db_open(&o, e);
    if (!s->db) return -1;
    int r = file_sync_dir(AT_FDCWD, root); /* the names of both */
    if (r < 0) return err_sys(e, -r, "sync the folder '%s'", root);
    s->trash = trash_open(s->layers_fd, e);
    if (!s->trash || sweep(s, e) < 0) return -1;
    uint64_t lost = 0;
    while ((r = find_lost(s, lost, &lost, e)) > 0)
        if (forget_lost(s, lost, e) < 0) return -1;
    return r < 0 ? -1 : load_counters(s, e);
}

struct image_store *image_store_open(const char *root, const char *unpack_path, struct err *e) {
    struct image_store *s = xnew(struct image_store);
    s->layers_fd = -1;
    s->unpack_path = xstrdup(unpack_path);
    (void)pthread_mutex_init(&s->lock, NULL);
    group_sync_init(&s->sync, -1);
    if (open_all(s, root, e) == 0) return s;
    image_store_close(s);
    (void)err_in(e, "open the image store");
    return NULL;
}

void image_store_close(struct image_store *s) {
    if (!s) return;
    trash_close(s->trash);
    db_close(s->db);
    if (s->layers_fd >= 0) (void)close(s->layers_fd);
    (void)pthread_mutex_destroy(&s->lock);
    group_sync_done(&s->sync);
    free(s->holds);
    free(s->layers_path);
    free(s->unpack_path);
    free(s);
}
