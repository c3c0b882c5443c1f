/* SPDX-License-Identifier: Apache-2.0 — utf8.h: strict UTF-8.
 *
 * Source: RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. Any thread. */
#pragma once

#include "base/str.h"

/* Length (1 to 4) of the valid sequence at the start of s, or 0 when there is none (or s is empty).
 */
size_t utf8_next(struct str s);
/* Index of the first byte that is not valid, or s.n. */
size_t utf8_valid_prefix(struct str s);
