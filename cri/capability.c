/* SPDX-License-Identifier: Apache-2.0 — capability.c: capability sets of containers. */
#include "cri/capability.h"

#include <stdio.h>
#include <sys/capability.h>

#define NAME_BYTES_MAX 64

static const int default_capabilities[] = {
    CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FSETID,           CAP_FOWNER,
    CAP_MKNOD,   CAP_NET_RAW,      CAP_SETGID,           CAP_SETUID,
    CAP_SETFCAP, CAP_SETPCAP,      CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT,
    CAP_KILL,    CAP_AUDIT_WRITE};

uint64_t capability_own(void) {
    uint64_t own = 0;
    for (cap_value_t c = 0; c < cap_max_bits() && c < 64; c++)
        if (cap_get_bound(c) == 1) own |= 1ull << c;
    return own;
}

uint64_t capability_bit(struct str name) {
    char text[NAME_BYTES_MAX] = "cap_";
    size_t used = 4;
    if (name.n > 4 && str_eq_nocase(str_sub(name, 0, 4), STR("CAP_")))
        name = str_sub(name, 4, name.n);
    if (name.n == 0 || used + name.n >= sizeof text) return 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if (!(c >= 'a' && c <= 'z') && c != '_') return 0; /* libcap would take numbers too */
        text[used++] = c;
    }
    cap_value_t value;
    if (cap_from_name(text, &value) < 0 || value < 0 || value >= 64) return 0;
    return 1ull << value;
}

struct name_set {
    uint64_t bits;
    bool all;
};

static int names_parse(char *const *names, size_t count, const char *list, struct name_set *out,
                       struct err *e) {
    struct name_set set = {0};
    if (count > CAPABILITY_NAMES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d names in %s", CAPABILITY_NAMES_MAX, list);
    for (size_t i = 0; i < count; i++) {
        struct str name = str_of(names[i]);
        uint64_t bit = capability_bit(name);
        if (str_eq_nocase(name, STR("ALL")))
            set.all = true;
        else if (bit)
            set.bits |= bit;
        else
            return err_set(e, ERR_INVALID, "%s: there is no capability '%.*s'", list,
                           STR_ARG(str_sub(name, 0, NAME_BYTES_MAX)));
    }
    *out = set;
    return 0;
}

int capability_resolve(const struct capability_request *r, struct capability_sets *out,
                       struct err *e) {
    struct name_set add, drop, ambient;
    uint64_t own = capability_own(), set = 0;
    if (r->privileged) {
        *out = (struct capability_sets){.effective = own, .permitted = own, .bounding = own};
        return 0;
    }
    if (names_parse(r->add, r->add_count, "add_capabilities", &add, e) < 0 ||
        names_parse(r->drop, r->drop_count, "drop_capabilities", &drop, e) < 0 ||
        names_parse(r->ambient, r->ambient_count, "add_ambient_capabilities", &ambient, e) < 0)
        return -1;
    for (size_t i = 0; i < COUNT(default_capabilities); i++) set |= 1ull << default_capabilities[i];
    if (drop.all) set = 0;
    if (add.all) set = own;
    if (ambient.all) ambient.bits = own;
    /* Single names are dropped last: "add ALL, drop NET_RAW" leaves all others, "drop ALL, add
     * NET_RAW" that one. */
    set = (set | add.bits | ambient.bits) & ~drop.bits & own;
    ambient.bits &= set;
    *out = (struct capability_sets){.effective = set,
                                    .permitted = set,
                                    .bounding = set,
                                    .inheritable = ambient.bits,
                                    .ambient = ambient.bits};
    return 0;
}
