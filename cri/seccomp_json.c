/* SPDX-License-Identifier: Apache-2.0 — seccomp_json.c: Localhost profiles.
 *
 * The JSON of runtime-spec "linux.seccomp": defaultAction, defaultErrnoRet, architectures, flags,
 * syscalls[] {names, action, errnoRet, args[] {index, value, valueTwo, op}}. Other members are
 * passed over, as the specification wants it; listenerPath is refused, since nobody would listen.
 */
#include "cri/seccomp.h"

#include "base/json.h"
#include "cri/seccomp_filter.h"

#include <errno.h>
#include <linux/seccomp.h>

#define ARENA_BYTES_MAX (32u << 20)
#define ERRNO_MAX       4095

static void auto_filter(struct seccomp_filter **f) { seccomp_filter_free(*f); }

static int action_parse(struct str name, uint64_t number, struct seccomp_action *out,
                        struct err *e) {
    static const struct {
        struct str name;
        enum seccomp_action_kind kind;
    } known[] = {{{"SCMP_ACT_ALLOW", 14}, SECCOMP_ALLOW},
                 {{"SCMP_ACT_ERRNO", 14}, SECCOMP_ERRNO},
                 {{"SCMP_ACT_LOG", 12}, SECCOMP_LOG},
                 {{"SCMP_ACT_TRAP", 13}, SECCOMP_TRAP},
                 {{"SCMP_ACT_TRACE", 14}, SECCOMP_TRACE},
                 {{"SCMP_ACT_KILL", 13}, SECCOMP_KILL_THREAD},
                 {{"SCMP_ACT_KILL_THREAD", 20}, SECCOMP_KILL_THREAD},
                 {{"SCMP_ACT_KILL_PROCESS", 21}, SECCOMP_KILL_PROCESS}};
    if (str_eq(name, STR("SCMP_ACT_NOTIFY")))
        return err_set(e, ERR_UNSUPPORTED, "action SCMP_ACT_NOTIFY is not offered here");
    if (number > ERRNO_MAX)
        return err_set(e, ERR_INVALID, "errnoRet %llu: must be at most %d",
                       (unsigned long long)number, ERRNO_MAX);
    for (size_t i = 0; i < COUNT(known); i++) {
        if (!str_eq(name, known[i].name)) continue;
        *out = (struct seccomp_action){.kind = known[i].kind};
        if (known[i].kind == SECCOMP_ERRNO || known[i].kind == SECCOMP_TRACE)
            out->number = (uint16_t)number;
        return 0;
    }
    return err_set(e, ERR_INVALID, "unknown action '%.*s'", STR_ARG(str_sub(name, 0, 64)));
}

static int condition_parse(const struct json *v, struct seccomp_condition *out, struct err *e) {
    static const struct {
        struct str name;
        enum seccomp_compare compare;
    } known[] = {{{"SCMP_CMP_NE", 11}, SECCOMP_NE},
                 {{"SCMP_CMP_LT", 11}, SECCOMP_LT},
                 {{"SCMP_CMP_LE", 11}, SECCOMP_LE},
                 {{"SCMP_CMP_EQ", 11}, SECCOMP_EQ},
                 {{"SCMP_CMP_GE", 11}, SECCOMP_GE},
                 {{"SCMP_CMP_GT", 11}, SECCOMP_GT},
                 {{"SCMP_CMP_MASKED_EQ", 18}, SECCOMP_MASKED_EQ}};
    struct str op;
    uint64_t index;
    struct seccomp_condition c = {0};
    if (json_need_u64(v, "index", &index, e) < 0 || json_need_u64(v, "value", &c.value, e) < 0 ||
        json_opt_u64(v, "valueTwo", &c.value2, e) < 0 || json_need_str(v, "op", &op, e) < 0)
        return -1;
    if (index > 5) return err_set(e, ERR_INVALID, "args: index %llu", (unsigned long long)index);
    c.argument = (unsigned)index;
    for (size_t i = 0; i < COUNT(known); i++) {
        if (!str_eq(op, known[i].name)) continue;
        c.compare = known[i].compare;
        *out = c;
        return 0;
    }
    return err_set(e, ERR_INVALID, "unknown op '%.*s'", STR_ARG(str_sub(op, 0, 64)));
}

struct rule_reader {
    struct seccomp_filter *filter;
    uint64_t errno_default;
    size_t names; /* so far */
};

