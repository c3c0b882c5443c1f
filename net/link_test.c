/* SPDX-License-Identifier: Apache-2.0 — link_test.c: bridges and links in a namespace of their own.
 */
#include "net/link.h"
#include "net/testbed.h"

#define BRIDGE "gllink0"

static struct link_addresses node_addresses(void) {
    struct link_addresses a = {.prefix4_bits = 16, .prefix6_bits = 64};
    assert_int_equal(ip_parse(STR("10.3.0.1"), &a.ip4), 0);
    assert_int_equal(ip_parse(STR("fd00:3::1"), &a.ip6), 0);
    return a;
}

static int open_bridge(void **state) {
    int *rt = xnew(int);
    struct err e = {0};
    bool ip6 = false;
    struct link_addresses a = node_addresses();
    *rt = nl_open(NETLINK_ROUTE);
    assert_int_equal(link_bridge_ensure(*rt, &(struct link_bridge){BRIDGE, 1400, &a}, &ip6, &e), 0);
    assert_true(ip6);
    *state = rt;
    return 0;
}

static int close_bridge(void **state) {
    struct err e = {0};
    int *rt = *state;
    assert_int_equal(link_delete(*rt, BRIDGE, &e), 0);
    assert_int_equal(link_delete(*rt, BRIDGE, &e), 0); /* absent: nothing to do */
    (void)close(*rt);
    free(rt);
    return 0;
}

static struct link_veth veth_of(int rt, const char *name, int netns_fd) {
    struct err e = {0};
    struct link_veth v = {.host_name = name, .netns_fd = netns_fd, .mtu = 1400};
    assert_int_equal(ip_parse(STR("10.3.0.2"), &v.mac_from), 0);
    assert_int_equal(link_index(rt, BRIDGE, &v.bridge_index, &e), 0);
    return v;
}

static void mac_and_mtu(int net, const char *name, char out[32]) {
    struct ifreq r = {.ifr_flags = 0};
    AUTO_CLOSE int s = testbed_socket(net, SOCK_DGRAM, "0.0.0.0", 0);
    (void)snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    assert_int_equal(ioctl(s, SIOCGIFHWADDR, &r), 0);
    uint8_t mac[6];
    memcpy(mac, r.ifr_hwaddr.sa_data, sizeof mac);
    assert_int_equal(ioctl(s, SIOCGIFMTU, &r), 0);
    (void)snprintf(out, 32, "%02x%02x%02x%02x%02x%02x %d", mac[0], mac[1], mac[2], mac[3], mac[4],
                   mac[5], r.ifr_mtu);
}

static void a_bridge_can_be_ensured_again_and_keeps_its_address(void **state) {
    int *rt = *state;
    struct err e = {0};
    bool ip6;
    uint32_t before, after;
    char text[32];
    struct link_addresses a = node_addresses();
    assert_int_equal(link_index(*rt, BRIDGE, &before, &e), 0);
    assert_int_equal(link_bridge_ensure(*rt, &(struct link_bridge){BRIDGE, 1300, &a}, &ip6, &e), 0);
    assert_int_equal(link_index(*rt, BRIDGE, &after, &e), 0);
    assert_int_equal(before, after);
    struct testbed_ns ns = testbed_ns_new();
    struct link_veth v = veth_of(*rt, "gl1", ns.net);
    assert_int_equal(link_veth_create(*rt, &v, &e), 0);
    mac_and_mtu(testbed_node, BRIDGE, text);
    assert_string_equal(text, "0a580a030001 1300");
    testbed_ns_close(&ns);
}

static void an_interface_that_is_no_bridge_is_refused(void **state) {
    int *rt = *state;
    struct err e = {0};
    bool ip6;
    struct testbed_ns ns = testbed_ns_new();
    struct link_veth v = veth_of(*rt, "gl2", ns.net);
    struct link_addresses a = node_addresses();
    assert_int_equal(link_veth_create(*rt, &v, &e), 0);
    assert_int_equal(link_bridge_ensure(*rt, &(struct link_bridge){"gl2", 1500, &a}, &ip6, &e), -1);
    assert_non_null(strstr(e.msg, "gl2"));
    testbed_ns_close(&ns);
}

