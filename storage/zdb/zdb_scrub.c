/* SPDX-License-Identifier: Apache-2.0 — zdb_scrub.c: is all of it still what was written?
 *
 * First every data file, from its first byte to the last durable one, as the disk likes it: a
 * record says where the next one starts and what checksum its payload has. Where that breaks (a
 * header that is none, a wrong checksum, an unreadable place) the walk is not to be trusted since
 * the last payload that was right, for a damaged length leads astray unseen when there is no
 * payload to compare. From there on the index's entries are followed instead, one by one: each is
 * compared with its record and its payload is read. Behind the first good one past the break the
 * walk goes on. Entries are only searched for then, in sorted batches, so that a sound namespace
 * costs no memory and no search in `seq` mode, where entries of a data file may be in any index
 * file. Then every index entry: the record that it names must be its own. The payloads were
 * compared by then, so only headers are read. A place is reported once. Only what is durable is
 * read, which no failed sync takes back; a data file that was replaced meanwhile is read as it was,
 * and from the start again when it breaks. */
#include "storage/zdb/zdb_internal.h"
#include "storage/zdb/zdb_rate.h"

#include "base/file.h"

#include <errno.h>

#define WINDOW_BYTES ((size_t)256 << 10)
#define BATCH_MAX    4096       /* entries that are followed before the index is searched again */
#define PLACES_MAX   65536      /* findings that are remembered; later ones may be reported twice */
#define REPLACED     (-EREMCHG) /* the pinned files are not those of the namespace any more */
#define CHUNK        32         /* entries that are looked at under one taking of the lock */

/* A pair of files while it is read. Only the pin_ functions know how one is held. */
struct pin {
    uint32_t id;
    struct zdb_data_file *data; /* held */
};

/* A data file and how far it is read. */
struct source {
    struct pin pin;
    uint32_t end;
};

struct named { /* a record by its entry */
    uint32_t offset;
    uint32_t index_id, index_offset;
};

struct scrub {
    struct zdb_namespace *ns;
    const struct zdb_scrub_options *o;
    struct zdb_scrub_result result;
    struct zdb_progress progress;
    struct zdb_rate rate;
    struct zdb_table places; /* hash, data or index file, offset */
    struct source source;
    char *window; /* owned */
    uint32_t window_at;
    size_t window_n;
    uint32_t sure;       /* up to here the walk is right */
    struct named *batch; /* owned; 2 * BATCH_MAX */
    size_t batch_n;
};

static void scrub_done(struct scrub *s) {
    zdb_data_file_drop(STEAL(s->source.pin.data));
    zdb_table_done(&s->places);
    free(s->window);
    free(s->batch);
}

static bool go_on(void *user) {
    struct scrub *s = user;
    return !s->o->go_on || s->o->go_on(s->o->user, &s->progress);
}

/* Before that many bytes are read. */
static int take(struct scrub *s, uint64_t bytes) {
    int r = zdb_rate_take(&s->rate, bytes);
    if (r < 0) return r;
    s->result.read_bytes += bytes;
    s->progress.done_bytes += bytes;
    if (s->progress.done_bytes > s->progress.total_bytes) /* damage is read twice */
        s->progress.done_bytes = s->progress.total_bytes;
    return 0;
}

/* ---- findings ---- */

struct place {
    bool is_index;
    uint32_t file_id, offset;
};

static void report(struct scrub *s, struct place at, struct str key, const char *text) {
    uint32_t file = at.file_id * 2 + at.is_index;
    uint64_t h = ((uint64_t)file << 32 | at.offset) * 0x9e3779b97f4a7c15u;
    struct zdb_slot slot = {(uint32_t)(h >> 32), file, at.offset};
    struct zdb_slot *there = zdb_table_first(&s->places, slot.hash);
    for (; there; there = zdb_table_next(&s->places, there))
        if (there->a == slot.a && there->b == slot.b) return;
    if (s->places.used < PLACES_MAX) zdb_table_add(&s->places, slot);
    s->result.corrupt++;
    if (s->o->found) s->o->found(s->o->user, key, text);
}

