/* SPDX-License-Identifier: Apache-2.0 — cgroup_path.c: names of groups under both drivers. */
#include "cri/cgroup_tree.h"

#include <stdio.h>

static int append(struct cgroup_path *out, size_t *used, struct str part, struct err *e) {
    if (part.n > 255) return err_set(e, ERR_LIMIT, "cgroup name of %zu bytes: at most 255", part.n);
    if (*used + part.n + 2 > sizeof out->c)
        return err_set(e, ERR_LIMIT, "cgroup path is longer than %zu bytes", sizeof out->c);
    out->c[(*used)++] = '/';
    memcpy(out->c + *used, part.p, part.n);
    *used += part.n;
    out->c[*used] = '\0';
    return 0;
}

static int check_part(struct str part, struct err *e) {
    if (str_eq(part, STR(".")) || str_eq(part, STR("..")))
        return err_set(e, ERR_INVALID, "cgroup path: '%.*s' is not allowed", STR_ARG(part));
    for (size_t i = 0; i < part.n; i++)
        if ((unsigned char)part.p[i] < 0x20 || part.p[i] == 0x7f)
            return err_set(e, ERR_INVALID, "cgroup path: control character in a name");
    return 0;
}

/* Copies a path in canonical form: one '/' before each part, none at the end. */
static int path_clean(struct str path, struct cgroup_path *out, struct err *e) {
    size_t used = 0, depth = 0;
    struct str part;
    out->c[0] = '\0';
    while (str_next(&path, '/', &part)) {
        if (part.n == 0) continue;
        if (++depth > CGROUP_DEPTH_MAX - 4)
            return err_set(e, ERR_LIMIT, "cgroup path is deeper than %d", CGROUP_DEPTH_MAX - 4);
        if (check_part(part, e) < 0 || append(out, &used, part, e) < 0) return -1;
    }
    return 0;
}

/* "a-b-c.slice" lies at /a.slice/a-b.slice/a-b-c.slice (systemd.slice(5)); "-.slice" is the root.
 */
static int slice_expand(struct str slice, struct cgroup_path *out, struct err *e) {
    static const struct str suffix = {".slice", 6};
    if (!str_ends(slice, suffix) || slice.n == suffix.n)
        return err_set(e, ERR_INVALID,
                       "cgroup parent '%.*s': with the systemd driver it must be a slice",
                       STR_ARG(slice));
    size_t used = 0;
    struct str name = str_sub(slice, 0, slice.n - suffix.n);
    out->c[0] = '\0';
    if (str_eq(name, STR("-"))) return 0;
    for (size_t i = 0; i <= name.n; i++) {
        if (i < name.n && name.p[i] != '-') continue;
        if (i == 0 || name.p[i - 1] == '-')
            return err_set(e, ERR_INVALID, "cgroup parent '%.*s' is not a slice", STR_ARG(slice));
        char part[256];
        if (i + suffix.n >= sizeof part) return err_set(e, ERR_LIMIT, "slice name is too long");
        (void)snprintf(part, sizeof part, "%.*s.slice", (int)i, name.p);
        if (append(out, &used, str_of(part), e) < 0) return -1;
    }
    return 0;
}

int cgroup_pod_path(const struct cgroup_node *n, struct str parent, struct str pod_id,
                    struct cgroup_path *out, struct err *e) {
    struct cgroup_path path;
    if (parent.n == 0) {
        char text[CGROUP_PATH_BYTES_MAX];
        if (pod_id.n == 0 || pod_id.n > 200 || str_find(pod_id, '/') >= 0)
            return err_set(e, ERR_INVALID, "pod id '%.*s' cannot name a cgroup",
                           STR_ARG(str_sub(pod_id, 0, 80)));
        (void)snprintf(text, sizeof text, "%s/pod%.*s", n->root, STR_ARG(pod_id));
        if (path_clean(str_of(text), &path, e) < 0) return -1;
    } else {
        if (path_clean(parent, &path, e) < 0) return err_in(e, "cgroup_parent");
        if (n->driver == CGROUP_DRIVER_SYSTEMD) {
            struct cgroup_path given = path;
            struct str whole = str_of(given.c);
            ptrdiff_t slash = str_rfind(whole, '/');
            struct str last = str_sub(whole, (size_t)(slash + 1), whole.n);
            if (slice_expand(last, &path, e) < 0) return -1;
        }
    }
    *out = path;
    return 0;
}

int cgroup_leaf_path(const struct cgroup_node *n, const struct cgroup_path *pod, struct str id,
                     struct cgroup_path *out, struct err *e) {
    bool systemd = n->driver == CGROUP_DRIVER_SYSTEMD;
    if (id.n == 0 || id.n > 200 || str_find(id, '/') >= 0 || check_part(id, e) < 0)
        return err_set(e, ERR_INVALID, "id '%.*s' cannot name a cgroup",
                       STR_ARG(str_sub(id, 0, 80)));
    struct cgroup_path path = *pod;
    size_t used = strlen(path.c);
    char name[256];
    (void)snprintf(name, sizeof name, "%s%.*s%s", systemd ? "gridlet-" : "", STR_ARG(id),
                   systemd ? ".scope" : "");
    if (append(&path, &used, str_of(name), e) < 0) return -1;
    *out = path;
    return 0;
}
