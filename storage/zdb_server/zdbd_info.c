/* SPDX-License-Identifier: Apache-2.0 — zdbd_info.c: INFO, NSINFO, NSLIST, DBSIZE.
 *
 * Lines "key: value" as 0-db writes them, in its order; what is ours follows at the end.
 * Source: 0-db 2.0.7 (zdbd/commands_namespace.c, commands_system.c). */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"

#include <byteswap.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>

#define INFO_BYTES_MAX ((size_t)64 << 10)
#define DATA_VERSION   3
#define INDEX_VERSION  4

static double mb(uint64_t bytes) { return (double)bytes / (1024 * 1024); }
static double kb(uint64_t bytes) { return (double)bytes / 1024; }
static const char *yes(bool is_so) { return is_so ? "yes" : "no"; }

/* Lines for which INFO_BYTES_MAX is always enough. */
#define LINE(b, ...) (void)!buf_fmt(b, __VA_ARGS__)

static void put_free_space(struct buf *b, const char *what, const char *path) {
    struct statvfs v;
    if (statvfs(path, &v) < 0) return;
    uint64_t bytes = (uint64_t)v.f_bsize * v.f_bavail;
    LINE(b, "%s_disk_freespace_bytes: %" PRIu64 "\n", what, bytes);
    LINE(b, "%s_disk_freespace_mb: %.2f\n", what, mb(bytes));
}

static void put_errors(struct buf *b, const char *what, uint64_t faults) {
    LINE(b, "stats_%s_io_errors: 0\n", what);
    LINE(b, "stats_%s_io_error_last: 0\n", what);
    LINE(b, "stats_%s_faults: %" PRIu64 "\n", what, faults);
}

static void put_paths(struct buf *b, const struct zdbd_space *p, const struct zdb_info *i) {
    const struct zdbd_server *s = p->server;
    LINE(b, "data_path: %s/%s\n", s->data_path, p->name);
    LINE(b, "data_active: %s/%s/d%u\n", s->data_path, p->name, i->file_id);
    LINE(b, "index_path: %s/%s\n", s->index_path, p->name);
    LINE(b, "index_active: %s/%s/i%u\n", s->index_path, p->name, i->file_id);
    LINE(b, "data_current_id: %u\n", i->file_id);
    LINE(b, "data_current_offset: %u\n", i->data_end);
}

static void put_ours(struct buf *b, const struct zdb_info *i) {
    char text[ZDBD_DURABILITY_BYTES];
    LINE(b, "durability: %s\n", zdbd_durability_text(i->durability, i->interval_ms, text));
    if (i->versions_max == ZDB_KEEP_ALL)
        LINE(b, "versions: all\n");
    else
        LINE(b, "versions: %u\n", i->versions_max);
    LINE(b, "data_files_bytes: %" PRIu64 "\n", i->data_bytes);
    LINE(b, "data_dead_bytes: %" PRIu64 "\n", i->dead_bytes);
    LINE(b, "memory_bytes: %" PRIu64 "\n", i->memory_bytes);
    LINE(b, "syncs: %" PRIu64 "\n", i->syncs);
    LINE(b, "corrupt_reads: %" PRIu64 "\n", i->corrupt);
}

static void put_space(struct buf *b, const struct zdbd_session *s, const struct zdbd_space *p) {
    struct zdb_info i;
    zdb_info(p->ns, &i);
    uint64_t next = p->mode == ZDB_SEQ ? i.next_id : i.entries;
    LINE(b, "# namespace\n");
    LINE(b, "name: %s\n", p->name);
    LINE(b, "entries: %" PRIu64 "\n", i.entries);
    LINE(b, "public: %s\n", yes(p->settings.is_public));
    LINE(b, "worm: %s\n", yes(p->settings.is_worm));
    LINE(b, "locked: %s\n", yes(p->lock != ZDBD_UNLOCKED));
    LINE(b, "password: %s\n", yes(zdbd_space_password(p).n > 0));
    LINE(b, "data_size_bytes: %" PRIu64 "\n", i.live_bytes);
    LINE(b, "data_size_mb: %.2f\n", mb(i.live_bytes));
    LINE(b, "data_limits_bytes: %" PRIu64 "\n", i.max_bytes);
    LINE(b, "index_size_bytes: %" PRIu64 "\n", i.index_bytes);
    LINE(b, "index_size_kb: %.2f\n", kb(i.index_bytes));
    LINE(b, "next_internal_id: 0x%08" PRIx64 "\n", bswap_64(next));
    LINE(b, "mode: %s\n", p->mode == ZDB_SEQ ? "sequential" : "userkey");
    put_errors(b, "index", 0);
    put_errors(b, "data", i.corrupt);
    if (i.max_bytes > 0) {
        uint64_t free_bytes = i.max_bytes > i.live_bytes ? i.max_bytes - i.live_bytes : 0;
        LINE(b, "space_available: %" PRIu64 "\n", free_bytes);
    }
    char path[ZDBD_PATH_BYTES];
    zdbd_space_path(s->server, p, false, path, sizeof path);
    put_free_space(b, "index", path);
    zdbd_space_path(s->server, p, true, path, sizeof path);
    put_free_space(b, "data", path);
    if (s->is_master && p->password_bytes > 0)
        LINE(b, "password_raw: %.*s\n", (int)p->password_bytes, p->password);
    if (s->is_admin) put_paths(b, p, &i);
    put_ours(b, &i);
    for (int kind = 0; kind < ZDBD_UPKEEPS; kind++)
        zdbd_maintenance_put(s->server->maintenance, (enum zdbd_upkeep)kind, p, b);
}

