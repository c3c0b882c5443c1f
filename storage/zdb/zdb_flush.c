/* SPDX-License-Identifier: Apache-2.0 — zdb_flush.c: taking everything out.
 *
 * Steps, with the gate closed:
 *   1. the marker `zdb-flush`, which names the next key mode, is made durable;
 *   2. in memory the namespace is empty from now on;
 *   3. all files are removed, from the highest number to the lowest, so that whoever does not know
 *      the marker finds no gap; with them go what recovery kept (iN.cut) and what compaction left;
 *   4. a new pair 0 is made;
 *   5. the marker is removed, durably, before the next write.
 * Whatever is interrupted from 1 on is done again from 3 on: by the opening, or, after an error, by
 * the next write; writes are refused until then. Values that were found have their files open. */
#include "storage/zdb/zdb_internal.h"

#include "base/file.h"

#include <errno.h>

#define MARKER_NAME      "zdb-flush"
#define JOURNAL_NAME     "zdb-compact" /* zdb_compact_swap.c */
#define MARKER_BYTES_MAX 16
#define NAMES_MAX        (2 * ZDB_FILES_MAX) /* of a folder that are ours */

static const struct str mode_names[] = {[ZDB_USER] = {"user\n", 5}, [ZDB_SEQ] = {"seq\n", 4}};

/* ---- removing files ---- */

struct numbers {
    uint32_t *all; /* owned */
    size_t n;
};

static void numbers_done(struct numbers *f) { free(f->all); }

static int descending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* The number of "dN" or "dN.REST" (REST: one that we give). */
static int number_of(const char *name, char kind, bool only_new, uint32_t *out) {
    struct str rest = str_of(name);
    struct str digits;
    uint64_t n;
    if (rest.n == 0 || name[0] != kind) return -EINVAL;
    rest = str_sub(rest, 1, rest.n);
    (void)str_next(&rest, '.', &digits);
    bool is_ours = str_eq(rest, STR("compact"));
    is_ours |= !only_new && (rest.n == 0 || str_eq(rest, STR("cut")));
    if (!is_ours || str_u64(digits, &n) < 0 || n >= UINT32_MAX) return -EINVAL;
    *out = (uint32_t)n;
    return 0;
}

static int list(int dir, char kind, bool only_new, struct numbers *out) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    uint32_t number;
    int r = file_dir_open(&d, dir, ".");
    while (r >= 0 && (r = file_dir_next(&d, &entry)) > 0) {
        if (number_of(entry.name, kind, only_new, &number) < 0) continue;
        if (out->n == NAMES_MAX) return -E2BIG;
        if (out->n % 64 == 0) out->all = xrealloc(out->all, (out->n + 64) * sizeof *out->all);
        out->all[out->n++] = number;
    }
    if (r == 0 && out->n > 0) qsort(out->all, out->n, sizeof *out->all, descending);
    return r;
}

static int unlink_one(struct zdb_namespace *ns, int dir, const char *name) {
    int r = ns->io->unlink(ns->io, dir, name);
    return r == -ENOENT ? 0 : r;
}

static int remove_kind(struct zdb_namespace *ns, int dir, char kind, bool only_new) {
    const char *const endings[] = {".compact", ".cut", ""};
    AUTO(numbers_done) struct numbers found = {0};
    char name[ZDB_FILE_NAME_BYTES];
    int r = list(dir, kind, only_new, &found);
    for (size_t i = 0; r == 0 && i < found.n; i++)
        for (size_t k = 0; r == 0 && k < (only_new ? 1 : COUNT(endings)); k++) {
            (void)snprintf(name, sizeof name, "%c%u%s", kind, found.all[i], endings[k]);
            r = unlink_one(ns, dir, name);
        }
    return r == 0 && !only_new ? ns->io->sync_dir(ns->io, dir) : r;
}

int zdb_leftovers_remove(struct zdb_namespace *ns, struct err *e) {
    int r = remove_kind(ns, ns->index_dir, 'i', true);
    if (r == 0) r = remove_kind(ns, ns->data_dir, 'd', true);
    if (r == 0) r = unlink_one(ns, ns->index_dir, JOURNAL_NAME ".tmp");
    if (r == 0) r = unlink_one(ns, ns->index_dir, MARKER_NAME ".tmp");
    return r < 0 ? err_sys(e, -r, "remove what an interrupted compaction left") : 0;
}

/* ---- the steps ---- */

