/* SPDX-License-Identifier: Apache-2.0 — zdb_conn.h: one connection of a client: login, pipelining,
 * matching replies to calls. Private to the client; loop thread. */
#pragma once

#include "storage/zdb_client/zdb_call.h"
#include "storage/zdb_client/zdb_connect.h"

enum zdb_conn_state {
    ZDB_CONN_DOWN,
    ZDB_CONN_CONNECTING,
    ZDB_CONN_LOGIN, /* AUTH and SELECT are under way */
    ZDB_CONN_READY,
};

struct zdb_conn;
struct zdb_login { /* borrowed from the client */
    const char *space, *password, *admin_password;
    uint64_t timeout_ms;
};

/* What a connection tells its client; from the loop's callbacks only. */
struct zdb_conn_events {
    void (*ready)(struct zdb_conn *c);
    /* It is DOWN; the calls that were in flight are in `calls`, the callee's. */
    void (*broke)(struct zdb_conn *c, struct zdb_calls *calls, const struct err *e);
    /* A call was answered: with a reply or the server's error. The callee tells and frees it. */
    void (*answered)(struct zdb_conn *c, struct zdb_call *call, const struct zdb_reply *reply);
};

struct zdb_conn {
    struct loop *loop;
    const struct zdb_conn_events *events;
    const struct zdb_login *login;
    void *owner;
    enum zdb_conn_state state;
    bool was_ready; /* since it was opened */
    struct zdb_connect *connect;
    int fd;
    struct watch watch;
    struct zdb_resp *resp;
    struct zdb_calls in_flight; /* in the order of their sending */
    struct zdb_call *unsent;    /* the first that is not wholly sent, in in_flight */
    size_t sent;                /* bytes of it */
    uint64_t heard;             /* how often bytes came */
    uint64_t heard_ms;          /* when they last did */
    uint64_t login_until_ms;    /* while CONNECTING or LOGIN */
    int step;                   /* of the login */
    bool pinging;
};

void zdb_conn_init(struct zdb_conn *c, struct loop *l, const struct zdb_conn_events *events);
/* From DOWN. */
void zdb_conn_open(struct zdb_conn *c, const struct zdb_address *address);
/* Takes the call; only when READY. zdb_conn_flush() sends it. */
void zdb_conn_give(struct zdb_conn *c, struct zdb_call *call);
/* Sends what can be sent now. A failure shows itself through events later. */
void zdb_conn_flush(struct zdb_conn *c);
/* Asks PING; the answer is nobody's but heard_ms's. */
void zdb_conn_ping(struct zdb_conn *c, uint64_t deadline_ms);
/* Ends it with events->broke(); from the loop's callbacks only. */
void zdb_conn_break(struct zdb_conn *c, const struct err *e);
/* Ends it without events; its calls come back in *out. */
void zdb_conn_close(struct zdb_conn *c, struct zdb_calls *out);
