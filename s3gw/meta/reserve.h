/* SPDX-License-Identifier: Apache-2.0 — reserve.h: disk space that is set aside for bad days.
 *
 * A preallocated file beside the database. When the disk is full it is given back step by step, so
 * that what frees space (deletions) can still be written down. One thread at a time. */
#pragma once

#include "base/err.h"

#define RESERVE_STEP_BYTES (UINT64_C(2) * 1024 * 1024)

struct reserve;

/* folder: where the file lies. A disk that is too full to fill it is no error. */
int reserve_open(const char *folder, uint64_t bytes, struct reserve **out,
                 struct err *e) MUST_CHECK;
/* Fills it as far as the disk allows; true when it is whole. */
bool reserve_fill(struct reserve *r);
/* Gives one step back to the disk; false when there is none left. */
bool reserve_spend(struct reserve *r);
void reserve_close(struct reserve *r); /* keeps the file; NULL-safe */
