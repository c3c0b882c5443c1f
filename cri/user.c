/* SPDX-License-Identifier: Apache-2.0 — user.c: who a container's processes are. */
#include "cri/user.h"

/* ---- passwd(5) and group(5): "name:x:id:...", one per line ---- */

#define FIELDS_MAX 7

struct entry {
    struct str fields[FIELDS_MAX];
    size_t count;
    uint32_t id; /* field 2 */
};

static bool id_parse(struct str s, uint32_t *out) {
    uint64_t value;
    if (str_u64(s, &value) < 0 || value > UINT32_MAX - 1) return false;
    *out = (uint32_t)value;
    return true;
}

/* Lines that are no entries are passed over, as libc does. */
static bool entry_next(struct str *rest, struct entry *out) {
    struct str line;
    while (str_next(rest, '\n', &line)) {
        line = str_trim(line);
        if (line.n == 0 || line.n > USER_LINE_BYTES_MAX || line.p[0] == '#') continue;
        out->count = 0;
        struct str left = line;
        while (out->count < FIELDS_MAX && str_next(&left, ':', &out->fields[out->count]))
            out->count++;
        if (out->count >= 3 && out->fields[0].n && id_parse(out->fields[2], &out->id)) return true;
    }
    return false;
}

static bool find_by_name(struct str text, struct str name, struct entry *out) {
    while (entry_next(&text, out))
        if (str_eq(out->fields[0], name)) return true;
    return false;
}

static bool find_by_id(struct str text, uint32_t id, struct entry *out) {
    while (entry_next(&text, out))
        if (out->id == id) return true;
    return false;
}

/* ---- resolving ---- */

static bool is_number(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return s.n > 0;
}

static int id_check(const char *what, int64_t id, struct err *e) {
    if (id >= 0 && id <= USER_ID_MAX) return 0;
    return err_set(e, ERR_INVALID, "%s %lld: must be 0 to %d", what, (long long)id, USER_ID_MAX);
}

static int number_check(const char *what, struct str text, uint32_t *out, struct err *e) {
    uint64_t id;
    if (str_u64(text, &id) < 0 || id > USER_ID_MAX)
        return err_set(e, ERR_INVALID, "%s '%.*s': must be 0 to %d", what,
                       STR_ARG(str_sub(text, 0, USER_NAME_BYTES_MAX)), USER_ID_MAX);
    *out = (uint32_t)id;
    return 0;
}

static void take_entry(const struct entry *found, struct user *u) {
    u->uid = found->id;
    u->name = found->fields[0];
    if (found->count >= 4 && !id_parse(found->fields[3], &u->gid)) u->gid = 0;
    if (found->count >= 6 && found->fields[5].n) u->home = found->fields[5];
}

static int resolve_user(const struct user_request *r, struct str name, struct user *u,
                        struct err *e) {
    struct entry found;
    if (name.n > USER_NAME_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "user name is longer than %d bytes", USER_NAME_BYTES_MAX);
    if (find_by_name(r->passwd, name, &found)) {
        take_entry(&found, u);
        return 0;
    }
    if (!is_number(name))
        return err_set(e, ERR_INVALID, "user '%.*s' is not in the image's /etc/passwd",
                       STR_ARG(name));
    if (number_check("user", name, &u->uid, e) < 0) return -1;
    if (find_by_id(r->passwd, u->uid, &found)) take_entry(&found, u);
    return 0;
}

static int resolve_group(const struct user_request *r, struct str name, struct user *u,
                         struct err *e) {
    struct entry found;
    if (name.n > USER_NAME_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "group name is longer than %d bytes", USER_NAME_BYTES_MAX);
    if (find_by_name(r->group, name, &found)) {
        u->gid = found.id;
        return 0;
    }
    if (!is_number(name))
        return err_set(e, ERR_INVALID, "group '%.*s' is not in the image's /etc/group",
                       STR_ARG(name));
    return number_check("group", name, &u->gid, e);
}

