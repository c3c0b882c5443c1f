/* SPDX-License-Identifier: Apache-2.0 — zdb_rate.h: background reading and writing at a bounded
 * rate: a token bucket. One thread. */
#pragma once

#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

#define ZDB_RATE_SLICE_MS 100 /* a wait is cancelled within this; also what may be saved up */

struct zdb_rate {
    uint64_t bytes_per_s; /* 0: unbounded */
    uint64_t ready_ns;    /* when what was taken so far is paid for */
    bool (*go_on)(void *user);
    void *user;
};

/* Takes the bytes and waits until the rate allows them. -ECANCELED when go_on() says so: it is
 * asked once per call, and at least every ZDB_RATE_SLICE_MS while it waits. */
int zdb_rate_take(struct zdb_rate *r, uint64_t bytes) MUST_CHECK;
