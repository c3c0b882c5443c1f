/* SPDX-License-Identifier: Apache-2.0 — zdb_connect.h: from an address to a connected socket.
 *
 * Names are looked up by a worker, and every address that comes of it is tried in turn. The caller
 * bounds the time: zdb_connect_cancel(). Loop thread. */
#pragma once

#include "base/loop.h"
#include "storage/zdb_client/zdb_address.h"

struct zdb_connect;

/* done comes once, from the loop, never from inside: with a connected non-blocking socket that is
 * the callee's, or with e and fd -1. address is copied. */
struct zdb_connect *zdb_connect_start(struct loop *l, const struct zdb_address *address,
                                      void (*done)(void *user, int fd, const struct err *e),
                                      void *user);
/* done will not come. NULL-safe. */
void zdb_connect_cancel(struct zdb_connect *c);
