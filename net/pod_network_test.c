/* SPDX-License-Identifier: Apache-2.0 — pod_network_test.c: real packets between real namespaces.
 */
#include "net/nft.h"
#include "net/pod_network.h"
#include "net/testbed.h"

#define BRIDGE  "gltest0"
#define TABLE   "gltest"
#define OUTSIDE "out0"

struct pods {
    char *root;
    struct pod_network *n;
    struct testbed_ns a, b, outside;
    struct pod_addresses a_ip, b_ip;
};

static struct pod_network *open_network(const char *root) {
    struct pod_network_options o = {.root = root,
                                    .bridge = BRIDGE,
                                    .nft_table = TABLE,
                                    .cidr4 = STR("10.99.0.0/16"),
                                    .cidr6 = STR("fd00:99::/64")};
    struct err e = {0};
    struct pod_network *n = pod_network_open(&o, &e);
    if (!n) print_error("%s\n", e.msg);
    assert_non_null(n);
    return n;
}

struct port_list {
    const struct port_mapping *items;
    size_t count;
};
#define PORTS(items_, count_) (&(struct port_list){(items_), (count_)})

static void setup_pod(struct pod_network *n, const char *id, const struct testbed_ns *ns,
                      const struct port_list *ports, struct pod_addresses *out) {
    struct err e = {0};
    struct pod_network_request request = {ns->net, ns->nl, ports->items, ports->count};
    int r = pod_network_setup(n, str_of(id), &request, out, &e);
    if (r < 0) print_error("%s\n", e.msg);
    assert_int_equal(r, 0);
}

static void release_pod(struct pod_network *n, const char *id) {
    struct err e = {0};
    int r = pod_network_release(n, str_of(id), &e);
    if (r < 0) print_error("%s\n", e.msg);
    assert_int_equal(r, 0);
}

/* A host that is not the node: 192.0.2.9, with the node (192.0.2.1) as its router. */
static struct testbed_ns open_outside(void) {
    struct testbed_ns ns = testbed_ns_new();
    struct err e = {0};
    AUTO_CLOSE int rt = nl_open(NETLINK_ROUTE);
    struct link_addresses node = {.prefix4_bits = 24, .prefix6_bits = 64};
    struct link_addresses host = node;
    bool ip6;
    uint32_t index;
    assert_int_equal(ip_parse(STR("192.0.2.1"), &node.ip4), 0);
    assert_int_equal(ip_parse(STR("2001:db8::1"), &node.ip6), 0);
    assert_int_equal(ip_parse(STR("192.0.2.9"), &host.ip4), 0);
    assert_int_equal(ip_parse(STR("2001:db8::9"), &host.ip6), 0);
    host.gateway4 = node.ip4;
    host.gateway6 = node.ip6;
    assert_int_equal(link_bridge_ensure(rt, &(struct link_bridge){OUTSIDE, 1500, &node}, &ip6, &e),
                     0);
    assert_true(ip6);
    assert_int_equal(link_index(rt, OUTSIDE, &index, &e), 0);
    struct link_veth veth = {"outhost", ns.net, index, 1500, host.ip4};
    assert_int_equal(link_veth_create(rt, &veth, &e), 0);
    assert_int_equal(link_pod_configure(ns.nl, &host, &ip6, &e), 0);
    return ns;
}

#define PORT(protocol_, host_, container_, ip_)                                                    \
    {                                                                                              \
        .protocol = (protocol_), .host_port = (host_), .container_port = (container_),             \
        .host_ip = STR(ip_)                                                                        \
    }

static const struct port_mapping b_ports[] = {
    PORT(PORT_TCP, 8080, 80, ""),          PORT(PORT_UDP, 5300, 53, ""),
    PORT(PORT_TCP, 8081, 80, "192.0.2.1"), PORT(PORT_TCP, 8082, 80, "2001:db8::1"),
    PORT(PORT_TCP, 8083, 80, "127.0.0.1"), PORT(PORT_TCP, 8084, 80, "0.0.0.0")};

