/* SPDX-License-Identifier: Apache-2.0 — zdb_client.h: requests to one 0-db server, asynchronously.
 *
 * A client is a pool of connections to one server, each logged in (AUTH) and in one namespace
 * (SELECT). Requests are pipelined over the connections up to a window; what is beyond waits in a
 * bounded queue. Everything is loop thread only; callbacks come exactly once, from the loop, never
 * from inside a call. Every error names the server and the namespace.
 *
 * A broken connection is made again after a pause that doubles, with jitter. Requests that were in
 * flight on it fail with IO: whether they took effect is not known. Only those that say that they
 * are idempotent are sent again, at most ZDB_CLIENT_ATTEMPTS_MAX times in all and only until their
 * timeout. Requests that wait when an attempt to connect fails, and nothing else is connected, fail
 * with the reason. */
#pragma once

#include "base/loop.h"
#include "storage/zdb_client/zdb_resp.h"

#define ZDB_CLIENT_CONNECTIONS_MAX 32
#define ZDB_CLIENT_WINDOW_MAX      1024  /* requests in flight on one connection */
#define ZDB_CLIENT_QUEUE_MAX       16384 /* requests that wait */
#define ZDB_CLIENT_QUEUE_BYTES_MAX (64u << 20)
#define ZDB_CLIENT_REQUEST_MAX     (ZDB_REPLY_PAYLOAD_MAX + (1u << 20)) /* bytes of a command */
#define ZDB_CLIENT_ATTEMPTS_MAX    3
#define ZDB_NAMESPACE_BYTES_MAX    128
#define ZDB_PASSWORD_BYTES_MAX     128

struct zdb_client_options {
    struct str address;        /* zdb_address_parse() */
    struct str space;          /* the namespace; empty: the server's default one */
    struct str password;       /* of the namespace; empty: none */
    struct str admin_password; /* empty: no AUTH */
    /* 0 means the default in brackets. */
    unsigned connections;    /* (2) at most so many */
    unsigned window;         /* (64) */
    unsigned queue_max;      /* (4096) */
    uint64_t timeout_ms;     /* (5000) of a request that names none, and of a login */
    uint64_t ping_ms;        /* (10000) a connection that was silent so long is asked PING */
    uint64_t backoff_ms;     /* (50) the first pause before connecting again */
    uint64_t backoff_ms_max; /* (5000) */
};

struct zdb_client;

/* Copies the options and begins to connect. INVALID. */
int zdb_client_new(struct loop *l, const struct zdb_client_options *o, struct zdb_client **out,
                   struct err *e) MUST_CHECK;
/* Ends it: every request that is not answered yet ends with CANCELLED, then on_closed (may be NULL)
 * is called, from the loop; c must not be used any more from now on. NULL-safe (on_closed does not
 * come then). */
void zdb_client_close(struct zdb_client *c, void (*on_closed)(void *user), void *user);

/* reply lives until it returns, and is never an error reply: those come as e. reply is NULL when
 * there is e. */
typedef void zdb_client_done(void *user, const struct zdb_reply *reply, const struct err *e);

struct zdb_request {
    const struct str *args; /* copied; args[0] is the command's name */
    size_t count;
    uint64_t timeout_ms; /* 0: the client's */
    bool idempotent;     /* doing it twice is doing it once: may be sent again */
    zdb_client_done *done;
    void *user;
};
/* Errors that done gets: what the server says, by its text (NOT_FOUND, DENIED, LIMIT, BUSY,
 * UNSUPPORTED, INVALID); LIMIT: the queue is full, or the reply passes ZDB_REPLY_*_MAX; TIMEOUT: no
 * answer in time, it may still take effect; IO, CORRUPT: the connection broke; CANCELLED: closed.
 */
void zdb_client_send(struct zdb_client *c, const struct zdb_request *r);

struct zdb_client_state {
    unsigned connected; /* connections that are logged in */
    unsigned connecting;
    size_t in_flight, queued;
    uint64_t answered, failed; /* requests, since the beginning; failed: without an answer */
    uint64_t breaks;           /* connections that broke or could not be made */
    struct err last_error;     /* of a connection; kind ERR_NONE: none yet */
};
void zdb_client_state(const struct zdb_client *c, struct zdb_client_state *out);

/* Puts "0-db server ADDRESS, namespace 'NAME': VERB" in front of an error, as the client does
 * itself; verb may be empty. */
void zdb_client_blame(const struct zdb_client *c, const char *verb, struct err *e);

/* What a "-text" of a server means; ERR_IO when it is not known. */
enum err_kind zdb_error_kind(struct str text);
