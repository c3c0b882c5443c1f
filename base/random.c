/* SPDX-License-Identifier: Apache-2.0 — random.c: getrandom(2), whole. */
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *out, size_t n) {
    char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) abort(); /* identifiers and nonces without entropy would be a lie */
        p += got;
        n -= (size_t)got;
    }
}

uint64_t random_below(uint64_t limit) {
    assert(limit > 0);
    uint64_t skew = (UINT64_MAX % limit + 1) % limit; /* 2^64 mod limit: values that would bias */
    uint64_t value;
    do random_bytes(&value, sizeof value);
    while (value > UINT64_MAX - skew);
    return value % limit;
}

char *random_hex(char *out, size_t n) {
    static const char digits[] = "0123456789abcdef";
    random_bytes(out, n);
    for (size_t i = 0; i < n; i++) out[i] = digits[(unsigned char)out[i] & 15];
    out[n] = '\0';
    return out;
}

char *random_id(char *out) { return random_hex(out, RANDOM_ID_CHARS); }