/* An empty namespace in memory. Its only pair has the files of the old one until step 4. */
static void forget_all(struct zdb_namespace *ns, enum zdb_mode mode) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    zdb_forget(ns);
    struct zdb_pair last = ns->pairs[--ns->pair_count]; /* it has descriptors */
    while (ns->pair_count > 0) zdb_pair_close(&ns->pairs[--ns->pair_count]);
    ns->pairs[ns->pair_count++] = last;
    struct zdb_pair *pair = &ns->pairs[0];
    pair->data_end = ZDB_DATA_HEADER_BYTES;
    pair->index_end = ZDB_INDEX_HEADER_BYTES;
    pair->last_entry = 0;
    pair->is_dirty = pair->is_suspect = pair->is_data_dirty = false;
    ns->durable = (struct zdb_durable){ZDB_DATA_HEADER_BYTES, ZDB_INDEX_HEADER_BYTES};
    ns->mode = ns->next_mode = mode;
    ns->unfinished = ZDB_EMPTYING;
    ns->index_error = 0;
    ns->is_half = false;
    zdb_compaction_free(STEAL(ns->swap)); /* nothing of it is left to be done */
    ns->generation++;
    (void)pthread_rwlock_unlock(&ns->lock);
}

static int remove_all(struct zdb_namespace *ns, struct err *e) {
    int r = unlink_one(ns, ns->index_dir, JOURNAL_NAME);
    if (r == 0) r = remove_kind(ns, ns->index_dir, 'i', false);
    if (r < 0) return err_sys(e, -r, "remove the index files");
    r = remove_kind(ns, ns->data_dir, 'd', false);
    return r < 0 ? err_sys(e, -r, "remove the data files") : 0;
}

int zdb_flush_finish(struct zdb_namespace *ns, struct err *e) {
    AUTO(zdb_pair_close) struct zdb_pair pair = ZDB_PAIR_NONE;
    if (remove_all(ns, e) < 0 || zdb_pair_make(ns, 0, ns->next_mode, &pair, e) < 0) return -1;
    (void)pthread_rwlock_wrlock(&ns->lock);
    if (ns->pair_count > 0) {
        zdb_pair_close(&ns->pairs[0]);
        ns->pairs[0] = pair;
        pair = ZDB_PAIR_NONE;
    }
    (void)pthread_rwlock_unlock(&ns->lock);
    int r = zdb_file_remove(ns, ns->index_dir, MARKER_NAME);
    if (r < 0) return err_sys(e, -r, "remove '%s'", MARKER_NAME);
    (void)pthread_rwlock_wrlock(&ns->lock);
    ns->unfinished = ZDB_FINISHED;
    (void)pthread_rwlock_unlock(&ns->lock);
    return 0;
}

int zdb_flush_resume(struct zdb_namespace *ns, struct err *e) {
    AUTO(buf_done) struct buf text = {0};
    int r = file_read_all(ns->index_dir, MARKER_NAME, MARKER_BYTES_MAX, &text);
    if (r == -ENOENT) return 0;
    if (r < 0 && r != -EFBIG) return err_sys(e, -r, "read '%s'", MARKER_NAME);
    bool is_seq = r == 0 && str_eq(buf_view(&text), mode_names[ZDB_SEQ]);
    if (!is_seq && (r < 0 || !str_eq(buf_view(&text), mode_names[ZDB_USER])))
        return err_set(e, ERR_CORRUPT,
                       "'%s' says that the namespace was being emptied, but not its key mode: "
                       "write 'user' or 'seq' and a line's end into it, or remove it to keep the "
                       "files",
                       MARKER_NAME);
    ns->next_mode = is_seq ? ZDB_SEQ : ZDB_USER;
    zdb_report(ns, "the namespace was being emptied: finished");
    return zdb_flush_finish(ns, e);
}

int zdb_finish(struct zdb_namespace *ns, struct err *e) {
    int r = 0;
    zdb_gate_seize(ns);
    if (ns->unfinished == ZDB_EMPTYING && (r = zdb_flush_finish(ns, e)) < 0)
        (void)err_in(e, "the namespace is being emptied, the next write tries again");
    else if (ns->unfinished == ZDB_SWAPPING && (r = zdb_swap_finish(ns, e)) < 0)
        (void)err_in(e, "a compaction could not be finished, the next write tries again");
    zdb_gate_open(ns);
    return r;
}

static int flush(struct zdb_namespace *ns, enum zdb_mode mode, struct err *e) {
    bool is_undone;
    if (ns->descriptor.is_worm)
        return err_set(e, ERR_DENIED, "Cannot flush a namespace that is in worm mode");
    int r = zdb_file_put(ns, MARKER_NAME, mode_names[mode], &is_undone);
    if (r < 0) {
        /* A marker that may come up after a power cut would take later writes along. */
        if (!is_undone) forget_all(ns, mode);
        return err_sys(e, -r, "write '%s'", MARKER_NAME);
    }
    forget_all(ns, mode);
    return zdb_flush_finish(ns, e);
}

int zdb_flush(struct zdb_namespace *ns, enum zdb_mode mode, struct err *e) {
    if (zdb_gate_close(ns, e) < 0) return -1;
    int r = flush(ns, mode, e);
    zdb_gate_open(ns);
    return r;
}
