/* SPDX-License-Identifier: Apache-2.0 — zdb_peer.c */
#include "agent/cli/zdb_peer.h"

#include "base/file.h"

#include <errno.h>
#include <signal.h>

#define COMMAND_TIMEOUT_MS 60000
#define PASSWORD_FILE_MAX  4096

/* ---- where it is ---- */

static int read_password(struct cli *c, const char *path, struct str *out, struct err *e) {
    AUTO(buf_done) struct buf b = BUF(0);
    int r = file_read_all(AT_FDCWD, path, PASSWORD_FILE_MAX, &b);
    if (r < 0) return err_sys(e, -r, "read a password from '%s'", path);
    *out = arena_str(&c->arena, str_trim(buf_view(&b)));
    if (out->n == 0 || out->n > ZDB_PASSWORD_BYTES_MAX)
        return err_set(e, ERR_INVALID, "'%s' must hold a password of 1 to %d bytes", path,
                       ZDB_PASSWORD_BYTES_MAX);
    return 0;
}

/* Asks the daemon, which starts the server when it does not run. */
static int find_own(struct zdb_peer *p, struct cli *c, struct zdb_client_options *o,
                    struct err *e) {
    const struct json *v = NULL;
    struct str file;
    if (cli_ask_one(c, "zdb", NULL, NULL, &v, e) < 0) return -1;
    if (json_bool(json_get(v, "in_use"), &p->none) < 0) p->none = true;
    p->none = !p->none;
    if (p->none) return 0;
    if (json_need_str(v, "socket", &o->address, e) < 0) return -1;
    if (json_need_str(v, "admin_password_file", &file, e) < 0) return -1;
    return read_password(c, file.p, &o->admin_password, e);
}

int zdb_peer_open(struct zdb_peer *p, struct cli *c, const struct zdb_target *t, struct str space,
                  struct err *e) {
    /* One connection: replies come in the order of the requests. */
    struct zdb_client_options o = {
        .space = space, .connections = 1, .window = 64, .timeout_ms = COMMAND_TIMEOUT_MS};
    *p = (struct zdb_peer){.none = false};
    (void)signal(SIGPIPE, SIG_DFL);
    if (!t->server && find_own(p, c, &o, e) < 0) return -1;
    if (t->server) o.address = str_of(t->server);
    if (t->server && t->password_file &&
        read_password(c, t->password_file, &o.admin_password, e) < 0)
        return -1;
    if (space.n && t->space_password_file &&
        read_password(c, t->space_password_file, &o.password, e) < 0)
        return -1;
    if (p->none) return 0;
    p->loop = loop_new(1);
    return zdb_client_new(p->loop, &o, &p->client, e);
}

static void closed(void *user) { loop_stop(((struct zdb_peer *)user)->loop); }

void zdb_peer_close(struct zdb_peer *p) {
    if (p->client) {
        zdb_client_close(STEAL(p->client), closed, p);
        loop_run(p->loop);
    }
    if (p->loop) loop_free(STEAL(p->loop));
}

/* ---- asking ---- */

struct asked {
    struct zdb_peer *peer;
    void (*take)(void *user, const struct zdb_reply *r);
    void *user;
    struct err *e;
    int result;
};

static void answered(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct asked *a = user;
    a->result = e ? -1 : 0;
    if (e)
        *a->e = *e;
    else if (a->take)
        a->take(a->user, reply);
    loop_stop(a->peer->loop);
}

int zdb_peer_ask(struct zdb_peer *p, const struct str *args, size_t count,
                 void (*take)(void *user, const struct zdb_reply *r), void *user, struct err *e) {
    struct asked a = {.peer = p, .take = take, .user = user, .e = e};
    struct zdb_request r = {.args = args, .count = count, .done = answered, .user = &a};
    zdb_client_send(p->client, &r);
    loop_run(p->loop);
    return a.result;
}

struct text {
    struct arena *arena;
    struct str out;
};

static void take_text(void *user, const struct zdb_reply *r) {
    struct text *t = user;
    if (r->type == ZDB_REPLY_BULK || r->type == ZDB_REPLY_STATUS)
        t->out = arena_str(t->arena, r->text);
}

int zdb_peer_text(struct zdb_peer *p, struct arena *a, const struct str *args, size_t count,
                  struct str *out, struct err *e) {
    struct text t = {.arena = a};
    if (zdb_peer_ask(p, args, count, take_text, &t, e) < 0) return -1;
    if (!t.out.p) {
        (void)err_set(e, ERR_CORRUPT, "the answer is no text");
        zdb_client_blame(p->client, args[0].p, e);
        return -1;
    }
    *out = t.out;
    return 0;
}

int zdb_peer_info(struct zdb_peer *p, struct arena *a, struct str name, struct str *out,
                  struct err *e) {
    const struct str args[] = {STR("NSINFO"), name};
    if (p->none)
        return err_set(e, ERR_NOT_FOUND, "there is no namespace '%.*s': gridlet zdb ls shows all",
                       STR_ARG(name));
    return zdb_peer_text(p, a, args, COUNT(args), out, e);
}

struct pause {
    struct timer timer;
    struct zdb_peer *peer;
};

static void pause_over(struct timer *t) {
    loop_stop(CONTAINER_OF(t, struct pause, timer)->peer->loop);
}

void zdb_peer_pause(struct zdb_peer *p, uint64_t ms) {
    struct pause pause = {.timer = {.fire = pause_over}, .peer = p};
    timer_arm(p->loop, &pause.timer, ms);
    loop_run(p->loop);
    timer_cancel(&pause.timer);
}
