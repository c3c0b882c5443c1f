/* SPDX-License-Identifier: Apache-2.0 — grpc_status.h: error texts as header values. */
#pragma once

#include "base/own.h"
#include "base/str.h"

#define GRPC_STATUS_TEXT_BYTES_MAX 1024 /* of a message; what is longer is cut */
#define GRPC_STATUS_WIRE_BYTES     (3 * GRPC_STATUS_TEXT_BYTES_MAX + 1)

/* Percent-encodes text for the grpc-message header; out has GRPC_STATUS_WIRE_BYTES and gets a NUL.
 * A cut never falls into a UTF-8 sequence. Returns the length. Any thread.
 * Source: grpc doc/PROTOCOL-HTTP2.md, "Status-Message". */
size_t grpc_status_encode(struct str text, char *out);
