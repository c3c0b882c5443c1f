/* SPDX-License-Identifier: Apache-2.0 — random.h: random bytes and identifiers from the kernel.
 *
 * getrandom(2); there is no seed and no state. Any thread. A kernel that refuses ends the process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t n);
/* Below limit, without bias; limit > 0. */
uint64_t random_below(uint64_t limit);

#define RANDOM_ID_CHARS 64
/* 64 lower-case hex digits (256 bits) and a NUL, as the CRI's pod and container ids are written.
 * out has RANDOM_ID_CHARS + 1 bytes; returns it. */
char *random_id(char *out);
/* n lower-case hex digits and a NUL into out (n + 1 bytes); returns it. */
char *random_hex(char *out, size_t n);
