/* SPDX-License-Identifier: Apache-2.0 — zdb_peer.h: the CLI's connection to a 0-db server: the
 * node's own, or one that is named. Blocking calls over a loop of its own. One thread. */
#pragma once

#include "agent/cli/cli.h"
#include "storage/zdb_client/zdb_verbs.h"

struct zdb_target {                  /* options of every command */
    const char *server;              /* HOST:PORT or socket; NULL: the node's */
    const char *password_file;       /* of the admin; NULL: none (or the node's) */
    const char *space_password_file; /* of the namespace that a dump reads; NULL: none */
};

struct zdb_peer {
    struct loop *loop;
    struct zdb_client *client;
    bool none; /* the node has no server, since it has no namespaces */
};

/* space: the namespace to be in, or empty. */
int zdb_peer_open(struct zdb_peer *p, struct cli *c, const struct zdb_target *t, struct str space,
                  struct err *e) MUST_CHECK;
/* One command, and its reply in p until the next call. */
int zdb_peer_ask(struct zdb_peer *p, const struct str *args, size_t count,
                 void (*take)(void *user, const struct zdb_reply *r), void *user,
                 struct err *e) MUST_CHECK;
/* The text of a bulk reply in the arena. */
int zdb_peer_text(struct zdb_peer *p, struct arena *a, const struct str *args, size_t count,
                  struct str *out, struct err *e) MUST_CHECK;
/* NSINFO; NOT_FOUND. */
int zdb_peer_info(struct zdb_peer *p, struct arena *a, struct str name, struct str *out,
                  struct err *e) MUST_CHECK;
/* Lets the loop run for so long. */
void zdb_peer_pause(struct zdb_peer *p, uint64_t ms);
void zdb_peer_close(struct zdb_peer *p);
