/* SPDX-License-Identifier: Apache-2.0 — pod_network.c: the built-in bridge network of pods.
 *
 * Order is what makes a kill harmless. Setting up: the record is durable before anything of the
 * kernel is touched. Releasing: the host ports go first, the record and with it the address last.
 * So whatever exists in the kernel has a record or a link name that the sweep finds, and an address
 * is never free while a map element still points to it. The link is nobody's duty: it goes with the
 * pod's namespace, asynchronously, since removing it would wait for the kernel (10 to 20 ms).
 *
 * Two sockets stay open, each behind a leaf lock of its own; a request holds one for the time of
 * one system call. The pod's own socket belongs to the caller's strand.
 *
 * Others may flush the nftables of the machine (a firewall's restart does). Each set-up looks
 * whether the table is there, and loads it anew with all elements when it is not. */
#include "net/pod_network.h"
#include "net/claim.h"
#include "net/conntrack.h"
#include "net/hostport.h"
#include "net/ipam.h"
#include "net/link.h"
#include "net/ruleset.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#define LINK_PREFIX "gl"

enum {
    MTU_DEFAULT = 1500,
    MTU_MIN = 1280, /* RFC 8200, section 5 */
    MTU_MAX = 65535,
    GATEWAY_OFFSET = 1,
    LINK_ID_DIGITS = 11
};

struct pod_network {
    char bridge[LINK_NAME_BYTES];
    char table[NFT_NAME_BYTES_MAX + 1];
    uint32_t mtu, bridge_index;
    struct cidr cidr4, cidr6; /* cidr6: IP_NONE when pods have no IPv6 */
    struct link_addresses bridge_addresses;
    struct ipam *ipam;       /* owned */
    pthread_mutex_t rt_lock; /* a leaf: guards rt */
    int rt;                  /* owned: NETLINK_ROUTE */
    pthread_mutex_t nf_lock; /* a leaf: guards nft */
    struct nft_table nft;    /* nf is owned: NETLINK_NETFILTER */
};

/* The digits of the pod id for people; a hash where an id has no such digits. */
static void link_name(struct str pod_id, char out[LINK_NAME_BYTES]) {
    struct str digits = str_sub(pod_id, 0, LINK_ID_DIGITS);
    if (digits.n == LINK_ID_DIGITS && str_is_hex(digits))
        (void)snprintf(out, LINK_NAME_BYTES, LINK_PREFIX "%.*s", STR_ARG(digits));
    else
        (void)snprintf(out, LINK_NAME_BYTES, LINK_PREFIX "%011llx",
                       (unsigned long long)(str_hash(pod_id) >> (64 - 4 * LINK_ID_DIGITS)));
}

/* ---- opening ---- */

static bool name_valid(const char *name, size_t bytes_max) {
    struct str s = str_of(name);
    return s.n <= bytes_max && pod_id_valid(s);
}

static int parse_range(struct str text, const char *what, struct cidr *out, struct err *e) {
    int r = cidr_parse(text, out);
    if (r == -EDOM)
        return err_set(e, ERR_INVALID, "%s '%.*s': bits behind the prefix are set", what,
                       STR_ARG(text));
    if (r < 0) return err_set(e, ERR_INVALID, "%s '%.*s': not ADDRESS/PREFIX", what, STR_ARG(text));
    return 0;
}

static int take_options(struct pod_network *n, const struct pod_network_options *o, struct err *e) {
    if (!name_valid(o->bridge, sizeof n->bridge - 1))
        return err_set(e, ERR_INVALID, "bridge '%s': not usable as an interface's name", o->bridge);
    if (!name_valid(o->nft_table, NFT_NAME_BYTES_MAX) || strpbrk(o->nft_table, ".-"))
        return err_set(e, ERR_INVALID, "nftables table '%s': letters, digits and '_' only",
                       o->nft_table);
    (void)snprintf(n->bridge, sizeof n->bridge, "%s", o->bridge);
    (void)snprintf(n->table, sizeof n->table, "%s", o->nft_table);
    n->nft.name = n->table;
    n->mtu = o->mtu ? o->mtu : MTU_DEFAULT;
    if (n->mtu < MTU_MIN || n->mtu > MTU_MAX)
        return err_set(e, ERR_INVALID, "mtu %u: must be %d to %d", n->mtu, MTU_MIN, MTU_MAX);
    if (parse_range(o->cidr4, "pod range", &n->cidr4, e) < 0) return -1;
    if (o->cidr6.n > 0 && parse_range(o->cidr6, "IPv6 pod range", &n->cidr6, e) < 0) return -1;
    return ipam_check_ranges(&n->cidr4, &n->cidr6, e);
}

