/* SPDX-License-Identifier: Apache-2.0 — run_options.c */
#include "agent/cli/run_options.h"

#define PORT_MAX       65535
#define CPUS_MAX       1000
#define FRACTION_CHARS 3

static int bad_port(struct str text, struct err *e) {
    return err_set(e, ERR_INVALID,
                   "the port '%.*s' is not [IP:]HOST:CONTAINER[/udp], such as 8080:80",
                   STR_ARG(text));
}

int run_port_parse(struct str text, struct run_port *out, struct err *e) {
    struct run_port p = {.protocol = STR("tcp"), .ip = STR("")};
    struct str rest = text;
    ptrdiff_t slash = str_rfind(rest, '/');
    if (slash >= 0) {
        p.protocol = str_sub(rest, (size_t)slash + 1, rest.n);
        rest = str_sub(rest, 0, (size_t)slash);
    }
    ptrdiff_t colon = str_rfind(rest, ':');
    if (colon < 0) return bad_port(text, e);
    if (str_u64(str_sub(rest, (size_t)colon + 1, rest.n), &p.container) < 0)
        return bad_port(text, e);
    rest = str_sub(rest, 0, (size_t)colon);
    colon = str_rfind(rest, ':');
    if (colon >= 0) p.ip = str_sub(rest, 0, (size_t)colon);
    if (str_u64(str_sub(rest, (size_t)(colon + 1), rest.n), &p.host) < 0) return bad_port(text, e);
    if (p.ip.n > 2 && p.ip.p[0] == '[' && p.ip.p[p.ip.n - 1] == ']')
        p.ip = str_sub(p.ip, 1, p.ip.n - 1);
    bool known = str_eq(p.protocol, STR("tcp")) || str_eq(p.protocol, STR("udp")) ||
                 str_eq(p.protocol, STR("sctp"));
    bool fits = p.host >= 1 && p.host <= PORT_MAX && p.container >= 1 && p.container <= PORT_MAX;
    if (!known || !fits) return bad_port(text, e);
    *out = p;
    return 0;
}

int run_volume_parse(struct str text, struct run_volume *out, struct err *e) {
    struct run_volume v = {.readonly = false};
    struct str rest = text;
    struct str mode = STR("rw");
    bool whole = str_next(&rest, ':', &v.source) && str_next(&rest, ':', &v.target);
    struct str third;
    if (whole && str_next(&rest, ':', &third)) mode = third;
    v.readonly = str_eq(mode, STR("ro"));
    bool known = v.readonly || str_eq(mode, STR("rw"));
    if (!whole || !known || rest.n || v.source.n == 0 || v.target.n == 0 || v.target.p[0] != '/')
        return err_set(e, ERR_INVALID,
                       "the volume '%.*s' is not SRC:DST[:ro], such as /srv/data:/data",
                       STR_ARG(text));
    *out = v;
    return 0;
}

int run_cpus_parse(struct str text, uint64_t *out_milli, struct err *e) {
    uint64_t whole = 0;
    uint64_t milli = 0;
    ptrdiff_t dot = str_find(text, '.');
    struct str head = dot < 0 ? text : str_sub(text, 0, (size_t)dot);
    struct str tail = dot < 0 ? STR("") : str_sub(text, (size_t)dot + 1, text.n);
    bool good = (dot >= 0 && head.n == 0) || str_u64(head, &whole) == 0;
    good = good && (dot < 0 || tail.n > 0) && tail.n <= FRACTION_CHARS && whole <= CPUS_MAX;
    if (good && tail.n) good = str_u64(tail, &milli) == 0;
    for (size_t i = tail.n; good && i < FRACTION_CHARS; i++) milli *= 10;
    milli += whole * 1000;
    if (!good || milli == 0)
        return err_set(e, ERR_INVALID, "'%.*s' CPUs: give a number such as 2 or 0.5",
                       STR_ARG(text));
    *out_milli = milli;
    return 0;
}
