/* SPDX-License-Identifier: Apache-2.0 — log_decode.c */
#include "agent/cli/log_decode.h"

bool log_decode(struct str line, struct log_entry *out) {
    struct str rest = line;
    struct str time;
    struct str stream;
    *out = (struct log_entry){.payload = line, .full = true};
    if (!str_next(&rest, ' ', &time) || time.n == 0) return false;
    if (!str_next(&rest, ' ', &stream)) return false;
    bool error = str_eq(stream, STR("stderr"));
    if (!error && !str_eq(stream, STR("stdout"))) return false;
    ptrdiff_t space = str_find(rest, ' ');
    struct str tags = space < 0 ? rest : str_sub(rest, 0, (size_t)space);
    struct str first;
    if (!str_next(&tags, ':', &first)) return false;
    bool full = str_eq(first, STR("F"));
    if (!full && !str_eq(first, STR("P"))) return false;
    *out = (struct log_entry){.source = error ? LOG_OF_STDERR : LOG_OF_STDOUT,
                              .payload =
                                  space < 0 ? STR("") : str_sub(rest, (size_t)space + 1, rest.n),
                              .full = full};
    return true;
}
