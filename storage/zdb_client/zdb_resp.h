/* SPDX-License-Identifier: Apache-2.0 — zdb_resp.h: commands and replies of RESP, without I/O.
 *
 * hiredis's formatter and reader behind one wrapper: bytes in, replies out. What a server sends is
 * limited before it is kept: bytes of one reply, values of one reply, nesting. One thread at a
 * time. Source: RESP2, as hiredis 0.14 reads it; 0-db 2.0.7 uses arrays of bulk strings for
 * commands. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define ZDB_REPLY_PAYLOAD_MAX (8u << 20) /* 0-db's largest payload */
/* Bytes of one reply on the wire: a payload and what a HISTORY puts around it. */
#define ZDB_REPLY_BYTES_MAX  (ZDB_REPLY_PAYLOAD_MAX + (64u << 10))
#define ZDB_REPLY_VALUES_MAX (256u << 10) /* of all nesting levels together */
#define ZDB_REPLY_FEED_MAX   (64u << 10)  /* bytes of one zdb_resp_feed() */
#define ZDB_COMMAND_ARGS_MAX 1024         /* 0-db's limit */

enum zdb_reply_type {
    ZDB_REPLY_NIL,
    ZDB_REPLY_STATUS, /* +OK: text */
    ZDB_REPLY_ERROR,  /* -text */
    ZDB_REPLY_INTEGER,
    ZDB_REPLY_BULK,  /* text, may hold any bytes */
    ZDB_REPLY_ARRAY, /* items[count] */
};

struct zdb_reply {
    enum zdb_reply_type type;
    int64_t integer;
    struct str text; /* NUL-terminated outside of its length */
    size_t count;
    struct zdb_reply *items;
};
/* "a bulk string", ... for messages; static storage. */
const char *zdb_reply_type_name(enum zdb_reply_type type);

/* Appends the command to out. INVALID (no or too many arguments), LIMIT (out is full). */
int zdb_resp_command(struct buf *out, const struct str *args, size_t count,
                     struct err *e) MUST_CHECK;

struct zdb_resp;
struct zdb_resp *zdb_resp_new(void);
void zdb_resp_free(struct zdb_resp *r); /* NULL-safe */
/* Takes bytes that came, at most ZDB_REPLY_FEED_MAX of them. CORRUPT, LIMIT; the stream cannot be
 * followed after an error. */
int zdb_resp_feed(struct zdb_resp *r, struct str bytes, struct err *e) MUST_CHECK;
/* 1 and the next whole reply, the caller's to free; 0: more bytes are needed; -1: CORRUPT or LIMIT,
 * as above. */
int zdb_resp_next(struct zdb_resp *r, struct zdb_reply **out, struct err *e) MUST_CHECK;
void zdb_reply_free(struct zdb_reply *r); /* NULL-safe */
