/* SPDX-License-Identifier: Apache-2.0 — gunzip.h: gzip bytes in, plain bytes out; no I/O.
 *
 * Members may follow one another (RFC 1952, section 2.2); every header and every CRC-32 and length
 * is verified. Anything else behind the last member is an error. ISA-L is wrapped here alone. One
 * thread at a time. */
#pragma once

#include "base/err.h"
#include "storage/unpack/decode.h"

struct gunzip;

struct gunzip *gunzip_new(void);
void gunzip_free(struct gunzip *g);
/* Decodes as far as io allows and moves its two windows on. CORRUPT when the bytes are not gzip. */
int gunzip_step(struct gunzip *g, struct decode_io *io, struct err *e) MUST_CHECK;
/* After the last input byte: CORRUPT when the stream stops inside of a member. */
int gunzip_end(const struct gunzip *g, struct err *e) MUST_CHECK;
