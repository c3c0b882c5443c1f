/* SPDX-License-Identifier: Apache-2.0 — ruleset_test.c: the table's text and the sysctls. */
#include "net/ruleset.h"
#include "net/testbed.h"

static void read_switch(const char *name, char *out) {
    AUTO_FREE char *path = xasprintf("/proc/sys/net/%s", name);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, out, 1), 1);
}

static void write_switch(const char *name, const char *value) {
    AUTO_FREE char *path = xasprintf("/proc/sys/net/%s", name);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, value, 1), 1);
}

static int print(bool ip6, size_t bytes_max, struct buf *out) {
    struct cidr c4, c6;
    *out = BUF(bytes_max);
    assert_int_equal(cidr_parse(STR("10.1.0.0/16"), &c4), 0);
    assert_int_equal(cidr_parse(STR("fd00:1::/64"), &c6), 0);
    struct ruleset_options o = {"tt", "br0", &c4, &c6, ip6};
    return ruleset_print(&o, out);
}

static void the_table_names_bridge_and_ranges(void **state) {
    (void)state;
    AUTO(buf_done) struct buf out;
    assert_int_equal(print(true, RULESET_BYTES_MAX, &out), 0);
    static const char *const lines[] = {
        "add table inet tt\n", "add rule inet tt guard iifname \"br0\" ip daddr 127.0.0.0/8 drop\n",
        "add rule inet tt postrouting oifname != \"br0\" ip saddr 10.1.0.0/16 "
        "ip daddr != { 10.1.0.0/16, 224.0.0.0/4 } masquerade\n",
        "add rule inet tt postrouting oifname \"br0\" ip6 saddr fd00:1::/64 "
        "ct status dnat masquerade\n"};
    for (size_t i = 0; i < COUNT(lines); i++) assert_non_null(strstr(buf_c(&out), lines[i]));
    assert_null(strchr(buf_c(&out), '$'));
}

static void without_ipv6_no_rule_speaks_of_it(void **state) {
    (void)state;
    AUTO(buf_done) struct buf out;
    assert_int_equal(print(false, RULESET_BYTES_MAX, &out), 0);
    assert_null(strstr(buf_c(&out), "ip6 "));
}

static void a_full_buffer_is_reported_wherever_it_ends(void **state) {
    (void)state;
    AUTO(buf_done) struct buf whole;
    assert_int_equal(print(true, RULESET_BYTES_MAX, &whole), 0);
    for (size_t bytes = 1; bytes < whole.n; bytes += 7) {
        AUTO(buf_done) struct buf out;
        assert_int_equal(print(true, bytes, &out), -ENOSPC);
    }
}

static void forwarding_keeps_router_advertisements_of_other_interfaces(void **state) {
    (void)state;
    struct err e = {0};
    struct testbed_ns ns = testbed_ns_new();
    char value;
    AUTO_CLOSE int rt = nl_open(NETLINK_ROUTE);
    struct link_addresses a = {.prefix4_bits = 24};
    bool ip6;
    assert_int_equal(ip_parse(STR("10.1.0.1"), &a.ip4), 0);
    assert_int_equal(link_bridge_ensure(rt, &(struct link_bridge){"br0", 1500, &a}, &ip6, &e), 0);
    assert_int_equal(link_bridge_ensure(rt, &(struct link_bridge){"uplink", 1500, &a}, &ip6, &e),
                     0);
    write_switch("ipv6/conf/all/forwarding", "0");
    write_switch("ipv6/conf/uplink/accept_ra", "1");
    assert_true(sysctl_has_ip6());
    assert_int_equal(sysctl_enable_forwarding("br0", true, &e), 0);
    static const struct {
        const char *name;
        char value;
    } wanted[] = {{"ipv4/ip_forward", '1'},          {"ipv4/conf/br0/route_localnet", '1'},
                  {"ipv6/conf/all/forwarding", '1'}, {"ipv6/conf/uplink/accept_ra", '2'},
                  {"ipv6/conf/br0/accept_ra", '0'},  {"ipv6/conf/br0/accept_dad", '0'}};
    for (size_t i = 0; i < COUNT(wanted); i++) {
        read_switch(wanted[i].name, &value);
        assert_int_equal(value, wanted[i].value);
    }
    assert_int_equal(sysctl_enable_forwarding("nosuch", true, &e), -1);
    assert_non_null(strstr(e.msg, "nosuch"));
    testbed_ns_close(&ns);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_names_bridge_and_ranges),
        cmocka_unit_test(without_ipv6_no_rule_speaks_of_it),
        cmocka_unit_test(a_full_buffer_is_reported_wherever_it_ends),
        cmocka_unit_test(forwarding_keeps_router_advertisements_of_other_interfaces),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
