/* SPDX-License-Identifier: Apache-2.0 — zdbd_server.h: the 0-db server: namespaces of two folders,
 * answered over sockets in RESP.
 *
 * One loop thread owns everything here; what may block on the disk for long runs on the loop's
 * workers. All functions: loop thread, or before loop_run().
 * Source: 0-db 2.0.7 (zdbd/); differences are listed in storage/zdb_server/README.md. */
#pragma once

#include "base/buf.h"
#include "base/loop.h"
#include "storage/zdb/zdb_namespace.h"
#include "storage/zdb/zdb_reserve.h"

struct zdbd_server;
struct zdbd_hook;

#define ZDBD_CONNECTIONS_MAX 10000
#define ZDBD_SPACES_MAX      4096
#define ZDBD_LISTENERS_MAX   8

enum zdbd_mode { ZDBD_MIXED, ZDBD_USER, ZDBD_SEQ };

struct zdbd_options {
    const char *data_path, *index_path; /* folders; made when they are missing; borrowed */
    enum zdbd_mode mode;                /* of new namespaces; MIXED: user, NSSET can change it */
    uint64_t data_file_bytes;           /* 0: the engine's default */
    uint64_t default_max_bytes;         /* limit of the namespace "default"; 0: none */
    enum zdb_durability durability;     /* of namespaces that have no setting of their own */
    uint32_t interval_ms;
    struct str admin_password; /* empty: everyone is admin; borrowed */
    bool is_protected;         /* "default" takes the admin's password */
    uint32_t connections_max;  /* at most ZDBD_CONNECTIONS_MAX; 0: that */
    uint64_t idle_ms;          /* a connection without a request for so long is closed; 0: never */
    uint64_t stall_ms;         /* in the middle of a request, or not reading; 0: a minute */
    uint64_t rotate_ms;        /* NSJUMP of what was written to after so long; 0: never */
    uint64_t scrub_bytes_per_s, compact_bytes_per_s; /* 0: unbounded */
    uint32_t compact_percent;    /* of the data that is dead: then it is compacted; 0: never */
    struct zdbd_hook *hook;      /* NULL: none; borrowed */
    struct zdb_reserve *reserve; /* of the folders' disk; NULL: none; borrowed */
    struct zdb_io *io;           /* NULL: the real calls; tests make them fail */
    const char *instance;        /* "tcp://[::]:9900", for hooks; borrowed */
};

/* Opens all namespaces; nobody is served yet. Errors: what the folders and zdb_open() give; the
 * message names the namespace. */
int zdbd_server_open(struct loop *l, const struct zdbd_options *o, struct zdbd_server **out,
                     struct err *e) MUST_CHECK;
/* Serves whoever connects to the listening socket, which the server owns from now on. Errors:
 * LIMIT, IO. */
int zdbd_server_listen(struct zdbd_server *s, int fd, struct err *e) MUST_CHECK;
/* Serves a connected stream socket, which the server owns from now on. False: there are too many
 * connections, and it is closed. */
bool zdbd_server_adopt(struct zdbd_server *s, int fd);
/* Takes no more requests; done() comes from the loop when every request that was taken has its
 * reply, after grace_ms at the latest. */
void zdbd_server_stop(struct zdbd_server *s, uint64_t grace_ms, void (*done)(void *user),
                      void *user);
/* After loop_run() returned: closes what is left and syncs the namespaces. -1: one could not be
 * synced; everything is freed all the same. NULL-safe. */
int zdbd_server_free(struct zdbd_server *s, struct err *e);

#define ZDBD_METRICS_BYTES_MAX ((size_t)4 << 20)
/* Appends the counters in the text format of Prometheus.
 * Source: prometheus.io/docs/instrumenting/exposition_formats, "Text-based format". 0 or -ENOSPC.
 */
int zdbd_metrics(struct zdbd_server *s, struct buf *out) MUST_CHECK;
/* Prints every live key of every namespace to stdout: --dump. */
int zdbd_dump(struct zdbd_server *s, struct err *e) MUST_CHECK;

/* "always", "never", "interval:MS". 0 or -EINVAL. */
int zdbd_durability_parse(struct str text, enum zdb_durability *out,
                          uint32_t *out_interval_ms) MUST_CHECK;
