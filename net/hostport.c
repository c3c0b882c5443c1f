/* SPDX-License-Identifier: Apache-2.0 — hostport.c: host ports of pods and their map elements. */
#include "net/hostport.h"

#include <assert.h>
#include <netinet/in.h>

const char *const hostport_maps[] = {HOSTPORT_ANY4, HOSTPORT_ANY6, HOSTPORT_ADDRESS4,
                                     HOSTPORT_ADDRESS6, NULL};

static int convert_one(const struct port_mapping *in, bool ip6, struct pod_port *out,
                       struct err *e) {
    struct pod_port p = {in->protocol, in->host_port, in->container_port, {.family = IP_NONE}};
    const char *protocol = port_protocol_name(in->protocol);
    if (in->protocol > PORT_SCTP)
        return err_set(e, ERR_INVALID, "host port %u: unknown protocol", in->host_port);
    if (in->container_port == 0)
        return err_set(e, ERR_INVALID, "host port %s/%u: the container port is missing", protocol,
                       in->host_port);
    if (in->host_ip.n > 0 && ip_parse(in->host_ip, &p.host_ip) < 0)
        return err_set(e, ERR_INVALID, "host port %s/%u: '%.*s' is no IP address", protocol,
                       in->host_port, STR_ARG(in->host_ip));
    if (p.host_ip.family == IP_V6 && !ip6)
        return err_set(e, ERR_UNSUPPORTED, "host port %s/%u on %.*s: pods have no IPv6 here",
                       protocol, in->host_port, STR_ARG(in->host_ip));
    *out = p;
    return 0;
}

int hostport_convert(const struct port_mapping *in, size_t count, bool ip6, struct pod_port *out,
                     struct err *e) {
    if (count > POD_PORTS_MAX)
        return err_set(e, ERR_LIMIT, "%zu host ports: a pod may have %d", count, POD_PORTS_MAX);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (in[i].host_port == 0) continue;
        if (convert_one(&in[i], ip6, &out[n], e) < 0) return -1;
        for (size_t k = 0; k < n; k++)
            if (hostport_overlap(&out[k], &out[n]))
                return err_set(e, ERR_INVALID, "host port %s/%u is listed twice",
                               port_protocol_name(out[n].protocol), out[n].host_port);
        n++;
    }
    return (int)n;
}

bool hostport_overlap(const struct pod_port *a, const struct pod_port *b) {
    if (a->protocol != b->protocol || a->host_port != b->host_port) return false;
    if (a->host_ip.family == IP_NONE || b->host_ip.family == IP_NONE) return true;
    if (a->host_ip.family != b->host_ip.family) return false;
    return ip_is_any(&a->host_ip) || ip_is_any(&b->host_ip) || ip_eq(&a->host_ip, &b->host_ip);
}

int hostport_check(const struct pod_port *held, const struct pod_ports *wanted, const char *holder,
                   struct err *e) {
    for (size_t i = 0; i < wanted->count; i++)
        if (hostport_overlap(held, &wanted->items[i]))
            return err_set(e, ERR_BUSY, "host port %s/%u is taken by pod '%s'",
                           port_protocol_name(held->protocol), held->host_port, holder);
    return 0;
}

bool hostport_same(const struct pod_ports *a, const struct pod_ports *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct pod_port *x = &a->items[i];
        const struct pod_port *y = &b->items[i];
        if (x->protocol != y->protocol || x->host_port != y->host_port ||
            x->container_port != y->container_port || !ip_eq(&x->host_ip, &y->host_ip))
            return false;
    }
    return true;
}

/* ---- elements ---- */

static uint8_t protocol_number(enum port_protocol p) {
    switch (p) {
    case PORT_TCP: return IPPROTO_TCP;
    case PORT_UDP: return IPPROTO_UDP;
    case PORT_SCTP: return IPPROTO_SCTP;
    }
    return 0;
}

/* Fields are padded with zeros to four bytes. */
static uint8_t put_bytes(uint8_t *out, uint8_t at, const void *bytes, size_t n) {
    memcpy(out + at, bytes, n);
    return (uint8_t)(at + (n + 3) / 4 * 4);
}

static uint8_t put_port(uint8_t *out, uint8_t at, uint16_t port) {
    const uint8_t big_endian[2] = {(uint8_t)(port >> 8), (uint8_t)(port & 0xff)};
    return put_bytes(out, at, big_endian, sizeof big_endian);
}

static struct nft_element element_of(const struct pod_port *p, const struct ip_addr *pod) {
    bool v6 = pod->family == IP_V6;
    bool every = p->host_ip.family == IP_NONE || ip_is_any(&p->host_ip);
    struct nft_element element = {.map = every ? (v6 ? HOSTPORT_ANY6 : HOSTPORT_ANY4)
                                               : (v6 ? HOSTPORT_ADDRESS6 : HOSTPORT_ADDRESS4)};
    uint8_t protocol = protocol_number(p->protocol);
    uint8_t n = every ? 0 : put_bytes(element.key, 0, p->host_ip.bytes, ip_bytes(&p->host_ip));
    n = put_bytes(element.key, n, &protocol, sizeof protocol);
    element.key_bytes = put_port(element.key, n, p->host_port);
    n = put_bytes(element.value, 0, pod->bytes, ip_bytes(pod));
    element.value_bytes = put_port(element.value, n, p->container_port);
    return element;
}

size_t hostport_elements(const struct pod_record *r, struct nft_element *out) {
    size_t n = 0;
    for (size_t i = 0; i < r->port_count; i++) {
        const struct pod_port *p = &r->ports[i];
        if (p->host_ip.family != IP_V6) out[n++] = element_of(p, &r->ip4);
        if (p->host_ip.family != IP_V4 && r->ip6.family == IP_V6) out[n++] = element_of(p, &r->ip6);
    }
    return n;
}
