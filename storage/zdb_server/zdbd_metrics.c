/* SPDX-License-Identifier: Apache-2.0 — zdbd_metrics.c: the counters as Prometheus reads them, and
 * --dump. */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define LABEL_BYTES (2 * ZDB_NAME_BYTES_MAX + 1)

/* Escaped as the format wants it; names may have any byte but NUL and '/'. */
static const char *label(const char *name, char out[LABEL_BYTES]) {
    size_t n = 0;
    for (; *name; name++) {
        if (*name == '\\' || *name == '"' || *name == '\n') out[n++] = '\\';
        out[n++] = *name == '\n' ? 'n' : *name;
    }
    out[n] = '\0';
    return out;
}

static int head(struct buf *b, const char *name, const char *type, const char *help) {
    return buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static int one(struct buf *b, const char *name, const char *type, const char *help, uint64_t n) {
    int r = head(b, name, type, help);
    return r < 0 ? r : buf_fmt(b, "%s %" PRIu64 "\n", name, n);
}

static int put_commands(const struct zdbd_counts *c, struct buf *b) {
    int r = head(b, "zdb_commands_total", "counter", "Commands executed.");
    for (size_t i = 0; r == 0 && i < zdbd_command_count; i++)
        r = buf_fmt(b, "zdb_commands_total{command=\"%s\"} %" PRIu64 "\n", zdbd_commands[i].name,
                    c->calls[i]);
    if (r == 0)
        r = head(b, "zdb_command_errors_total", "counter", "Commands answered with an error.");
    for (size_t i = 0; r == 0 && i < zdbd_command_count; i++)
        r = buf_fmt(b, "zdb_command_errors_total{command=\"%s\"} %" PRIu64 "\n",
                    zdbd_commands[i].name, c->errors[i]);
    return r;
}

static int put_commits(const struct zdbd_counts *c, struct buf *b) {
    uint64_t below = 0;
    int r = head(b, "zdb_commit_seconds", "histogram",
                 "Time from taking a group of writes until it was durable.");
    for (size_t i = 0; r == 0 && i < ZDBD_LATENCY_BUCKETS; i++) {
        below += c->commit_latency[i];
        if (i + 1 < ZDBD_LATENCY_BUCKETS)
            r = buf_fmt(b, "zdb_commit_seconds_bucket{le=\"%.6f\"} %" PRIu64 "\n",
                        zdbd_latency_us[i] / 1e6, below);
    }
    if (r == 0) r = buf_fmt(b, "zdb_commit_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", below);
    if (r == 0) r = buf_fmt(b, "zdb_commit_seconds_sum %.6f\n", (double)c->commit_ns / 1e9);
    return r < 0 ? r : buf_fmt(b, "zdb_commit_seconds_count %" PRIu64 "\n", c->commits);
}

struct gauge {
    const char *name, *type, *help;
    size_t offset; /* of a uint64_t in zdb_info */
};
static const struct gauge gauges[] = {
    {"zdb_namespace_keys", "gauge", "Live keys.", offsetof(struct zdb_info, entries)},
    {"zdb_namespace_live_bytes", "gauge", "Their payload.", offsetof(struct zdb_info, live_bytes)},
    {"zdb_namespace_limit_bytes", "gauge", "Limit of live payload; 0: none.",
     offsetof(struct zdb_info, max_bytes)},
    {"zdb_namespace_data_bytes", "gauge", "Data files.", offsetof(struct zdb_info, data_bytes)},
    {"zdb_namespace_dead_bytes", "gauge", "What compaction would return, estimated.",
     offsetof(struct zdb_info, dead_bytes)},
    {"zdb_namespace_index_bytes", "gauge", "Index files.", offsetof(struct zdb_info, index_bytes)},
    {"zdb_namespace_memory_bytes", "gauge", "Key table.", offsetof(struct zdb_info, memory_bytes)},
    {"zdb_namespace_syncs_total", "counter", "Group commits.", offsetof(struct zdb_info, syncs)},
    {"zdb_namespace_corrupt_total", "counter", "Reads that met a wrong checksum.",
     offsetof(struct zdb_info, corrupt)},
};

static int put_gauge(struct zdbd_server *s, const struct gauge *g, struct buf *b) {
    int r = head(b, g->name, g->type, g->help);
    for (struct zdbd_link *l = s->spaces.next; r == 0 && l != &s->spaces; l = l->next) {
        const struct zdbd_space *p = CONTAINER_OF(l, struct zdbd_space, link);
        struct zdb_info info;
        char name[LABEL_BYTES];
        uint64_t n = 0;
        if (!p->ns || p->exclusive || p->is_new) continue;
        zdb_info(p->ns, &info);
        memcpy(&n, (const char *)&info + g->offset, sizeof n);
        r = buf_fmt(b, "%s{namespace=\"%s\"} %" PRIu64 "\n", g->name, label(p->name, name), n);
    }
    return r;
}

int zdbd_metrics(struct zdbd_server *s, struct buf *out) {
    const struct zdbd_counts *c = &s->counts;
    int r = put_commands(c, out);
    if (r == 0) r = put_commits(c, out);
    const struct {
        const char *name, *type, *help;
        uint64_t n;
    } plain[] = {
        {"zdb_unknown_commands_total", "counter", "Requests that name no command.", c->unknown},
        {"zdb_protocol_errors_total", "counter", "Connections closed for bad bytes.", c->refused},
        {"zdb_denied_total", "counter", "Wrong passwords, and commands without right.", c->denied},
        {"zdb_received_bytes_total", "counter", "Bytes read from clients.", c->bytes_in},
        {"zdb_sent_bytes_total", "counter", "Bytes sent to clients.", c->bytes_out},
        {"zdb_connections", "gauge", "Open connections.", s->session_count},
        {"zdb_connections_total", "counter", "Connections ever.", c->connections},
        {"zdb_connections_rejected_total", "counter", "Closed: too many.", c->rejected},
        {"zdb_namespaces", "gauge", "Namespaces.", s->space_count},
        {"zdb_uptime_seconds", "gauge", "Since the start.", (clock_ms() - s->started_ms) / 1000},
    };
    for (size_t i = 0; r == 0 && i < COUNT(plain); i++)
        r = one(out, plain[i].name, plain[i].type, plain[i].help, plain[i].n);
    for (size_t i = 0; r == 0 && i < COUNT(gauges); i++) r = put_gauge(s, &gauges[i], out);
    return r;
}

static int dump_space(struct zdbd_space *p, struct err *e) {
    struct zdb_scanned found;
    struct zdb_cursor after;
    bool has_after = false;
    if (!p->ns) return 0;
    while (zdb_scan(p->ns, ZDB_FORWARD, has_after ? &after : NULL, &found, e) == 0) {
        (void)printf("%s ", p->name);
        for (size_t i = 0; i < found.key_bytes; i++) (void)printf("%02x", found.key[i]);
        (void)printf(" %u %u %u:%u\n", found.payload_bytes, found.time_s, found.cursor.file_id,
                     found.cursor.offset);
        after = found.cursor;
        has_after = true;
    }
    return e->kind == ERR_NOT_FOUND ? 0 : -1;
}

int zdbd_dump(struct zdbd_server *s, struct err *e) {
    (void)printf("# namespace key(hex) bytes time index-file:offset\n");
    for (struct zdbd_link *l = s->spaces.next; l != &s->spaces; l = l->next) {
        struct err one_e = {0};
        if (dump_space(CONTAINER_OF(l, struct zdbd_space, link), &one_e) < 0) {
            *e = one_e;
            return -1;
        }
    }
    return fflush(stdout) == 0 ? 0 : err_sys(e, errno, "write the dump");
}
