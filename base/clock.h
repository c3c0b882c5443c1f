/* SPDX-License-Identifier: Apache-2.0 — clock.h: the only source of time.
 *
 * clock_ns() measures durations and never goes back; clock_wall_ns() is the date, for records and
 * people. A test installs fixed values with clock_fake() and moves them by hand. Any thread; faking
 * is for single-threaded tests. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t clock_ns(void);     /* monotonic */
uint64_t clock_ms(void);     /* clock_ns() / 10^6 */
int64_t clock_wall_ns(void); /* since 1970-01-01 UTC */

/* From now on both clocks stand at these values; clock_real() undoes it. */
void clock_fake(uint64_t mono_ns, int64_t wall_ns);
void clock_fake_advance(uint64_t ms);
void clock_real(void);

#define CLOCK_RFC3339_BYTES 36
/* "2026-11-21T09:30:00.123456789Z", always nine digits; out has CLOCK_RFC3339_BYTES. Returns the
 * length. */
size_t clock_rfc3339(int64_t wall_ns, char *out);
