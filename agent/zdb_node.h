/* SPDX-License-Identifier: Apache-2.0 — zdb_node.h: the node's own 0-db server, gridlet-zdb,
 * started for whoever contracts a namespace.
 *
 * The server outlives gridletd, whatever ends that, and is found again; it is started again when it
 * dies, with a pause that doubles. It is stopped when the last namespace is removed. Loop thread.
 */
#pragma once

#include "base/loop.h"
#include "cri/admission.h"
#include "storage/zdb_client/zdb_client.h"

#define ZDB_NODE_FOLDER "zdb"      /* ROOT/zdb: data, index, admin password, the server's config */
#define ZDB_NODE_SOCKET "zdb.sock" /* in RUN */
#define ZDB_NODE_LOCK   "zdb.lock" /* in RUN; held by the server as long as it lives */
#define ZDB_NODE_ADMIN  "admin"    /* in ROOT/zdb: the password, one line, 0600 */

struct zdb_node_options {
    const char *root, *run, *program_dir; /* borrowed; gridlet-zdb is in program_dir */
    const char *listen;                   /* "ADDR:PORT" besides the socket, or NULL */
    struct admission admission;           /* who is asked for the namespaces' contracts */
    uint64_t patience_ms;                 /* that a server may take to serve; 0: 10 min */
    uint64_t pause_ms;                    /* before it is started again; 0: 200 ms, doubling */
};

struct zdb_node;

/* Finds or starts the server when there are namespaces; else waits for zdb_node_want(). INVALID
 * (listen). */
int zdb_node_open(struct loop *l, const struct zdb_node_options *o, struct zdb_node **out,
                  struct err *e) MUST_CHECK;
/* Whoever waits hears CANCELLED, later. The server lives on. NULL-safe. */
void zdb_node_close(struct zdb_node *z);
/* After zdb_node_close() and loop_settle(); NULL-safe. */
void zdb_node_free(struct zdb_node *z);

/* Calls done once, from the loop: the server serves and c is an admin's client of it, or e says why
 * not. c must not be kept beyond the answers of what done sends. */
void zdb_node_want(struct zdb_node *z,
                   void (*done)(void *user, struct zdb_client *c, const struct err *e), void *user);
/* It serves now: zdb_node_want() will not take long. */
bool zdb_node_is_up(const struct zdb_node *z);
/* There are namespaces here, or a server for those to come. Blocks on the disk for a moment. */
bool zdb_node_in_use(const struct zdb_node *z);
/* While somebody holds it, the server is not stopped though there are no namespaces; when the last
 * lets go and there are none, it is. */
void zdb_node_hold(struct zdb_node *z);
void zdb_node_let_go(struct zdb_node *z);
