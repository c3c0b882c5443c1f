/* SPDX-License-Identifier: Apache-2.0 — user_fuzz.c: passwd and group files of any bytes.
 *
 * The input is "user NUL passwd NUL group"; every result must be within the limits. */
#include "cri/user.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str rest = str_make((const char *)data, size), name, passwd;
    if (!str_next(&rest, '\0', &name) || !str_next(&rest, '\0', &passwd)) return 0;
    for (int named = 0; named < 2; named++) {
        AUTO(arena_done) struct arena a = ARENA(1 << 20);
        struct err e = {0};
        struct user u;
        struct user_request r = {.passwd = passwd, .group = rest};
        if (named)
            r.run_as_username = name;
        else
            r.image_user = name;
        if (user_resolve(&r, &a, &u, &e) < 0) {
            if (e.kind == ERR_NONE) abort();
            continue;
        }
        if (u.group_count == 0 || u.group_count > USER_GROUPS_MAX || u.groups[0] != u.gid) abort();
    }
    return 0;
}