void zdbd_nsinfo(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(buf_done) struct buf b = BUF(INFO_BYTES_MAX);
    if (!zdbd_check_args(s, r, 2)) return;
    if (r->args[1].n > ZDB_NAME_BYTES_MAX) {
        zdbd_error(s, "Namespace too long");
        return;
    }
    struct zdbd_space *p = zdbd_space_find(s->server, r->args[1]);
    if (!p) {
        zdbd_error(s, "Namespace not found");
        return;
    }
    if (!p->ns || p->exclusive) {
        zdbd_error(s, p->exclusive ? "Namespace is being changed, try again" : ZDBD_NOT_OPEN);
        return;
    }
    put_space(&b, s, p);
    resp_bulk(&s->out, buf_view(&b));
}

void zdbd_nslist(struct zdbd_session *s, const struct resp_request *r) {
    const struct zdbd_link *head = &s->server->spaces;
    size_t count = 0;
    (void)r;
    for (const struct zdbd_link *l = head->next; l != head; l = l->next)
        count += !CONTAINER_OF(l, struct zdbd_space, link)->is_new;
    resp_array(&s->out, count);
    for (const struct zdbd_link *l = head->next; l != head; l = l->next) {
        const struct zdbd_space *p = CONTAINER_OF(l, struct zdbd_space, link);
        if (!p->is_new) resp_bulk(&s->out, str_of(p->name));
    }
}

void zdbd_dbsize(struct zdbd_session *s, const struct resp_request *r) {
    struct zdb_info i;
    (void)r;
    if (s->space->exclusive || !s->space->ns) {
        zdbd_error(s, "Namespace is being changed, try again");
        return;
    }
    zdb_info(s->space->ns, &i);
    resp_int(&s->out, (int64_t)i.entries);
}

static void put_traffic(struct buf *b, const char *what, uint64_t bytes) {
    LINE(b, "%s_bytes: %" PRIu64 "\n", what, bytes);
    LINE(b, "%s_mb: %.2f\n", what, mb(bytes));
}

void zdbd_info(struct zdbd_session *s, const struct resp_request *r) {
    AUTO(buf_done) struct buf b = BUF(INFO_BYTES_MAX);
    const struct zdbd_server *server = s->server;
    const struct zdbd_counts *c = &server->counts;
    uint64_t calls = 0;
    (void)r;
    for (size_t i = 0; i < zdbd_command_count; i++) calls += c->calls[i];
    LINE(&b, "# server\nserver_name: 0-db (zdb)\nserver_revision: gridlet-" GRIDLET_VERSION "\n");
    LINE(&b, "engine_revision: gridlet-" GRIDLET_VERSION "\n");
    LINE(&b, "instance_id: %u\n", server->instance_id);
    LINE(&b, "boot_time: %" PRId64 "\n", server->started_wall_ns / 1000000000);
    LINE(&b, "uptime: %" PRIu64 "\n", (clock_ms() - server->started_ms) / 1000);
    LINE(&b, "\n# clients\nclients_lifetime: %" PRIu64 "\n", c->connections);
    LINE(&b, "clients_connected: %zu\n", server->session_count);
    LINE(&b, "\n# internals\nsequential_key_size: 8\n");
    LINE(&b, "data_version: %d\nindex_version: %d\n", DATA_VERSION, INDEX_VERSION);
    LINE(&b, "\n# stats\ncommands_executed: %" PRIu64 "\n", calls);
    LINE(&b, "commands_failed: %" PRIu64 "\n", c->unknown);
    LINE(&b, "commands_unauthorized: %" PRIu64 "\n", c->denied);
    put_traffic(&b, "network_rx", c->bytes_in);
    put_traffic(&b, "network_tx", c->bytes_out);
    resp_bulk(&s->out, buf_view(&b));
}
