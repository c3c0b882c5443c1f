/* SPDX-License-Identifier: Apache-2.0 — store.h: what the files of the image store share; nobody
 * else includes it.
 *
 * Order of steps, so that a crash at any instant leaves a whole store: a layer's folder is
 * complete, renamed and synced before its record is committed; a record is deleted before its
 * folder goes to the trash. A folder without a record is therefore garbage. */
#pragma once

#include "storage/image/db.h"
#include "storage/image/group_sync.h"
#include "storage/image/image.h"
#include "storage/image/trash.h"

#include <pthread.h>

#define STORE_NAME_BYTES 16 /* "zzzzz" and its NUL, with room */
#define STORE_TMP_BYTES  32 /* "tmp-<base 36>" */
#define STORE_LAYER_MODE 0755

struct hold {
    uint64_t dir;
    uint64_t count;
};

struct image_store {
    char *layers_path;   /* owned */
    char *unpack_path;   /* owned */
    int layers_fd;       /* owned */
    struct trash *trash; /* owned */
    struct group_sync sync;

    pthread_mutex_t lock; /* leaf lock of everything below, and of the database */
    struct db *db;        /* owned */
    struct hold *holds;   /* owned, sorted by dir */
    size_t hold_count, hold_capacity;
    uint64_t dir_last, tmp_last; /* numbers given out */
    struct image_usage usage;    /* of all recorded layers */
    bool collected;              /* image_store_collect() was called: all holds are known */
};

void store_lock(struct image_store *s);
void store_unlock(struct image_store *s);

/* Layer number <-> folder name, base 36. -EINVAL when it is not one. */
void store_name_of(uint64_t dir, char out[STORE_NAME_BYTES]);
int store_dir_of(struct str name, uint64_t *out) MUST_CHECK;

/* Makes a folder for a layer to be, tmp-N; its name in tmp. */
int store_tmp_make(struct image_store *s, char tmp[STORE_TMP_BYTES], struct err *e) MUST_CHECK;
/* Gives it its final name and number and syncs both; tmp is the new name then, and whoever fails
 * afterwards throws that one away. */
int store_tmp_keep(struct image_store *s, char tmp[STORE_TMP_BYTES], uint64_t *out_dir,
                   struct err *e) MUST_CHECK;

struct layer_row {
    struct str diff_id; /* or the key of a layer of our own, see implied.h */
    uint64_t dir, bytes, inodes;
    bool bottom; /* nothing below it is seen */
};
/* Under the lock: writes the record. */
int store_layer_add(struct image_store *s, const struct layer_row *row, struct err *e) MUST_CHECK;

/* Under the lock. */
void store_hold(struct image_store *s, uint64_t dir);
bool store_held(const struct image_store *s, uint64_t dir);
/* Deletes the records of layers that no image and no hold needs, and their folders with them; only
 * those that were part of an image, or all. Before image_store_collect() it does nothing. */
enum store_drop { STORE_DROP_USED, STORE_DROP_ALL };
int store_drop_unneeded(struct image_store *s, enum store_drop which, struct err *e) MUST_CHECK;