static int conditions_parse(const struct json *args, struct seccomp_condition *out, size_t *count,
                            struct err *e) {
    *count = 0;
    for (const struct json *a = json_first(args); a; a = a->next) {
        if (*count >= SECCOMP_CONDITIONS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d args", SECCOMP_CONDITIONS_MAX);
        if (condition_parse(a, &out[*count], e) < 0) return -1;
        (*count)++;
    }
    return 0;
}

struct rule {
    struct seccomp_action action;
    struct seccomp_condition conditions[SECCOMP_CONDITIONS_MAX];
    size_t condition_count;
};

static int rule_add(struct rule_reader *r, const struct rule *rule, struct str name,
                    struct err *e) {
    if (++r->names > SECCOMP_NAMES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d names", SECCOMP_NAMES_MAX);
    int code =
        seccomp_filter_rule(r->filter, rule->action, name, rule->conditions, rule->condition_count);
    if (code < 0)
        return err_set(e, ERR_INVALID, "the rule for '%.*s' cannot be compiled: %s",
                       STR_ARG(str_sub(name, 0, 64)), strerror(-code));
    return 0;
}

static int rule_parse(struct rule_reader *r, const struct json *v, struct err *e) {
    struct str action, name = STR_NONE;
    uint64_t number = r->errno_default;
    const struct json *names, *args;
    struct rule rule;
    if (json_need_str(v, "action", &action, e) < 0 || json_opt_u64(v, "errnoRet", &number, e) < 0 ||
        json_opt_tree(v, "names", JSON_ARRAY, &names, e) < 0 ||
        json_opt_str(v, "name", &name, e) < 0 || json_opt_tree(v, "args", JSON_ARRAY, &args, e) < 0)
        return -1;
    if (action_parse(action, number, &rule.action, e) < 0 ||
        conditions_parse(args, rule.conditions, &rule.condition_count, e) < 0)
        return -1;
    if (name.n && rule_add(r, &rule, name, e) < 0) return -1;
    for (const struct json *n = json_first(names); n; n = n->next) {
        if (json_str(n, &name) < 0) return err_set(e, ERR_INVALID, "names: must be strings");
        if (rule_add(r, &rule, name, e) < 0) return -1;
    }
    return 0;
}

static int flags_parse(const struct json *flags, uint32_t *out, struct err *e) {
    *out = flags ? 0 : SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    for (const struct json *f = json_first(flags); f; f = f->next) {
        struct str name = STR_NONE;
        if (json_str(f, &name) < 0) return err_set(e, ERR_INVALID, "flags: must be strings");
        if (str_eq(name, STR("SECCOMP_FILTER_FLAG_LOG")))
            *out |= SECCOMP_FILTER_FLAG_LOG;
        else if (str_eq(name, STR("SECCOMP_FILTER_FLAG_SPEC_ALLOW")))
            *out |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        else if (!str_eq(name, STR("SECCOMP_FILTER_FLAG_TSYNC"))) /* init has one thread */
            return err_set(e, ERR_UNSUPPORTED, "flag '%.*s' is not offered here",
                           STR_ARG(str_sub(name, 0, 64)));
    }
    return 0;
}

static int archs_parse(struct seccomp_filter *f, const struct json *archs, struct err *e) {
    for (const struct json *a = json_first(archs); a; a = a->next) {
        struct str name = STR_NONE;
        if (json_str(a, &name) < 0) return err_set(e, ERR_INVALID, "architectures: not a string");
        if (str_starts(name, STR("SCMP_ARCH_"))) seccomp_filter_arch(f, str_sub(name, 10, name.n));
    }
    return 0;
}

static int profile_compile(const struct json *v, struct buf *out, uint32_t *out_flags,
                           struct err *e) {
    struct rule_reader r = {.errno_default = EPERM};
    const struct json *archs, *flags, *rules;
    struct str text, listener = STR_NONE;
    struct seccomp_action otherwise;
    if (json_need_str(v, "defaultAction", &text, e) < 0 ||
        json_opt_u64(v, "defaultErrnoRet", &r.errno_default, e) < 0 ||
        json_opt_str(v, "listenerPath", &listener, e) < 0 ||
        json_opt_tree(v, "architectures", JSON_ARRAY, &archs, e) < 0 ||
        json_opt_tree(v, "flags", JSON_ARRAY, &flags, e) < 0 ||
        json_opt_tree(v, "syscalls", JSON_ARRAY, &rules, e) < 0)
        return -1;
    if (listener.n) return err_set(e, ERR_UNSUPPORTED, "listenerPath is not offered here");
    if (rules && rules->count > SECCOMP_RULES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d rules", SECCOMP_RULES_MAX);
    if (action_parse(text, r.errno_default, &otherwise, e) < 0 ||
        flags_parse(flags, out_flags, e) < 0)
        return -1;
    r.errno_default = EPERM;
    AUTO(auto_filter) struct seccomp_filter *f = seccomp_filter_new(otherwise);
    r.filter = f;
    if (archs_parse(f, archs, e) < 0) return -1;
    size_t number = 0;
    for (const struct json *rule = json_first(rules); rule; rule = rule->next, number++)
        if (rule_parse(&r, rule, e) < 0) return err_in(e, "syscalls[%zu]", number);
    int code = seccomp_filter_export(f, out);
    return code < 0 ? err_sys(e, -code, "compile the filter") : 0;
}

int seccomp_compile_json(struct str json, struct buf *out, uint32_t *out_flags, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(ARENA_BYTES_MAX);
    struct json_limits limits = {.bytes_max = SECCOMP_PROFILE_BYTES_MAX, .values_max = 100000};
    const struct json *v;
    uint32_t flags = 0;
    if (json_parse(&a, json, limits, &v, e) < 0) return -1;
    if (v->type != JSON_OBJECT) return err_set(e, ERR_INVALID, "a seccomp profile is an object");
    if (profile_compile(v, out, &flags, e) < 0) return -1;
    *out_flags = flags;
    return 0;
}
