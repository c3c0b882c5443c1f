/* SPDX-License-Identifier: Apache-2.0 — claim.c: two nodes must not share a bridge or a range.
 *
 * Nothing but the kernel's own tables is read: all links, of which those with our kind of alias are
 * kept, then all addresses. An interface that is no node's bridge is left alone, whatever its
 * range: machines do have overlapping routes on purpose. */
#include "net/claim.h"
#include "net/netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

#define ALIAS_PREFIX "gridlet node "

enum { OTHERS_MAX = 256, REQUEST_BYTES = 128 };

struct other {
    uint32_t index;
    char bridge[16], owner[CLAIM_BYTES_MAX];
};

struct look {
    const struct claim *claim;
    struct other *others; /* owned: bridges of nodes, OTHERS_MAX of them at most */
    size_t count;
    const struct other *hit; /* whose range overlaps */
    struct cidr hit_range;
};

static void look_done(struct look *l) { free(l->others); }

void claim_alias(const struct claim *c, char *out) {
    (void)snprintf(out, CLAIM_BYTES_MAX, ALIAS_PREFIX "%s", c->owner);
}

/* ---- links ---- */

static void take_link_field(unsigned type, struct str payload, void *user) {
    struct other *o = user;
    struct str prefix = STR(ALIAS_PREFIX);
    if (payload.n > 0 && payload.p[payload.n - 1] == '\0') payload.n--;
    if (type == IFLA_IFNAME) (void)snprintf(o->bridge, sizeof o->bridge, "%.*s", STR_ARG(payload));
    if (type == IFLA_IFALIAS && str_starts(payload, prefix))
        (void)snprintf(o->owner, sizeof o->owner, "%.*s",
                       STR_ARG(str_sub(payload, prefix.n, payload.n)));
}

static void take_link(const struct nlmsghdr *m, void *user) {
    struct look *l = user;
    if (m->nlmsg_type != RTM_NEWLINK || m->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        return;
    const struct ifinfomsg *info = NLMSG_DATA(m);
    struct other o = {.index = (uint32_t)info->ifi_index};
    nl_attributes(m, sizeof *info, take_link_field, &o);
    if (o.owner[0] && l->count < OTHERS_MAX) l->others[l->count++] = o;
}

/* ---- addresses ---- */

static void take_address_field(unsigned type, struct str payload, void *user) {
    struct ip_addr *ip = user;
    if (type != IFA_ADDRESS || payload.n != ip_bytes(ip)) return;
    memcpy(ip->bytes, payload.p, payload.n);
}

static bool has_prefix(const struct ip_addr *a, const struct ip_addr *base, unsigned bits) {
    for (unsigned bit = 0; bit < bits; bit++)
        if ((a->bytes[bit / 8] ^ base->bytes[bit / 8]) & (0x80U >> bit % 8)) return false;
    return true;
}

static bool overlaps(const struct cidr *mine, const struct cidr *theirs) {
    unsigned shorter =
        mine->prefix_bits < theirs->prefix_bits ? mine->prefix_bits : theirs->prefix_bits;
    return mine->base.family == theirs->base.family &&
           has_prefix(&theirs->base, &mine->base, shorter);
}

static void take_address(const struct nlmsghdr *m, void *user) {
    struct look *l = user;
    if (m->nlmsg_type != RTM_NEWADDR || m->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
        return;
    const struct ifaddrmsg *info = NLMSG_DATA(m);
    struct cidr theirs = {.prefix_bits = info->ifa_prefixlen};
    theirs.base.family = info->ifa_family == AF_INET6 ? IP_V6 : IP_V4;
    nl_attributes(m, sizeof *info, take_address_field, &theirs.base);
    if (!overlaps(&l->claim->cidr4, &theirs) && !overlaps(&l->claim->cidr6, &theirs)) return;
    for (size_t i = 0; i < l->count && !l->hit; i++) {
        const struct other *o = &l->others[i];
        if (o->index != info->ifa_index || strcmp(o->bridge, l->claim->bridge) == 0) continue;
        l->hit = o;
        l->hit_range = theirs;
    }
}

/* ---- both ---- */

static int dump(int rt, unsigned type, struct nl_answer *answer, struct err *e) {
    uint64_t memory[REQUEST_BYTES / sizeof(uint64_t)];
    struct nl_batch b;
    nl_batch_init(&b, memory, sizeof memory);
    if (type == RTM_GETLINK) {
        (void)nl_message(&b, type, NLM_F_DUMP, sizeof(struct ifinfomsg));
        nl_put_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    } else {
        (void)nl_message(&b, type, NLM_F_DUMP, sizeof(struct ifaddrmsg));
    }
    int r = nl_send(rt, &b, answer);
    return r < 0 ? err_sys(e, -r, "look for the bridges of other nodes") : 0;
}

static int refuse_bridge(const struct other *o, struct err *e) {
    return err_set(e, ERR_BUSY,
                   "bridge '%s' belongs to the node with --run %.70s: give this one its own "
                   "--bridge and --pod-cidr (if that node is gone: ip link delete %s)",
                   o->bridge, o->owner, o->bridge);
}

static int refuse_range(const struct look *l, struct err *e) {
    char theirs[IP_TEXT_BYTES];
    ip_format(&l->hit_range.base, theirs);
    bool ip6 = l->hit_range.base.family == IP_V6;
    return err_set(e, ERR_BUSY,
                   "pod range is in use: bridge '%s' (%s/%u) of the node with --run %.70s; give "
                   "this one another --pod-cidr%s (if that node is gone: ip link delete %s)",
                   l->hit->bridge, theirs, l->hit_range.prefix_bits, l->hit->owner, ip6 ? "6" : "",
                   l->hit->bridge);
}

static int list_others(int rt, struct look *l, struct err *e) {
    struct nl_answer links = {.on_message = take_link, .user = l};
    l->others = xmalloc(OTHERS_MAX * sizeof *l->others);
    return dump(rt, RTM_GETLINK, &links, e);
}

int claim_check_bridge(int rt, const struct claim *c, struct err *e) {
    AUTO(look_done) struct look l = {.claim = c};
    char mine[CLAIM_BYTES_MAX];
    if (list_others(rt, &l, e) < 0) return -1;
    claim_alias(c, mine);
    for (size_t i = 0; i < l.count; i++) {
        const struct other *o = &l.others[i];
        if (strcmp(o->bridge, c->bridge) == 0 && strcmp(o->owner, mine + strlen(ALIAS_PREFIX)) != 0)
            return refuse_bridge(o, e);
    }
    return 0;
}

int claim_check_range(int rt, const struct claim *c, struct err *e) {
    AUTO(look_done) struct look l = {.claim = c};
    struct nl_answer addresses = {.on_message = take_address, .user = &l};
    if (list_others(rt, &l, e) < 0 || dump(rt, RTM_GETADDR, &addresses, e) < 0) return -1;
    return l.hit ? refuse_range(&l, e) : 0;
}
