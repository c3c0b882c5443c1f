/* SPDX-License-Identifier: Apache-2.0 — zdbd_admin.c: commands that make, change and remove
 * namespaces.
 *
 * Their work ends on the disk before the connection goes on. Settings are changed from what the
 * engine has at that moment, one change at a time, so that two admins do not undo each other.
 * Source: 0-db 2.0.7 (zdbd/commands_namespace.c). */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>

#define DEFAULT_NAME  "default"
#define VALUE_CHARS   63
#define INTERVAL_TEXT "interval:"

/* ---- what several of them share ---- */

static void answer(struct zdbd_work *w, const char *failed) {
    if (w->result == 0) {
        resp_simple(&w->reply, STR("OK"));
        return;
    }
    (void)err_in(&w->error, "%s", failed);
    zdbd_work_error(w, &w->error);
}

static void tell_hook(struct zdbd_server *s, const char *event, const char *name) {
    const char *args[] = {name, NULL};
    zdbd_hook_post(s->options.hook, s->loop, event, args);
}

/* The namespace that argument `at` names; answers when there is none that can be changed. */
static struct zdbd_space *take_space(struct zdbd_session *s, const struct resp_request *r,
                                     const char *missing) {
    if (r->args[1].n > ZDB_NAME_BYTES_MAX) {
        zdbd_error(s, "Namespace too long");
        return NULL;
    }
    struct zdbd_space *p = zdbd_space_find(s->server, r->args[1]);
    if (p && !p->exclusive) return p;
    zdbd_error(s, p ? "Namespace is being changed, try again" : missing);
    return NULL;
}

int zdbd_durability_parse(struct str text, enum zdb_durability *out, uint32_t *out_interval_ms) {
    uint64_t ms = 0;
    if (str_eq(text, STR("always"))) {
        *out = ZDB_ALWAYS;
    } else if (str_eq(text, STR("never"))) {
        *out = ZDB_NEVER;
    } else if (str_starts(text, STR(INTERVAL_TEXT))) {
        struct str digits = str_sub(text, sizeof INTERVAL_TEXT - 1, text.n);
        if (str_u64(digits, &ms) < 0 || ms == 0 || ms > UINT32_MAX) return -EINVAL;
        *out = ZDB_INTERVAL;
        *out_interval_ms = (uint32_t)ms;
    } else {
        return -EINVAL;
    }
    return 0;
}

const char *zdbd_durability_text(enum zdb_durability d, uint32_t interval_ms, char *out) {
    switch (d) {
    case ZDB_ALWAYS: return "always";
    case ZDB_NEVER: return "never";
    case ZDB_INTERVAL: break;
    }
    (void)snprintf(out, ZDBD_DURABILITY_BYTES, INTERVAL_TEXT "%u", interval_ms);
    return out;
}

/* ---- NSNEW ---- */

static void new_run(struct zdbd_work *w) {
    struct err ignored = {0};
    w->result = zdbd_space_open(w->space, &w->error);
    if (w->result < 0) (void)!zdbd_space_remove(w->space, &ignored); /* what was made of it */
    answer(w, "Could not create namespace");
}

static void new_done(struct zdbd_work *w) {
    struct zdbd_space *p = w->space;
    p->is_new = false;
    if (w->result == 0) {
        tell_hook(p->server, "namespace-created", p->name);
        return;
    }
    w->space = NULL;
    zdbd_space_free(p);
}

void zdbd_nsnew(struct zdbd_session *s, const struct resp_request *r) {
    if (!zdbd_check_admin(s) || !zdbd_check_args(s, r, 2)) return;
    struct str name = r->args[1];
    if (name.n > ZDB_NAME_BYTES_MAX) {
        zdbd_error(s, "Namespace too long");
    } else if (!zdbd_space_name_ok(name) || str_eq(name, STR(DEFAULT_NAME))) {
        zdbd_error(s, "This name is not allowed");
    } else if (zdbd_space_exists(s->server, name)) {
        zdbd_error(s, "This namespace is not available");
    } else if (s->server->space_count >= ZDBD_SPACES_MAX) {
        zdbd_error(s, "Could not create namespace: there are 4096 already");
    } else {
        struct zdbd_work *w = zdbd_work_new(s, new_run);
        w->done = new_done;
        w->space = zdbd_space_new(s->server, name);
        w->space->is_new = true;
        zdbd_work_start_exclusive(w);
    }
}

