/* SPDX-License-Identifier: Apache-2.0 — ruleset.c: the node's nftables table as text, and the
 * kernel's switches that belong to it.
 *
 * How a packet to a host port goes:
 *   from another host  prerouting: the map gives the pod, dnat; forwarded over the bridge.
 *   from a pod         the same; in postrouting it is masqueraded as the gateway, or the answer
 *                      would go from pod to pod over the bridge, past connection tracking.
 *   from the node      output: dnat. A source of 127.0.0.1 is masqueraded too, and route_localnet
 *                      on the bridge lets the kernel route it.
 * route_localnet alone would let pods talk to what listens on the node's 127.0.0.1, so "guard"
 * drops that before connection tracking translates the legitimate answers.
 *
 * Base chains of other tables (a firewall, Docker's FORWARD policy) still have their say: accepting
 * in nftables ends one table's chain, a drop anywhere is final. So no rule here accepts. */
#include "net/ruleset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int print_base(const struct ruleset_options *o, struct buf *out) {
    static const char *const maps[][2] = {
        {"host_ports4", "inet_proto . inet_service : ipv4_addr . inet_service"},
        {"host_ports6", "inet_proto . inet_service : ipv6_addr . inet_service"},
        {"host_address_ports4", "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service"},
        {"host_address_ports6", "ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service"},
    };
    static const char *const chains[][2] = {
        {"host_ports", ""},
        {"guard", "{ type filter hook prerouting priority -300; }"},
        {"prerouting", "{ type nat hook prerouting priority -100; }"},
        {"output", "{ type nat hook output priority -100; }"},
        {"postrouting", "{ type nat hook postrouting priority 100; }"},
    };
    int r = buf_fmt(out, "add table inet %s\n", o->table);
    for (size_t i = 0; r == 0 && i < COUNT(maps); i++)
        r = buf_fmt(out, "add map inet %s %s { type %s; }\n", o->table, maps[i][0], maps[i][1]);
    for (size_t i = 0; r == 0 && i < COUNT(chains); i++)
        r = buf_fmt(out, "add chain inet %s %s %s\nflush chain inet %s %s\n", o->table,
                    chains[i][0], chains[i][1], o->table, chains[i][0]);
    return r;
}

/* A rule of the chain; $B in it stands for the bridge, $P for the pod range. */
static int print_rule(struct buf *out, const struct ruleset_options *o, const struct cidr *pods,
                      const char *rule) {
    char ip[IP_TEXT_BYTES];
    ip_format(&pods->base, ip);
    int r = buf_fmt(out, "add rule inet %s ", o->table);
    for (; r == 0 && *rule; rule++) {
        if (strncmp(rule, "$B", 2) == 0) {
            r = buf_fmt(out, "\"%s\"", o->bridge);
            rule++;
        } else if (strncmp(rule, "$P", 2) == 0) {
            r = buf_fmt(out, "%s/%u", ip, pods->prefix_bits);
            rule++;
        } else {
            r = buf_append(out, rule, 1);
        }
    }
    return r == 0 ? buf_append(out, "\n", 1) : r;
}

