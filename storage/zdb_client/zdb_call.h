/* SPDX-License-Identifier: Apache-2.0 — zdb_call.h: a request between its sending and its answer.
 * Private to the client. */
#pragma once

#include "storage/zdb_client/zdb_client.h"

#define ZDB_VERB_BYTES 24

struct zdb_call {
    struct zdb_call *next;
    struct buf bytes;          /* the command; freed once it is sent and will not be sent again */
    size_t bytes_total;        /* of it */
    char verb[ZDB_VERB_BYTES]; /* for messages; empty when it is too long */
    uint64_t deadline_ms;
    uint64_t heard_before; /* the connection's `heard` when it was given to it */
    unsigned attempts;
    bool idempotent;
    bool told;      /* done was called; what comes is dropped */
    bool own;       /* of a connection: login, ping; nobody counts it */
    bool untouched; /* its connection broke before a byte of it was sent */
    zdb_client_done *done;
    void *user;
    struct err error; /* of a call that waits to be told a failure */
};

struct zdb_calls {
    struct zdb_call *head, *tail;
    size_t count;
};

struct zdb_call *zdb_call_new(const struct str *args, size_t count, struct err *e) MUST_CHECK;
void zdb_call_free(struct zdb_call *c);
/* Calls done, at most once. */
void zdb_call_tell(struct zdb_call *c, const struct zdb_reply *reply, const struct err *e);

void zdb_calls_push(struct zdb_calls *q, struct zdb_call *c);
struct zdb_call *zdb_calls_pop(struct zdb_calls *q);
/* Puts all of `front` in front of q; front is empty afterwards. */
void zdb_calls_prepend(struct zdb_calls *q, struct zdb_calls *front);