/* ---- NSDEL ---- */

static void del_run(struct zdbd_work *w) {
    struct err ignored = {0};
    (void)!zdbd_space_close(w->space, &ignored); /* what it could not sync is removed now */
    w->result = zdbd_space_remove(w->space, &w->error);
    answer(w, "Could not delete this namespace");
}

/* After a removal that failed half way the name stays taken: nobody else may get what is left. It
 * is not open; another NSDEL, or the next start, finishes it. */
static void del_done(struct zdbd_work *w) {
    if (w->result < 0) {
        w->space->is_new = false;
        return;
    }
    struct zdbd_space *p = STEAL(w->space);
    tell_hook(p->server, "namespace-deleted", p->name);
    zdbd_space_free(p);
}

void zdbd_nsdel(struct zdbd_session *s, const struct resp_request *r) {
    if (!zdbd_check_admin(s) || !zdbd_check_args(s, r, 2)) return;
    struct zdbd_space *p = take_space(s, r, "This namespace doesn't exists");
    if (!p) return;
    if (p == s->server->standard) {
        zdbd_error(s, "Cannot remove default namespace");
        return;
    }
    if (p == s->space) {
        zdbd_error(s, "Cannot remove namespace you're currently using.");
        return;
    }
    struct zdbd_link *sessions = &s->server->sessions;
    for (struct zdbd_link *l = sessions->next; l != sessions; l = l->next) {
        struct zdbd_session *other = CONTAINER_OF(l, struct zdbd_session, link);
        if (other->space == p) other->space = NULL; /* its next request is told */
    }
    struct zdbd_work *w = zdbd_work_new(s, del_run);
    w->done = del_done;
    w->space = p;
    p->is_new = true; /* nobody finds it any more */
    zdbd_work_start_exclusive(w);
}

/* ---- NSSET: lasting settings ---- */

/* A change, and afterwards what the settings are. */
struct change {
    int (*apply)(struct change *c, struct zdb_settings *settings);
    char value[VALUE_CHARS + 1];
    size_t value_bytes;
    struct zdb_settings settings;
    char password[ZDB_PASSWORD_BYTES_MAX];
};

static struct str value_of(const struct change *c) { return str_make(c->value, c->value_bytes); }

static int set_maxsize(struct change *c, struct zdb_settings *settings) {
    return str_u64(value_of(c), &settings->max_bytes);
}

static int set_password(struct change *c, struct zdb_settings *settings) {
    settings->password = str_eq(value_of(c), STR("*")) ? STR_NONE : value_of(c);
    return 0;
}

static int set_public(struct change *c, struct zdb_settings *settings) {
    settings->is_public = c->value[0] == '1';
    return 0;
}

static int set_worm(struct change *c, struct zdb_settings *settings) {
    settings->is_worm = c->value[0] == '1';
    return 0;
}

static int set_durability(struct change *c, struct zdb_settings *settings) {
    return zdbd_durability_parse(value_of(c), &settings->durability, &settings->interval_ms);
}

static int set_versions(struct change *c, struct zdb_settings *settings) {
    uint64_t n = 0;
    if (str_eq(value_of(c), STR("all"))) {
        settings->versions_max = ZDB_KEEP_ALL;
        return 0;
    }
    if (str_u64(value_of(c), &n) < 0 || n >= ZDB_KEEP_ALL) return -EINVAL;
    settings->versions_max = (uint32_t)n;
    return 0;
}

