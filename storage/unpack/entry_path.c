/* SPDX-License-Identifier: Apache-2.0 — entry_path.c: names of layer entries. */
#include "storage/unpack/entry_path.h"

#define WHITEOUT      STR(".wh.")
#define WHITEOUT_META STR(".wh..wh.")
#define OPAQUE        STR(".wh..wh..opq")

/* Adds one component of the name; sees whiteouts as soon as they come. */
static int add_component(struct str part, struct entry_path *p, struct err *e) {
    if (p->kind == ENTRY_IGNORED) return 0;
    if (p->kind != ENTRY_PLAIN)
        return err_set(e, ERR_INVALID, "a whiteout cannot be a folder with something in it");
    if (part.n > ENTRY_COMPONENT_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "a path component is longer than %d bytes",
                       ENTRY_COMPONENT_BYTES_MAX);
    if (str_eq(part, OPAQUE)) {
        p->kind = ENTRY_OPAQUE;
        return 0;
    }
    if (str_starts(part, WHITEOUT_META)) {
        p->kind = ENTRY_IGNORED;
        return 0;
    }
    if (str_starts(part, WHITEOUT)) {
        part = str_sub(part, WHITEOUT.n, part.n);
        if (part.n == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return err_set(e, ERR_INVALID, "a whiteout names nothing");
        p->kind = ENTRY_WHITEOUT;
    }
    if (p->n + 1 + part.n > ENTRY_PATH_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "the path is longer than %d bytes", ENTRY_PATH_BYTES_MAX);
    if (p->n > 0) p->path[p->n++] = '/';
    p->base = p->n;
    memcpy(p->path + p->n, part.p, part.n);
    p->n += part.n;
    return 0;
}

int entry_path_parse(struct str name, struct entry_path *out, struct err *e) {
    if (str_find(name, '\0') >= 0) return err_set(e, ERR_INVALID, "the path holds a NUL byte");
    out->kind = ENTRY_PLAIN;
    out->n = 0;
    out->base = 0;
    struct str part;
    while (str_next(&name, '/', &part)) {
        if (part.n == 0 || str_eq(part, STR("."))) continue;
        if (str_eq(part, STR("..")))
            return err_set(e, ERR_INVALID, "the path leads upwards by '..'");
        if (add_component(part, out, e) < 0) return -1;
    }
    out->path[out->n] = '\0';
    return 0;
}
