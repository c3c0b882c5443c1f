/* SPDX-License-Identifier: Apache-2.0 — stream.h: a layer's compressed bytes from a descriptor,
 * decoded and digested by threads of their own.
 *
 * The threads fill a ring of STREAM_BLOCKS blocks while one reader takes them, so decoding,
 * digesting and writing files overlap. They start parked: whoever confines the process does it
 * between stream_new() and stream_start(). */
#pragma once

#include "base/digest.h"
#include "base/err.h"

#include <sys/types.h>

#define STREAM_BLOCKS      8
#define STREAM_BLOCK_BYTES (256u << 10)

/* A stream of n compressed bytes may become FREE + RATIO * n. Files are seldom packed better than
 * 20:1; images of disks that are mostly zeros are (gzip ends at 1032:1, zstd at 32768:1), hence
 * what is free. */
#define STREAM_EXPANSION_FREE_BYTES_MAX ((uint64_t)1 << 30)
#define STREAM_EXPANSION_RATIO_MAX      128u

enum stream_kind { STREAM_PLAIN, STREAM_GZIP, STREAM_ZSTD };

struct stream;

/* fd: borrowed, read to its end. NULL with e filled when there is no thread to be had. */
struct stream *stream_new(int fd, enum stream_kind kind, struct err *e) MUST_CHECK;
void stream_start(struct stream *s);
/* The next decoded bytes, valid until the next call: their count, 0 at the end, -1 with e (then the
 * same again). CORRUPT; LIMIT: they are more than a stream of so few bytes may become; IO. */
ssize_t stream_next(struct stream *s, const void **out, struct err *e) MUST_CHECK;
/* SHA-256 of all decoded bytes; once, after stream_next() gave 0. */
struct digest stream_digest(struct stream *s);
/* Ends the threads, which wait for a read(2) that is under way: fd should not be an idle pipe. */
void stream_free(struct stream *s);