static void change_run(struct zdbd_work *w) {
    struct change *c = w->more;
    struct zdb_namespace *ns = w->space->ns;
    pthread_mutex_t *lock = &w->space->server->config_lock;
    (void)pthread_mutex_lock(lock);
    zdb_settings(ns, &c->settings);
    w->result = c->apply(c, &c->settings);
    if (w->result == 0)
        w->result = zdb_configure(ns, &c->settings, &w->error);
    else
        (void)err_set(&w->error, ERR_INVALID, "'%s'", c->value);
    if (w->result == 0) {
        zdb_settings(ns, &c->settings);
        if (c->settings.password.n)
            memcpy(c->password, c->settings.password.p, c->settings.password.n);
    }
    (void)pthread_mutex_unlock(lock);
    answer(w, w->error.kind == ERR_INVALID ? "Invalid property value" : "Could not update");
}

static void change_done(struct zdbd_work *w) {
    const struct change *c = w->more;
    struct zdbd_space *p = w->space;
    if (w->result < 0) return;
    p->settings = c->settings;
    p->password_bytes = c->settings.password.n;
    memcpy(p->password, c->password, p->password_bytes);
    p->settings.password = str_make(p->password, p->password_bytes);
    tell_hook(p->server, "namespace-updated", p->name);
}

/* ---- NSSET mode, lock, freeze ---- */

static void mode_run(struct zdbd_work *w) {
    enum zdb_mode mode = w->number[0] ? ZDB_SEQ : ZDB_USER;
    w->result = zdb_flush(w->space->ns, mode, &w->error);
    answer(w, "Could not change the mode");
}

static void mode_done(struct zdbd_work *w) {
    if (w->result < 0) return;
    w->space->mode = w->number[0] ? ZDB_SEQ : ZDB_USER;
    tell_hook(w->space->server, "namespace-updated", w->space->name);
}

static void set_mode(struct zdbd_session *s, struct zdbd_space *p, struct str value) {
    struct zdb_info info;
    bool is_seq = str_eq(value, STR("seq"));
    if (s->server->options.mode != ZDBD_MIXED) {
        zdbd_error(s, "This server instance is configured to use a single runtime mode");
        return;
    }
    zdb_info(p->ns, &info);
    if (info.file_id > 0 || info.data_end > ZDB_DATA_HEADER_BYTES) {
        zdbd_error(s, "Cannot change mode of used namespace");
        return;
    }
    if (!is_seq && !str_eq(value, STR("user"))) {
        zdbd_error(s, "Invalid property value (expected: user, seq)");
        return;
    }
    struct zdbd_work *w = zdbd_work_new(s, mode_run);
    w->done = mode_done;
    w->space = p;
    w->number[0] = is_seq;
    zdbd_work_start_exclusive(w);
}

/* They last until the next start, as in 0-db. */
static void set_lock(struct zdbd_session *s, struct zdbd_space *p, enum zdbd_lock kind,
                     struct str value) {
    p->lock = value.p[0] == '1' ? kind : ZDBD_UNLOCKED;
    tell_hook(s->server, "namespace-updated", p->name);
    zdbd_ok(s);
}

/* ---- NSSET ---- */

static const struct {
    const char *name;
    bool also_default;
    int (*apply)(struct change *c, struct zdb_settings *settings);
} properties[] = {
    {"maxsize", false, set_maxsize},      {"password", false, set_password},
    {"public", false, set_public},        {"worm", false, set_worm},
    {"durability", true, set_durability}, {"versions", true, set_versions},
};

static void set_property(struct zdbd_session *s, struct zdbd_space *p,
                         const struct resp_request *r) {
    size_t i = 0;
    while (i < COUNT(properties) && !str_eq(r->args[2], str_of(properties[i].name))) i++;
    if (p == s->server->standard && (i == COUNT(properties) || !properties[i].also_default)) {
        zdbd_error(s, "Cannot update default namespace");
        return;
    }
    if (i == COUNT(properties)) {
        zdbd_error(s, "Invalid property");
        return;
    }
    struct change *c = xnew(struct change);
    c->apply = properties[i].apply;
    c->value_bytes = r->args[3].n;
    memcpy(c->value, r->args[3].p, c->value_bytes);
    struct zdbd_work *w = zdbd_work_new(s, change_run);
    w->done = change_done;
    w->space = p;
    w->more = c;
    zdbd_work_start_barrier(w);
}

