/* SPDX-License-Identifier: Apache-2.0 — image.c: image records: finding, listing, committing,
 * removing.
 *
 * An image is its config's digest; names point at it. Tags and digests of one image may come from
 * any repository. A tag that moves leaves the old image with its digests and no tag. Removing an
 * image by any of its names removes the record, and with it every name (ON DELETE CASCADE). */
#include "storage/image/image.h"

#include "storage/image/image_config.h"
#include "storage/image/implied.h"
#include "storage/image/layer.h"
#include "storage/image/reference.h"
#include "storage/image/store.h"

#define IMAGE_ID_BYTES 71 /* "sha256:" and 64 hex digits */

static int full(struct err *e) {
    return err_set(e, ERR_LIMIT, "the list of images needs too much memory");
}

/* ---- finding an id, under the lock: 1 found, 0 not, -1 ---- */

struct image_id {
    char text[IMAGE_ID_BYTES + 1];
};

static int take_id(struct sqlite_rows *rows, struct image_id *out, struct err *e) {
    int r = sqlite_next(rows, e);
    if (r <= 0) return r;
    struct str id = sqlite_text(rows, 0);
    if (id.n > IMAGE_ID_BYTES) return err_set(e, ERR_CORRUPT, "an image record with a long id");
    memcpy(out->text, id.p, id.n);
    out->text[id.n] = '\0';
    return 1;
}

static int find_by_name(struct image_store *s, const struct reference *ref, struct image_id *out,
                        struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    int r = ref->digest.n > 0
                ? SQL_SELECT(s->db, &rows, e,
                             "SELECT image FROM digests WHERE name = ?1 AND digest = ?2",
                             SQL_TEXT(ref->name), SQL_TEXT(ref->digest))
                : SQL_SELECT(s->db, &rows, e, "SELECT image FROM tags WHERE name = ?1 AND tag = ?2",
                             SQL_TEXT(ref->name), SQL_TEXT(ref->tag));
    return r < 0 ? -1 : take_id(&rows, out, e);
}

static int find_by_id(struct image_store *s, struct str hex, struct image_id *out, struct err *e) {
    char from[IMAGE_ID_BYTES + 1];
    char to[IMAGE_ID_BYTES + 2]; /* 'g' sorts behind every hex digit */
    int n = snprintf(from, sizeof from, "sha256:%.*s", STR_ARG(hex));
    int m = snprintf(to, sizeof to, "sha256:%.*sg", STR_ARG(hex));
    if (n < 0 || n > IMAGE_ID_BYTES || m < 0) return 0;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(s->db, &rows, e, "SELECT id FROM images WHERE id >= ?1 AND id < ?2 LIMIT 2",
                   SQL_TEXT(str_make(from, (size_t)n)), SQL_TEXT(str_make(to, (size_t)m))) < 0)
        return -1;
    int r = take_id(&rows, out, e);
    if (r <= 0) return r;
    struct image_id second;
    r = take_id(&rows, &second, e);
    if (r > 0)
        return err_set(e, ERR_INVALID, "'%.*s' is the beginning of more than one image id",
                       STR_ARG(hex));
    return r < 0 ? -1 : 1;
}

/* A name that looks like an id ("deadbeefcafe") is a name when there is such an image. */
static int resolve(struct image_store *s, struct str ref, struct image_id *out, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(16 << 10);
    struct reference parsed;
    struct str hex;
    bool is_id = reference_is_id(ref, &hex);
    if (is_id && str_starts(ref, STR("sha256:"))) return find_by_id(s, hex, out, e);
    int r = reference_parse(&a, ref, &parsed, e);
    if (r < 0 && !is_id) return -1;
    if (r == 0)
        r = find_by_name(s, &parsed, out, e);
    else
        r = 0;
    return r == 0 && is_id ? find_by_id(s, hex, out, e) : r;
}

/* ---- loading ---- */

struct strings {
    struct str *items;
    size_t count;
};

/* All rows' first columns. */
static int load_strings(struct arena *a, struct sqlite_rows *rows, size_t count,
                        struct strings *out, struct err *e) {
    struct str *items = arena_array(a, count + 1, sizeof *items);
    size_t n = 0;
    int r = 0;
    if (!items) return full(e);
    while (n < count && (r = sqlite_next(rows, e)) > 0) {
        items[n] = arena_str(a, sqlite_text(rows, 0));
        if (!items[n++].p) return full(e);
    }
    if (r < 0) return -1;
    *out = (struct strings){items, n};
    return 0;
}

