/* SPDX-License-Identifier: Apache-2.0 — http_date.c: without the C library's locale. */
#include "base/http_date.h"

#include <assert.h>

#define UNIX_S_MIN (-62167219200) /* 0000-01-01 */
#define UNIX_S_MAX 253402300799   /* 9999-12-31 */

struct str http_date(int64_t unix_s, char *out) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    assert(unix_s >= UNIX_S_MIN && unix_s <= UNIX_S_MAX);
    time_t seconds = (time_t)unix_s;
    struct tm t;
    (void)gmtime_r(&seconds, &t);
    int n = snprintf(out, HTTP_DATE_CHARS + 1, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                     days + 3 * t.tm_wday, t.tm_mday, months + 3 * t.tm_mon, t.tm_year + 1900,
                     t.tm_hour, t.tm_min, t.tm_sec);
    assert(n == HTTP_DATE_CHARS);
    return str_make(out, HTTP_DATE_CHARS);
}