static int load_table(struct pod_network *n, struct err *e) {
    AUTO(buf_done) struct buf text = BUF(RULESET_BYTES_MAX);
    struct ruleset_options o = {.table = n->table,
                                .bridge = n->bridge,
                                .cidr4 = &n->cidr4,
                                .cidr6 = &n->cidr6,
                                .ip6 = n->cidr6.base.family == IP_V6};
    if (ruleset_print(&o, &text) < 0)
        return err_set(e, ERR_INTERNAL, "ruleset over %d bytes", RULESET_BYTES_MAX);
    return nft_run(buf_view(&text), e);
}

/* Of two nodes that start at once each may have found nothing before it had an address itself, so
 * both look again; one that loses takes back what it made. */
static int claim_bridge(struct pod_network *n, const struct claim *c, bool *out_ip6,
                        struct err *e) {
    char alias[CLAIM_BYTES_MAX];
    struct err absent;
    uint32_t index;
    struct link_bridge bridge = {n->bridge, n->mtu, &n->bridge_addresses, alias};
    claim_alias(c, alias);
    if (claim_check_bridge(n->rt, c, e) < 0 || claim_check_range(n->rt, c, e) < 0) return -1;
    bool made = link_index(n->rt, n->bridge, &index, &absent) < 0;
    if (link_bridge_ensure(n->rt, &bridge, out_ip6, e) < 0) return -1;
    if (claim_check_bridge(n->rt, c, e) < 0) return -1; /* it is the other's now */
    if (claim_check_range(n->rt, c, e) == 0) return 0;
    if (made && link_delete(n->rt, n->bridge, &absent) < 0)
        return err_in(e, "bridge '%s' stays (%.60s)", n->bridge, absent.msg);
    return -1;
}

static int open_bridge(struct pod_network *n, const char *owner, struct err *e) {
    if (!sysctl_has_ip6()) n->cidr6 = (struct cidr){.base.family = IP_NONE};
    n->bridge_addresses.ip4 = cidr_at(&n->cidr4, GATEWAY_OFFSET);
    n->bridge_addresses.prefix4_bits = n->cidr4.prefix_bits;
    if (n->cidr6.base.family == IP_V6) {
        n->bridge_addresses.ip6 = cidr_at(&n->cidr6, GATEWAY_OFFSET);
        n->bridge_addresses.prefix6_bits = n->cidr6.prefix_bits;
    }
    bool ip6;
    const struct claim claim = {n->bridge, owner, n->cidr4, n->cidr6};
    if (claim_bridge(n, &claim, &ip6, e) < 0 ||
        link_index(n->rt, n->bridge, &n->bridge_index, e) < 0)
        return -1;
    if (!ip6) n->cidr6 = (struct cidr){.base.family = IP_NONE};
    return sysctl_enable_forwarding(n->bridge, ip6, e);
}

static int open_pool(struct pod_network *n, const char *root, struct err *e) {
    AUTO_FREE char *network = xasprintf("%s/network", root);
    AUTO_FREE char *pods = xasprintf("%s/pods", network);
    if (mkdir(network, 0700) < 0 && errno != EEXIST)
        return err_sys(e, errno, "create folder '%s'", network);
    struct ipam_options o = {.folder = pods, .cidr4 = n->cidr4, .cidr6 = n->cidr6};
    n->ipam = ipam_open(&o, e);
    return n->ipam ? 0 : -1;
}