/* Numbers of everything, so that arrays are allocated once. */
struct counts {
    size_t tags, digests, layers;
    uint64_t bytes;
};

static int load_counts(struct image_store *s, struct str id, struct counts *out, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(s->db, &rows, e,
                   "SELECT (SELECT count(*) FROM tags WHERE image = ?1),"
                   " (SELECT count(*) FROM digests WHERE image = ?1),"
                   " (SELECT count(*) FROM image_layers WHERE image = ?1),"
                   " (SELECT ifnull(sum(bytes), 0) FROM image_layers JOIN layers USING(dir)"
                   "  WHERE image = ?1)",
                   SQL_TEXT(id)) < 0 ||
        sqlite_next(&rows, e) < 0)
        return -1;
    *out = (struct counts){(size_t)sqlite_number(&rows, 0), (size_t)sqlite_number(&rows, 1),
                           (size_t)sqlite_number(&rows, 2), sqlite_number(&rows, 3)};
    return 0;
}

static int load_tags(struct image_store *s, struct arena *a, size_t count, struct image *im,
                     struct err *e) {
    struct strings list;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(s->db, &rows, e,
                   "SELECT name || ':' || tag FROM tags WHERE image = ?1 ORDER BY name, tag",
                   SQL_TEXT(im->id)) < 0 ||
        load_strings(a, &rows, count, &list, e) < 0)
        return -1;
    im->tags = list.items;
    im->tag_count = list.count;
    return 0;
}

static int load_digests(struct image_store *s, struct arena *a, size_t count, struct image *im,
                        struct err *e) {
    struct strings list;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(s->db, &rows, e,
                   "SELECT name || '@' || digest FROM digests WHERE image = ?1"
                   " ORDER BY name, digest",
                   SQL_TEXT(im->id)) < 0 ||
        load_strings(a, &rows, count, &list, e) < 0)
        return -1;
    im->digests = list.items;
    im->digest_count = list.count;
    return 0;
}

static int load_layers(struct image_store *s, struct arena *a, size_t count, struct image *im,
                       struct err *e) {
    struct str *items = arena_array(a, count + 1, sizeof *items);
    size_t n = 0;
    int r = 0;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (!items) return full(e);
    if (SQL_SELECT(s->db, &rows, e,
                   "SELECT dir FROM image_layers WHERE image = ?1 ORDER BY position",
                   SQL_TEXT(im->id)) < 0)
        return -1;
    while (n < count && (r = sqlite_next(&rows, e)) > 0) {
        char name[STORE_NAME_BYTES];
        store_name_of(sqlite_number(&rows, 0), name);
        items[n] = arena_str(a, str_of(name));
        if (!items[n++].p) return full(e);
    }
    if (r < 0) return -1;
    im->layers = items;
    im->layer_count = n;
    return 0;
}

static int load_config(struct image_store *s, struct arena *a, struct image *im, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(s->db, &rows, e, "SELECT config FROM images WHERE id = ?1", SQL_TEXT(im->id)) <
        0)
        return -1;
    int r = sqlite_next(&rows, e);
    if (r < 0) return -1;
    if (r == 0) return err_set(e, ERR_INTERNAL, "the image's record is gone");
    struct str json = sqlite_text(&rows, 0);
    im->size_bytes += json.n;
    im->config_json = arena_str(a, json);
    if (!im->config_json.p) return full(e);
    return image_config_parse(a, json, &im->config, e);
}

/* Under the lock. */
static int load_image(struct image_store *s, struct arena *a, struct str id, struct image *out,
                      struct err *e) {
    struct counts counts;
    struct image im = {.id = arena_str(a, id)};
    if (!im.id.p) return full(e);
    if (load_counts(s, im.id, &counts, e) < 0) return -1;
    im.size_bytes = counts.bytes;
    if (load_tags(s, a, counts.tags, &im, e) < 0 ||
        load_digests(s, a, counts.digests, &im, e) < 0 ||
        load_layers(s, a, counts.layers, &im, e) < 0 || load_config(s, a, &im, e) < 0)
        return -1;
    *out = im;
    return 0;
}