static void report_item(struct scrub *s, const struct zdb_item *i, const char *what) {
    char text[ERR_MSG_BYTES_MAX];
    char key[ZDB_KEY_TEXT_BYTES];
    uint32_t id = zdb_data_id(s->ns, i);
    const char *kind = i->entry.flags & ZDB_DELETED ? "a version before of key" : "key";
    (void)snprintf(text, sizeof text, "%s %s: %s (data file %u at %u, index file %u at %u)", kind,
                   zdb_key_text(zdb_item_key(i), key), what, id, i->entry.offset, i->file_id,
                   i->offset);
    report(s, (struct place){false, id, i->entry.offset}, zdb_item_key(i), text);
}

/* ---- reading ---- */

/* Lock held (read). False: there are no such files. */
static bool pin_take(const struct zdb_namespace *ns, uint32_t id, struct pin *out) {
    if (id >= ns->pair_count || !ns->pairs[id].data) return false;
    zdb_data_file_drop(out->data);
    *out = (struct pin){id, zdb_data_file_hold(ns->pairs[id].data)};
    return true;
}

/* Lock held (read). Whether nobody has put others in the place of these files. */
static bool pin_is_current(const struct zdb_namespace *ns, const struct pin *pin) {
    return pin->id < ns->pair_count && ns->pairs[pin->id].data == pin->data;
}

/* Up to where no failed sync takes anything back. Lock held (read). */
static void stable_end(struct zdb_namespace *ns, uint32_t id, uint32_t *out_data,
                       uint32_t *out_index) {
    bool is_last = id + 1 == ns->pair_count;
    bool may_fail = ns->options.durability == ZDB_ALWAYS && is_last;
    *out_data = may_fail ? ns->durable.data_end : ns->pairs[id].data_end;
    if (!may_fail && is_last && ns->out.bytes.n > 0) *out_data = ns->out.at;
    *out_index = is_last ? zdb_tail_start(ns) : ns->pairs[id].index_end;
}

static bool source_take(struct scrub *s, uint32_t id) {
    struct zdb_namespace *ns = s->ns;
    uint32_t index_end;
    (void)pthread_rwlock_rdlock(&ns->lock);
    bool is_there = pin_take(ns, id, &s->source.pin);
    if (is_there) stable_end(ns, id, &s->source.end, &index_end);
    (void)pthread_rwlock_unlock(&ns->lock);
    s->window_n = 0;
    return is_there;
}

/* At least one byte at the offset (below the end) into the window, at most `want` are needed.
 * Returns how many there are through *out. */
static int look(struct scrub *s, uint32_t at, size_t want, struct str *out) {
    size_t have = 0;
    if (at >= s->window_at && at < s->window_at + s->window_n)
        have = s->window_at + s->window_n - at;
    if (have < want && have < s->source.end - at) {
        size_t n = s->source.end - at;
        if (n > WINDOW_BYTES) n = WINDOW_BYTES;
        s->window_n = 0;
        int r = take(s, n);
        if (r < 0) return r;
        ssize_t got = file_pread_full(s->source.pin.data->fd, s->window, n, at);
        if (got < 0 && n > want) /* the bad place may be behind what is wanted */
            got = file_pread_full(s->source.pin.data->fd, s->window, want, at);
        if (got < 0) return (int)got;
        if (got == 0) return -EBADMSG; /* shorter than it was */
        s->window_at = at;
        s->window_n = have = (size_t)got;
    }
    *out = str_make(s->window + (at - s->window_at), have < want ? have : want);
    return 0;
}

/* Whether n bytes at the offset have the checksum: 0, -EBADMSG, or what reading gave. */
static int compare(struct scrub *s, uint32_t at, uint32_t n, uint32_t want) {
    struct str piece;
    uint32_t crc = 0;
    while (n > 0) {
        int r = look(s, at, n < WINDOW_BYTES ? n : WINDOW_BYTES, &piece);
        if (r < 0) return r;
        crc = zdb_crc(crc, piece.p, piece.n);
        at += (uint32_t)piece.n;
        n -= (uint32_t)piece.n;
    }
    return crc == want ? 0 : -EBADMSG;
}