void zdbd_nsset(struct zdbd_session *s, const struct resp_request *r) {
    if (!zdbd_check_admin(s) || !zdbd_check_args(s, r, 4)) return;
    if (r->args[3].n > VALUE_CHARS || r->args[2].n > VALUE_CHARS) {
        zdbd_error(s, "Argument too long");
        return;
    }
    struct zdbd_space *p = take_space(s, r, "Namespace not found");
    if (!p) return;
    if (!p->ns)
        zdbd_error(s, ZDBD_NOT_OPEN);
    else if (str_eq(r->args[2], STR("mode")))
        set_mode(s, p, r->args[3]);
    else if (str_eq(r->args[2], STR("lock")))
        set_lock(s, p, ZDBD_LOCKED, r->args[3]);
    else if (str_eq(r->args[2], STR("freeze")))
        set_lock(s, p, ZDBD_FROZEN, r->args[3]);
    else
        set_property(s, p, r);
}

/* ---- NSJUMP, RELOAD, FLUSH ---- */

static void jump_run(struct zdbd_work *w) {
    w->result = zdb_jump(w->space->ns, &w->error);
    answer(w, "Could not start new files");
}

static void jump_done(struct zdbd_work *w) {
    w->space->written_ms = 0;
    if (w->result == 0 && w->space->server->options.hook) zdbd_jump_note(w->space);
}

void zdbd_nsjump(struct zdbd_session *s, const struct resp_request *r) {
    (void)r;
    if (!zdbd_check_admin(s) || !zdbd_check_readable(s)) return;
    struct zdbd_work *w = zdbd_work_new(s, jump_run);
    w->done = jump_done;
    zdbd_work_start_barrier(w);
}

static void reload_run(struct zdbd_work *w) {
    w->result = zdbd_space_close(w->space, &w->error);
    if (w->result == 0) w->result = zdbd_space_open(w->space, &w->error);
    answer(w, "Could not reload this namespace");
}

static void reload_done(struct zdbd_work *w) {
    if (w->result == 0) tell_hook(w->space->server, "namespace-reloaded", w->space->name);
}

void zdbd_reload(struct zdbd_session *s, const struct resp_request *r) {
    if (!zdbd_check_admin(s) || !zdbd_check_args(s, r, 2)) return;
    struct zdbd_space *p = take_space(s, r, "Namespace not found");
    if (!p) return;
    struct zdbd_work *w = zdbd_work_new(s, reload_run);
    w->done = reload_done;
    w->space = p;
    zdbd_work_start_exclusive(w);
}

static void flush_run(struct zdbd_work *w) {
    w->result = zdb_flush(w->space->ns, w->space->mode, &w->error);
    if (w->result == 0) (void)!zdbd_dirty_reset(w->space);
    answer(w, "Could not flush this namespace");
}

static void flush_done(struct zdbd_work *w) {
    struct zdb_info info;
    zdb_info(w->space->ns, &info);
    w->space->jumped_id = info.file_id;
    w->space->written_ms = 0;
}

void zdbd_flush(struct zdbd_session *s, const struct resp_request *r) {
    struct zdbd_space *p = s->space;
    (void)r;
    if (p->settings.is_public || zdbd_space_password(p).n == 0) {
        zdbd_error(s, "Flushing public namespace denied");
        return;
    }
    if (!zdbd_check_writable(s)) return;
    if (p->settings.is_worm) {
        zdbd_error(s, "Namespace is protected by worm mode");
        return;
    }
    struct zdbd_work *w = zdbd_work_new(s, flush_run);
    w->done = flush_done;
    zdbd_work_start_exclusive(w);
}
