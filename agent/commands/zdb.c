/* SPDX-License-Identifier: Apache-2.0 — zdb.c: making, changing and removing namespaces of the
 * node's 0-db server. The contract is asked before the server is: its size is what it was granted.
 *
 * Before a namespace is made, an intent is on disk (zdb_intent.h), and it is gone for good before
 * the making is acknowledged: a death in between leaves no namespace without its limit.
 *
 * A change of the limit asks first, too, and takes the old limit to the contract again when the
 * server refuses. What only reads goes from the CLI to the server itself; `zdb` tells it where. */
#include "agent/commands/commands.h"

#include "agent/zdb_change.h"
#include "agent/zdb_grants.h"
#include "agent/zdb_intent.h"
#include "storage/zdb_client/zdb_verbs.h"

#include <stdio.h>

#define QUIET_MS 2000 /* whoever waits longer is told for what */

struct request {
    struct daemon *daemon;
    struct admin_call *call;
    struct zdb_client *client;
    enum zdb_change_kind kind;
    char name[ZDB_NAMESPACE_BYTES_MAX + 1];
    struct zdb_props props;
    uint64_t old_bytes; /* the limit before */
    bool granted;       /* the contract has heard the new one */
    struct job job;     /* writes or clears the intent */
    struct task after;
    struct timer slow;
    int result;
    struct err error; /* of the job */
    bool made;        /* the namespace is there, and has its properties */
};

static struct admission contract_of(const struct request *r) {
    return node_contract_admission(r->daemon->contract);
}

static int grant(const struct request *r, uint64_t bytes, struct err *e) {
    char id[ZDB_GRANT_BYTES];
    struct admission_request q = {
        .id = zdb_grant_id(str_of(r->name), id), .is_storage = true, .storage_bytes = bytes};
    struct admission contract = contract_of(r);
    return contract.admit(contract.self, &q, e);
}

static void give_back(const struct request *r) {
    char id[ZDB_GRANT_BYTES];
    struct admission contract = contract_of(r);
    contract.release(contract.self, zdb_grant_id(str_of(r->name), id));
}

static void let_go(struct request *r) {
    timer_cancel(&r->slow);
    zdb_node_let_go(r->daemon->zdb);
    free(r);
}

static void fail(struct request *r, const struct err *e) {
    admin_fail(r->call, e);
    let_go(r);
}

/* ---- the end ---- */

static void finish(struct request *r, const struct err *e) {
    struct err ignored;
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out w = JSON_OUT(&b);
    bool create = r->kind == ZDB_CHANGE_CREATE;
    if ((create && e && r->granted && !r->made) || (r->kind == ZDB_CHANGE_REMOVE && !e))
        give_back(r);
    if (r->kind == ZDB_CHANGE_SET && e && r->granted) (void)!grant(r, r->old_bytes, &ignored);
    if (e) {
        fail(r, e);
        return;
    }
    json_out_object(&w, NULL);
    json_out_c(&w, "name", r->name);
    json_out_close(&w);
    command_answer(r->call, &w, &b);
    let_go(r);
}

/* ---- the intent ---- */

static void write_intent(struct job *j) {
    struct request *r = CONTAINER_OF(j, struct request, job);
    r->result = zdb_intent_write(r->daemon->settings->root, r->name, &r->error);
    loop_post(r->daemon->loop, &r->after);
}

static void clear_intent(struct job *j) {
    struct request *r = CONTAINER_OF(j, struct request, job);
    struct err e;
    if (zdb_intent_clear(r->daemon->settings->root, r->name, &e) < 0 && r->result == 0) {
        r->result = -1;
        r->error = e;
    }
    loop_post(r->daemon->loop, &r->after);
}

static void run_job(struct request *r, void (*work)(struct job *j), void (*then)(struct task *t)) {
    r->job.run = work;
    r->after.run = then;
    loop_work(r->daemon->loop, &r->job);
}

static void intent_cleared(struct task *t) {
    struct request *r = CONTAINER_OF(t, struct request, after);
    finish(r, r->result < 0 ? &r->error : NULL);
}

static void changed(void *user, const struct err *e) {
    struct request *r = user;
    if (r->kind != ZDB_CHANGE_CREATE) {
        finish(r, e);
        return;
    }
    r->result = e ? -1 : 0;
    r->made = e == NULL;
    if (e) r->error = *e;
    if (e && e->kind != ERR_EXISTS && strstr(e->msg, "half made"))
        finish(r, e); /* the intent stays: the next start of the server undoes it */
    else
        run_job(r, clear_intent, intent_cleared);
}

static void tell_of_removal(struct timer *t) {
    struct request *r = CONTAINER_OF(t, struct request, slow);
    admin_event(r->call, STR("{\"note\":\"its files are being removed\"}"), NULL, 0);
}

static void change(struct request *r, struct zdb_client *client) {
    struct zdb_change c = {
        .kind = r->kind, .name = str_of(r->name), .props = &r->props, .done = changed, .user = r};
    r->slow.fire = tell_of_removal;
    if (r->kind == ZDB_CHANGE_REMOVE) timer_arm(r->daemon->loop, &r->slow, QUIET_MS);
    zdb_change_start(client, &c);
}

static void intent_written(struct task *t);

/* The server may be another one by now, which has undone the intent. */
static void still_serves(void *user, struct zdb_client *c, const struct err *e) {
    struct request *r = user;
    if (e)
        changed(r, e);
    else if (zdb_intent_exists(r->daemon->settings->root, r->name))
        change(r, c);
    else
        run_job(r, write_intent, intent_written);
}

