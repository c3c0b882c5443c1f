/* SPDX-License-Identifier: Apache-2.0 — link.c: the node's bridge and the pods' links.
 *
 * A pod's link is one RTM_NEWLINK whose peer part carries IFLA_NET_NS_FD, so that the kernel
 * creates the pod's end where it belongs: moving it there afterwards would wait for an RCU grace
 * period (10 to 30 ms against 0.5). The peer must not carry IFF_UP: the kernel would open it before
 * its partner exists and fail with ENOTCONN. A second message of the same batch sets hairpin mode,
 * since port attributes are not accepted while a link is being created.
 *
 * Hardware addresses are derived from IPv4 addresses. So a bridge keeps its address while ports
 * come and go, and an IP address that is given to a second pod does not leave stale neighbours
 * behind.
 *
 * Adding is NLM_F_CREATE | NLM_F_REPLACE wherever the kernel knows it: a repeated set-up passes. */
#include "net/link.h"
#include "net/netlink.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
    BATCH_BYTES = 2048,
    PORTS_MAX = 4096, /* the kernel's own limit is 1024 (BR_MAX_PORTS) */
    LOOPBACK_INDEX = 1,
    UPSERT = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
};
#define POD_INTERFACE "eth0"

#define BATCH(name)                                                                                \
    uint64_t name##_memory[BATCH_BYTES / sizeof(uint64_t)];                                        \
    struct nl_batch name;                                                                          \
    nl_batch_init(&name, name##_memory, sizeof name##_memory)

/* "what 'name': text of errno (the kernel's explanation)" */
static int refused(struct err *e, const struct nl_answer *a, const char *what, const char *name) {
    if (a->text[0]) return err_sys(e, -a->error, "%s '%s' (kernel: %s)", what, name, a->text);
    return err_sys(e, -a->error, "%s '%s'", what, name);
}

static void put_mac(struct nl_batch *b, unsigned type, const struct ip_addr *ip4) {
    /* Locally administered unicast, then the IPv4 address. */
    const uint8_t mac[6] = {0x0a, 0x58, ip4->bytes[0], ip4->bytes[1], ip4->bytes[2], ip4->bytes[3]};
    nl_put(b, type, mac, sizeof mac);
}

static struct ifinfomsg *put_link(struct nl_batch *b, unsigned flags, unsigned change) {
    struct ifinfomsg *info = nl_message(b, RTM_NEWLINK, flags, sizeof *info);
    info->ifi_family = AF_UNSPEC;
    info->ifi_flags = change;
    info->ifi_change = change;
    return info;
}

static void put_address(struct nl_batch *b, uint32_t index, const struct ip_addr *ip,
                        unsigned prefix_bits) {
    struct ifaddrmsg *address = nl_message(b, RTM_NEWADDR, UPSERT, sizeof *address);
    address->ifa_family = ip->family == IP_V6 ? AF_INET6 : AF_INET;
    address->ifa_prefixlen = (uint8_t)prefix_bits;
    address->ifa_scope = RT_SCOPE_UNIVERSE;
    address->ifa_index = index;
    nl_put(b, IFA_LOCAL, ip->bytes, ip_bytes(ip));
    nl_put(b, IFA_ADDRESS, ip->bytes, ip_bytes(ip));
    /* The pool never gives an address twice: nothing to detect, and no second to wait for it. */
    if (ip->family == IP_V6) {
        address->ifa_flags = IFA_F_NODAD;
        nl_put_u32(b, IFA_FLAGS, IFA_F_NODAD);
    } else {
        struct ip_addr broadcast = *ip;
        for (unsigned bit = prefix_bits; bit < 32; bit++)
            broadcast.bytes[bit / 8] |= (uint8_t)(0x80U >> (bit % 8));
        if (prefix_bits < 31) nl_put(b, IFA_BROADCAST, broadcast.bytes, 4);
    }
}

static void put_default_route(struct nl_batch *b, uint32_t index, const struct ip_addr *gateway) {
    struct rtmsg *route = nl_message(b, RTM_NEWROUTE, UPSERT, sizeof *route);
    route->rtm_family = gateway->family == IP_V6 ? AF_INET6 : AF_INET;
    route->rtm_table = RT_TABLE_MAIN;
    route->rtm_protocol = RTPROT_BOOT;
    route->rtm_scope = RT_SCOPE_UNIVERSE;
    route->rtm_type = RTN_UNICAST;
    nl_put(b, RTA_GATEWAY, gateway->bytes, ip_bytes(gateway));
    nl_put_u32(b, RTA_OIF, index);
}

/* ---- reading a link ---- */

struct link_view {
    uint32_t index;
    uint32_t wanted_master; /* link_ports(): only these */
    struct link_list *list; /* borrowed; NULL when one link is asked for */
    struct link_counters counters;
};

struct link_fields {
    const char *name;
    uint32_t master;
    const struct rtnl_link_stats64 *stats;
    struct rtnl_link_stats64 stats_copy;
};

static void take_field(unsigned type, struct str payload, void *user) {
    struct link_fields *f = user;
    if (type == IFLA_IFNAME && payload.n > 0 && payload.p[payload.n - 1] == '\0')
        f->name = payload.p;
    if (type == IFLA_MASTER && payload.n == sizeof f->master)
        memcpy(&f->master, payload.p, sizeof f->master);
    if (type == IFLA_STATS64) {
        size_t n = payload.n < sizeof f->stats_copy ? payload.n : sizeof f->stats_copy;
        memcpy(&f->stats_copy, payload.p, n);
        f->stats = &f->stats_copy;
    }
}

static void keep_name(struct link_list *list, const char *name) {
    if (list->count >= PORTS_MAX) return;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 64;
        list->names = xrealloc(list->names, list->capacity * sizeof *list->names);
    }
    (void)snprintf(list->names[list->count++], LINK_NAME_BYTES, "%s", name);
}

