/* SPDX-License-Identifier: Apache-2.0 — container_signal.c: names of signals. */
#include "cri/container_spec.h"

#include <signal.h>

/* As programs see them; the two below are taken by libc. */
#define RTMIN 34
#define RTMAX 64

static int offset_of(struct str name, struct str prefix, struct str word, char sign) {
    uint64_t offset;
    if (!str_starts(name, prefix)) return -1;
    name = str_sub(name, prefix.n, name.n);
    if (name.n == 0) return 0;
    if (name.p[0] == sign)
        name = str_sub(name, 1, name.n);
    else if (str_starts(name, word))
        name = str_sub(name, word.n, name.n);
    else
        return -1;
    return str_u64(name, &offset) == 0 && offset <= RTMAX - RTMIN ? (int)offset : -1;
}

static int by_name(struct str name) {
    static const struct {
        struct str name;
        int number;
    } aliases[] = {
        {{"CLD", 3}, SIGCHLD}, {{"IOT", 3}, SIGABRT}, {{"IO", 2}, SIGIO}, {{"POLL", 4}, SIGPOLL}};
    for (size_t i = 0; i < COUNT(aliases); i++)
        if (str_eq_nocase(name, aliases[i].name)) return aliases[i].number;
    for (int s = 1; s < RTMIN - 2; s++) {
        const char *known = sigabbrev_np(s);
        if (known && str_eq_nocase(name, str_of(known))) return s;
    }
    int offset = offset_of(name, STR("RTMIN"), STR("PLUS"), '+');
    if (offset >= 0) return RTMIN + offset;
    offset = offset_of(name, STR("RTMAX"), STR("MINUS"), '-');
    return offset >= 0 ? RTMAX - offset : -1;
}

int container_signal(struct str name, int *out, struct err *e) {
    uint64_t number;
    int found = -1;
    if (str_u64(name, &number) == 0)
        found = number >= 1 && number <= RTMAX ? (int)number : -1;
    else if (str_starts(name, STR("SIG")))
        found = by_name(str_sub(name, 3, name.n));
    else
        found = by_name(name);
    if (found < 0)
        return err_set(e, ERR_INVALID, "there is no signal '%.*s'", STR_ARG(str_sub(name, 0, 64)));
    *out = found;
    return 0;
}
