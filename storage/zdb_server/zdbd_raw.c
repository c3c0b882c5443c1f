/* SPDX-License-Identifier: Apache-2.0 — zdbd_raw.c: INDEX DIRTY and DATA RAW, for replication.
 * Source: 0-db 2.0.7 (zdbd/commands_system.c, libzdb/data.c). */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>

#define RAW_EXTRA_BYTES ((size_t)1024)

/* ---- INDEX DIRTY ---- */

static void dirty_run(struct zdbd_work *w) {
    AUTO_FREE uint32_t *list = NULL;
    ssize_t n = 0;
    bool is_reset = w->number[0];
    /* Changes in place may still wait for the next sync. */
    w->result = zdb_sync(w->space->ns, &w->error);
    if (w->result == 0)
        n = is_reset ? zdbd_dirty_reset(w->space) : zdbd_dirty_list(w->space, &list);
    if (n < 0) w->result = err_sys(&w->error, (int)-n, "look at the index files");
    if (w->result < 0) {
        zdbd_work_error(w, &w->error);
        return;
    }
    if (is_reset) {
        resp_simple(&w->reply, STR("OK"));
        return;
    }
    resp_array(&w->reply, (size_t)n);
    for (ssize_t i = 0; i < n; i++) resp_int(&w->reply, list[i]);
}

void zdbd_index(struct zdbd_session *s, const struct resp_request *r) {
    if (!zdbd_check_admin(s) || !zdbd_check_args_min(s, r, 2)) return;
    if (!str_eq_nocase(r->args[1], STR("DIRTY"))) {
        zdbd_error(s, "Unknown INDEX subcommand");
        return;
    }
    if (r->count == 3 && !str_eq_nocase(r->args[2], STR("RESET"))) {
        zdbd_error(s, "Unknown INDEX DIRTY subcommand");
        return;
    }
    if (!zdbd_check_readable(s)) return;
    struct zdbd_work *w = zdbd_work_new(s, dirty_run);
    w->number[0] = r->count == 3;
    zdbd_work_start_barrier(w);
}

/* ---- DATA RAW ---- */

static int raw_failed(struct err *e, const char *text) {
    return err_set(e, ERR_INVALID, "%s", text);
}

/* The record at the place: its fixed part, key and payload in *out (record, then the rest). */
static int read_record(struct zdbd_work *w, struct zdb_record *record, struct buf *out,
                       struct err *e) {
    char path[ZDBD_PATH_BYTES + 32];
    char folder[ZDBD_PATH_BYTES];
    uint8_t head[ZDB_RECORD_BYTES];
    zdbd_space_path(w->space->server, w->space, true, folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/d%llu", folder, (unsigned long long)w->number[0]);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) return raw_failed(e, "Unexpected Internal Error");
    if (fd < 0) return err_sys(e, errno, "open data file %llu", (unsigned long long)w->number[0]);
    ssize_t n = file_pread_full(fd, head, sizeof head, w->number[1]);
    if (n == 0) return raw_failed(e, "EOF");
    if (n < 0) return err_sys(e, (int)-n, "read a record");
    if (zdb_record_decode(str_make((char *)head, (size_t)n), record) < 0)
        return raw_failed(e, "Invalid Request");
    size_t rest = (size_t)record->key_bytes + record->payload_bytes;
    if (buf_reserve(out, rest) < 0) return raw_failed(e, "Invalid Request");
    n = file_pread_full(fd, out->p, rest, w->number[1] + sizeof head);
    if (n < 0) return err_sys(e, (int)-n, "read a record");
    if ((size_t)n < rest) return raw_failed(e, "Invalid Request");
    out->n = rest;
    bool is_deleted = record->flags & ZDB_DELETED;
    if (record->payload_bytes == 0 && !is_deleted) return raw_failed(e, "Invalid Request");
    return 0;
}

static void raw_run(struct zdbd_work *w) {
    AUTO(buf_done) struct buf bytes = BUF(ZDB_PAYLOAD_BYTES_MAX + ZDB_KEY_BYTES_MAX);
    struct zdb_record record = {.key_bytes = 0};
    char crc[16];
    /* Small writes may wait in memory. */
    if (zdb_write_out(w->space->ns, &w->error) < 0 ||
        read_record(w, &record, &bytes, &w->error) < 0) {
        zdbd_work_error(w, &w->error);
        return;
    }
    struct str all = buf_view(&bytes);
    resp_array(&w->reply, 6);
    resp_bulk(&w->reply, str_sub(all, 0, record.key_bytes));
    resp_int(&w->reply, record.previous);
    (void)snprintf(crc, sizeof crc, "0x%08x", record.crc);
    resp_bulk(&w->reply, str_of(crc));
    resp_int(&w->reply, record.flags);
    resp_int(&w->reply, record.time_s);
    if (record.payload_bytes == 0)
        resp_nil(&w->reply);
    else
        resp_bulk(&w->reply, str_sub(all, record.key_bytes, all.n));
}

void zdbd_data_raw(struct zdbd_session *s, const struct resp_request *r) {
    uint64_t place[2];
    if (!zdbd_check_admin(s) || !zdbd_check_args_min(s, r, 2)) return;
    if (!str_eq_nocase(r->args[1], STR("RAW"))) {
        zdbd_error(s, "Unknown DATA subcommand");
        return;
    }
    if (!zdbd_check_args_min(s, r, 4) || !zdbd_check_readable(s)) return;
    if (str_u64(r->args[2], &place[0]) < 0 || str_u64(r->args[3], &place[1]) < 0 ||
        place[0] > UINT32_MAX || place[1] > UINT32_MAX) {
        zdbd_error(s, "Invalid Request");
        return;
    }
    struct zdbd_work *w = zdbd_work_new(s, raw_run);
    memcpy(w->number, place, sizeof place);
    w->reply.bytes_max = ZDB_PAYLOAD_BYTES_MAX + RAW_EXTRA_BYTES;
    zdbd_work_start(w);
}