/* The record at the offset is whole: *out_end. -EBADMSG: it is none, or its payload is wrong. */
static int walk_record(struct scrub *s, uint32_t at, uint32_t *out_end) {
    struct zdb_record record;
    struct str in;
    int r = look(s, at, ZDB_RECORD_BYTES, &in);
    if (r < 0) return r;
    if (zdb_record_decode(in, &record) < 0) return -EBADMSG;
    uint64_t payload = (uint64_t)at + ZDB_RECORD_BYTES + record.key_bytes;
    if (payload + record.payload_bytes > s->source.end) return -EBADMSG;
    if (record.payload_bytes > 0) {
        r = compare(s, (uint32_t)payload, record.payload_bytes, record.crc);
        if (r < 0) return r;
        s->sure = (uint32_t)payload + record.payload_bytes;
    } else if (record.crc != zdb_crc(0, NULL, 0)) {
        return -EBADMSG; /* nothing would be read of it, but its reader compares, too */
    }
    *out_end = (uint32_t)payload + record.payload_bytes;
    if (!(record.flags & ZDB_DELETED)) s->result.values++;
    return 0;
}

/* ---- following the entries ---- */

static int by_offset(const void *a, const void *b) {
    const struct named *x = a;
    const struct named *y = b;
    if (x->offset == y->offset) return 0;
    return x->offset < y->offset ? -1 : 1;
}

static void batch_cut(struct scrub *s) {
    qsort(s->batch, s->batch_n, sizeof *s->batch, by_offset);
    if (s->batch_n > BATCH_MAX) s->batch_n = BATCH_MAX;
}

/* Where an index file is followed: its end is that of the beginning, or writers would be ahead for
 * ever. */
struct follow {
    struct pin pin;
    uint32_t at, end;
};

static void follow_done(struct follow *f) { zdb_data_file_drop(STEAL(f->pin.data)); }

static bool follow_begin(struct scrub *s, uint32_t file_id, struct follow *f) {
    struct zdb_namespace *ns = s->ns;
    uint32_t data_end;
    f->at = ZDB_INDEX_HEADER_BYTES;
    (void)pthread_rwlock_rdlock(&ns->lock);
    bool is_there = pin_take(ns, file_id, &f->pin);
    if (is_there) stable_end(ns, file_id, &data_end, &f->end);
    (void)pthread_rwlock_unlock(&ns->lock);
    return is_there;
}

typedef void on_item(struct scrub *s, const struct zdb_item *i, uint32_t arg);

/* Some entries, each given to the function with the lock held. 1: more, 0: end of the file,
 * -EBADMSG: at f->at there is none (`user` mode: nor can be said where the next one is), REPLACED:
 * the files were replaced. */
static int next_entries(struct scrub *s, struct follow *f, on_item *each, uint32_t arg) {
    struct zdb_namespace *ns = s->ns;
    struct zdb_item i;
    (void)pthread_rwlock_rdlock(&ns->lock);
    int r = pin_is_current(ns, &f->pin) ? 1 : REPLACED;
    for (unsigned n = 0; n < CHUNK && r > 0; n++) {
        r = f->at < f->end ? zdb_item_at(ns, f->pin.id, f->at, &i) : 0;
        if (r < 0 || f->at >= f->end) break;
        each(s, &i, arg);
        f->at += ZDB_ENTRY_BYTES + i.entry.key_bytes;
        r = 1;
    }
    (void)pthread_rwlock_unlock(&ns->lock);
    return r;
}

static void collect(struct scrub *s, const struct zdb_item *i, uint32_t from) {
    if (zdb_data_id(s->ns, i) != s->source.pin.id || i->entry.offset < from) return;
    if (i->entry.offset >= s->source.end) return; /* not durable yet, or the second look tells */
    if (s->batch_n == (size_t)2 * BATCH_MAX) batch_cut(s);
    s->batch[s->batch_n++] = (struct named){i->entry.offset, i->file_id, i->offset};
}