int ruleset_print(const struct ruleset_options *o, struct buf *out) {
    static const char *const rules4[] = {
        "guard iifname $B ip daddr 127.0.0.0/8 drop",
        "host_ports dnat ip to ip daddr . meta l4proto . th dport map @host_address_ports4",
        ("host_ports meta nfproto ipv4 fib daddr type local "
         "dnat ip to meta l4proto . th dport map @host_ports4"),
        "postrouting oifname $B ip saddr 127.0.0.0/8 masquerade",
        "postrouting oifname $B ip saddr $P ct status dnat masquerade",
        "postrouting oifname != $B ip saddr $P ip daddr != { $P, 224.0.0.0/4 } masquerade",
    };
    /* [::1] is left out: IPv6 has no route_localnet, and a refusal at once is better than silence.
     */
    static const char *const rules6[] = {
        "host_ports dnat ip6 to ip6 daddr . meta l4proto . th dport map @host_address_ports6",
        ("host_ports ip6 daddr != ::1 fib daddr type local "
         "dnat ip6 to meta l4proto . th dport map @host_ports6"),
        "postrouting oifname $B ip6 saddr $P ct status dnat masquerade",
        "postrouting oifname != $B ip6 saddr $P ip6 daddr != { $P, ff00::/8 } masquerade",
    };
    int r = print_base(o, out);
    for (size_t i = 0; r == 0 && i < COUNT(rules4); i++)
        r = print_rule(out, o, o->cidr4, rules4[i]);
    for (size_t i = 0; r == 0 && o->ip6 && i < COUNT(rules6); i++)
        r = print_rule(out, o, o->cidr6, rules6[i]);
    if (r == 0) r = buf_fmt(out, "add rule inet %s prerouting jump host_ports\n", o->table);
    return r == 0 ? buf_fmt(out, "add rule inet %s output jump host_ports\n", o->table) : r;
}

/* ---- sysctls ---- */

#define SYSCTL_BYTES_MAX 128

/* The value's first character, or 0 when there is no such switch. */
static char sysctl_read(const char *name) {
    char path[SYSCTL_BYTES_MAX];
    (void)snprintf(path, sizeof path, "/proc/sys/net/%s", name);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char value = 0;
    return fd >= 0 && read(fd, &value, 1) == 1 ? value : 0;
}

static int sysctl_write(const char *name, char value, struct err *e) {
    if (sysctl_read(name) == value) return 0;
    char path[SYSCTL_BYTES_MAX];
    (void)snprintf(path, sizeof path, "/proc/sys/net/%s", name);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, &value, 1) != 1)
        return err_sys(e, errno, "write %c to '%s' (pods need it to reach the network)", value,
                       path);
    return 0;
}

bool sysctl_has_ip6(void) { return sysctl_read("ipv6/conf/all/disable_ipv6") == '0'; }

/* Forwarding makes the kernel ignore router advertisements on interfaces whose accept_ra is 1, and
 * the machine would lose its IPv6 default route: 2 says "nevertheless". Source: kernel
 * Documentation/networking/ip-sysctl.rst, accept_ra. */
static int keep_router_advertisements(struct err *e) {
    DIR *dir = opendir("/proc/sys/net/ipv6/conf");
    if (!dir) return err_sys(e, errno, "list the interfaces with IPv6");
    int r = 0;
    for (struct dirent *d; r == 0 && (d = readdir(dir));) {
        if (d->d_name[0] == '.' || strcmp(d->d_name, "all") == 0) continue;
        char name[SYSCTL_BYTES_MAX];
        (void)snprintf(name, sizeof name, "ipv6/conf/%.32s/accept_ra", d->d_name);
        if (sysctl_read(name) == '1') r = sysctl_write(name, '2', e);
    }
    (void)closedir(dir);
    return r;
}

int sysctl_enable_forwarding(const char *bridge, bool ip6, struct err *e) {
    char name[SYSCTL_BYTES_MAX];
    (void)snprintf(name, sizeof name, "ipv4/conf/%s/route_localnet", bridge);
    if (sysctl_write("ipv4/ip_forward", '1', e) < 0 || sysctl_write(name, '1', e) < 0) return -1;
    if (!ip6) return 0;
    if (sysctl_read("ipv6/conf/all/forwarding") != '1' && keep_router_advertisements(e) < 0)
        return -1;
    (void)snprintf(name, sizeof name, "ipv6/conf/%s/accept_ra", bridge);
    if (sysctl_write(name, '0', e) < 0) return -1; /* no pod is a router for the node */
    (void)snprintf(name, sizeof name, "ipv6/conf/%s/accept_dad", bridge);
    if (sysctl_write(name, '0', e) < 0) return -1;
    return sysctl_write("ipv6/conf/all/forwarding", '1', e);
}