static int open_sockets(struct pod_network *n, struct err *e) {
    n->rt = nl_open(NETLINK_ROUTE);
    if (n->rt < 0) return err_sys(e, -n->rt, "open a netlink socket for links");
    n->nft.nf = nl_open(NETLINK_NETFILTER);
    if (n->nft.nf < 0) return err_sys(e, -n->nft.nf, "open a netlink socket for nftables");
    return 0;
}

struct pod_network *pod_network_open(const struct pod_network_options *o, struct err *e) {
    struct pod_network *n = xnew(struct pod_network);
    n->rt = n->nft.nf = -1;
    (void)pthread_mutex_init(&n->rt_lock, NULL);
    (void)pthread_mutex_init(&n->nf_lock, NULL);
    if (take_options(n, o, e) < 0 || open_sockets(n, e) < 0 || open_bridge(n, o->root, e) < 0 ||
        open_pool(n, o->root, e) < 0 || load_table(n, e) < 0) {
        pod_network_close(n);
        return NULL;
    }
    return n;
}

void pod_network_close(struct pod_network *n) {
    if (!n) return;
    ipam_close(n->ipam);
    if (n->rt >= 0) (void)close(n->rt);
    if (n->nft.nf >= 0) (void)close(n->nft.nf);
    (void)pthread_mutex_destroy(&n->rt_lock);
    (void)pthread_mutex_destroy(&n->nf_lock);
    free(n);
}

void pod_network_health(const struct pod_network *n, struct pod_network_health *out) {
    out->ip6 = n->cidr6.base.family == IP_V6;
    out->corrupt_records = ipam_corrupt(n->ipam, &out->corrupt_first);
}

/* ---- host ports ---- */

/* Best effort: what remains ends by itself after half a minute of silence, and a kernel without
 * ctnetlink is no reason to refuse a pod. With nf_lock. */
static void forget_udp_flows(struct pod_network *n, enum nft_change change,
                             const struct pod_record *r) {
    bool any = false;
    for (size_t i = 0; i < r->port_count; i++) {
        if (r->ports[i].protocol != PORT_UDP) continue;
        any = true;
        if (change == NFT_ADD) (void)(conntrack_forget_port(n->nft.nf, r->ports[i].host_port) < 0);
    }
    if (!any || change == NFT_ADD) return;
    (void)(conntrack_forget_pod(n->nft.nf, &r->ip4) < 0);
    if (r->ip6.family == IP_V6) (void)(conntrack_forget_pod(n->nft.nf, &r->ip6) < 0);
}

static int change_ports(struct pod_network *n, enum nft_change change, const struct pod_record *r,
                        struct err *e) {
    if (r->port_count == 0) return 0;
    AUTO_FREE struct nft_element *elements =
        xmalloc(HOSTPORT_ELEMENTS_MAX * r->port_count * sizeof *elements);
    size_t count = hostport_elements(r, elements);
    (void)pthread_mutex_lock(&n->nf_lock);
    int result = nft_change(&n->nft, change, elements, count, e);
    if (result == 0) forget_udp_flows(n, change, r);
    (void)pthread_mutex_unlock(&n->nf_lock);
    return result;
}

struct element_list {
    struct nft_element *items; /* owned */
    size_t count, capacity;
};

static void list_elements(const struct pod_record *r, void *user) {
    struct element_list *list = user;
    size_t need = list->count + HOSTPORT_ELEMENTS_MAX * r->port_count;
    if (need > list->capacity) {
        list->capacity = need * 2;
        list->items = xrealloc(list->items, list->capacity * sizeof *list->items);
    }
    if (r->port_count > 0) list->count += hostport_elements(r, list->items + list->count);
}

/* Makes the maps hold what the records say, and nothing else. */
static int renew_ports(struct pod_network *n, struct err *e) {
    struct element_list list = {.items = NULL};
    ipam_each(n->ipam, list_elements, &list);
    (void)pthread_mutex_lock(&n->nf_lock);
    int r = nft_replace_all(&n->nft, hostport_maps, list.items, list.count, e);
    (void)pthread_mutex_unlock(&n->nf_lock);
    free(list.items);
    return r;
}

