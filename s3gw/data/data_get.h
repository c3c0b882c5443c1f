/* SPDX-License-Identifier: Apache-2.0 — data_get.h: a range of a body, chunk by chunk.
 *
 * A chunk is read whole and its checksum compared before its first byte is given out. While a
 * reader is open its body is not reclaimed. One thread at a time: next (on a worker) -> result. */
#pragma once

#include "s3gw/data/data.h"

struct data_get;
struct data_range {
    uint64_t body;
    uint64_t from, bytes; /* bytes: at least 1, within the body */
};
struct data_get *data_get_new(struct data *d, const struct data_range *range);
uint64_t data_get_bytes(const struct data_get *g); /* of the range */
/* Reads the next piece; blocks. */
void data_get_next(struct data_get *g);
/* What next has read: valid until the next next. CORRUPT, NOT_FOUND, IO. */
int data_get_result(const struct data_get *g, struct str *out_piece, bool *out_last,
                    struct err *e) MUST_CHECK;
void data_get_free(struct data_get *g); /* NULL-safe */