static int find_locked(struct image_store *s, struct arena *a, struct str ref, struct image *out,
                       struct err *e) {
    struct image_id id;
    int r = resolve(s, ref, &id, e);
    if (r < 0) return -1;
    if (r == 0) return err_set(e, ERR_NOT_FOUND, "no such image here (pull it first)");
    return load_image(s, a, str_of(id.text), out, e);
}

int image_find(struct image_store *s, struct arena *a, struct str ref, struct image *out,
               struct err *e) {
    store_lock(s);
    int r = find_locked(s, a, ref, out, e);
    store_unlock(s);
    return r < 0 ? err_in(e, "image '%.*s'", STR_ARG(str_sub(ref, 0, 200))) : 0;
}

static int load_ids(struct image_store *s, struct arena *a, struct strings *out, struct err *e) {
    size_t count = 0;
    {
        AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
        if (SQL_SELECT(s->db, &rows, e, "SELECT count(*) FROM images") < 0 ||
            sqlite_next(&rows, e) < 0)
            return -1;
        count = (size_t)sqlite_number(&rows, 0);
    }
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(s->db, &rows, e, "SELECT id FROM images ORDER BY id") < 0) return -1;
    return load_strings(a, &rows, count, out, e);
}

static int list_locked(struct image_store *s, struct arena *a, const struct image **out,
                       size_t *out_count, struct err *e) {
    struct strings ids;
    if (load_ids(s, a, &ids, e) < 0) return -1;
    struct image *images = arena_array(a, ids.count + 1, sizeof *images);
    if (!images) return full(e);
    for (size_t i = 0; i < ids.count; i++)
        if (load_image(s, a, ids.items[i], &images[i], e) < 0)
            return err_in(e, "image '%.*s'", STR_ARG(ids.items[i]));
    *out = images;
    *out_count = ids.count;
    return 0;
}

int image_list(struct image_store *s, struct arena *a, const struct image **out, size_t *out_count,
               struct err *e) {
    store_lock(s);
    int r = list_locked(s, a, out, out_count, e);
    store_unlock(s);
    return r;
}

/* ---- changing ---- */

static int remove_locked(struct image_store *s, struct str ref, struct err *e) {
    struct image_id id;
    int r = resolve(s, ref, &id, e);
    if (r <= 0) return r;
    if (SQL_RUN(s->db, e, "DELETE FROM images WHERE id = ?1", SQL_TEXT(str_of(id.text))) < 0)
        return -1;
    struct err ignored; /* the image is gone; its layers are found by the next collection */
    (void)!store_drop_unneeded(s, STORE_DROP_ALL, &ignored);
    return 0;
}

int image_remove(struct image_store *s, struct str ref, struct err *e) {
    store_lock(s);
    int r = remove_locked(s, ref, e);
    store_unlock(s);
    return r < 0 ? err_in(e, "remove image '%.*s'", STR_ARG(str_sub(ref, 0, 200))) : 0;
}

/* Checks one layer; *bottom: nothing below it is seen. */
static int look_at_layer(struct image_store *s, struct str name, uint64_t *dir, bool *bottom,
                         struct err *e) {
    if (store_dir_of(name, dir) < 0)
        return err_set(e, ERR_INTERNAL, "'%.*s' is no layer", STR_ARG(name));
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(s->db, &rows, e, "SELECT bottom FROM layers WHERE dir = ?1", SQL_NUMBER(*dir)) <
        0)
        return -1;
    int r = sqlite_next(&rows, e);
    if (r < 0) return -1;
    if (r == 0) return err_set(e, ERR_NOT_FOUND, "the layer '%.*s' is gone", STR_ARG(name));
    *bottom = sqlite_number(&rows, 0) != 0;
    return 0;
}

/* The layers that an image is made of, lowest first. */
struct layers {
    uint64_t dirs[IMAGE_LAYERS_MAX];
    size_t count;
};

/* Those of the record, without what lies below an opaque root. Under the lock. */
static int look_at_layers(struct image_store *s, const struct image_record *rec, struct layers *out,
                          struct err *e) {
    out->count = 0;
    for (size_t i = 0; i < rec->dir_count; i++) {
        uint64_t dir;
        bool bottom = false;
        if (look_at_layer(s, rec->dirs[i], &dir, &bottom, e) < 0) return -1;
        if (bottom) out->count = 0;
        out->dirs[out->count++] = dir;
    }
    return 0;
}

