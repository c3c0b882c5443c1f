/* SPDX-License-Identifier: Apache-2.0 — zdbd_maintenance.h: long work on a namespace in the
 * background: scrub and
 * compaction. One at a time in a server, in a thread of its own; serving goes on. Loop
 * thread. */
#pragma once

#include "base/buf.h"
#include "base/loop.h"
#include "storage/zdb/zdb_namespace.h"

struct zdbd_server;
struct zdbd_space;

enum zdbd_upkeep { ZDBD_SCRUB, ZDBD_COMPACT, ZDBD_UPKEEPS };

/* What a namespace knows of its last one of a kind. */
struct zdbd_upkeep_state {
    enum { ZDBD_NEVER, ZDBD_RUNNING, ZDBD_ENDED, ZDBD_FAILED, ZDBD_CANCELLED } state;
    int64_t started_s, ended_s;
    struct zdb_progress progress;
    uint64_t counts[2]; /* scrub: values, findings; compact: bytes returned, files rewritten */
    uint32_t file_id;   /* current one when it started */
    char error[128];
};

struct zdbd_maintenance;
struct zdbd_maintenance *zdbd_maintenance_new(struct zdbd_server *s);
/* Errors: BUSY (one runs; the message says which). */
int zdbd_maintenance_start(struct zdbd_maintenance *m, enum zdbd_upkeep kind, struct zdbd_space *p,
                           struct err *e) MUST_CHECK;
/* Starts compaction where at least `percent` of the data is dead and files were ended since the
 * last one; 0: nowhere. */
void zdbd_maintenance_consider(struct zdbd_maintenance *m, uint32_t percent);
/* Ends what runs (on p; NULL: anywhere) soon. */
void zdbd_maintenance_cancel(struct zdbd_maintenance *m, const struct zdbd_space *p);
/* "scrub: ended" and more lines of the kind; what runs is shown as it is now. */
void zdbd_maintenance_put(struct zdbd_maintenance *m, enum zdbd_upkeep kind,
                          const struct zdbd_space *p, struct buf *out);
/* Cancels and waits; its last task is in the loop then. NULL-safe. */
void zdbd_maintenance_join(struct zdbd_maintenance *m);
void zdbd_maintenance_free(struct zdbd_maintenance *m);
