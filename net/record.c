/* SPDX-License-Identifier: Apache-2.0 — record.c: the text of a pod's network record. */
#include "net/record.h"

#include <assert.h>

#define RECORD_FIRST_LINE "gridlet-pod-network 1"

bool pod_id_valid(struct str id) {
    if (id.n == 0 || id.n > POD_ID_BYTES_MAX || id.p[0] == '.') return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.') return false;
    }
    return true;
}

const char *port_protocol_name(enum port_protocol p) {
    switch (p) {
    case PORT_TCP: return "tcp";
    case PORT_UDP: return "udp";
    case PORT_SCTP: return "sctp";
    }
    return "unknown";
}

static bool parse_protocol(struct str s, enum port_protocol *out) {
    for (enum port_protocol p = PORT_TCP; p <= PORT_SCTP; p++) {
        if (!str_eq(s, str_of(port_protocol_name(p)))) continue;
        *out = p;
        return true;
    }
    return false;
}

static bool parse_port_number(struct str s, uint16_t *out) {
    uint64_t v;
    if (str_u64(s, &v) < 0 || v == 0 || v > UINT16_MAX) return false;
    *out = (uint16_t)v;
    return true;
}

static bool parse_port(struct str value, struct pod_port *out) {
    struct str protocol, host, container;
    struct pod_port p = {.host_port = 0};
    if (!str_next(&value, ' ', &protocol) || !str_next(&value, ' ', &host) ||
        !str_next(&value, ' ', &container))
        return false;
    if (!parse_protocol(protocol, &p.protocol) || !parse_port_number(host, &p.host_port) ||
        !parse_port_number(container, &p.container_port))
        return false;
    if (!str_eq(value, STR("*")) && ip_parse(value, &p.host_ip) < 0) return false;
    *out = p;
    return true;
}

static bool parse_ip(struct str value, enum ip_family family, struct ip_addr *out) {
    struct ip_addr ip;
    if (out->family != IP_NONE || ip_parse(value, &ip) < 0 || ip.family != family) return false;
    *out = ip;
    return true;
}

static bool add_port(struct pod_record *r, struct str value) {
    if (r->port_count >= POD_PORTS_MAX) return false;
    if (!r->ports) r->ports = xmalloc(POD_PORTS_MAX * sizeof *r->ports);
    if (!parse_port(value, &r->ports[r->port_count])) return false;
    r->port_count++;
    return true;
}

static bool parse_line(struct pod_record *r, struct str line) {
    struct str value = line;
    struct str key;
    if (!str_next(&value, ' ', &key)) return false;
    if (str_eq(key, STR("pod"))) {
        if (r->pod_id[0] || !pod_id_valid(value)) return false;
        memcpy(r->pod_id, value.p, value.n);
        return true;
    }
    if (str_eq(key, STR("ip4"))) return parse_ip(value, IP_V4, &r->ip4);
    if (str_eq(key, STR("ip6"))) return parse_ip(value, IP_V6, &r->ip6);
    if (str_eq(key, STR("port"))) return add_port(r, value);
    return false;
}

int pod_record_parse(struct str text, struct pod_record *out, struct err *e) {
    if (text.n > RECORD_BYTES_MAX)
        return err_set(e, ERR_CORRUPT, "network record: over %d bytes", RECORD_BYTES_MAX);
    AUTO(pod_record_done) struct pod_record r = {.port_count = 0};
    struct str line;
    if (!str_ends(text, STR("\n")) || !str_next(&text, '\n', &line) ||
        !str_eq(line, STR(RECORD_FIRST_LINE)))
        return err_set(e, ERR_CORRUPT, "network record: not of a version that is known here");
    for (unsigned number = 2; str_next(&text, '\n', &line); number++) {
        if (str_eq(line, STR("end"))) break;
        if (!parse_line(&r, line))
            return err_set(e, ERR_CORRUPT, "network record: line %u is wrong", number);
    }
    if (!str_eq(line, STR("end")) || text.n > 0)
        return err_set(e, ERR_CORRUPT, "network record: cut off, or more behind its end");
    if (!r.pod_id[0] || r.ip4.family != IP_V4)
        return err_set(e, ERR_CORRUPT, "network record: no pod or no address in it");
    *out = r;
    r = (struct pod_record){.port_count = 0};
    return 0;
}

int pod_record_print(const struct pod_record *r, struct buf *out) {
    assert(pod_id_valid(str_of(r->pod_id)) && r->ip4.family == IP_V4);
    char ip[IP_TEXT_BYTES];
    ip_format(&r->ip4, ip);
    int bad = buf_fmt(out, RECORD_FIRST_LINE "\npod %s\nip4 %s\n", r->pod_id, ip);
    ip_format(&r->ip6, ip);
    if (bad == 0 && ip[0]) bad = buf_fmt(out, "ip6 %s\n", ip);
    for (size_t i = 0; bad == 0 && i < r->port_count; i++) {
        const struct pod_port *p = &r->ports[i];
        ip_format(&p->host_ip, ip);
        bad = buf_fmt(out, "port %s %u %u %s\n", port_protocol_name(p->protocol), p->host_port,
                      p->container_port, ip[0] ? ip : "*");
    }
    return bad ? bad : buf_str(out, STR("end\n"));
}

void pod_record_done(struct pod_record *r) {
    free(STEAL(r->ports));
    r->port_count = 0;
}