static int heal_table(struct pod_network *n, struct err *e) {
    (void)pthread_mutex_lock(&n->nf_lock);
    int r = nft_has_table(&n->nft, e);
    (void)pthread_mutex_unlock(&n->nf_lock);
    if (r != 0) return r < 0 ? -1 : 0;
    if (load_table(n, e) < 0) return -1;
    return renew_ports(n, e);
}

/* ---- one pod ---- */

static int give_back(struct pod_network *n, const struct pod_record *held, struct err *e) {
    if (change_ports(n, NFT_REMOVE, held, e) < 0 || ipam_return(n->ipam, held, e) < 0) {
        ipam_settle(n->ipam, held);
        return -1;
    }
    return 0;
}

static int wire(struct pod_network *n, const struct pod_record *held,
                const struct pod_network_request *request, struct err *e) {
    char name[LINK_NAME_BYTES];
    link_name(str_of(held->pod_id), name);
    struct link_veth veth = {.host_name = name,
                             .netns_fd = request->netns_fd,
                             .bridge_index = n->bridge_index,
                             .mtu = n->mtu,
                             .mac_from = held->ip4};
    (void)pthread_mutex_lock(&n->rt_lock);
    int r = link_veth_create(n->rt, &veth, e);
    (void)pthread_mutex_unlock(&n->rt_lock);
    if (r < 0) return -1;
    struct link_addresses pod = {.ip4 = held->ip4,
                                 .ip6 = held->ip6,
                                 .prefix4_bits = n->cidr4.prefix_bits,
                                 .prefix6_bits = n->cidr6.prefix_bits,
                                 .gateway4 = n->bridge_addresses.ip4,
                                 .gateway6 = n->bridge_addresses.ip6};
    bool ip6;
    if (link_pod_configure(request->nl_fd, &pod, &ip6, e) < 0) return -1;
    if (!ip6 && held->ip6.family == IP_V6 && ipam_drop_ip6(n->ipam, held, e) < 0) return -1;
    if (heal_table(n, e) < 0) return -1;
    return change_ports(n, NFT_ADD, held, e);
}

/* What the pod holds from an attempt with other ports, or of a former range, is given back first.
 */
static int claim(struct pod_network *n, struct str pod_id, const struct pod_ports *ports,
                 const struct pod_record **out, struct err *e) {
    if (ipam_claim(n->ipam, pod_id, ports, out, e) == 0) return 0;
    if (e->kind != ERR_EXISTS || pod_network_release(n, pod_id, e) < 0) return -1;
    return ipam_claim(n->ipam, pod_id, ports, out, e);
}

int pod_network_setup(struct pod_network *n, struct str pod_id, const struct pod_network_request *r,
                      struct pod_addresses *out, struct err *e) {
    struct pod_port wanted[POD_PORTS_MAX];
    const struct pod_record *held;
    bool ip6 = n->cidr6.base.family == IP_V6;
    int count = hostport_convert(r->ports, r->port_count, ip6, wanted, e);
    struct pod_ports list = {wanted, (size_t)count};
    if (count < 0 || claim(n, pod_id, &list, &held, e) < 0)
        return err_in(e, "network of pod '%.*s'", STR_ARG(pod_id));
    if (wire(n, held, r, e) < 0) {
        /* What cannot be given back now stays on record for pod_network_release(). */
        struct err later;
        (void)(give_back(n, held, &later) < 0);
        return err_in(e, "network of pod '%.*s'", STR_ARG(pod_id));
    }
    ip_format(&held->ip4, out->ip4);
    ip_format(&held->ip6, out->ip6);
    ipam_settle(n->ipam, held);
    return 0;
}

int pod_network_release(struct pod_network *n, struct str pod_id, struct err *e) {
    const struct pod_record *held = ipam_hold(n->ipam, pod_id);
    if (!held) return 0;
    if (give_back(n, held, e) < 0)
        return err_in(e, "release the network of pod '%.*s'", STR_ARG(pod_id));
    return 0;
}

int pod_network_find(struct pod_network *n, struct str pod_id, struct pod_addresses *out,
                     struct err *e) {
    struct ip_addr ip4, ip6;
    if (!ipam_find(n->ipam, pod_id, &ip4, &ip6))
        return err_set(e, ERR_NOT_FOUND, "pod '%.*s' has no network", STR_ARG(pod_id));
    ip_format(&ip4, out->ip4);
    ip_format(&ip6, out->ip6);
    return 0;
}

