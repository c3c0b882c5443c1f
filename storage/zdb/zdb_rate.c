/* SPDX-License-Identifier: Apache-2.0 — zdb_rate.c: a token bucket. */
#include "storage/zdb/zdb_rate.h"

#include "base/clock.h"

#include <errno.h>
#include <time.h>

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull

int zdb_rate_take(struct zdb_rate *r, uint64_t bytes) {
    const uint64_t slice_ns = ZDB_RATE_SLICE_MS * NS_PER_MS;
    if (!r->go_on(r->user)) return -ECANCELED;
    if (r->bytes_per_s == 0) return 0;
    uint64_t now = clock_ns();
    if (r->ready_ns + slice_ns < now) r->ready_ns = now - slice_ns;
    r->ready_ns +=
        bytes / r->bytes_per_s * NS_PER_S + bytes % r->bytes_per_s * NS_PER_S / r->bytes_per_s;
    while (now < r->ready_ns) {
        uint64_t wait = r->ready_ns - now < slice_ns ? r->ready_ns - now : slice_ns;
        struct timespec t = {0, (long)wait};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
        if (!r->go_on(r->user)) return -ECANCELED;
        now = clock_ns();
    }
    return 0;
}
