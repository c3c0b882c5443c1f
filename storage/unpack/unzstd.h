/* SPDX-License-Identifier: Apache-2.0 — unzstd.h: zstd frames in, plain bytes out; no I/O.
 *
 * Frames may follow one another, skippable ones between them (RFC 8878, section 3.1). A frame whose
 * window is over 128 MiB is refused, so that a stranger cannot choose how much memory is used.
 * libzstd is wrapped here alone. One thread at a time. */
#pragma once

#include "base/err.h"
#include "storage/unpack/decode.h"

struct unzstd;

struct unzstd *unzstd_new(void);
void unzstd_free(struct unzstd *z);
/* Decodes as far as io allows and moves its two windows on. CORRUPT; LIMIT for the window. */
int unzstd_step(struct unzstd *z, struct decode_io *io, struct err *e) MUST_CHECK;
/* After the last input byte: CORRUPT when the stream stops inside of a frame. */
int unzstd_end(const struct unzstd *z, struct err *e) MUST_CHECK;
