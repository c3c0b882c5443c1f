/* SPDX-License-Identifier: Apache-2.0 — report.h: what gridlet-unpack tells gridletd at its end.
 *
 * The report lies at the start of a memfd that gridletd made, sized and sealed, so its size is
 * bounded and nobody waits for anybody. All numbers are little-endian:
 *   u32 length of what follows
 *   u8 'D': 32 bytes SHA-256, u64 bytes, u64 inodes, u32 count, u32 count, for each of both
 *          counts {u16 length, path}: the opaque folders, then the implied ones
 *   u8 'E': u8 kind (enum err_kind), u16 length, message
 * A length of 0 means that the unpacker died before it could say anything. The reader trusts
 * nothing of it. Pure; any thread. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#define REPORT_OPAQUES_MAX       65536u
#define REPORT_OPAQUE_BYTES_MAX  (4u << 20) /* all paths with their lengths */
#define REPORT_IMPLIED_MAX       131072u
#define REPORT_IMPLIED_BYTES_MAX (16u << 20)
#define REPORT_BYTES_MAX         (REPORT_OPAQUE_BYTES_MAX + REPORT_IMPLIED_BYTES_MAX + 4096u)
#define REPORT_ARENA_BYTES_MAX   (2 * REPORT_BYTES_MAX)

struct report {
    struct digest diff_id; /* SHA-256 of the uncompressed stream */
    uint64_t bytes, inodes;
    const struct str *opaques; /* clean paths of folders; "" is the root of the layer */
    size_t opaque_count;
    const struct str *implied; /* the same for folders of which the layer lists only the content */
    size_t implied_count;
};

/* Appends the report of a success. paths: both lists, one after the other, as above (those of r are
 * not looked at). 0 or -ENOSPC. */
int report_encode(const struct report *r, struct str paths, struct buf *out) MUST_CHECK;
int report_encode_error(const struct err *failure, struct buf *out) MUST_CHECK;
/* Adds one path to a list that report_encode() takes; 0 or -ENOSPC. */
int report_add_opaque(struct buf *opaques, struct str path) MUST_CHECK;
int report_add_implied(struct buf *implied, struct str path) MUST_CHECK;
/* Takes the first path off such a list; false when there is none. */
bool report_next_path(struct str *list, struct str *out);

/* bytes: the whole file. out lives in a. The unpacker's own failure becomes e; CORRUPT when the
 * report itself makes no sense; INTERNAL when there is none. */
int report_decode(struct str bytes, struct arena *a, struct report *out, struct err *e) MUST_CHECK;
