/* SPDX-License-Identifier: Apache-2.0 — zdb_props.c: one table of keys and how each is read. */
#include "agent/zdb_props.h"

#include "base/config.h"

#include <stdio.h>

#define NAME_BYTES_MAX   128
#define INTERVAL         "interval:"
#define INTERVAL_MS_MAX  3600000
#define PASSWORD_CLEARED "*" /* 0-db's own word for none */

typedef bool read_value(struct str text, char *out);

static void put(struct str text, char *out) {
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
}

static bool read_size(struct str text, char *out) {
    uint64_t bytes = 0;
    if (config_bytes(text, &bytes) < 0) return false;
    (void)snprintf(out, ZDB_PROP_VALUE_BYTES, "%llu", (unsigned long long)bytes);
    return true;
}

static bool read_password(struct str text, char *out) {
    if (str_eq(text, STR(PASSWORD_CLEARED)) ||
        memchr(text.n ? text.p : "x", '\0', text.n + !text.n))
        return false;
    put(text.n ? text : STR(PASSWORD_CLEARED), out);
    return true;
}

static bool read_flag(struct str text, char *out) {
    bool on = str_eq(text, STR("1")) || str_eq(text, STR("yes")) || str_eq(text, STR("true")) ||
              str_eq(text, STR("on"));
    bool off = str_eq(text, STR("0")) || str_eq(text, STR("no")) || str_eq(text, STR("false")) ||
               str_eq(text, STR("off"));
    put(on ? STR("1") : STR("0"), out);
    return on || off;
}

static bool read_durability(struct str text, char *out) {
    uint64_t ms = 0;
    bool fixed = str_eq(text, STR("always")) || str_eq(text, STR("never"));
    bool interval = str_starts(text, STR(INTERVAL)) &&
                    str_u64(str_sub(text, sizeof INTERVAL - 1, text.n), &ms) == 0 && ms >= 1 &&
                    ms <= INTERVAL_MS_MAX;
    put(text, out);
    return fixed || interval;
}

static bool read_versions(struct str text, char *out) {
    uint64_t n = 0;
    put(text, out);
    return str_eq(text, STR("all")) || (str_u64(text, &n) == 0 && n < UINT32_MAX);
}

static bool read_mode(struct str text, char *out) {
    put(text, out);
    return str_eq(text, STR("user")) || str_eq(text, STR("seq"));
}

static const struct {
    const char *key;  /* ours */
    const char *name; /* NSSET's */
    read_value *read;
    const char *takes;
} table[] = {
    {"size", "maxsize", read_size, "a size, such as 500M or 10G (0: no limit)"},
    {"password", "password", read_password, "1 to 63 bytes, not '*'; empty for none"},
    {"public", "public", read_flag, "yes or no"},
    {"worm", "worm", read_flag, "yes or no"},
    {"lock", "lock", read_flag, "yes or no"},
    {"freeze", "freeze", read_flag, "yes or no"},
    {"durability", "durability", read_durability,
     "always, never, or interval:MS with 1 to 3600000 milliseconds"},
    {"versions", "versions", read_versions, "a number, or all"},
    {"mode", "mode", read_mode, "user or seq"},
};
_Static_assert(COUNT(table) <= ZDB_PROPS_MAX, "each property fits once");

static void store(struct zdb_props *p, const char *name, const char *value) {
    size_t i = 0;
    while (i < p->count && strcmp(p->items[i].name, name) != 0) i++;
    if (i == p->count) p->count++;
    p->items[i].name = name;
    (void)snprintf(p->items[i].value, sizeof p->items[i].value, "%s", value);
}

static int add(struct zdb_props *p, struct str key, struct str value, bool raw, struct err *e) {
    char read[ZDB_PROP_VALUE_BYTES];
    for (size_t i = 0; i < COUNT(table); i++) {
        if (!str_eq(key, str_of(raw ? table[i].name : table[i].key))) continue;
        bool cleared = raw && table[i].read == read_password && str_eq(value, STR("*"));
        if (cleared) value = STR("");
        if (value.n >= sizeof read || !table[i].read(value, read))
            return err_set(e, ERR_INVALID, "'%s' takes %s", table[i].key, table[i].takes);
        store(p, table[i].name, read);
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "a namespace has no '%.*s': size, password, public, worm, lock, freeze, "
                   "durability, versions, mode",
                   (int)(key.n < 60 ? key.n : 60), key.p);
}

int zdb_props_add(struct zdb_props *p, struct str key, struct str value, struct err *e) {
    return add(p, key, value, false, e);
}

int zdb_props_add_raw(struct zdb_props *p, struct str name, struct str value, struct err *e) {
    return add(p, name, value, true, e);
}

const char *zdb_props_get(const struct zdb_props *p, const char *name) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].name, name) == 0) return p->items[i].value;
    return NULL;
}

bool zdb_props_size(const struct zdb_props *p, uint64_t *out_bytes) {
    const char *value = zdb_props_get(p, "maxsize");
    return value && str_u64(str_of(value), out_bytes) == 0;
}

int zdb_name_check(struct str name, struct err *e) {
    bool good = name.n >= 1 && name.n <= NAME_BYTES_MAX && !str_eq(name, STR(".")) &&
                !str_eq(name, STR(".."));
    for (size_t i = 0; good && i < name.n; i++)
        good = (unsigned char)name.p[i] > 0x20 && name.p[i] != '/' && name.p[i] != 0x7f;
    if (!good)
        return err_set(e, ERR_INVALID,
                       "a namespace's name has 1 to %d bytes without '/' and blanks",
                       NAME_BYTES_MAX);
    if (str_eq(name, STR("default")))
        return err_set(e, ERR_INVALID, "'default' is the server's own namespace: choose another");
    return 0;
}