static int open_pods(void **state) {
    struct pods *p = xnew(struct pods);
    p->root = testbed_root();
    p->n = open_network(p->root);
    p->outside = open_outside();
    p->a = testbed_ns_new();
    p->b = testbed_ns_new();
    setup_pod(p->n, "aaaaaaaaaaaaaaaaaaaa", &p->a, PORTS(NULL, 0), &p->a_ip);
    setup_pod(p->n, "bbbbbbbbbbbbbbbbbbbb", &p->b, PORTS(b_ports, COUNT(b_ports)), &p->b_ip);
    *state = p;
    return 0;
}

static int close_pods(void **state) {
    struct pods *p = *state;
    struct err e = {0};
    release_pod(p->n, "aaaaaaaaaaaaaaaaaaaa");
    release_pod(p->n, "bbbbbbbbbbbbbbbbbbbb");
    assert_int_equal(pod_network_destroy(p->n, &e), 0);
    pod_network_close(p->n);
    AUTO_CLOSE int rt = nl_open(NETLINK_ROUTE);
    assert_int_equal(link_delete(rt, "outhost", &e), 0);
    assert_int_equal(link_delete(rt, OUTSIDE, &e), 0);
    testbed_ns_close(&p->a);
    testbed_ns_close(&p->b);
    testbed_ns_close(&p->outside);
    testbed_remove(p->root);
    free(p);
    return 0;
}