static int resolve_identity(const struct user_request *r, struct user *u, struct err *e) {
    struct str image_group = r->image_user, image_name = STR_NONE;
    struct entry found;
    (void)str_next(&image_group, ':', &image_name);
    bool from_request = r->run_as_username.n || r->run_as_user;
    if (r->run_as_group && !from_request)
        return err_set(e, ERR_INVALID,
                       "run_as_group %lld is given without run_as_user or run_as_username",
                       (long long)*r->run_as_group);
    if (r->run_as_username.n) {
        if (resolve_user(r, r->run_as_username, u, e) < 0) return err_in(e, "run_as_username");
    } else if (r->run_as_user) {
        if (id_check("run_as_user", *r->run_as_user, e) < 0) return -1;
        u->uid = (uint32_t)*r->run_as_user;
        if (find_by_id(r->passwd, u->uid, &found)) take_entry(&found, u);
    } else if (image_name.n) {
        if (resolve_user(r, image_name, u, e) < 0) return err_in(e, "the image's User");
    } else if (find_by_id(r->passwd, 0, &found)) {
        take_entry(&found, u);
    }
    if (r->run_as_group) {
        if (id_check("run_as_group", *r->run_as_group, e) < 0) return -1;
        u->gid = (uint32_t)*r->run_as_group;
    } else if (!from_request && image_group.n) {
        if (resolve_group(r, image_group, u, e) < 0) return err_in(e, "the image's User");
    }
    return 0;
}

/* ---- groups ---- */

struct group_list {
    uint32_t *ids;
    size_t count;
};

static int groups_add(struct group_list *l, uint32_t id, struct err *e) {
    for (size_t i = 0; i < l->count; i++)
        if (l->ids[i] == id) return 0;
    if (l->count >= USER_GROUPS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d supplementary groups", USER_GROUPS_MAX);
    l->ids[l->count++] = id;
    return 0;
}

static bool is_member(struct str members, struct str name) {
    struct str member;
    while (str_next(&members, ',', &member))
        if (str_eq(member, name)) return true;
    return false;
}

static int groups_of_image(const struct user_request *r, const struct user *u, struct group_list *l,
                           struct err *e) {
    struct str rest = r->group;
    struct entry group;
    if (u->name.n == 0) return 0;
    while (entry_next(&rest, &group))
        if (group.count >= 4 && is_member(group.fields[3], u->name) &&
            groups_add(l, group.id, e) < 0)
            return -1;
    return 0;
}

static int resolve_groups(const struct user_request *r, struct arena *a, struct user *u,
                          struct err *e) {
    struct group_list l = {.ids = arena_array(a, USER_GROUPS_MAX, sizeof(uint32_t))};
    if (!l.ids) return err_set(e, ERR_LIMIT, "the request is too large");
    if (groups_add(&l, u->gid, e) < 0) return -1;
    if (!r->strict && groups_of_image(r, u, &l, e) < 0) return -1;
    for (size_t i = 0; i < r->supplemental_count; i++) {
        if (id_check("supplemental group", r->supplemental[i], e) < 0) return -1;
        if (groups_add(&l, (uint32_t)r->supplemental[i], e) < 0) return -1;
    }
    u->groups = l.ids;
    u->group_count = l.count;
    return 0;
}

int user_resolve(const struct user_request *r, struct arena *a, struct user *out, struct err *e) {
    struct user u = {.home = STR("/"), .name = STR_NONE};
    if (r->passwd.n > USER_FILE_BYTES_MAX || r->group.n > USER_FILE_BYTES_MAX)
        return err_set(e, ERR_LIMIT,
                       "the image's /etc/passwd or /etc/group is larger than %u bytes",
                       USER_FILE_BYTES_MAX);
    if (resolve_identity(r, &u, e) < 0 || resolve_groups(r, a, &u, e) < 0) return -1;
    *out = u;
    return 0;
}
