/* SPDX-License-Identifier: Apache-2.0 — date.h: the notations of a date that S3 clients use.
 *
 * Seconds since 1970-01-01 UTC; years 1970 to 9999. All parsers take the whole string and return 0
 * or -EINVAL. Any thread. */
#pragma once

#include "base/own.h"
#include "base/str.h"

#define DATE_BASIC_CHARS 16 /* 20130524T000000Z */
#define DATE_ISO_CHARS   24 /* 2013-05-24T00:00:00.000Z */

int date_parse_basic(struct str s, int64_t *out_s) MUST_CHECK; /* 20130524T000000Z */
/* Fri, 24 May 2013 00:00:00 GMT, or with +0000 (or UTC) as s3cmd writes it. The day's name is not
 * compared with the date. Source: RFC 9110 section 5.6.7, IMF-fixdate. */
int date_parse_http(struct str s, int64_t *out_s) MUST_CHECK;
/* 2013-05-24T00:00:00Z or with fractions of a second, which are dropped. Source: RFC 3339. */
int date_parse_iso(struct str s, int64_t *out_s) MUST_CHECK;

/* Write the text and a NUL; out has ..._CHARS + 1 bytes. Returns it. */
char *date_basic(int64_t at_s, char *out);
char *date_iso(int64_t at_s, char *out);