int pod_network_traffic(struct pod_network *n, struct str pod_id, struct pod_traffic *out,
                        struct err *e) {
    char name[LINK_NAME_BYTES];
    struct link_counters host;
    link_name(pod_id, name);
    (void)pthread_mutex_lock(&n->rt_lock);
    int r = link_read_counters(n->rt, name, &host, e);
    (void)pthread_mutex_unlock(&n->rt_lock);
    if (r < 0) return err_in(e, "traffic of pod '%.*s'", STR_ARG(pod_id));
    /* What the pod sent is what the node's end received. */
    *out = (struct pod_traffic){.rx_bytes = host.tx_bytes,
                                .rx_errors = host.tx_errors,
                                .tx_bytes = host.rx_bytes,
                                .tx_errors = host.rx_errors};
    return 0;
}

/* ---- after a restart ---- */

struct sweep {
    const struct str *known; /* borrowed */
    size_t known_count;
    char (*unknown)[POD_ID_BYTES_MAX + 1]; /* owned */
    size_t unknown_count;
};

static bool is_known(const struct sweep *s, struct str pod_id) {
    for (size_t i = 0; i < s->known_count; i++)
        if (str_eq(s->known[i], pod_id)) return true;
    return false;
}

static void list_unknown(const struct pod_record *r, void *user) {
    struct sweep *s = user;
    if (is_known(s, str_of(r->pod_id))) return;
    memcpy(s->unknown[s->unknown_count++], r->pod_id, sizeof r->pod_id);
}

static bool is_link_of_known(const struct sweep *s, const char *name) {
    char own[LINK_NAME_BYTES];
    for (size_t i = 0; i < s->known_count; i++) {
        link_name(s->known[i], own);
        if (strcmp(own, name) == 0) return true;
    }
    return false;
}

/* A link whose pod is unknown hangs on a namespace that somebody forgot; its address is given to
 * others now, so it must not speak any more. */
static int sweep_links(struct pod_network *n, const struct sweep *s, struct err *e) {
    AUTO(link_list_done) struct link_list ports = {.names = NULL};
    (void)pthread_mutex_lock(&n->rt_lock);
    int r = link_ports(n->rt, n->bridge_index, &ports, e);
    for (size_t i = 0; r == 0 && i < ports.count; i++) {
        const char *name = ports.names[i];
        if (str_starts(str_of(name), STR(LINK_PREFIX)) && !is_link_of_known(s, name))
            r = link_delete(n->rt, name, e);
    }
    (void)pthread_mutex_unlock(&n->rt_lock);
    return r;
}

int pod_network_sweep(struct pod_network *n, const struct str *pod_ids, size_t count,
                      struct err *e) {
    struct sweep s = {.known = pod_ids, .known_count = count};
    AUTO_FREE void *memory = xmalloc(IPAM_PODS_MAX * sizeof *s.unknown);
    s.unknown = memory;
    ipam_each(n->ipam, list_unknown, &s);
    for (size_t i = 0; i < s.unknown_count; i++)
        if (pod_network_release(n, str_of(s.unknown[i]), e) < 0) return -1;
    if (sweep_links(n, &s, e) < 0) return err_in(e, "sweep the links of pods");
    if (renew_ports(n, e) < 0) return err_in(e, "sweep the host ports of pods");
    return 0;
}

int pod_network_destroy(struct pod_network *n, struct err *e) {
    struct sweep nobody = {.known = NULL};
    if (sweep_links(n, &nobody, e) < 0) return err_in(e, "remove the links of pods");
    (void)pthread_mutex_lock(&n->rt_lock);
    int r = link_delete(n->rt, n->bridge, e);
    (void)pthread_mutex_unlock(&n->rt_lock);
    if (r < 0) return -1;
    (void)pthread_mutex_lock(&n->nf_lock);
    r = nft_delete_table(&n->nft, e);
    (void)pthread_mutex_unlock(&n->nf_lock);
    return r;
}