static void take_link(const struct nlmsghdr *m, void *user) {
    struct link_view *view = user;
    if (m->nlmsg_type != RTM_NEWLINK || m->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        return;
    const struct ifinfomsg *info = NLMSG_DATA(m);
    struct link_fields f = {.name = NULL};
    nl_attributes(m, sizeof *info, take_field, &f);
    if (view->list) {
        if (f.name && f.master == view->wanted_master) keep_name(view->list, f.name);
        return;
    }
    view->index = (uint32_t)info->ifi_index;
    if (f.stats)
        view->counters = (struct link_counters){f.stats->rx_bytes, f.stats->rx_errors,
                                                f.stats->tx_bytes, f.stats->tx_errors};
}

static int read_link(int fd, const char *name, struct link_view *out, struct err *e) {
    BATCH(b);
    (void)nl_message(&b, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
    nl_put_text(&b, IFLA_IFNAME, name);
    struct link_view view = {.index = 0};
    struct nl_answer answer = {.on_message = take_link, .user = &view};
    if (nl_send(fd, &b, &answer) < 0) return refused(e, &answer, "look up interface", name);
    if (view.index == 0) return err_set(e, ERR_IO, "look up interface '%s': no answer", name);
    *out = view;
    return 0;
}

int link_index(int rt, const char *name, uint32_t *out_index, struct err *e) {
    struct link_view view;
    if (read_link(rt, name, &view, e) < 0) return -1;
    *out_index = view.index;
    return 0;
}

int link_read_counters(int rt, const char *name, struct link_counters *out, struct err *e) {
    struct link_view view;
    if (read_link(rt, name, &view, e) < 0) return -1;
    *out = view.counters;
    return 0;
}

int link_ports(int rt, uint32_t bridge_index, struct link_list *out, struct err *e) {
    BATCH(b);
    (void)nl_message(&b, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
    nl_put_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    AUTO(link_list_done) struct link_list list = {.names = NULL};
    struct link_view view = {.wanted_master = bridge_index, .list = &list};
    struct nl_answer answer = {.on_message = take_link, .user = &view};
    if (nl_send(rt, &b, &answer) < 0) return refused(e, &answer, "list ports of", "bridge");
    *out = list;
    list = (struct link_list){.names = NULL};
    return 0;
}

void link_list_done(struct link_list *l) {
    free(STEAL(l->names));
    l->count = l->capacity = 0;
}

/* ---- the bridge ---- */

static int bridge_create(int rt, const char *bridge, uint32_t mtu, const struct ip_addr *ip4,
                         struct err *e) {
    BATCH(b);
    (void)put_link(&b, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, IFF_UP);
    nl_put_text(&b, IFLA_IFNAME, bridge);
    nl_put_u32(&b, IFLA_MTU, mtu);
    put_mac(&b, IFLA_ADDRESS, ip4);
    size_t info = nl_nest(&b, IFLA_LINKINFO);
    nl_put_text(&b, IFLA_INFO_KIND, "bridge");
    size_t data = nl_nest(&b, IFLA_INFO_DATA);
    nl_put_u8(&b, IFLA_BR_MCAST_SNOOPING, 0); /* neighbour discovery is flooded, as ARP is */
    nl_nest_end(&b, data);
    nl_nest_end(&b, info);
    struct nl_answer answer = {.error = 0};
    int r = nl_send(rt, &b, &answer);
    if (r < 0 && r != -EEXIST) return refused(e, &answer, "create bridge", bridge);
    return 0;
}

/* An interface that is there already must be a bridge, or pods would be given to a stranger. */
static int bridge_set_up(int rt, const struct link_bridge *bridge, struct err *e) {
    BATCH(b);
    (void)put_link(&b, NLM_F_ACK, IFF_UP);
    nl_put_text(&b, IFLA_IFNAME, bridge->name);
    nl_put_u32(&b, IFLA_MTU, bridge->mtu);
    if (bridge->alias) nl_put_text(&b, IFLA_IFALIAS, bridge->alias);
    size_t info = nl_nest(&b, IFLA_LINKINFO);
    nl_put_text(&b, IFLA_INFO_KIND, "bridge");
    nl_put(&b, IFLA_INFO_DATA | NLA_F_NESTED, NULL, 0);
    nl_nest_end(&b, info);
    struct nl_answer answer = {.error = 0};
    if (nl_send(rt, &b, &answer) < 0)
        return refused(e, &answer, "set up bridge (is it another kind of interface?)",
                       bridge->name);
    return 0;
}

int link_bridge_ensure(int rt, const struct link_bridge *bridge, bool *out_ip6, struct err *e) {
    const struct link_addresses *a = bridge->addresses;
    const char *name = bridge->name;
    uint32_t index;
    if (bridge_create(rt, name, bridge->mtu, &a->ip4, e) < 0 || bridge_set_up(rt, bridge, e) < 0 ||
        link_index(rt, name, &index, e) < 0)
        return -1;
    BATCH(b4);
    put_address(&b4, index, &a->ip4, a->prefix4_bits);
    struct nl_answer answer = {.error = 0};
    if (nl_send(rt, &b4, &answer) < 0) return refused(e, &answer, "give an address to", name);
    bool ip6 = false;
    if (a->ip6.family == IP_V6) {
        BATCH(b6);
        put_address(&b6, index, &a->ip6, a->prefix6_bits);
        int r = nl_send(rt, &b6, &answer);
        ip6 = r == 0;
        if (r < 0 && r != -EACCES && r != -EOPNOTSUPP && r != -EAFNOSUPPORT && r != -EPERM)
            return refused(e, &answer, "give an IPv6 address to", name);
    }
    *out_ip6 = ip6;
    return 0;
}

/* ---- a pod's link ---- */

static void put_peer(struct nl_batch *b, const struct link_veth *v) {
    size_t peer = nl_nest(b, VETH_INFO_PEER);
    struct ifinfomsg *info = nl_put_room(b, sizeof *info);
    info->ifi_family = AF_UNSPEC;
    nl_put_text(b, IFLA_IFNAME, POD_INTERFACE);
    nl_put_u32(b, IFLA_NET_NS_FD, (uint32_t)v->netns_fd);
    nl_put_u32(b, IFLA_MTU, v->mtu);
    put_mac(b, IFLA_ADDRESS, &v->mac_from);
    nl_nest_end(b, peer);
}

static int veth_create_once(int rt, const struct link_veth *v, struct nl_answer *answer) {
    BATCH(b);
    (void)put_link(&b, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, IFF_UP);
    nl_put_text(&b, IFLA_IFNAME, v->host_name);
    nl_put_u32(&b, IFLA_MTU, v->mtu);
    nl_put_u32(&b, IFLA_MASTER, v->bridge_index);
    size_t info = nl_nest(&b, IFLA_LINKINFO);
    nl_put_text(&b, IFLA_INFO_KIND, "veth");
    size_t data = nl_nest(&b, IFLA_INFO_DATA);
    put_peer(&b, v);
    nl_nest_end(&b, data);
    nl_nest_end(&b, info);

    (void)put_link(&b, NLM_F_ACK, 0);
    nl_put_text(&b, IFLA_IFNAME, v->host_name);
    info = nl_nest(&b, IFLA_LINKINFO);
    nl_put_text(&b, IFLA_INFO_SLAVE_KIND, "bridge");
    data = nl_nest(&b, IFLA_INFO_SLAVE_DATA);
    nl_put_u8(&b, IFLA_BRPORT_MODE, 1); /* a pod may reach itself through its host port */
    nl_nest_end(&b, data);
    nl_nest_end(&b, info);
    return nl_send(rt, &b, answer);
}

int link_veth_create(int rt, const struct link_veth *v, struct err *e) {
    struct nl_answer answer = {.error = 0};
    int r = veth_create_once(rt, v, &answer);
    if (r == -EEXIST && answer.at == 0) {
        if (link_delete(rt, v->host_name, e) < 0) return -1;
        r = veth_create_once(rt, v, &answer);
        if (r == -EEXIST)
            return err_sys(e, EEXIST, "create link '%s': the pod's namespace has another '%s'",
                           v->host_name, POD_INTERFACE);
    }
    return r < 0 ? refused(e, &answer, "create link", v->host_name) : 0;
}

int link_delete(int rt, const char *name, struct err *e) {
    BATCH(b);
    (void)nl_message(&b, RTM_DELLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
    nl_put_text(&b, IFLA_IFNAME, name);
    struct nl_answer answer = {.error = 0};
    int r = nl_send(rt, &b, &answer);
    return r < 0 && r != -ENODEV ? refused(e, &answer, "remove interface", name) : 0;
}

/* A pod whose sysctls switch IPv6 off: the kernel says so to the first message about it. */
static bool ip6_is_off(const struct nl_answer *a, uint32_t first_ip6) {
    return a->at == first_ip6 &&
           (a->error == -EACCES || a->error == -EPERM || a->error == -EOPNOTSUPP);
}

int link_pod_configure(int pod, const struct link_addresses *a, bool *out_ip6, struct err *e) {
    static const char *const steps[] = {"set up the loopback beside the pod's",
                                        "set up the pod's",
                                        "give an address to the pod's",
                                        "add a default route to the pod's",
                                        "give IPv6 to the pod's",
                                        "add an IPv6 route to the pod's",
                                        "configure the pod's"};
    struct link_view eth;
    int r = nl_prepare(pod);
    if (r < 0) return err_sys(e, -r, "prepare the pod's netlink socket");
    if (read_link(pod, POD_INTERFACE, &eth, e) < 0) return err_in(e, "inside the pod");
    BATCH(b);
    put_link(&b, NLM_F_ACK, IFF_UP)->ifi_index = LOOPBACK_INDEX;
    put_link(&b, NLM_F_ACK, IFF_UP)->ifi_index = (int)eth.index;
    put_address(&b, eth.index, &a->ip4, a->prefix4_bits);
    put_default_route(&b, eth.index, &a->gateway4);
    uint32_t first_ip6 = b.count;
    bool ip6 = a->ip6.family == IP_V6;
    if (ip6) {
        put_address(&b, eth.index, &a->ip6, a->prefix6_bits);
        put_default_route(&b, eth.index, &a->gateway6);
    }
    struct nl_answer answer = {.error = 0};
    if (nl_send(pod, &b, &answer) < 0) {
        if (!ip6 || !ip6_is_off(&answer, first_ip6))
            return refused(e, &answer, steps[answer.at < b.count ? answer.at : COUNT(steps) - 1],
                           POD_INTERFACE);
        ip6 = false;
    }
    *out_ip6 = ip6;
    return 0;
}
