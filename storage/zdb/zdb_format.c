/* SPDX-License-Identifier: Apache-2.0 — zdb_format.c: encoding and decoding of 0-db's files.
 *
 * Fields are moved with memcpy in the machine's own order: gridlet runs on little endian machines
 * only, which a static assertion states. */
#include "storage/zdb/zdb_format.h"

#include <assert.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <limits.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "0-db's files are little endian");

#define DATA_VERSION       3
#define INDEX_VERSION      4
#define DESCRIPTOR_VERSION 1
#define FILE_HEADER_BYTES  28 /* what both kinds share: magic, version, times, id */

enum { FLAG_PUBLIC = 1, FLAG_WORM = 2, FLAG_EXTENDED = 4 };

static uint32_t get_u32(const void *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t get_u64(const void *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void put_u32(uint8_t *p, uint32_t v) { memcpy(p, &v, sizeof v); }
static void put_u64(uint8_t *p, uint64_t v) { memcpy(p, &v, sizeof v); }

uint32_t zdb_crc(uint32_t crc, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    while (n > 0) {
        int part = n > INT_MAX ? INT_MAX : (int)n;
        unsigned char *in = (unsigned char *)(uintptr_t)p; /* read only, though not declared so */
        crc = crc32_iscsi(in, part, crc);
        p += part;
        n -= (size_t)part;
    }
    return crc;
}

static void file_header_encode(const char *magic, uint32_t version, const struct zdb_file_header *h,
                               uint8_t *out) {
    memcpy(out, magic, 4);
    put_u32(out + 4, version);
    put_u64(out + 8, h->created_s);
    put_u64(out + 16, h->opened_s);
    put_u32(out + 24, h->file_id);
}

static bool is_zero(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != 0) return false;
    return true;
}

bool zdb_record_is_evident(uint32_t at, struct str head, struct str payload) {
    size_t first =
        ZDB_SECTOR_BYTES - at % ZDB_SECTOR_BYTES; /* of the record, in its first sector */
    if (head.n <= first) return true;
    size_t in_second = first + ZDB_SECTOR_BYTES - head.n; /* of the payload */
    return !is_zero(str_sub(head, first, head.n)) || !is_zero(str_sub(payload, 0, in_second));
}

void zdb_data_header_encode(const struct zdb_file_header *h, uint8_t out[ZDB_DATA_HEADER_BYTES]) {
    file_header_encode("DAT0", DATA_VERSION, h, out);
}

void zdb_index_header_encode(const struct zdb_file_header *h, uint8_t out[ZDB_INDEX_HEADER_BYTES]) {
    file_header_encode("IDX0", INDEX_VERSION, h, out);
    out[FILE_HEADER_BYTES] = (uint8_t)h->mode;
}

static int file_header_decode(struct str in, const char *magic, uint32_t version,
                              struct zdb_file_header *out, struct err *e) {
    if (in.n < FILE_HEADER_BYTES)
        return err_set(e, ERR_CORRUPT, "the file ends within its header, after %zu bytes", in.n);
    if (memcmp(in.p, magic, 4) != 0)
        return err_set(e, ERR_CORRUPT, "the file does not start with '%s'", magic);
    uint32_t found = get_u32(in.p + 4);
    if (found != version)
        return err_set(e, ERR_UNSUPPORTED, "the file has version %u, only %u is known", found,
                       version);
    *out = (struct zdb_file_header){.created_s = get_u64(in.p + 8),
                                    .opened_s = get_u64(in.p + 16),
                                    .file_id = get_u32(in.p + 24)};
    return 0;
}

int zdb_data_header_decode(struct str in, struct zdb_file_header *out, struct err *e) {
    return file_header_decode(in, "DAT0", DATA_VERSION, out, e);
}

int zdb_index_header_decode(struct str in, struct zdb_file_header *out, struct err *e) {
    struct zdb_file_header h;
    if (file_header_decode(in, "IDX0", INDEX_VERSION, &h, e) < 0) return -1;
    if (in.n < ZDB_INDEX_HEADER_BYTES)
        return err_set(e, ERR_CORRUPT, "the file ends within its header, after %zu bytes", in.n);
    uint8_t mode = (uint8_t)in.p[FILE_HEADER_BYTES];
    if (mode > ZDB_SEQ)
        return err_set(e, ERR_UNSUPPORTED, "the file has key mode %u, known are 0 and 1", mode);
    h.mode = mode;
    *out = h;
    return 0;
}

void zdb_record_encode(const struct zdb_record *r, uint8_t out[ZDB_RECORD_BYTES]) {
    out[0] = r->key_bytes;
    put_u32(out + 1, r->payload_bytes);
    put_u32(out + 5, r->previous);
    put_u32(out + 9, r->crc);
    out[13] = r->flags;
    put_u32(out + 14, r->time_s);
}

int zdb_record_decode(struct str in, struct zdb_record *out) {
    if (in.n < ZDB_RECORD_BYTES) return -ENODATA;
    const uint8_t *p = (const uint8_t *)in.p;
    struct zdb_record r = {.key_bytes = p[0],
                           .payload_bytes = get_u32(p + 1),
                           .previous = get_u32(p + 5),
                           .crc = get_u32(p + 9),
                           .flags = p[13],
                           .time_s = get_u32(p + 14)};
    if (r.key_bytes == 0 || r.payload_bytes > ZDB_PAYLOAD_BYTES_MAX) return -EBADMSG;
    if (r.flags & ~(ZDB_DELETED | ZDB_TRUNCATED)) return -EBADMSG;
    *out = r;
    return 0;
}

void zdb_entry_encode(const struct zdb_entry *x, uint8_t out[ZDB_ENTRY_BYTES]) {
    out[0] = x->key_bytes;
    put_u32(out + 1, x->offset);
    put_u32(out + 5, x->payload_bytes);
    put_u32(out + 9, x->previous);
    out[13] = x->flags;
    put_u32(out + 14, x->data_id);
    put_u32(out + 18, x->time_s);
    put_u32(out + 22, x->crc);
    put_u32(out + 26, x->parent_id);
    put_u32(out + 30, x->parent_offset);
}

int zdb_entry_decode(struct str in, struct zdb_entry *out) {
    if (in.n < ZDB_ENTRY_BYTES) return -ENODATA;
    const uint8_t *p = (const uint8_t *)in.p;
    struct zdb_entry x = {.key_bytes = p[0],
                          .offset = get_u32(p + 1),
                          .payload_bytes = get_u32(p + 5),
                          .previous = get_u32(p + 9),
                          .flags = p[13],
                          .data_id = get_u32(p + 14),
                          .time_s = get_u32(p + 18),
                          .crc = get_u32(p + 22),
                          .parent_id = get_u32(p + 26),
                          .parent_offset = get_u32(p + 30)};
    if (x.key_bytes == 0 || x.payload_bytes > ZDB_PAYLOAD_BYTES_MAX) return -EBADMSG;
    if (x.flags & ~ZDB_DELETED || x.offset < ZDB_DATA_HEADER_BYTES) return -EBADMSG;
    *out = x;
    return 0;
}

void zdb_entry_neutralize(uint8_t entry[ZDB_ENTRY_BYTES]) {
    put_u32(entry + 1, ZDB_DATA_HEADER_BYTES);
    put_u32(entry + 5, 0);
    entry[13] = ZDB_DELETED;
    put_u32(entry + 14, 0);
    put_u32(entry + 18, 0);
    put_u32(entry + 22, UINT32_MAX);
    put_u64(entry + 26, 0);
}

bool zdb_entry_is_neutral(const struct zdb_entry *x) {
    return x->flags == ZDB_DELETED && x->offset == ZDB_DATA_HEADER_BYTES && x->payload_bytes == 0 &&
           x->data_id == 0 && x->time_s == 0 && x->crc == UINT32_MAX && x->parent_id == 0 &&
           x->parent_offset == 0;
}

size_t zdb_descriptor_encode(const struct zdb_descriptor *d,
                             uint8_t out[ZDB_DESCRIPTOR_BYTES_MAX]) {
    assert(d->name.n > 0 && d->name.n <= ZDB_NAME_BYTES_MAX);
    assert(d->password.n <= ZDB_PASSWORD_BYTES_MAX);
    put_u32(out, DESCRIPTOR_VERSION);
    out[4] = (uint8_t)d->name.n;
    out[5] = (uint8_t)d->password.n;
    put_u64(out + 6, d->max_bytes);
    out[14] =
        (uint8_t)(FLAG_EXTENDED | (d->is_public ? FLAG_PUBLIC : 0) | (d->is_worm ? FLAG_WORM : 0));
    memcpy(out + ZDB_DESCRIPTOR_HEADER_BYTES, d->name.p, d->name.n);
    if (d->password.n > 0)
        memcpy(out + ZDB_DESCRIPTOR_HEADER_BYTES + d->name.n, d->password.p, d->password.n);
    return ZDB_DESCRIPTOR_HEADER_BYTES + d->name.n + d->password.n;
}

int zdb_descriptor_decode(struct str in, struct zdb_descriptor *out, struct err *e) {
    if (in.n < ZDB_DESCRIPTOR_HEADER_BYTES)
        return err_set(e, ERR_CORRUPT, "the descriptor ends after %zu bytes", in.n);
    uint32_t version = get_u32(in.p);
    if (version != DESCRIPTOR_VERSION)
        return err_set(e, ERR_UNSUPPORTED, "the descriptor has version %u, only %u is known",
                       version, DESCRIPTOR_VERSION);
    size_t name = (uint8_t)in.p[4];
    size_t password = (uint8_t)in.p[5];
    uint8_t flags = (uint8_t)in.p[14];
    if (name == 0 || name > ZDB_NAME_BYTES_MAX || password > ZDB_PASSWORD_BYTES_MAX)
        return err_set(e, ERR_CORRUPT, "the descriptor's name of %zu bytes is out of range", name);
    if (in.n < ZDB_DESCRIPTOR_HEADER_BYTES + name + password) /* a shorter password leaves a rest */
        return err_set(e, ERR_CORRUPT, "the descriptor has %zu bytes, its fields need %zu", in.n,
                       ZDB_DESCRIPTOR_HEADER_BYTES + name + password);
    if (flags & ~(FLAG_PUBLIC | FLAG_WORM | FLAG_EXTENDED))
        return err_set(e, ERR_UNSUPPORTED, "the descriptor has unknown flags 0x%02x", flags);
    *out = (struct zdb_descriptor){
        .name = str_sub(in, ZDB_DESCRIPTOR_HEADER_BYTES, ZDB_DESCRIPTOR_HEADER_BYTES + name),
        .password = str_sub(in, ZDB_DESCRIPTOR_HEADER_BYTES + name,
                            ZDB_DESCRIPTOR_HEADER_BYTES + name + password),
        .max_bytes = get_u64(in.p + 6),
        .is_public = flags & FLAG_PUBLIC,
        .is_worm = flags & FLAG_WORM};
    return 0;
}

void zdb_cursor_encode(const struct zdb_cursor *c, uint8_t out[ZDB_CURSOR_BYTES]) {
    out[0] = c->key_bytes;
    put_u32(out + 1, c->file_id);
    put_u32(out + 5, c->payload_bytes);
    put_u32(out + 9, c->offset);
    put_u32(out + 13, c->crc);
}

int zdb_cursor_decode(struct str in, struct zdb_cursor *out) {
    if (in.n != ZDB_CURSOR_BYTES) return -EINVAL;
    *out = (struct zdb_cursor){.key_bytes = (uint8_t)in.p[0],
                               .file_id = get_u32(in.p + 1),
                               .payload_bytes = get_u32(in.p + 5),
                               .offset = get_u32(in.p + 9),
                               .crc = get_u32(in.p + 13)};
    return 0;
}

void zdb_history_encode(uint32_t file_id, uint32_t offset, uint8_t out[ZDB_HISTORY_BYTES]) {
    put_u32(out, file_id);
    put_u32(out + 4, offset);
}

int zdb_history_decode(struct str in, uint32_t *out_file_id, uint32_t *out_offset) {
    if (in.n != ZDB_HISTORY_BYTES) return -EINVAL;
    *out_file_id = get_u32(in.p);
    *out_offset = get_u32(in.p + 4);
    return 0;
}

void zdb_id_encode(uint64_t id, uint8_t out[ZDB_ID_BYTES]) { put_u64(out, id); }

int zdb_id_decode(struct str in, uint64_t *out) {
    if (in.n != ZDB_ID_BYTES) return -EINVAL;
    *out = get_u64(in.p);
    return 0;
}
