/* SPDX-License-Identifier: Apache-2.0 — report.c: the unpacker's report, written and read.
 *
 * Numbers are put together byte by byte, so neither side depends on alignment or byte order. The
 * reader takes one fixed layout and refuses bytes that are left over. */
#include "storage/unpack/report.h"

#include "storage/unpack/entry_path.h"

#include <errno.h>

#define TAG_DONE  'D'
#define TAG_ERROR 'E'

static void put(uint64_t value, size_t bytes, unsigned char *out) {
    for (size_t i = 0; i < bytes; i++) out[i] = (unsigned char)(value >> (8 * i));
}

static int append_number(struct buf *b, uint64_t value, size_t bytes) {
    unsigned char raw[8];
    put(value, bytes, raw);
    return buf_append(b, raw, bytes);
}

/* Takes a number off the front; false when there are too few bytes. */
static bool take_number(struct str *rest, size_t bytes, uint64_t *out) {
    if (rest->n < bytes) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) value |= (uint64_t)(unsigned char)rest->p[i] << (8 * i);
    *rest = str_sub(*rest, bytes, rest->n);
    *out = value;
    return true;
}

static bool take_bytes(struct str *rest, size_t n, struct str *out) {
    if (rest->n < n) return false;
    *out = str_sub(*rest, 0, n);
    *rest = str_sub(*rest, n, rest->n);
    return true;
}

/* Writes the length in front, now that it is known. */
static int seal(struct buf *b, size_t start, int r) {
    if (r < 0) return r;
    put(b->n - start - 4, 4, (unsigned char *)b->p + start);
    return 0;
}

int report_encode(const struct report *r, struct str paths, struct buf *out) {
    size_t start = out->n;
    unsigned char tag = TAG_DONE;
    int failed = append_number(out, 0, 4);
    if (!failed) failed = buf_append(out, &tag, 1);
    if (!failed) failed = buf_append(out, r->diff_id.bytes, DIGEST_BYTES);
    if (!failed) failed = append_number(out, r->bytes, 8);
    if (!failed) failed = append_number(out, r->inodes, 8);
    if (!failed) failed = append_number(out, r->opaque_count, 4);
    if (!failed) failed = append_number(out, r->implied_count, 4);
    if (!failed) failed = buf_str(out, paths);
    return seal(out, start, failed);
}

int report_encode_error(const struct err *failure, struct buf *out) {
    size_t start = out->n;
    unsigned char head[2] = {TAG_ERROR, (unsigned char)failure->kind};
    size_t n = strnlen(failure->msg, sizeof failure->msg);
    int failed = append_number(out, 0, 4);
    if (!failed) failed = buf_append(out, head, sizeof head);
    if (!failed) failed = append_number(out, n, 2);
    if (!failed) failed = buf_append(out, failure->msg, n);
    return seal(out, start, failed);
}

static int add_path(struct buf *list, struct str path, size_t list_bytes_max) {
    if (path.n > ENTRY_PATH_BYTES_MAX || list->n + 2 + path.n > list_bytes_max) return -ENOSPC;
    int r = append_number(list, path.n, 2);
    return r < 0 ? r : buf_str(list, path);
}

int report_add_opaque(struct buf *opaques, struct str path) {
    return add_path(opaques, path, REPORT_OPAQUE_BYTES_MAX);
}

int report_add_implied(struct buf *implied, struct str path) {
    return add_path(implied, path, REPORT_IMPLIED_BYTES_MAX);
}

bool report_next_path(struct str *list, struct str *out) {
    uint64_t n;
    return take_number(list, 2, &n) && take_bytes(list, (size_t)n, out);
}

static int nonsense(struct err *e) {
    return err_set(e, ERR_CORRUPT, "the unpacker's report makes no sense");
}

static int decode_error(struct str rest, struct err *e) {
    uint64_t kind, n;
    struct str msg;
    if (!take_number(&rest, 1, &kind) || !take_number(&rest, 2, &n) ||
        !take_bytes(&rest, (size_t)n, &msg) || rest.n > 0)
        return nonsense(e);
    if (kind == ERR_NONE || kind > ERR_INTERNAL || str_find(msg, '\0') >= 0) return nonsense(e);
    return err_set(e, (enum err_kind)kind, "%.*s", STR_ARG(msg));
}

/* A path that the unpacker claims is clean must be: it becomes an openat2() of gridletd. */
static bool path_is_clean(struct str path) {
    struct entry_path parsed;
    struct err ignored;
    return entry_path_parse(path, &parsed, &ignored) == 0 && parsed.kind == ENTRY_PLAIN &&
           str_eq(str_make(parsed.path, parsed.n), path);
}

static int decode_paths(struct str rest, size_t count, struct str *out, struct err *e) {
    for (size_t i = 0; i < count; i++)
        if (!report_next_path(&rest, &out[i]) || !path_is_clean(out[i])) return nonsense(e);
    return rest.n > 0 ? nonsense(e) : 0;
}

static int decode_done(struct str rest, struct arena *a, struct report *out, struct err *e) {
    struct report r = {.opaques = NULL};
    uint64_t count, implied;
    struct str sha;
    if (!take_bytes(&rest, DIGEST_BYTES, &sha) || !take_number(&rest, 8, &r.bytes) ||
        !take_number(&rest, 8, &r.inodes) || !take_number(&rest, 4, &count) ||
        count > REPORT_OPAQUES_MAX || !take_number(&rest, 4, &implied) ||
        implied > REPORT_IMPLIED_MAX)
        return nonsense(e);
    memcpy(r.diff_id.bytes, sha.p, DIGEST_BYTES);
    struct str *paths = arena_array(a, (size_t)(count + implied) + 1, sizeof *paths);
    struct str copy = arena_str(a, rest);
    if (!paths || !copy.p) return err_set(e, ERR_LIMIT, "the unpacker's report is too large");
    if (decode_paths(copy, (size_t)(count + implied), paths, e) < 0) return -1;
    r.opaques = paths;
    r.opaque_count = (size_t)count;
    r.implied = paths + count;
    r.implied_count = (size_t)implied;
    *out = r;
    return 0;
}

int report_decode(struct str bytes, struct arena *a, struct report *out, struct err *e) {
    uint64_t n, tag;
    struct str body;
    if (!take_number(&bytes, 4, &n)) return nonsense(e);
    if (n == 0) return err_set(e, ERR_INTERNAL, "the unpacker ended without a report");
    if (n > REPORT_BYTES_MAX || !take_bytes(&bytes, (size_t)n, &body)) return nonsense(e);
    if (!take_number(&body, 1, &tag)) return nonsense(e);
    if (tag == TAG_ERROR) return decode_error(body, e);
    if (tag == TAG_DONE) return decode_done(body, a, out, e);
    return nonsense(e);
}