static void pods_get_addresses_in_order_and_find_names_them(void **state) {
    struct pods *p = *state;
    struct err e = {0};
    struct pod_addresses found;
    assert_string_equal(p->a_ip.ip4, "10.99.0.2");
    assert_string_equal(p->a_ip.ip6, "fd00:99::2");
    assert_string_equal(p->b_ip.ip4, "10.99.0.3");
    assert_int_equal(pod_network_find(p->n, STR("bbbbbbbbbbbbbbbbbbbb"), &found, &e), 0);
    assert_string_equal(found.ip4, "10.99.0.3");
    assert_string_equal(found.ip6, "fd00:99::3");
    assert_int_equal(pod_network_find(p->n, STR("cccc"), &found, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void pods_reach_each_other_and_the_node_with_both_protocols(void **state) {
    struct pods *p = *state;
    AUTO_CLOSE int b4 = testbed_socket(p->b.net, SOCK_STREAM, "0.0.0.0", 80);
    assert_string_equal(testbed_tcp(p->a.net, p->b_ip.ip4, 80, b4), p->a_ip.ip4);
    assert_string_equal(testbed_tcp(testbed_node, p->b_ip.ip4, 80, b4), "10.99.0.1");
    (void)close(STEAL_FD(b4));
    AUTO_CLOSE int b6 = testbed_socket(p->b.net, SOCK_STREAM, "::", 80);
    assert_string_equal(testbed_tcp(p->a.net, p->b_ip.ip6, 80, b6), p->a_ip.ip6);
    assert_string_equal(testbed_tcp(testbed_node, p->b_ip.ip6, 80, b6), "fd00:99::1");
    AUTO_CLOSE int node = testbed_socket(testbed_node, SOCK_STREAM, "::", 90);
    assert_string_equal(testbed_tcp(p->a.net, "fd00:99::1", 90, node), p->a_ip.ip6);
    assert_string_equal(testbed_tcp(p->a.net, "10.99.0.1", 90, node), "::ffff:10.99.0.2");
    AUTO_CLOSE int own = testbed_socket(p->a.net, SOCK_STREAM, "127.0.0.1", 91);
    assert_string_equal(testbed_tcp(p->a.net, "127.0.0.1", 91, own), "127.0.0.1");
}

static void what_leaves_the_pod_range_is_masqueraded(void **state) {
    struct pods *p = *state;
    AUTO_CLOSE int out4 = testbed_socket(p->outside.net, SOCK_STREAM, "0.0.0.0", 80);
    assert_string_equal(testbed_tcp(p->a.net, "192.0.2.9", 80, out4), "192.0.2.1");
    (void)close(STEAL_FD(out4));
    AUTO_CLOSE int out6 = testbed_socket(p->outside.net, SOCK_STREAM, "::", 80);
    assert_string_equal(testbed_tcp(p->a.net, "2001:db8::9", 80, out6), "2001:db8::1");
}

static void a_host_port_answers_from_everywhere(void **state) {
    struct pods *p = *state;
    AUTO_CLOSE int b = testbed_socket(p->b.net, SOCK_STREAM, "::", 80);
    assert_string_equal(testbed_tcp(p->outside.net, "192.0.2.1", 8080, b), "::ffff:192.0.2.9");
    assert_string_equal(testbed_tcp(p->outside.net, "2001:db8::1", 8080, b), "2001:db8::9");
    assert_string_equal(testbed_tcp(testbed_node, "127.0.0.1", 8080, b), "::ffff:10.99.0.1");
    assert_string_not_equal(testbed_tcp(testbed_node, "192.0.2.1", 8080, b), "");
    assert_string_not_equal(testbed_tcp(testbed_node, "2001:db8::1", 8080, b), "");
    /* From another pod and from the pod itself, through each of the node's addresses. */
    assert_string_equal(testbed_tcp(p->a.net, "192.0.2.1", 8080, b), "::ffff:10.99.0.1");
    assert_string_equal(testbed_tcp(p->a.net, "10.99.0.1", 8080, b), "::ffff:10.99.0.1");
    assert_string_equal(testbed_tcp(p->b.net, "192.0.2.1", 8080, b), "::ffff:10.99.0.1");
    assert_string_equal(testbed_tcp(p->a.net, "2001:db8::1", 8080, b), "fd00:99::1");
    assert_string_equal(testbed_tcp(p->b.net, "2001:db8::1", 8080, b), "fd00:99::1");
}

static void a_host_port_of_one_address_answers_there_only(void **state) {
    struct pods *p = *state;
    AUTO_CLOSE int b = testbed_socket(p->b.net, SOCK_STREAM, "::", 80);
    assert_string_equal(testbed_tcp(p->outside.net, "192.0.2.1", 8081, b), "::ffff:192.0.2.9");
    assert_string_equal(testbed_tcp(p->outside.net, "2001:db8::1", 8081, b), "");
    assert_string_equal(testbed_tcp(p->outside.net, "2001:db8::1", 8082, b), "2001:db8::9");
    assert_string_equal(testbed_tcp(p->outside.net, "192.0.2.1", 8082, b), "");
    assert_string_equal(testbed_tcp(testbed_node, "127.0.0.1", 8083, b), "::ffff:10.99.0.1");
    assert_string_equal(testbed_tcp(p->outside.net, "192.0.2.1", 8083, b), "");
    assert_string_equal(testbed_tcp(p->outside.net, "192.0.2.1", 8084, b), "::ffff:192.0.2.9");
    assert_string_equal(testbed_tcp(p->outside.net, "2001:db8::1", 8084, b), "");
}

static void a_udp_host_port_answers(void **state) {
    struct pods *p = *state;
    AUTO_CLOSE int b4 = testbed_socket(p->b.net, SOCK_DGRAM, "0.0.0.0", 53);
    assert_true(testbed_udp(p->outside.net, "192.0.2.1", 5300, b4));
    assert_true(testbed_udp(testbed_node, "127.0.0.1", 5300, b4));
    assert_true(testbed_udp(p->a.net, "192.0.2.1", 5300, b4));
    (void)close(STEAL_FD(b4));
    AUTO_CLOSE int b6 = testbed_socket(p->b.net, SOCK_DGRAM, "::", 53);
    assert_true(testbed_udp(p->outside.net, "2001:db8::1", 5300, b6));
}

/* A client that never changes its socket. */
static bool ask(int s, int receiver) {
    struct sockaddr_storage source;
    socklen_t n = sizeof source;
    char byte = 'x';
    return write(s, &byte, 1) == 1 && recvfrom(receiver, &byte, 1, 0, (void *)&source, &n) == 1 &&
           sendto(receiver, &byte, 1, 0, (void *)&source, n) == 1 && read(s, &byte, 1) == 1;
}

static void a_udp_client_follows_its_host_port_to_another_pod(void **state) {
    struct pods *p = *state;
    static const char *const nodes[] = {"192.0.2.1", "2001:db8::1"};
    for (size_t i = 0; i < COUNT(nodes); i++) {
        struct sockaddr_storage to;
        struct pod_addresses again;
        struct testbed_ns c = testbed_ns_new();
        socklen_t n = testbed_address(nodes[i], 5301, &to);
        AUTO_CLOSE int s = testbed_socket(p->outside.net, SOCK_DGRAM, nodes[i], 0);
        assert_int_equal(connect(s, (void *)&to, n), 0);
        /* Nobody is there yet: the flow is tracked as going to the node itself. */
        char byte = 'x';
        assert_int_equal(write(s, &byte, 1), 1);
        assert_int_equal(read(s, &byte, 1), -1);
        assert_int_equal(errno, ECONNREFUSED);
        const struct port_mapping port = PORT(PORT_UDP, 5301, 53, "");
        setup_pod(p->n, "cccc", &c, PORTS(&port, 1), &again);
        AUTO_CLOSE int first = testbed_socket(c.net, SOCK_DGRAM, "::", 53);
        assert_true(ask(s, first));
        release_pod(p->n, "cccc");
        testbed_ns_close(&c);
        c = testbed_ns_new();
        setup_pod(p->n, "dddd", &c, PORTS(&port, 1), &again);
        AUTO_CLOSE int second = testbed_socket(c.net, SOCK_DGRAM, "::", 53);
        assert_true(ask(s, second));
        release_pod(p->n, "dddd");
        testbed_ns_close(&c);
    }
}

static void a_released_host_port_is_refused_and_free_for_others(void **state) {
    struct pods *p = *state;
    struct err e = {0};
    struct pod_addresses again;
    struct pod_network_request request = {p->a.net, p->a.nl, b_ports, 1};
    assert_int_equal(pod_network_setup(p->n, STR("cccc"), &request, &again, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    assert_non_null(strstr(e.msg, "bbbbbbbbbbbbbbbbbbbb"));
    AUTO_CLOSE int b = testbed_socket(p->b.net, SOCK_STREAM, "::", 80);
    release_pod(p->n, "bbbbbbbbbbbbbbbbbbbb");
    release_pod(p->n, "bbbbbbbbbbbbbbbbbbbb");
    assert_string_equal(testbed_tcp(testbed_node, "127.0.0.1", 8080, b), "");
    struct testbed_ns c = testbed_ns_new();
    setup_pod(p->n, "cccc", &c, PORTS(b_ports, 1), &again);
    assert_string_equal(again.ip4, "10.99.0.4"); /* not the one that was just given back */
    AUTO_CLOSE int listener = testbed_socket(c.net, SOCK_STREAM, "::", 80);
    assert_string_not_equal(testbed_tcp(testbed_node, "127.0.0.1", 8080, listener), "");
    release_pod(p->n, "cccc");
    testbed_ns_close(&c);
}

static void a_pod_that_switches_ipv6_off_gets_ipv4_alone(void **state) {
    struct pods *p = *state;
    struct err e = {0};
    struct testbed_ns c = testbed_ns_new();
    struct pod_addresses out, found;
    testbed_enter(c.net);
    AUTO_CLOSE int off = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY | O_CLOEXEC);
    AUTO_CLOSE int later =
        open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
    testbed_enter(testbed_node);
    assert_int_equal(write(off, "1", 1), 1);
    assert_int_equal(write(later, "1", 1), 1);
    const struct port_mapping port = PORT(PORT_TCP, 8090, 80, "");
    for (int i = 0; i < 2; i++) {
        setup_pod(p->n, "cccc", &c, PORTS(&port, 1), &out);
        assert_string_equal(out.ip6, "");
        assert_int_equal(pod_network_find(p->n, STR("cccc"), &found, &e), 0);
        assert_string_equal(found.ip4, out.ip4);
        assert_string_equal(found.ip6, "");
        AUTO_CLOSE int listener = testbed_socket(c.net, SOCK_STREAM, "0.0.0.0", 80);
        assert_string_not_equal(testbed_tcp(p->outside.net, "192.0.2.1", 8090, listener), "");
        assert_string_equal(testbed_tcp(p->outside.net, "2001:db8::1", 8090, listener), "");
    }
    release_pod(p->n, "cccc");
    testbed_ns_close(&c);
}

/* Both go out over the pod's eth0; the receiver tells which arrived first. */
static char first_that_arrives(int from, int receiver) {
    static const char *const targets[] = {"127.0.0.9", "10.99.0.1"};
    char byte = 0;
    for (size_t i = 0; i < COUNT(targets); i++) {
        struct sockaddr_storage to;
        socklen_t n = testbed_address(targets[i], 90, &to);
        byte = (char)('0' + i);
        assert_int_equal(sendto(from, &byte, 1, 0, (void *)&to, n), 1);
    }
    assert_int_equal(read(receiver, &byte, 1), 1);
    return byte;
}

static void a_pod_does_not_reach_the_nodes_loopback(void **state) {
    struct pods *p = *state;
    struct err e = {0};
    AUTO_CLOSE int node = testbed_socket(testbed_node, SOCK_DGRAM, "0.0.0.0", 90);
    AUTO_CLOSE int pod = testbed_socket(p->a.net, SOCK_DGRAM, "0.0.0.0", 91);
    /* The pod does its worst: 127.0.0.0/8 is routed out of eth0. */
    testbed_enter(p->a.net);
    AUTO_CLOSE int sysctl =
        open("/proc/sys/net/ipv4/conf/eth0/route_localnet", O_WRONLY | O_CLOEXEC);
    testbed_enter(testbed_node);
    assert_int_equal(setsockopt(pod, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5), 0);
    assert_int_equal(write(sysctl, "1", 1), 1);
    assert_int_equal(first_that_arrives(pod, node), '1');
    /* Without the guard it would get there, so the packet above was one that could. */
    assert_int_equal(nft_run(STR("flush chain inet " TABLE " guard\n"), &e), 0);
    assert_int_equal(first_that_arrives(pod, node), '0');
}

static void traffic_is_counted_from_the_pods_side(void **state) {
    struct pods *p = *state;
    struct err e = {0};
    struct pod_traffic before, after;
    AUTO_CLOSE int b = testbed_socket(p->b.net, SOCK_DGRAM, "0.0.0.0", 53);
    AUTO_CLOSE int a = testbed_socket(p->a.net, SOCK_DGRAM, "0.0.0.0", 54);
    struct sockaddr_storage to;
    socklen_t n = testbed_address(p->b_ip.ip4, 53, &to);
    assert_int_equal(pod_network_traffic(p->n, STR("aaaaaaaaaaaaaaaaaaaa"), &before, &e), 0);
    char bytes[1000] = {0};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(sendto(a, bytes, sizeof bytes, 0, (void *)&to, n), sizeof bytes);
        assert_int_equal(recv(b, bytes, sizeof bytes, 0), sizeof bytes);
    }
    assert_int_equal(pod_network_traffic(p->n, STR("aaaaaaaaaaaaaaaaaaaa"), &after, &e), 0);
    assert_true(after.tx_bytes - before.tx_bytes >= 10000);
    assert_true(after.rx_bytes - before.rx_bytes < 10000);
    assert_int_equal(pod_network_traffic(p->n, STR("nobody"), &after, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

#define WITH_PODS(test) cmocka_unit_test_setup_teardown(test, open_pods, close_pods)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PODS(pods_get_addresses_in_order_and_find_names_them),
        WITH_PODS(pods_reach_each_other_and_the_node_with_both_protocols),
        WITH_PODS(what_leaves_the_pod_range_is_masqueraded),
        WITH_PODS(a_host_port_answers_from_everywhere),
        WITH_PODS(a_host_port_of_one_address_answers_there_only),
        WITH_PODS(a_udp_host_port_answers),
        WITH_PODS(a_udp_client_follows_its_host_port_to_another_pod),
        WITH_PODS(a_released_host_port_is_refused_and_free_for_others),
        WITH_PODS(a_pod_that_switches_ipv6_off_gets_ipv4_alone),
        WITH_PODS(a_pod_does_not_reach_the_nodes_loopback),
        WITH_PODS(traffic_is_counted_from_the_pods_side),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
