/* SPDX-License-Identifier: Apache-2.0 — date.c */
#include "s3gw/date.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "SunMonTueWedThuFriSat";

/* n digits at s.p + at; -1 when they are not. */
static int digits(struct str s, size_t at, size_t n) {
    int value = 0;
    if (at + n > s.n) return -1;
    for (size_t i = at; i < at + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return -1;
        value = value * 10 + (s.p[i] - '0');
    }
    return value;
}

/* Index of the three letters in a list of such names; -1 when absent. */
static int name_index(const char *names, struct str three) {
    for (int i = 0; names[3 * (size_t)i]; i++)
        if (str_eq(str_make(names + 3 * (size_t)i, 3), three)) return i;
    return -1;
}

/* The fields must survive being made a time and back: February 30th does not. */
static int to_seconds(struct tm t, int64_t *out_s) {
    struct tm back;
    if (t.tm_year < 70 || t.tm_mon < 0 || t.tm_mday < 1 || t.tm_hour < 0 || t.tm_min < 0 ||
        t.tm_sec < 0)
        return -EINVAL;
    time_t at = timegm(&(struct tm){.tm_year = t.tm_year,
                                    .tm_mon = t.tm_mon,
                                    .tm_mday = t.tm_mday,
                                    .tm_hour = t.tm_hour,
                                    .tm_min = t.tm_min,
                                    .tm_sec = t.tm_sec});
    if (!gmtime_r(&at, &back) || back.tm_year != t.tm_year || back.tm_mon != t.tm_mon ||
        back.tm_mday != t.tm_mday || back.tm_hour != t.tm_hour || back.tm_min != t.tm_min ||
        back.tm_sec != t.tm_sec)
        return -EINVAL;
    *out_s = at;
    return 0;
}

int date_parse_basic(struct str s, int64_t *out_s) {
    if (s.n != DATE_BASIC_CHARS || s.p[8] != 'T' || s.p[15] != 'Z') return -EINVAL;
    return to_seconds((struct tm){.tm_year = digits(s, 0, 4) - 1900,
                                  .tm_mon = digits(s, 4, 2) - 1,
                                  .tm_mday = digits(s, 6, 2),
                                  .tm_hour = digits(s, 9, 2),
                                  .tm_min = digits(s, 11, 2),
                                  .tm_sec = digits(s, 13, 2)},
                      out_s);
}

int date_parse_http(struct str s, int64_t *out_s) {
    if (s.n < 26 || s.p[3] != ',' || s.p[4] != ' ' || s.p[7] != ' ' || s.p[11] != ' ' ||
        s.p[16] != ' ' || s.p[19] != ':' || s.p[22] != ':' || s.p[25] != ' ')
        return -EINVAL;
    struct str zone = str_sub(s, 26, s.n);
    if (!str_eq(zone, STR("GMT")) && !str_eq(zone, STR("+0000")) && !str_eq(zone, STR("UTC")))
        return -EINVAL;
    if (name_index(days, str_sub(s, 0, 3)) < 0) return -EINVAL;
    return to_seconds((struct tm){.tm_year = digits(s, 12, 4) - 1900,
                                  .tm_mon = name_index(months, str_sub(s, 8, 11)),
                                  .tm_mday = digits(s, 5, 2),
                                  .tm_hour = digits(s, 17, 2),
                                  .tm_min = digits(s, 20, 2),
                                  .tm_sec = digits(s, 23, 2)},
                      out_s);
}

int date_parse_iso(struct str s, int64_t *out_s) {
    if (s.n < 20 || s.n > 29 || s.p[4] != '-' || s.p[7] != '-' || s.p[10] != 'T' ||
        s.p[13] != ':' || s.p[16] != ':' || s.p[s.n - 1] != 'Z')
        return -EINVAL;
    if (s.n > 20 && (s.p[19] != '.' || s.n == 21 || digits(s, 20, s.n - 21) < 0)) return -EINVAL;
    return to_seconds((struct tm){.tm_year = digits(s, 0, 4) - 1900,
                                  .tm_mon = digits(s, 5, 2) - 1,
                                  .tm_mday = digits(s, 8, 2),
                                  .tm_hour = digits(s, 11, 2),
                                  .tm_min = digits(s, 14, 2),
                                  .tm_sec = digits(s, 17, 2)},
                      out_s);
}

static struct tm fields_of(int64_t at_s) {
    struct tm t = {.tm_year = 70, .tm_mday = 1};
    time_t at = (time_t)at_s;
    if (gmtime_r(&at, &t) && t.tm_year >= 0 && t.tm_year < 8100) return t;
    return (struct tm){.tm_year = 70, .tm_mday = 1};
}

char *date_basic(int64_t at_s, char *out) {
    struct tm t = fields_of(at_s);
    (void)strftime(out, DATE_BASIC_CHARS + 1, "%Y%m%dT%H%M%SZ", &t);
    return out;
}

char *date_iso(int64_t at_s, char *out) {
    struct tm t = fields_of(at_s);
    (void)strftime(out, DATE_ISO_CHARS + 1, "%Y-%m-%dT%H:%M:%S.000Z", &t);
    return out;
}
