/* SPDX-License-Identifier: Apache-2.0 — zdb_configure.c: the lasting settings of a namespace.
 *
 * Two files beside the index: 0-db's descriptor, and zdb-settings with what that does not know. A
 * setting that nobody ever changed is in neither, so that it follows zdb_options. Each file is
 * replaced as a whole; a crash between the two leaves one of them changed, which was not
 * acknowledged. */
#include "storage/zdb/zdb_internal.h"

#include "base/file.h"

#include <errno.h>

#define DESCRIPTOR_NAME "zdb-namespace"
#define SETTINGS_NAME   "zdb-settings"

static void keep_descriptor(struct zdb_namespace *ns, const struct zdb_descriptor *d) {
    ns->descriptor = *d;
    if (d->name.p != ns->name) memmove(ns->name, d->name.p, d->name.n); /* read without lock */
    if (d->password.n > 0) memmove(ns->password, d->password.p, d->password.n);
    ns->descriptor.name.p = ns->name;
    ns->descriptor.password.p = ns->password;
}

static int write_descriptor(struct zdb_namespace *ns, const struct zdb_descriptor *d,
                            struct err *e) {
    uint8_t bytes[ZDB_DESCRIPTOR_BYTES_MAX];
    if (d->name.n == 0 || d->name.n > ZDB_NAME_BYTES_MAX)
        return err_set(e, ERR_INVALID, "a namespace's name has 1 to %d bytes", ZDB_NAME_BYTES_MAX);
    size_t n = zdb_descriptor_encode(d, bytes);
    struct str text = str_make((char *)bytes, n);
    int r;
    do r = file_write_durable(ns->index_dir, DESCRIPTOR_NAME, text, 0600);
    while (r < 0 && zdb_again(ns, ns->index_dir, r));
    return r < 0 ? err_sys(e, -r, "write '%s'", DESCRIPTOR_NAME) : 0;
}

static int read_descriptor(struct zdb_namespace *ns, struct str name, struct err *e) {
    AUTO(buf_done) struct buf text = BUF(2 * ZDB_DESCRIPTOR_BYTES_MAX);
    struct zdb_descriptor d = {.name = name, .is_public = true};
    int r = file_read_all(ns->index_dir, DESCRIPTOR_NAME, text.bytes_max, &text);
    if (r < 0 && r != -ENOENT) return err_sys(e, -r, "read '%s'", DESCRIPTOR_NAME);
    if (r == 0 && zdb_descriptor_decode(buf_view(&text), &d, e) < 0)
        return err_in(e, "'%s'", DESCRIPTOR_NAME);
    if (r == -ENOENT && write_descriptor(ns, &d, e) < 0) return -1;
    keep_descriptor(ns, &d);
    return 0;
}

static int write_lasting(struct zdb_namespace *ns, const struct zdb_lasting *s, struct err *e) {
    AUTO(buf_done) struct buf text = BUF(ZDB_SETTINGS_BYTES_MAX);
    zdb_settings_encode(s, &text);
    int r;
    do r = file_write_durable(ns->index_dir, SETTINGS_NAME, buf_view(&text), 0600);
    while (r < 0 && zdb_again(ns, ns->index_dir, r));
    return r < 0 ? err_sys(e, -r, "write '%s'", SETTINGS_NAME) : 0;
}

int zdb_settings_read(struct zdb_namespace *ns, struct str name, struct err *e) {
    AUTO(buf_done) struct buf text = {0};
    struct zdb_lasting s = {0};
    if (read_descriptor(ns, name, e) < 0) return -1;
    int r = file_read_all(ns->index_dir, SETTINGS_NAME, ZDB_SETTINGS_BYTES_MAX, &text);
    if (r == -EFBIG)
        return err_set(e, ERR_CORRUPT, "'%s' has more than %d bytes", SETTINGS_NAME,
                       ZDB_SETTINGS_BYTES_MAX);
    if (r < 0 && r != -ENOENT) return err_sys(e, -r, "read '%s'", SETTINGS_NAME);
    if (r == 0 && zdb_settings_decode(buf_view(&text), &s, e) < 0)
        return err_in(e, "'%s'", SETTINGS_NAME);
    if (s.has_durability) {
        ns->options.durability = s.durability;
        ns->options.interval_ms = s.interval_ms;
    }
    if (!s.has_versions_max) s.versions_max = ZDB_KEEP_ALL;
    ns->lasting = s;
    return 0;
}