static int gather_from(struct scrub *s, uint32_t file_id, uint32_t from) {
    bool is_user = s->ns->mode == ZDB_USER;
    AUTO(follow_done) struct follow f = {0};
    int r;
    if (!follow_begin(s, file_id, &f)) return REPLACED;
    while ((r = next_entries(s, &f, collect, from)) != 0) {
        if (r == -EBADMSG && is_user) return 0; /* the second look reports it */
        if (r == -EBADMSG)
            f.at += ZDB_SEQ_ENTRY_BYTES;
        else if (r < 0)
            return r;
        if (!go_on(s)) return -ECANCELED;
    }
    return 0;
}

/* The first entries, by their records' places from `from` on, of the current data file. */
static int gather(struct scrub *s, uint32_t from) {
    int r = 0;
    s->batch_n = 0;
    if (s->ns->mode == ZDB_USER) r = gather_from(s, s->source.pin.id, from);
    for (uint32_t f = 0; s->ns->mode == ZDB_SEQ && r == 0 && f < s->progress.files_total; f++)
        r = gather_from(s, f, from);
    batch_cut(s);
    return r;
}

struct extent { /* of a record that is right */
    uint32_t end;
    bool has_payload;
};

/* 0: the entry's record and payload are right; -EBADMSG when not, and it is reported; 1: it names
 * something else by now; REPLACED: everything does, the data file was replaced. */
static int check_named(struct scrub *s, const struct named *n, struct extent *out) {
    struct zdb_namespace *ns = s->ns;
    struct zdb_item i;
    (void)pthread_rwlock_rdlock(&ns->lock);
    int r = pin_is_current(ns, &s->source.pin) ? 0 : REPLACED;
    bool is_stale = r < 0;
    if (r == 0) r = zdb_item_at(ns, n->index_id, n->index_offset, &i);
    bool has_record = r == 0 && zdb_item_has_record(ns, &i);
    (void)pthread_rwlock_unlock(&ns->lock);
    if (is_stale) return r;
    if (r < 0 || zdb_data_id(ns, &i) != s->source.pin.id || i.entry.offset != n->offset) return 1;
    uint64_t payload = (uint64_t)i.entry.offset + ZDB_RECORD_BYTES + i.entry.key_bytes;
    if (has_record && payload + i.entry.payload_bytes > s->source.end) return 1; /* not durable */
    if (!has_record && i.entry.flags & ZDB_DELETED) return 1; /* dropped by compaction, maybe */
    if (!has_record) {
        report_item(s, &i, "its record is damaged or cannot be read");
        return -EBADMSG;
    }
    r = compare(s, (uint32_t)payload, i.entry.payload_bytes, i.entry.crc);
    if (r == -ECANCELED) return r;
    if (r < 0) {
        report_item(s, &i, r == -EBADMSG ? "the payload does not have its checksum" : strerror(-r));
        return -EBADMSG;
    }
    *out = (struct extent){(uint32_t)payload + i.entry.payload_bytes, i.entry.payload_bytes > 0};
    return 0;
}

static void report_gap(struct scrub *s, uint32_t from, uint32_t to) {
    char text[ERR_MSG_BYTES_MAX];
    (void)snprintf(text, sizeof text,
                   "data file %u: the bytes from %u to %u are no records that can be followed, and "
                   "no entry names them",
                   s->source.pin.id, from, to);
    report(s, (struct place){false, s->source.pin.id, from}, STR_NONE, text);
}

/* The walk broke at *at: goes from entry to entry; *at is where it can go on. */
static int follow_entries(struct scrub *s, uint32_t *at) {
    uint32_t from = s->sure;
    bool is_explained = false;
    for (;;) {
        int r = gather(s, from);
        if (r < 0) return r;
        for (size_t k = 0; k < s->batch_n; k++) {
            const struct named *n = &s->batch[k];
            struct extent good;
            r = check_named(s, n, &good);
            if (r == -ECANCELED || r == REPLACED) return r;
            if (r < 0 && n->offset <= *at) is_explained = true;
            if (r != 0 || n->offset < *at) continue;
            s->result.values++;
            if (!good.has_payload) continue; /* it would not tell if the walk went astray again */
            if (!is_explained && n->offset > *at) report_gap(s, *at, n->offset);
            s->sure = *at = good.end;
            return 0;
        }
        if (s->batch_n < BATCH_MAX) break;
        from = s->batch[s->batch_n - 1].offset + 1;
    }
    if (!is_explained) report_gap(s, *at, s->source.end);
    *at = s->source.end;
    return 0;
}

