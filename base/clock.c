/* SPDX-License-Identifier: Apache-2.0 — clock.c: kernel clocks, or what a test put in their place.
 */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define NS_PER_S 1000000000

static struct {
    bool on;
    uint64_t mono_ns;
    int64_t wall_ns;
} fake;

static int64_t read_clock(clockid_t id) {
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t clock_ns(void) { return fake.on ? fake.mono_ns : (uint64_t)read_clock(CLOCK_MONOTONIC); }
uint64_t clock_ms(void) { return clock_ns() / 1000000; }
int64_t clock_wall_ns(void) { return fake.on ? fake.wall_ns : read_clock(CLOCK_REALTIME); }

void clock_fake(uint64_t mono_ns, int64_t wall_ns) {
    fake.on = true;
    fake.mono_ns = mono_ns;
    fake.wall_ns = wall_ns;
}

void clock_fake_advance(uint64_t ms) {
    fake.mono_ns += ms * 1000000;
    fake.wall_ns += (int64_t)ms * 1000000;
}

void clock_real(void) { fake.on = false; }

size_t clock_rfc3339(int64_t wall_ns, char *out) {
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    long ns = (long)(wall_ns % NS_PER_S);
    if (ns < 0) {
        ns += NS_PER_S;
        seconds--;
    }
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    int n = snprintf(out, CLOCK_RFC3339_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ",
                     utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                     utc.tm_sec, ns);
    return n < 0 ? 0 : (size_t)n;
}
