/* SPDX-License-Identifier: Apache-2.0 — zdb_verbs.h: 0-db's commands, typed.
 *
 * Each sends one command and gets one answer: done(user, answer, NULL), or done(user, NULL, e). An
 * answer of another shape than the command has is CORRUPT. Reading commands are sent again when
 * their connection breaks; SET and DEL only when the caller says that this is right. Loop thread.
 * Source: 0-db 2.0.7; docs/formats.md. */
#pragma once

#include "storage/zdb_client/zdb_client.h"

#define ZDB_CURSOR_BYTES_MAX 32 /* 0-db's have 17 (SCAN) and 8 (HISTORY) */

struct zdb_answer {
    struct str key;    /* SET: the key, or the 8-byte id of `seq` mode */
    bool unchanged;    /* SET: the key has this very payload already */
    struct str value;  /* GET, HISTORY: the payload. NSINFO: its text */
    uint64_t number;   /* EXISTS: 0 or 1; LENGTH: bytes */
    uint32_t time_s;   /* HISTORY: when this version was written */
    struct str cursor; /* SCAN: continues behind the page. HISTORY: the next older version, or empty
                        */
    const struct zdb_reply *page; /* SCAN: zdb_answer_key() */
};
typedef void zdb_answer_done(void *user, const struct zdb_answer *a, const struct err *e);

struct zdb_how {
    struct zdb_client *client;
    uint64_t timeout_ms; /* 0: the client's */
    bool repeat;         /* of SET, DEL: sending it twice is right, see zdb_request.idempotent */
    zdb_answer_done *done;
    void *user;
};

/* key empty: `seq` mode makes an id. */
void zdb_set(const struct zdb_how *how, struct str key, struct str value);
/* NOT_FOUND when there is none; so for all below. */
void zdb_get(const struct zdb_how *how, struct str key);
void zdb_del(const struct zdb_how *how, struct str key);
void zdb_exists(const struct zdb_how *how, struct str key);
void zdb_length(const struct zdb_how *how, struct str key);
/* Live keys in the order of their writing. cursor empty: from the start. NOT_FOUND: no more. */
void zdb_scan_page(const struct zdb_how *how, struct str cursor);
/* The latest version, or the one at the cursor of an answer before. */
void zdb_versions(const struct zdb_how *how, struct str key, struct str cursor);
void zdb_nsinfo(const struct zdb_how *how, struct str space);

struct zdb_listed {
    struct str key;
    uint64_t payload_bytes;
    uint32_t time_s;
};
size_t zdb_answer_keys(const struct zdb_answer *a);
void zdb_answer_key(const struct zdb_answer *a, size_t i, struct zdb_listed *out);

/* ---- "key: value" lines, as NSINFO, INFO and the status of long work are written ---- */

/* The value of a key; STR_NONE when there is no such line. */
struct str zdb_info_get(struct str text, struct str key);
/* A whole number; 0 when it is missing or none. */
uint64_t zdb_info_u64(struct str text, struct str key);
/* "yes" */
bool zdb_info_yes(struct str text, struct str key);
