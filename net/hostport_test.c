/* SPDX-License-Identifier: Apache-2.0 — hostport_test.c: who may have which host port, and its map
 * elements. */
#include "net/hostport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct port_mapping mapping(enum port_protocol protocol, uint16_t host, const char *ip) {
    return (struct port_mapping){protocol, host, 80, str_of(ip)};
}

static int convert(const struct port_mapping *in, size_t n, size_t *out_count, struct err *e) {
    struct pod_port out[POD_PORTS_MAX];
    int r = hostport_convert(in, n, true, out, e);
    if (r < 0) return -1;
    *out_count = (size_t)r;
    return 0;
}

static void host_port_zero_means_none(void **state) {
    (void)state;
    struct err e = {0};
    size_t n = 9;
    struct port_mapping in[] = {mapping(PORT_TCP, 0, ""), mapping(PORT_TCP, 80, "")};
    in[0].container_port = 0;
    assert_int_equal(convert(in, 2, &n, &e), 0);
    assert_int_equal(n, 1);
}

static void wrong_ports_are_refused_with_their_name(void **state) {
    (void)state;
    struct port_mapping twice[] = {mapping(PORT_TCP, 80, ""), mapping(PORT_TCP, 80, "192.0.2.1")};
    struct port_mapping host = mapping(PORT_UDP, 53, "localhost");
    struct port_mapping no_container = mapping(PORT_UDP, 54, "");
    struct port_mapping protocol = mapping((enum port_protocol)7, 55, "");
    no_container.container_port = 0;
    struct {
        const struct port_mapping *in;
        size_t n;
        const char *named;
    } cases[] = {{twice, 2, "tcp/80"},
                 {&host, 1, "localhost"},
                 {&no_container, 1, "udp/54"},
                 {&protocol, 1, "55"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        size_t n = 77;
        assert_int_equal(convert(cases[i].in, cases[i].n, &n, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_non_null(strstr(e.msg, cases[i].named));
        assert_int_equal(n, 77);
    }
}

static void a_pod_may_have_the_most_ports_and_not_one_more(void **state) {
    (void)state;
    struct port_mapping in[POD_PORTS_MAX + 1];
    struct err e = {0};
    size_t n;
    for (size_t i = 0; i < COUNT(in); i++) in[i] = mapping(PORT_TCP, (uint16_t)(i + 1), "");
    assert_int_equal(convert(in, POD_PORTS_MAX, &n, &e), 0);
    assert_int_equal(convert(in, POD_PORTS_MAX + 1, &n, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void an_ipv6_host_address_needs_ipv6(void **state) {
    (void)state;
    struct err e = {0};
    struct pod_port out[1];
    struct port_mapping in = mapping(PORT_TCP, 80, "2001:db8::1");
    assert_int_equal(hostport_convert(&in, 1, false, out, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

static void ports_overlap_when_a_packet_could_be_for_both(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool overlap;
    } cases[] = {{"", "", true},
                 {"", "192.0.2.1", true},
                 {"::", "", true},
                 {"0.0.0.0", "192.0.2.1", true},
                 {"0.0.0.0", "::", false},
                 {"0.0.0.0", "2001:db8::1", false},
                 {"192.0.2.1", "192.0.2.2", false},
                 {"192.0.2.1", "192.0.2.1", true},
                 {"::", "2001:db8::1", true}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        struct pod_port a, b;
        struct pod_ports wanted = {&b, 1};
        struct port_mapping in_a = mapping(PORT_TCP, 80, cases[i].a);
        struct port_mapping in_b = mapping(PORT_TCP, 80, cases[i].b);
        assert_int_equal(hostport_convert(&in_a, 1, true, &a, &e), 1);
        assert_int_equal(hostport_convert(&in_b, 1, true, &b, &e), 1);
        assert_int_equal(hostport_overlap(&a, &b), cases[i].overlap);
        assert_int_equal(hostport_overlap(&b, &a), cases[i].overlap);
        assert_int_equal(hostport_check(&a, &wanted, "holder", &e), cases[i].overlap ? -1 : 0);
        b.protocol = PORT_UDP;
        assert_false(hostport_overlap(&a, &b));
        b.protocol = PORT_TCP;
        b.host_port++;
        assert_false(hostport_overlap(&a, &b));
    }
}

static void elements_are_padded_like_nfts_registers(void **state) {
    (void)state;
    struct pod_port ports[] = {{PORT_TCP, 0x1234, 0x5678, {.family = IP_NONE}},
                               {PORT_UDP, 53, 53, {.family = IP_V4, .bytes = {192, 0, 2, 1}}}};
    struct pod_record r = {.ip4 = {.family = IP_V4, .bytes = {10, 88, 0, 2}},
                           .ip6 = {.family = IP_V6, .bytes = {0xfd, [15] = 2}},
                           .ports = ports,
                           .port_count = 2};
    struct nft_element out[4];
    assert_int_equal(hostport_elements(&r, out), 3);
    static const uint8_t key4[] = {6, 0, 0, 0, 0x12, 0x34, 0, 0};
    static const uint8_t value4[] = {10, 88, 0, 2, 0x56, 0x78, 0, 0};
    assert_string_equal(out[0].map, HOSTPORT_ANY4);
    assert_int_equal(out[0].key_bytes, sizeof key4);
    assert_memory_equal(out[0].key, key4, sizeof key4);
    assert_int_equal(out[0].value_bytes, sizeof value4);
    assert_memory_equal(out[0].value, value4, sizeof value4);
    assert_string_equal(out[1].map, HOSTPORT_ANY6);
    assert_int_equal(out[1].value_bytes, 20);
    static const uint8_t key_address[] = {192, 0, 2, 1, 17, 0, 0, 0, 0, 53, 0, 0};
    assert_string_equal(out[2].map, HOSTPORT_ADDRESS4);
    assert_int_equal(out[2].key_bytes, sizeof key_address);
    assert_memory_equal(out[2].key, key_address, sizeof key_address);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_port_zero_means_none),
        cmocka_unit_test(wrong_ports_are_refused_with_their_name),
        cmocka_unit_test(a_pod_may_have_the_most_ports_and_not_one_more),
        cmocka_unit_test(an_ipv6_host_address_needs_ipv6),
        cmocka_unit_test(ports_overlap_when_a_packet_could_be_for_both),
        cmocka_unit_test(elements_are_padded_like_nfts_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
