/* SPDX-License-Identifier: Apache-2.0 — zdb_config.h: the files around the node's 0-db server.
 * Everything blocks on the disk. Any thread, one at a time for each root. */
#pragma once

#include "base/err.h"

#define ZDB_ADMIN_CHARS 32

struct zdb_config {
    const char *root, *run, *listen;          /* borrowed; listen: "ADDR:PORT" or NULL */
    char admin_password[ZDB_ADMIN_CHARS + 1]; /* set by zdb_config_prepare() */
    char *text;                               /* owned; the config file as we want it */
    int lock_fd;  /* owned: we hold the lock, no server lives; -1: a server lives */
    bool differs; /* the living server was started with another config file */
};

/* "ADDR:PORT", "[IPV6]:PORT"; INVALID. addr has room for 64 bytes. */
int zdb_config_listen(const char *listen, char *addr, unsigned *out_port, struct err *e) MUST_CHECK;
/* Folders, password, text, lock; writes the config file when no server lives. Idempotent. */
int zdb_config_prepare(struct zdb_config *c, struct err *e) MUST_CHECK;
void zdb_config_done(struct zdb_config *c);
/* Whether there is a namespace besides the server's own. */
bool zdb_config_has_namespaces(const char *root);
