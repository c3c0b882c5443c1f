/* SPDX-License-Identifier: Apache-2.0 — acl.c: canned lists and what lines allow. */
#include "s3gw/gateway/acl.h"

#include <errno.h>

static const char *const NAMES[] = {
    [ACL_NONE] = "",
    [ACL_READ] = "READ",
    [ACL_WRITE] = "WRITE",
    [ACL_READ_ACP] = "READ_ACP",
    [ACL_WRITE_ACP] = "WRITE_ACP",
    [ACL_FULL_CONTROL] = "FULL_CONTROL",
};

static const struct {
    const char *name, *lines;
} CANNED[] = {
    {"private", ""},
    {"public-read", "READ all\n"},
    {"public-read-write", "READ all\nWRITE all\n"},
    {"authenticated-read", "READ authenticated\n"},
    {"aws-exec-read", ""},
    {"log-delivery-write", ""},
};

int acl_canned(struct str name, const struct acl_owners *owners, struct buf *out) {
    for (size_t i = 0; i < COUNT(CANNED); i++)
        if (str_eq(name, str_of(CANNED[i].name))) return buf_str(out, str_of(CANNED[i].lines));
    const char *permission = NULL;
    if (str_eq(name, STR("bucket-owner-read"))) permission = NAMES[ACL_READ];
    if (str_eq(name, STR("bucket-owner-full-control"))) permission = NAMES[ACL_FULL_CONTROL];
    if (!permission) return -EINVAL;
    if (str_eq(owners->bucket, owners->object_or_bucket)) return 0;
    return buf_fmt(out, "%s id:%.*s\n", permission, STR_ARG(owners->bucket));
}

static bool is_grantee(struct str grantee, const struct identity *who) {
    if (str_eq(grantee, STR("all"))) return true;
    if (!who) return false;
    if (str_eq(grantee, STR("authenticated"))) return true;
    return str_starts(grantee, STR("id:")) &&
           str_eq(str_sub(grantee, 3, grantee.n), str_of(who->canonical_id));
}

bool acl_allows(struct str lines, enum acl_permission p, const struct identity *who) {
    struct str line = STR_NONE;
    if (p == ACL_NONE) return false;
    while (str_next(&lines, '\n', &line)) {
        struct str permission = STR_NONE;
        if (!str_next(&line, ' ', &permission)) continue;
        bool gives = str_eq(permission, str_of(NAMES[p])) ||
                     str_eq(permission, str_of(NAMES[ACL_FULL_CONTROL]));
        if (gives && is_grantee(line, who)) return true;
    }
    return false;
}
