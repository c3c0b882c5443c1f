/* SPDX-License-Identifier: Apache-2.0 — launch_spec.c: nothing in a launch spec is used before it
 * was found to lie inside the block. */
#include "cri/launch/launch_spec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SECCOMP_INSTRUCTION_BYTES 8
#define SYSCTLS_MAX               1024u
#define RLIMITS_MAX               64u
#define SECCOMP_MAX               65535u

struct checker {
    const struct launch_spec *spec;
    const char *field; /* the one that is looked at */
};

static const char *base_of(const struct launch_spec *s) { return (const char *)s; }

static bool string_ok(const struct launch_spec *s, struct launch_ref r) {
    if (r.n == 0) return true;
    if (r.at < sizeof *s || r.at > s->bytes || s->bytes - r.at <= r.n) return false;
    const char *p = base_of(s) + r.at;
    return p[r.n] == '\0' && !memchr(p, '\0', r.n);
}

static bool table_ok(const struct launch_spec *s, struct launch_ref r, size_t item, uint32_t max) {
    if (r.n == 0) return true;
    if (r.n > max || r.at % 8 != 0 || r.at < sizeof *s || r.at > s->bytes) return false;
    return (s->bytes - r.at) / item >= r.n;
}

static bool check_string(struct checker *c, struct launch_ref r, const char *field) {
    c->field = field;
    return string_ok(c->spec, r);
}

static bool check_table(struct checker *c, struct launch_ref r, size_t item, uint32_t max) {
    return table_ok(c->spec, r, item, max);
}

/* A table of strings. */
static bool check_strings(struct checker *c, struct launch_ref r, uint32_t max, const char *field) {
    c->field = field;
    if (!check_table(c, r, sizeof(struct launch_ref), max)) return false;
    const struct launch_ref *refs = launch_table(c->spec, r);
    for (uint32_t i = 0; i < r.n; i++)
        if (!string_ok(c->spec, refs[i])) return false;
    return true;
}

static bool check_mounts(struct checker *c) {
    struct launch_ref r = c->spec->mounts;
    c->field = "mounts";
    if (!check_table(c, r, sizeof(struct launch_mount), LAUNCH_MOUNTS_MAX)) return false;
    const struct launch_mount *m = launch_table(c->spec, r);
    for (uint32_t i = 0; i < r.n; i++, m++) {
        if (m->kind > LAUNCH_MOUNT_SHM || m->propagation > LAUNCH_SHARED) return false;
        if (!string_ok(c->spec, m->source) || !string_ok(c->spec, m->target)) return false;
        if (!string_ok(c->spec, m->options) || m->target.n == 0) return false;
    }
    return true;
}

static bool check_devices(struct checker *c) {
    struct launch_ref r = c->spec->devices;
    c->field = "devices";
    if (!check_table(c, r, sizeof(struct launch_device), LAUNCH_DEVICES_MAX)) return false;
    const struct launch_device *d = launch_table(c->spec, r);
    for (uint32_t i = 0; i < r.n; i++)
        if (d[i].path.n == 0 || !string_ok(c->spec, d[i].path)) return false;
    return true;
}

static bool check_sysctls(struct checker *c) {
    struct launch_ref r = c->spec->sysctls;
    c->field = "sysctls";
    if (!check_table(c, r, sizeof(struct launch_pair), SYSCTLS_MAX)) return false;
    const struct launch_pair *p = launch_table(c->spec, r);
    for (uint32_t i = 0; i < r.n; i++)
        if (!string_ok(c->spec, p[i].key) || !string_ok(c->spec, p[i].value)) return false;
    return true;
}

static bool check_numbers(struct checker *c) {
    const struct launch_spec *s = c->spec;
    c->field = "groups";
    if (!check_table(c, s->groups, sizeof(uint32_t), LAUNCH_GROUPS_MAX)) return false;
    c->field = "rlimits";
    if (!check_table(c, s->rlimits, sizeof(struct launch_rlimit), RLIMITS_MAX)) return false;
    c->field = "seccomp";
    return check_table(c, s->seccomp, SECCOMP_INSTRUCTION_BYTES, SECCOMP_MAX) &&
           (!(s->flags & LAUNCH_SECCOMP) || s->seccomp.n > 0);
}

static bool check_fields(struct checker *c) {
    const struct launch_spec *s = c->spec;
    if (!check_string(c, s->hostname, "hostname") || !check_string(c, s->lowers, "lowers") ||
        !check_string(c, s->cwd, "cwd") || !check_string(c, s->apparmor, "apparmor"))
        return false;
    if (!check_strings(c, s->argv, LAUNCH_ARGS_MAX, "argv") ||
        !check_strings(c, s->envp, LAUNCH_ARGS_MAX, "envp") ||
        !check_strings(c, s->masked, LAUNCH_PATHS_MAX, "masked") ||
        !check_strings(c, s->readonly, LAUNCH_PATHS_MAX, "readonly"))
        return false;
    if (!check_sysctls(c) || !check_mounts(c) || !check_devices(c) || !check_numbers(c))
        return false;
    c->field = "argv";
    return s->argv.n > 0 || s->mode == LAUNCH_SANDBOX || s->mode == LAUNCH_REAPER;
}

int launch_spec_check(const void *block, size_t bytes, const char **out_field) {
    const struct launch_spec *s = block;
    *out_field = "size";
    if (bytes < sizeof *s || bytes > LAUNCH_SPEC_BYTES_MAX || (uintptr_t)block % 8 != 0)
        return -EINVAL;
    *out_field = "magic";
    if (s->magic != LAUNCH_MAGIC) return -EINVAL;
    *out_field = "bytes";
    if (s->bytes != bytes) return -EINVAL;
    *out_field = "mode";
    if (s->mode < LAUNCH_SANDBOX || s->mode > LAUNCH_EXEC) return -EINVAL;
    struct checker c = {.spec = s};
    if (!check_fields(&c)) {
        *out_field = c.field;
        return -EINVAL;
    }
    *out_field = NULL;
    return 0;
}

const char *launch_str(const struct launch_spec *s, struct launch_ref r) {
    return r.n ? base_of(s) + r.at : "";
}

const void *launch_table(const struct launch_spec *s, struct launch_ref r) {
    return r.n ? base_of(s) + r.at : NULL;
}
