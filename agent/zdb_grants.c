/* SPDX-License-Identifier: Apache-2.0 — zdb_grants.c: intents, then NSLIST, then NSINFO of each.
 *
 * A half-made namespace is removed only while it is empty: whatever somebody has written stays. */
#include "agent/zdb_grants.h"

#include "agent/zdb_intent.h"
#include "base/log.h"
#include "storage/zdb_client/zdb_verbs.h"

#include <stdio.h>

struct load {
    struct zdb_grants g;
    char **names; /* owned */
    size_t count, at;
    char *half; /* owned: the namespace that is being undone */
};

struct str zdb_grant_id(struct str name, char *out) {
    int n = snprintf(out, ZDB_GRANT_BYTES, "zdb/%.*s", STR_ARG(name));
    return str_make(out, n < ZDB_GRANT_BYTES ? (size_t)n : ZDB_GRANT_BYTES - 1);
}

static void finish(struct load *l, const struct err *e) {
    l->g.done(l->g.user, l->count, e);
    for (size_t i = 0; i < l->count; i++) free(l->names[i]);
    free(l->names);
    free(l->half);
    free(l);
}

static void next(struct load *l);

static void got_info(void *user, const struct zdb_answer *a, const struct err *e) {
    struct load *l = user;
    char id[ZDB_GRANT_BYTES];
    struct err refused;
    bool is_damaged = e && e->kind == ERR_CORRUPT; /* the others are served */
    if (e && e->kind != ERR_NOT_FOUND && !is_damaged) {
        finish(l, e);
        return;
    }
    if (is_damaged)
        LOG_ERROR("a namespace is not served", F_C("namespace", l->names[l->at - 1]), F_ERR(e));
    struct admission_request r = {.id = zdb_grant_id(str_of(l->names[l->at - 1]), id),
                                  .is_storage = true};
    if (a) r.storage_bytes = zdb_info_u64(a->value, STR("data_limits_bytes"));
    if (a && l->g.admission.admit(l->g.admission.self, &r, &refused) < 0)
        LOG_ERROR("a namespace is larger than its contract", F_C("namespace", l->names[l->at - 1]),
                  F_ERR(&refused));
    next(l);
}

static void next(struct load *l) {
    if (l->at == l->count) {
        finish(l, NULL);
        return;
    }
    struct zdb_how how = {.client = l->g.client, .done = got_info, .user = l};
    zdb_nsinfo(&how, str_of(l->names[l->at++]));
}

static void got_list(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct load *l = user;
    struct err wrong;
    if (reply && reply->type != ZDB_REPLY_ARRAY) {
        (void)err_set(&wrong, ERR_CORRUPT, "the answer is %s, not a list",
                      zdb_reply_type_name(reply->type));
        zdb_client_blame(l->g.client, "NSLIST", &wrong);
        e = &wrong;
    }
    if (e) {
        finish(l, e);
        return;
    }
    l->names = xmalloc((reply->count + 1) * sizeof *l->names);
    for (size_t i = 0; i < reply->count; i++) {
        struct str name = reply->items[i].text;
        if (reply->items[i].type != ZDB_REPLY_BULK || name.n > ZDB_NAMESPACE_BYTES_MAX) continue;
        if (!str_eq(name, STR("default"))) l->names[l->count++] = xasprintf("%.*s", STR_ARG(name));
    }
    next(l);
}

static void list(struct load *l) {
    const struct str nslist = STR("NSLIST");
    struct zdb_request r = {
        .args = &nslist, .count = 1, .idempotent = true, .done = got_list, .user = l};
    zdb_client_send(l->g.client, &r);
}

/* ---- intents: rare, so the loop may wait for the disk ---- */

static void undo_next(struct load *l);

static void undone(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct load *l = user;
    struct err failed;
    (void)reply;
    if (e && e->kind != ERR_NOT_FOUND) {
        finish(l, e);
    } else if (zdb_intent_clear(l->g.root, l->half, &failed) < 0) {
        finish(l, &failed);
    } else {
        LOG_WARN("a namespace that was half made is undone", F_C("namespace", l->half));
        undo_next(l);
    }
}

static void looked(void *user, const struct zdb_answer *a, const struct err *e) {
    struct load *l = user;
    const struct str remove[] = {STR("NSDEL"), str_of(l->half)};
    struct zdb_request r = {.args = remove, .count = COUNT(remove), .done = undone, .user = l};
    if (a && zdb_info_u64(a->value, STR("entries")) == 0)
        zdb_client_send(l->g.client, &r);
    else
        undone(l, NULL, e); /* never made, or in use already */
}

static void undo_next(struct load *l) {
    free(l->half);
    l->half = zdb_intent_find(l->g.root);
    struct zdb_how how = {.client = l->g.client, .done = looked, .user = l};
    if (l->half)
        zdb_nsinfo(&how, str_of(l->half));
    else
        list(l);
}

void zdb_grants_load(const struct zdb_grants *g) {
    struct load *l = xnew(struct load);
    l->g = *g;
    undo_next(l);
}