static void the_pods_end_has_an_address_that_follows_from_its_ip(void **state) {
    int *rt = *state;
    struct err e = {0};
    char text[32];
    struct testbed_ns ns = testbed_ns_new();
    struct link_veth v = veth_of(*rt, "gl3", ns.net);
    assert_int_equal(link_veth_create(*rt, &v, &e), 0);
    mac_and_mtu(ns.net, "eth0", text);
    assert_string_equal(text, "0a580a030002 1400");
    testbed_ns_close(&ns);
}

static void ports_of_the_bridge_are_listed_and_others_are_not(void **state) {
    int *rt = *state;
    struct err e = {0};
    enum { MANY = 70 };
    struct testbed_ns ns[MANY];
    for (int i = 0; i < MANY; i++) {
        char name[LINK_NAME_BYTES];
        (void)snprintf(name, sizeof name, "glport%d", i);
        ns[i] = testbed_ns_new();
        struct link_veth v = veth_of(*rt, name, ns[i].net);
        assert_int_equal(link_veth_create(*rt, &v, &e), 0);
    }
    uint32_t index;
    AUTO(link_list_done) struct link_list list = {.names = NULL};
    assert_int_equal(link_index(*rt, BRIDGE, &index, &e), 0);
    assert_int_equal(link_ports(*rt, index, &list, &e), 0);
    size_t ours = 0;
    for (size_t i = 0; i < list.count; i++) ours += strncmp(list.names[i], "glport", 6) == 0;
    assert_int_equal(ours, MANY);
    for (int i = 0; i < MANY; i++) testbed_ns_close(&ns[i]);
}

static void without_ipv6_the_bridge_comes_up_and_says_so(void **state) {
    int *rt = *state;
    struct err e = {0};
    bool ip6 = true;
    struct link_addresses a = node_addresses();
    AUTO_CLOSE int all = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(all, "1", 1), 1);
    int r = link_bridge_ensure(*rt, &(struct link_bridge){BRIDGE, 1400, &a}, &ip6, &e);
    assert_int_equal(pwrite(all, "0", 1, 0), 1);
    assert_int_equal(r, 0);
    assert_false(ip6);
}

static void a_pod_can_be_configured_twice(void **state) {
    int *rt = *state;
    struct err e = {0};
    struct testbed_ns ns = testbed_ns_new();
    struct link_veth v = veth_of(*rt, "gl4", ns.net);
    struct link_addresses node = node_addresses();
    struct link_addresses pod = node;
    bool ip6 = false;
    pod.gateway4 = node.ip4;
    pod.gateway6 = node.ip6;
    pod.ip4 = v.mac_from;
    pod.ip6.bytes[15] = 2;
    assert_int_equal(link_pod_configure(ns.nl, &pod, &ip6, &e), -1); /* no eth0 yet */
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(link_veth_create(*rt, &v, &e), 0);
    assert_int_equal(link_pod_configure(ns.nl, &pod, &ip6, &e), 0);
    assert_int_equal(link_pod_configure(ns.nl, &pod, &ip6, &e), 0);
    pod.gateway4.bytes[0] = 77; /* not on the link: the kernel's own words are passed on */
    assert_int_equal(link_pod_configure(ns.nl, &pod, &ip6, &e), -1);
    assert_non_null(strstr(e.msg, "default route"));
    assert_non_null(strstr(e.msg, "kernel: "));
    testbed_ns_close(&ns);
}

static void absent_interfaces_are_not_found(void **state) {
    int *rt = *state;
    struct err e = {0};
    uint32_t index;
    struct link_counters counters;
    assert_int_equal(link_index(*rt, "nosuch", &index, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(link_read_counters(*rt, "nosuch", &counters, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

#define ON_BRIDGE(test) cmocka_unit_test_setup_teardown(test, open_bridge, close_bridge)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BRIDGE(a_bridge_can_be_ensured_again_and_keeps_its_address),
        ON_BRIDGE(an_interface_that_is_no_bridge_is_refused),
        ON_BRIDGE(the_pods_end_has_an_address_that_follows_from_its_ip),
        ON_BRIDGE(ports_of_the_bridge_are_listed_and_others_are_not),
        ON_BRIDGE(without_ipv6_the_bridge_comes_up_and_says_so),
        ON_BRIDGE(a_pod_can_be_configured_twice),
        ON_BRIDGE(absent_interfaces_are_not_found),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