static int write_layers(struct image_store *s, const struct image_record *rec,
                        const struct layers *layers, struct err *e) {
    if (SQL_RUN(s->db, e, "DELETE FROM image_layers WHERE image = ?1", SQL_TEXT(rec->id)) < 0)
        return -1;
    for (size_t i = 0; i < layers->count; i++)
        if (SQL_RUN(s->db, e, "INSERT INTO image_layers(image, position, dir) VALUES(?1, ?2, ?3)",
                    SQL_TEXT(rec->id), SQL_NUMBER(i), SQL_NUMBER(layers->dirs[i])) < 0 ||
            SQL_RUN(s->db, e, "UPDATE layers SET used = 1 WHERE dir = ?1",
                    SQL_NUMBER(layers->dirs[i])) < 0)
            return -1;
    return 0;
}

static int write_record(struct image_store *s, const struct image_record *rec,
                        const struct layers *layers, struct err *e) {
    if (SQL_RUN(s->db, e, "INSERT OR IGNORE INTO images(id, config) VALUES(?1, ?2)",
                SQL_TEXT(rec->id), SQL_TEXT(rec->config_json)) < 0 ||
        write_layers(s, rec, layers, e) < 0)
        return -1;
    if (rec->tag.n > 0 &&
        SQL_RUN(s->db, e, "INSERT OR REPLACE INTO tags(name, tag, image) VALUES(?1, ?2, ?3)",
                SQL_TEXT(rec->name), SQL_TEXT(rec->tag), SQL_TEXT(rec->id)) < 0)
        return -1;
    if (rec->digest.n > 0 &&
        SQL_RUN(s->db, e, "INSERT OR REPLACE INTO digests(name, digest, image) VALUES(?1, ?2, ?3)",
                SQL_TEXT(rec->name), SQL_TEXT(rec->digest), SQL_TEXT(rec->id)) < 0)
        return -1;
    return 0;
}

static int commit_locked(struct image_store *s, const struct image_record *rec,
                         const struct layers *layers, struct err *e) {
    if (sqlite_begin(s->db, e) < 0) return -1;
    if (write_record(s, rec, layers, e) < 0) {
        sqlite_rollback(s->db);
        return -1;
    }
    return sqlite_commit(s->db, e);
}

/* What cannot be loaded must not be stored: one broken record would break every list. */
static int check_record(const struct image_record *rec, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(8 << 20);
    struct image_config config;
    if (!reference_is_digest(rec->id))
        return err_set(e, ERR_INVALID, "'%.*s' is no image id", STR_ARG(str_sub(rec->id, 0, 100)));
    if (rec->dir_count > IMAGE_PULLED_LAYERS_MAX)
        return err_set(e, ERR_LIMIT, "the image has %zu layers, %d are possible", rec->dir_count,
                       IMAGE_PULLED_LAYERS_MAX);
    if (rec->tag.n == 0 && rec->digest.n == 0)
        return err_set(e, ERR_INVALID, "the image has neither tag nor digest");
    return image_config_parse(&a, rec->config_json, &config, e);
}

/* Adds the layer on top that the others need, and lets go of it when the image has it. */
static int commit_image(struct image_store *s, const struct image_record *rec, struct err *e) {
    struct layers layers;
    store_lock(s);
    int r = look_at_layers(s, rec, &layers, e);
    store_unlock(s);
    if (r < 0) return -1;
    const struct implied_stack stack = {layers.dirs, layers.count};
    int extra = implied_layer(s, &stack, &layers.dirs[layers.count], e);
    if (extra < 0) return -1;
    if (extra > 0) layers.count++;
    store_lock(s);
    r = commit_locked(s, rec, &layers, e);
    store_unlock(s);
    if (extra > 0) {
        char name[STORE_NAME_BYTES];
        store_name_of(layers.dirs[layers.count - 1], name);
        struct str held = str_of(name);
        image_release(s, &held, 1);
    }
    return r;
}

int image_commit(struct image_store *s, const struct image_record *r, struct err *e) {
    if (check_record(r, e) < 0) return err_in(e, "record image '%.*s'", STR_ARG(r->name));
    int failed = commit_image(s, r, e);
    return failed < 0 ? err_in(e, "record image '%.*s'", STR_ARG(r->name)) : 0;
}
