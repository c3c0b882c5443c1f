/* SPDX-License-Identifier: Apache-2.0 — zdb_format.h: the bytes of a 0-db namespace: data files
 * (version 3), index files (version 4), the descriptor, cursors.
 *
 * Bytes in, values out: no descriptors, no memory of its own. Everything is packed and little
 * endian. Decoders are strict: what 0-db never writes is refused. Any thread.
 * Source: 0-db 2.0.7 (data.h, index.h, namespace.h, libzdb) and directories that it wrote;
 * docs/formats.md shows them. */
#pragma once

#include "base/err.h"

#define ZDB_DATA_HEADER_BYTES       28
#define ZDB_INDEX_HEADER_BYTES      29
#define ZDB_RECORD_BYTES            18 /* in front of key and payload in a data file */
#define ZDB_ENTRY_BYTES             34 /* in front of the key in an index file */
#define ZDB_CREATED_AT              8  /* fields in both headers, a record and an entry */
#define ZDB_RECORD_PREVIOUS_AT      5
#define ZDB_ENTRY_OFFSET_AT         1
#define ZDB_ENTRY_PREVIOUS_AT       9
#define ZDB_ENTRY_PARENT_AT         26
#define ZDB_KEY_BYTES_MAX           255
#define ZDB_PAYLOAD_BYTES_MAX       ((size_t)8 << 20)
#define ZDB_NAME_BYTES_MAX          128
#define ZDB_PASSWORD_BYTES_MAX      63
#define ZDB_ID_BYTES                8 /* key of `seq` mode: the position, little endian */
#define ZDB_SEQ_ENTRY_BYTES         (ZDB_ENTRY_BYTES + ZDB_ID_BYTES)
#define ZDB_CURSOR_BYTES            17
#define ZDB_HISTORY_BYTES           8
#define ZDB_DESCRIPTOR_HEADER_BYTES 15
#define ZDB_DESCRIPTOR_BYTES_MAX                                                                   \
    (ZDB_DESCRIPTOR_HEADER_BYTES + ZDB_NAME_BYTES_MAX + ZDB_PASSWORD_BYTES_MAX)

enum zdb_mode { ZDB_USER, ZDB_SEQ }; /* the values in the file */
enum { ZDB_DELETED = 1, ZDB_TRUNCATED = 2 };

struct zdb_file_header {
    uint64_t created_s; /* 0-db 2.0.7 writes 0 for both; compaction counts in the first */
    uint64_t opened_s;
    uint32_t file_id;
    enum zdb_mode mode; /* index files only */
};

/* One entry of a data file. */
struct zdb_record {
    uint8_t key_bytes; /* 1 to 255 */
    uint8_t flags;     /* ZDB_DELETED | ZDB_TRUNCATED */
    uint32_t payload_bytes;
    uint32_t previous; /* where the record before this one starts, in its file */
    uint32_t crc;      /* of the payload */
    uint32_t time_s;
};

/* One entry of an index file. */
struct zdb_entry {
    uint8_t key_bytes;
    uint8_t flags;   /* ZDB_DELETED: deleted or superseded */
    uint32_t offset; /* of the record in its data file */
    uint32_t payload_bytes;
    uint32_t previous; /* where the entry before this one starts, in its file */
    uint32_t
        data_id; /* data file; 0-db writes 0 for new keys in `user` mode, see docs/formats.md */
    uint32_t time_s;
    uint32_t crc;
    uint32_t parent_id; /* index file and offset of the version before; both 0: none */
    uint32_t parent_offset;
};

struct zdb_descriptor {
    struct str name;     /* borrowed */
    struct str password; /* borrowed; empty: none */
    uint64_t max_bytes;  /* of live payload; 0: no limit */
    bool is_public;
    bool is_worm;
};

/* Where a scan stands (the last key it gave). */
struct zdb_cursor {
    uint8_t key_bytes;
    uint32_t file_id;
    uint32_t payload_bytes;
    uint32_t offset; /* of the entry in its index file */
    uint32_t crc;
};

/* CRC-32C, reflected, started at 0 and without the final inversion; crc continues an earlier part,
 * 0 at first. */
uint32_t zdb_crc(uint32_t crc, const void *bytes, size_t n);

/* Whether a record that lies at the offset proves by itself that its header and key are whole: what
 * a power cut lost of them is a sector of zeros. False when they reach into a second sector in
 * which the record has nothing but zeros (the format has no checksum of header and key).
 * head: header and key; payload: its first bytes, ZDB_SECTOR_BYTES of them or all. */
#define ZDB_SECTOR_BYTES 512
bool zdb_record_is_evident(uint32_t at, struct str head, struct str payload);

/* ---- writing: out has the constant's size ---- */
void zdb_data_header_encode(const struct zdb_file_header *h, uint8_t out[ZDB_DATA_HEADER_BYTES]);
void zdb_index_header_encode(const struct zdb_file_header *h, uint8_t out[ZDB_INDEX_HEADER_BYTES]);
void zdb_record_encode(const struct zdb_record *r, uint8_t out[ZDB_RECORD_BYTES]);
void zdb_entry_encode(const struct zdb_entry *x, uint8_t out[ZDB_ENTRY_BYTES]);
void zdb_cursor_encode(const struct zdb_cursor *c, uint8_t out[ZDB_CURSOR_BYTES]);
void zdb_history_encode(uint32_t file_id, uint32_t offset, uint8_t out[ZDB_HISTORY_BYTES]);
void zdb_id_encode(uint64_t id, uint8_t out[ZDB_ID_BYTES]);
/* Returns the length, at most ZDB_DESCRIPTOR_BYTES_MAX; name and password are within their limits
 * (asserted). */
size_t zdb_descriptor_encode(const struct zdb_descriptor *d, uint8_t out[ZDB_DESCRIPTOR_BYTES_MAX]);

/* Makes an encoded entry name nothing, its key and `previous` stay: flagged, without payload, at
 * the first place of data file 0, with a checksum that no empty payload has. Compaction leaves that
 * of a `seq` copy whose record went. */
void zdb_entry_neutralize(uint8_t entry[ZDB_ENTRY_BYTES]);
bool zdb_entry_is_neutral(const struct zdb_entry *x);

/* ---- reading ---- */

/* Errors: CORRUPT (too short, wrong magic), UNSUPPORTED (another version). in may be longer. */
int zdb_data_header_decode(struct str in, struct zdb_file_header *out, struct err *e) MUST_CHECK;
int zdb_index_header_decode(struct str in, struct zdb_file_header *out, struct err *e) MUST_CHECK;
/* The fixed part at the start of in. Tier (a): -ENODATA when in is shorter than it, -EBADMSG when
 * it is none: no key, unknown flags, a payload over the limit. */
int zdb_record_decode(struct str in, struct zdb_record *out) MUST_CHECK;
int zdb_entry_decode(struct str in, struct zdb_entry *out) MUST_CHECK;
/* Whole; views point into in. Errors: CORRUPT, UNSUPPORTED. */
int zdb_descriptor_decode(struct str in, struct zdb_descriptor *out, struct err *e) MUST_CHECK;
/* Exactly ZDB_CURSOR_BYTES (ZDB_HISTORY_BYTES, ZDB_ID_BYTES) long, or -EINVAL. */
int zdb_cursor_decode(struct str in, struct zdb_cursor *out) MUST_CHECK;
int zdb_history_decode(struct str in, uint32_t *out_file_id, uint32_t *out_offset) MUST_CHECK;
int zdb_id_decode(struct str in, uint64_t *out) MUST_CHECK;
