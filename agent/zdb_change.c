/* SPDX-License-Identifier: Apache-2.0 — zdb_change.c: the commands of a change, one after the
 * other.
 *
 * A mode can only be set while a namespace is empty, so it comes first; `public` of a new namespace
 * is said always: 0-db's are public unless told otherwise, ours only when asked. */
#include "agent/zdb_change.h"

#include <stdio.h>

#define NAME_BYTES 129

struct step {
    struct zdb_client *client;
    enum zdb_change_kind kind;
    char name[NAME_BYTES];
    struct zdb_props props;
    size_t at; /* the property that is next */
    void (*done)(void *user, const struct err *e);
    void *user;
    struct err failure; /* while the undoing is under way */
};

static void finish(struct step *s, const struct err *e) {
    s->done(s->user, e);
    free(s);
}

static void send(struct step *s, const struct str *args, size_t count, zdb_client_done *done) {
    struct zdb_request r = {.args = args, .count = count, .done = done, .user = s};
    zdb_client_send(s->client, &r);
}

static void undone(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct step *s = user;
    (void)reply;
    if (e) {
        char why[200];
        (void)snprintf(why, sizeof why, "%s", e->msg);
        (void)err_in(&s->failure, "namespace '%s' is half made and could not be removed (%s)",
                     s->name, why);
    }
    finish(s, &s->failure);
}

static void fail(struct step *s, const struct err *e, bool made) {
    const struct str remove[] = {STR("NSDEL"), str_of(s->name)};
    s->failure = *e;
    if (made)
        send(s, remove, COUNT(remove), undone);
    else
        finish(s, &s->failure);
}

static void next(struct step *s);

static void was_set(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct step *s = user;
    struct err named;
    (void)reply;
    if (!e) {
        next(s);
        return;
    }
    named = *e;
    (void)err_in(&named, "set '%s'", s->props.items[s->at - 1].name);
    fail(s, &named, s->kind == ZDB_CHANGE_CREATE);
}

static void next(struct step *s) {
    if (s->at == s->props.count) {
        finish(s, NULL);
        return;
    }
    const struct zdb_prop *p = &s->props.items[s->at++];
    const struct str set[] = {STR("NSSET"), str_of(s->name), str_of(p->name), str_of(p->value)};
    send(s, set, COUNT(set), was_set);
}

static void was_made(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct step *s = user;
    (void)reply;
    if (e)
        fail(s, e, false);
    else
        next(s);
}

static void was_removed(void *user, const struct zdb_reply *reply, const struct err *e) {
    (void)reply;
    finish(user, e);
}

/* The mode first, the rest as it came. */
static void order(struct zdb_props *p) {
    for (size_t i = 1; i < p->count; i++) {
        if (strcmp(p->items[i].name, "mode") != 0) continue;
        struct zdb_prop mode = p->items[i];
        memmove(&p->items[1], &p->items[0], i * sizeof p->items[0]);
        p->items[0] = mode;
    }
}

void zdb_change_start(struct zdb_client *c, const struct zdb_change *change) {
    struct step *s = xnew(struct step);
    struct err e;
    s->client = c;
    s->kind = change->kind;
    s->done = change->done;
    s->user = change->user;
    (void)snprintf(s->name, sizeof s->name, "%.*s", STR_ARG(change->name));
    if (change->props) s->props = *change->props;
    if (s->kind == ZDB_CHANGE_CREATE && !zdb_props_get(&s->props, "public") &&
        zdb_props_add(&s->props, STR("public"), STR("no"), &e) < 0)
        abort(); /* a value of our own */
    order(&s->props);
    const struct str make[] = {STR("NSNEW"), str_of(s->name)};
    const struct str remove[] = {STR("NSDEL"), str_of(s->name)};
    const struct str ping[] = {STR("PING")}; /* a change of nothing, answered from the loop too */
    if (s->kind == ZDB_CHANGE_CREATE)
        send(s, make, COUNT(make), was_made);
    else if (s->kind == ZDB_CHANGE_REMOVE)
        send(s, remove, COUNT(remove), was_removed);
    else
        send(s, ping, COUNT(ping), was_made);
}
