/* SPDX-License-Identifier: Apache-2.0 — grpc_timeout.h: the value of the grpc-timeout header. */
#pragma once

#include "base/own.h"
#include "base/str.h"

/* 1 to 8 digits and one of H M S m u n. Nanoseconds, UINT64_MAX when more than fit; 0 or -EINVAL.
 * Source: grpc doc/PROTOCOL-HTTP2.md, "Timeout". Any thread. */
int grpc_timeout_parse(struct str value, uint64_t *out_ns) MUST_CHECK;
