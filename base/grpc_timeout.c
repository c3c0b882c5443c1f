/* SPDX-License-Identifier: Apache-2.0 — grpc_timeout.c: digits and a unit. */
#include "base/grpc_timeout.h"

#include <errno.h>

#define DIGITS_MAX 8

static uint64_t unit_ns(char unit) {
    switch (unit) {
    case 'H': return UINT64_C(3600000000000);
    case 'M': return UINT64_C(60000000000);
    case 'S': return 1000000000;
    case 'm': return 1000000;
    case 'u': return 1000;
    case 'n': return 1;
    default: return 0;
    }
}

int grpc_timeout_parse(struct str value, uint64_t *out_ns) {
    if (value.n < 2 || value.n > DIGITS_MAX + 1) return -EINVAL;
    uint64_t unit = unit_ns(value.p[value.n - 1]);
    uint64_t count = 0;
    if (unit == 0 || str_u64(str_sub(value, 0, value.n - 1), &count) < 0) return -EINVAL;
    if (__builtin_mul_overflow(count, unit, out_ns)) *out_ns = UINT64_MAX;
    return 0;
}
