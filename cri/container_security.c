/* SPDX-License-Identifier: Apache-2.0 — container_security.c: capabilities, seccomp, AppArmor,
 * no_new_privs. */
#include "cri/container_parts.h"

#include "base/file.h"
#include "cri/apparmor.h"
#include "cri/seccomp.h"

#include <errno.h>
#include <stdio.h>

/* ---- capabilities ---- */

static int set_capabilities(const struct container_build *b, struct capability_sets *sets,
                            struct err *e) {
    struct capability_request r = {.privileged = b->privileged};
    const Runtime__V1__Capability *c = b->security ? b->security->capabilities : NULL;
    if (c) {
        r.add = c->add_capabilities;
        r.add_count = c->n_add_capabilities;
        r.drop = c->drop_capabilities;
        r.drop_count = c->n_drop_capabilities;
        r.ambient = c->add_ambient_capabilities;
        r.ambient_count = c->n_add_ambient_capabilities;
    }
    if (capability_resolve(&r, sets, e) < 0) return -1;
    struct launch_spec *s = &b->spec->spec;
    s->caps_effective = sets->effective;
    s->caps_permitted = sets->permitted;
    s->caps_inheritable = sets->inheritable;
    s->caps_bounding = sets->bounding;
    s->caps_ambient = sets->ambient;
    return 0;
}

/* ---- profiles: the message, or the string of old ---- */

struct profile {
    Runtime__V1__SecurityProfile__ProfileType type;
    bool given;
    struct str name; /* Localhost */
};

static int profile_of(const Runtime__V1__SecurityProfile *p, const char *old, const char *field,
                      struct profile *out, struct err *e) {
    struct profile r = {.type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Unconfined};
    struct str text = str_of(old);
    if (p) {
        r.type = p->profile_type;
        r.given = true;
        r.name = str_of(p->localhost_ref);
    } else if (str_eq(text, STR("runtime/default")) || str_eq(text, STR("docker/default"))) {
        r.type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault;
        r.given = true;
    } else if (str_starts(text, STR("localhost/"))) {
        r.type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Localhost;
        r.given = true;
        r.name = text;
    } else if (text.n && !str_eq(text, STR("unconfined"))) {
        return err_set(e, ERR_INVALID, "%s: unknown profile '%.100s'", field, old);
    }
    if (str_starts(r.name, STR("localhost/"))) r.name = str_sub(r.name, 10, r.name.n);
    if (r.type == RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Localhost && r.name.n == 0)
        return err_set(e, ERR_INVALID, "%s: a Localhost profile needs its localhost_ref", field);
    *out = r;
    return 0;
}

/* The fields of old are still what older clients send. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static const char *old_seccomp(const struct container_build *b) {
    return b->security->seccomp_profile_path;
}
static const char *old_apparmor(const struct container_build *b) {
    return b->security->apparmor_profile;
}
#pragma GCC diagnostic pop

/* ---- seccomp ---- */

static int seccomp_request_of(const struct container_build *b, const struct profile *p,
                              struct seccomp_request *out, struct err *e) {
    switch (p->type) {
    case RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault:
        out->kind = SECCOMP_RUNTIME_DEFAULT;
        return 0;
    case RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Unconfined:
        out->kind = SECCOMP_UNCONFINED;
        return 0;
    case RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Localhost:
        out->kind = SECCOMP_LOCALHOST;
        if (p->name.p[0] != '/' && !b->in->seccomp_dir)
            return err_set(e, ERR_INVALID, "seccomp profile '%.*s' is not an absolute path",
                           STR_ARG(str_sub(p->name, 0, 200)));
        out->path = p->name.p[0] == '/'
                        ? str_to_c(b->arena, p->name)
                        : arena_fmt(b->arena, "%s/%.*s", b->in->seccomp_dir, STR_ARG(p->name));
        if (!out->path) return err_set(e, ERR_LIMIT, "seccomp: the request is too large");
        return 0;
    case _RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE_IS_INT_SIZE: break;
    }
    return err_set(e, ERR_INVALID, "seccomp: unknown profile type %d", (int)p->type);
}

static int set_seccomp(const struct container_build *b, uint64_t capabilities, struct err *e) {
    struct profile p;
    struct seccomp_request r = {.capabilities = capabilities};
    if (!b->security || b->privileged) return 0;
    if (profile_of(b->security->seccomp, old_seccomp(b), "seccomp", &p, e) < 0 ||
        seccomp_request_of(b, &p, &r, e) < 0)
        return -1;
    AUTO(buf_done) struct buf program = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    uint32_t flags = 0;
    if (seccomp_program(&r, &program, &flags, e) < 0) return -1;
    if (program.n == 0) return 0;
    struct launch_spec *s = &b->spec->spec;
    s->seccomp = launch_build_table(b->spec, program.p, 8, program.n / 8);
    s->seccomp_flags = flags;
    s->flags |= LAUNCH_SECCOMP;
    return 0;
}

/* ---- AppArmor ---- */

static int set_apparmor(const struct container_build *b, struct err *e) {
    struct profile p;
    bool enabled = apparmor_enabled();
    if (!b->security) return 0;
    if (profile_of(b->security->apparmor, old_apparmor(b), "apparmor", &p, e) < 0) return -1;
    if (p.type == RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Localhost) {
        if (!enabled)
            return err_set(e, ERR_UNSUPPORTED,
                           "AppArmor profile '%.*s' is asked for, but this kernel has no AppArmor",
                           STR_ARG(str_sub(p.name, 0, 200)));
        if (apparmor_profile(p.name) == APPARMOR_NOT_LOADED)
            return err_set(e, ERR_NOT_FOUND, "AppArmor profile '%.*s' is not loaded",
                           STR_ARG(str_sub(p.name, 0, 200)));
        b->spec->spec.apparmor = launch_build_str(b->spec, p.name);
        return 0;
    }
    bool wants_default = p.type == RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault ||
                         (!p.given && str_of(old_apparmor(b)).n == 0);
    if (enabled && wants_default && !b->privileged &&
        apparmor_profile(STR(APPARMOR_DEFAULT)) == APPARMOR_LOADED)
        b->spec->spec.apparmor = launch_build_str(b->spec, STR(APPARMOR_DEFAULT));
    return 0;
}

int container_security(const struct container_build *b, struct err *e) {
    struct capability_sets sets;
    if (set_capabilities(b, &sets, e) < 0 || set_seccomp(b, sets.bounding, e) < 0 ||
        set_apparmor(b, e) < 0)
        return -1;
    if (b->security && b->security->no_new_privs) b->spec->spec.flags |= LAUNCH_NO_NEW_PRIVS;
    return 0;
}