void zdb_settings(struct zdb_namespace *ns, struct zdb_settings *out) {
    (void)pthread_rwlock_rdlock(&ns->lock);
    *out = (struct zdb_settings){.password = ns->descriptor.password,
                                 .max_bytes = ns->descriptor.max_bytes,
                                 .is_public = ns->descriptor.is_public,
                                 .is_worm = ns->descriptor.is_worm,
                                 .durability = ns->options.durability,
                                 .interval_ms = ns->options.interval_ms,
                                 .versions_max = ns->lasting.versions_max};
    (void)pthread_rwlock_unlock(&ns->lock);
}

/* ---- changing them; the gate is closed ---- */

static void set_durability(struct zdb_namespace *ns, enum zdb_durability d, uint32_t interval_ms) {
    (void)pthread_mutex_lock(&ns->commit.lock);
    (void)pthread_rwlock_wrlock(&ns->lock);
    ns->options.durability = d;
    ns->options.interval_ms = interval_ms;
    (void)pthread_rwlock_unlock(&ns->lock);
    (void)pthread_cond_broadcast(&ns->commit.changed);
    (void)pthread_mutex_unlock(&ns->commit.lock);
}

static int switch_durability(struct zdb_namespace *ns, const struct zdb_settings *s,
                             struct err *e) {
    enum zdb_durability before = ns->options.durability;
    uint32_t before_ms = ns->options.interval_ms;
    if (before == ZDB_INTERVAL && s->durability != ZDB_INTERVAL) zdb_commit_stop(ns);
    set_durability(ns, s->durability, s->interval_ms);
    if (before == ZDB_INTERVAL || zdb_commit_start(ns, e) == 0) return 0;
    set_durability(ns, before, before_ms);
    return -1;
}

static bool is_same_lasting(const struct zdb_lasting *a, const struct zdb_lasting *b) {
    return a->has_durability == b->has_durability && a->durability == b->durability &&
           a->interval_ms == b->interval_ms && a->has_versions_max == b->has_versions_max &&
           a->versions_max == b->versions_max;
}

static void lasting_of(struct zdb_namespace *ns, const struct zdb_settings *s,
                       struct zdb_lasting *out) {
    *out = ns->lasting;
    if (s->durability != ns->options.durability || s->interval_ms != ns->options.interval_ms)
        out->has_durability = true;
    if (out->has_durability) {
        out->durability = s->durability;
        out->interval_ms = s->durability == ZDB_INTERVAL ? s->interval_ms : 0;
    }
    if (s->versions_max != out->versions_max) out->has_versions_max = true;
    out->versions_max = s->versions_max;
}

static int change(struct zdb_namespace *ns, const struct zdb_settings *s, struct err *e) {
    struct zdb_descriptor d = {ns->descriptor.name, s->password, s->max_bytes, s->is_public,
                               s->is_worm};
    struct zdb_lasting before = ns->lasting;
    struct zdb_lasting after;
    struct err ignored = {0};
    lasting_of(ns, s, &after);
    bool is_changed = !is_same_lasting(&before, &after);
    int r = is_changed ? write_lasting(ns, &after, e) : 0;
    if (r == 0) r = write_descriptor(ns, &d, e);
    if (r == 0) r = switch_durability(ns, s, e);
    if (r < 0 && is_changed) (void)!write_lasting(ns, &before, &ignored);
    if (r < 0) return r;
    (void)pthread_rwlock_wrlock(&ns->lock);
    keep_descriptor(ns, &d);
    if (after.versions_max != before.versions_max) /* compaction looks at all files again */
        for (uint32_t id = 0; id < ns->pair_count; id++) zdb_forget_kept(&ns->pairs[id]);
    ns->lasting = after;
    (void)pthread_rwlock_unlock(&ns->lock);
    return 0;
}

int zdb_configure(struct zdb_namespace *ns, const struct zdb_settings *s, struct err *e) {
    if (s->password.n > ZDB_PASSWORD_BYTES_MAX)
        return err_set(e, ERR_INVALID, "a namespace's password has at most %d bytes",
                       ZDB_PASSWORD_BYTES_MAX);
    if (s->durability == ZDB_INTERVAL && (s->interval_ms == 0 || s->interval_ms == UINT32_MAX))
        return err_set(e, ERR_INVALID, "the interval of syncs is at least 1 ms");
    if (zdb_gate_close(ns, e) < 0) return -1;
    int r = change(ns, s, e);
    zdb_gate_open(ns);
    return r;
}