static int walk_source(struct scrub *s) {
    uint32_t at = s->sure = ZDB_DATA_HEADER_BYTES;
    while (at < s->source.end) {
        int r = walk_record(s, at, &at);
        if (r == 0) continue;
        if (r == -ECANCELED) return r;
        s->window_n = 0;
        r = follow_entries(s, &at);
        if (r < 0) return r;
    }
    return 0;
}

static int walk_file(struct scrub *s, uint32_t id) {
    int r = 0;
    do /* until it is read through, or is not there any more */
        r = source_take(s, id) ? walk_source(s) : 0;
    while (r == REPLACED);
    return r;
}

/* ---- the index ---- */

static void check_entry(struct scrub *s, const struct zdb_item *i, uint32_t arg) {
    (void)arg;
    if (i->entry.flags & ZDB_DELETED) return; /* compaction may have dropped what it named */
    if (!zdb_item_has_record(s->ns, i)) report_item(s, i, "its index entry does not fit a record");
}

static void report_index(struct scrub *s, const struct follow *f) {
    char text[ERR_MSG_BYTES_MAX];
    const char *rest = s->ns->mode == ZDB_USER ? ", and what follows cannot be found" : "";
    (void)snprintf(text, sizeof text, "index file %u: there is no entry at %u%s", f->pin.id, f->at,
                   rest);
    report(s, (struct place){true, f->pin.id, f->at}, STR_NONE, text);
}

static int check_entries(struct scrub *s, struct follow *f) {
    int r;
    do {
        uint32_t before = f->at;
        r = next_entries(s, f, check_entry, 0);
        int taken = take(s, f->at - before);
        if (taken < 0) return taken;
        if (r != -EBADMSG) continue;
        report_index(s, f);
        if (s->ns->mode == ZDB_USER) return 0;
        f->at += ZDB_SEQ_ENTRY_BYTES;
        r = 1;
    } while (r > 0);
    return r;
}

static int check_index(struct scrub *s, uint32_t file_id) {
    AUTO(follow_done) struct follow f = {0};
    int r = 0;
    do r = follow_begin(s, file_id, &f) ? check_entries(s, &f) : 0;
    while (r == REPLACED);
    return r;
}

static void measure(struct scrub *s) {
    struct zdb_info info;
    zdb_info(s->ns, &info);
    s->progress.files_total = info.file_id + 1;
    s->progress.total_bytes = info.data_bytes + info.index_bytes;
}

static int scrub_all(struct scrub *s) {
    int r = 0;
    measure(s);
    for (uint32_t f = 0; r == 0 && f < s->progress.files_total; f++) {
        r = walk_file(s, f);
        s->progress.files_done = f + 1;
    }
    for (uint32_t f = 0; r == 0 && f < s->progress.files_total; f++) r = check_index(s, f);
    s->progress.done_bytes = s->progress.total_bytes;
    if (r == 0) (void)go_on(s);
    return r;
}

int zdb_scrub(struct zdb_namespace *ns, const struct zdb_scrub_options *o,
              struct zdb_scrub_result *out, struct err *e) {
    AUTO(scrub_done) struct scrub s = {.ns = ns, .o = o};
    s.rate = (struct zdb_rate){.bytes_per_s = o->bytes_per_s, .go_on = go_on, .user = &s};
    s.window = xmalloc(WINDOW_BYTES);
    s.batch = xmalloc((size_t)2 * BATCH_MAX * sizeof *s.batch);
    int r = scrub_all(&s);
    if (r == -ECANCELED)
        return err_set(e, ERR_CANCELLED, "the scrub of namespace '%.*s' was cancelled",
                       STR_ARG(ns->descriptor.name));
    if (r < 0)
        return err_sys(e, -r, "scrub namespace '%.*s': read its index",
                       STR_ARG(ns->descriptor.name));
    *out = s.result;
    return 0;
}
