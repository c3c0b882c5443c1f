/* SPDX-License-Identifier: Apache-2.0 — http_date.h: dates of HTTP headers.
 *
 * Any thread. Source: RFC 9110 section 5.6.7 (IMF-fixdate). */
#pragma once

#include "base/own.h"
#include "base/str.h"

#define HTTP_DATE_CHARS 29
/* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL into out (HTTP_DATE_CHARS + 1 bytes); years 0 to 9999.
 * Returns it as a str. */
struct str http_date(int64_t unix_s, char *out);
