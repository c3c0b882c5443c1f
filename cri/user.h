/* SPDX-License-Identifier: Apache-2.0 — user.h: who a container's processes are.
 *
 * Turns what the CRI and the image say into numbers, by the passwd and group files of the image.
 * Pure: bytes in, numbers out. Any thread.
 * Sources: CRI LinuxContainerSecurityContext (run_as_*, supplemental_groups_policy), image-spec
 * config "User"; the results are those of containerd 2 where the sources leave a choice. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define USER_FILE_BYTES_MAX (1u << 20) /* of passwd and of group */
#define USER_LINE_BYTES_MAX 65536
#define USER_GROUPS_MAX     4096
#define USER_NAME_BYTES_MAX 256
#define USER_ID_MAX         2147483647 /* of ids that a caller or an image names */

struct user_request {
    const int64_t *run_as_user, *run_as_group; /* NULL: not given */
    struct str run_as_username;                /* empty: not given; wins over run_as_user */
    struct str image_user;                     /* "", "uid", "name", "uid:gid", "name:group" */
    const int64_t *supplemental;
    size_t supplemental_count;
    bool strict;              /* SupplementalGroupsPolicy Strict: no groups from the image */
    struct str passwd, group; /* texts; empty: the image has none */
};
struct user {
    uint32_t uid, gid;
    const uint32_t *groups; /* gid first, then the image's, then the supplemental ones; each once */
    size_t group_count;
    struct str home; /* "/" when not known */
    struct str name; /* "" when not known */
};

/* *out lives in a or points into the request. INVALID: a group without a user, an id that is no id,
 * a name that the image does not know (the message names it); LIMIT. */
int user_resolve(const struct user_request *r, struct arena *a, struct user *out,
                 struct err *e) MUST_CHECK;
