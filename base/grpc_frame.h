/* SPDX-License-Identifier: Apache-2.0 — grpc_frame.h: the message of a unary call out of its 5-byte
 * framing.
 *
 * Bytes in, one message out; no I/O. A unary stream holds exactly one "Length-Prefixed-Message":
 * one byte 0 (not compressed), the length as 32 bits big-endian, the message. One thread at a time.
 * Source: grpc doc/PROTOCOL-HTTP2.md, "Requests". */
#pragma once

#include "base/buf.h"

#define GRPC_FRAME_PREFIX_BYTES 5

struct grpc_frame {
    uint8_t prefix[GRPC_FRAME_PREFIX_BYTES];
    size_t prefix_bytes; /* of the prefix, seen so far */
    struct buf message;  /* owned; grows as bytes arrive, never from the announced length alone */
};

void grpc_frame_init(struct grpc_frame *f, size_t message_bytes_max);
/* Takes bytes in pieces of any size. 0, or -ENOTSUP (compressed), -EMSGSIZE (announces more than
 * the limit), -EPROTO (unknown flag, or bytes behind the message); after an error feed no more. */
int grpc_frame_feed(struct grpc_frame *f, const uint8_t *bytes, size_t n) MUST_CHECK;
/* The whole message is there. */
bool grpc_frame_complete(const struct grpc_frame *f);
/* Announced length; 0 while the prefix is incomplete. */
uint32_t grpc_frame_length(const struct grpc_frame *f);
void grpc_frame_done(struct grpc_frame *f);

/* Writes the prefix of an uncompressed message of n bytes. */
void grpc_frame_prefix(uint32_t n, uint8_t out[GRPC_FRAME_PREFIX_BYTES]);
