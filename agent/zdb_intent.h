/* SPDX-License-Identifier: Apache-2.0 — zdb_intent.h: what is being made, on disk before it is
 * made.
 *
 * ROOT/zdb/making.NAME says that a namespace is half made. Whoever finds it after a death removes
 * that namespace, unless somebody has written to it. All block on the disk. Any thread. */
#pragma once

#include "base/err.h"

/* Durable when it returns. */
int zdb_intent_write(const char *root, const char *name, struct err *e) MUST_CHECK;
/* Gone for good when it returns: before the making is acknowledged. Absent is no error. */
int zdb_intent_clear(const char *root, const char *name, struct err *e) MUST_CHECK;
bool zdb_intent_exists(const char *root, const char *name);
/* Any of them: its name, the caller's to free; NULL: none. */
char *zdb_intent_find(const char *root);