static void intent_written(struct task *t) {
    struct request *r = CONTAINER_OF(t, struct request, after);
    if (r->result < 0)
        finish(r, &r->error);
    else
        zdb_node_want(r->daemon->zdb, still_serves, r);
}

/* The namespace as it is: there already, or with the limit that is to be changed. */
static void known(void *user, const struct zdb_answer *a, const struct err *e) {
    struct request *r = user;
    struct err refused;
    uint64_t bytes = 0;
    bool create = r->kind == ZDB_CHANGE_CREATE;
    if (e && !(create && e->kind == ERR_NOT_FOUND)) {
        fail(r, e);
        return;
    }
    if (create && a) {
        (void)err_set(&refused, ERR_EXISTS,
                      "the namespace '%s' exists already: gridlet zdb set changes it", r->name);
        fail(r, &refused);
        return;
    }
    if (a) r->old_bytes = zdb_info_u64(a->value, STR("data_limits_bytes"));
    r->granted = zdb_props_size(&r->props, &bytes) || create;
    if (r->granted && grant(r, bytes, &refused) < 0) {
        fail(r, &refused);
        return;
    }
    if (create)
        run_job(r, write_intent, intent_written);
    else
        change(r, r->client);
}

static void serves(void *user, struct zdb_client *c, const struct err *e) {
    struct request *r = user;
    if (e) {
        fail(r, e);
        return;
    }
    r->client = c;
    struct zdb_how how = {.client = c, .done = known, .user = r};
    if (r->kind == ZDB_CHANGE_REMOVE)
        change(r, c);
    else
        zdb_nsinfo(&how, str_of(r->name));
}

static int read_props(struct request *r, const struct json *props, struct err *e) {
    for (const struct json *p = json_first(props); p; p = p->next) {
        struct str value;
        if (json_str(p, &value) < 0)
            return err_set(e, ERR_INVALID, "the property '%s' is no text", p->key.p);
        if (zdb_props_add_raw(&r->props, p->key, value, e) < 0) return -1;
    }
    return 0;
}

/* Opening what it holds may take a while: whoever waits is told. */
static void tell_if_starting(struct daemon *d, struct admin_call *call) {
    if (!zdb_node_is_up(d->zdb))
        admin_event(call, STR("{\"note\":\"the node's 0-db server is starting\"}"), NULL, 0);
}

static void start(struct admin_call *call, struct daemon *d, enum zdb_change_kind kind) {
    const struct json *args = admin_args(call);
    struct request *r = xnew(struct request);
    struct str name = STR("");
    struct err e;
    r->daemon = d;
    zdb_node_hold(d->zdb);
    r->call = call;
    r->kind = kind;
    int ok = json_need_str(args, "name", &name, &e);
    if (ok == 0) ok = zdb_name_check(name, &e);
    if (ok == 0) ok = read_props(r, json_get(args, "props"), &e);
    if (ok == 0 && kind != ZDB_CHANGE_CREATE && !zdb_node_in_use(d->zdb))
        ok = err_set(&e, ERR_NOT_FOUND, "there is no namespace '%.*s': gridlet zdb ls shows all",
                     STR_ARG(name));
    if (ok < 0) {
        fail(r, &e);
        return;
    }
    (void)snprintf(r->name, sizeof r->name, "%.*s", STR_ARG(name));
    tell_if_starting(d, call);
    zdb_node_want(d->zdb, serves, r);
}

/* All may send events {"note"}: what is waited for. */

/* {"name", "props": {NSSET's name: value}} -> {"name"} */
void command_zdb_create(struct admin_call *c, void *user) { start(c, user, ZDB_CHANGE_CREATE); }
void command_zdb_set(struct admin_call *c, void *user) { start(c, user, ZDB_CHANGE_SET); }
/* {"name"} -> {"name"} */
void command_zdb_rm(struct admin_call *c, void *user) { start(c, user, ZDB_CHANGE_REMOVE); }

static void answer_where(struct admin_call *c, const struct settings *s, bool in_use) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_SOCKET, s->run);
    AUTO_FREE char *admin = xasprintf("%s/" ZDB_NODE_FOLDER "/" ZDB_NODE_ADMIN, s->root);
    AUTO(buf_done) struct buf b = BUF(16384);
    struct json_out w = JSON_OUT(&b);
    json_out_object(&w, NULL);
    json_out_bool(&w, "in_use", in_use);
    json_out_c(&w, "socket", path);
    json_out_c(&w, "admin_password_file", admin);
    json_out_c(&w, "listen", s->zdb_listen);
    json_out_close(&w);
    command_answer(c, &w, &b);
}

struct where {
    struct admin_call *call;
    const struct settings *settings;
};

static void found(void *user, struct zdb_client *c, const struct err *e) {
    struct where *w = user;
    (void)c;
    if (e)
        admin_fail(w->call, e);
    else
        answer_where(w->call, w->settings, true);
    free(w);
}

/* {} -> {"in_use", "socket", "admin_password_file", "listen"}: where the server is, once it serves;
 * in_use false: there is none, since no namespace was made */
void command_zdb(struct admin_call *c, void *user) {
    struct daemon *d = user;
    if (!zdb_node_in_use(d->zdb)) {
        answer_where(c, d->settings, false);
        return;
    }
    struct where *w = xnew(struct where);
    w->call = c;
    w->settings = d->settings;
    tell_if_starting(d, c);
    zdb_node_want(d->zdb, found, w);
}
