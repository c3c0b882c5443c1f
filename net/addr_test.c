/* SPDX-License-Identifier: Apache-2.0 — addr_test.c: addresses and ranges. */
#include "net/addr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void addresses_come_back_as_they_were_written(void **state) {
    (void)state;
    static const char *const texts[] = {"0.0.0.0", "10.88.0.2",     "255.255.255.255",     "::",
                                        "::1",     "fd00:88::abcd", "2001:db8:1:2:3:4:5:6"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct ip_addr ip;
        char out[IP_TEXT_BYTES];
        assert_int_equal(ip_parse(str_of(texts[i]), &ip), 0);
        ip_format(&ip, out);
        assert_string_equal(out, texts[i]);
        assert_int_equal(ip.family, strchr(texts[i], ':') ? IP_V6 : IP_V4);
        assert_int_equal(ip_is_any(&ip), i == 0 || i == 3);
    }
}

static void what_is_no_address_is_refused_and_leaves_the_output(void **state) {
    (void)state;
    static const char *const texts[] = {"",          "1",         "1.2.3",   "1.2.3.4.5",
                                        "1.2.3.256", "1.2.3.4 ",  " ::1",    "fe80::1%lo",
                                        ":::",       "1.2.3.4/8", "12345::", "localhost"};
    struct ip_addr ip = {.family = IP_V4, .bytes = {7}};
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(ip_parse(str_of(texts[i]), &ip), -EINVAL);
    assert_int_equal(ip_parse(str_make("1.2.3.4\0x", 9), &ip), -EINVAL);
    char longest[IP_TEXT_BYTES + 10];
    memset(longest, '1', sizeof longest);
    assert_int_equal(ip_parse(str_make(longest, sizeof longest), &ip), -EINVAL);
    assert_int_equal(ip.bytes[0], 7);
}

static void the_empty_address_has_an_empty_text(void **state) {
    (void)state;
    struct ip_addr none = {.family = IP_NONE};
    char out[IP_TEXT_BYTES] = "x";
    ip_format(&none, out);
    assert_string_equal(out, "");
    assert_false(ip_is_any(&none));
}

static void ranges_must_have_clear_host_bits_and_a_fitting_prefix(void **state) {
    (void)state;
    struct cidr c;
    assert_int_equal(cidr_parse(STR("10.88.0.0/16"), &c), 0);
    assert_int_equal(cidr_host_bits(&c), 16);
    assert_int_equal(cidr_parse(STR("fd00:88::/64"), &c), 0);
    assert_int_equal(cidr_parse(STR("0.0.0.0/0"), &c), 0);
    assert_int_equal(cidr_parse(STR("10.88.0.1/32"), &c), 0);
    assert_int_equal(cidr_parse(STR("10.88.0.1/16"), &c), -EDOM);
    assert_int_equal(cidr_parse(STR("fd00::1/64"), &c), -EDOM);
    static const char *const bad[] = {
        "10.88.0.0",    "10.88.0.0/",     "10.88.0.0/33",   "/16", "::/129",
        "10.88.0.0/-1", "10.88.0.0/16/2", "10.88.0.0/0016", ""};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(cidr_parse(str_of(bad[i]), &c), -EINVAL);
}

static void offsets_and_addresses_are_each_others_inverse(void **state) {
    (void)state;
    static const char *const ranges[] = {"10.88.0.0/16", "10.0.0.0/8", "fd00:88::/64",
                                         "2001:db8::ff00:0/104"};
    static const uint32_t offsets[] = {0, 1, 2, 255, 256, 65535};
    for (size_t r = 0; r < COUNT(ranges); r++) {
        for (size_t i = 0; i < COUNT(offsets); i++) {
            struct cidr c;
            uint32_t back;
            assert_int_equal(cidr_parse(str_of(ranges[r]), &c), 0);
            struct ip_addr ip = cidr_at(&c, offsets[i]);
            assert_true(cidr_offset(&c, &ip, &back));
            assert_int_equal(back, offsets[i]);
        }
    }
}

static void addresses_outside_of_a_range_have_no_offset(void **state) {
    (void)state;
    struct cidr c;
    uint32_t offset;
    static const char *const outside[] = {"10.89.0.0", "10.87.255.255", "::1", "192.0.2.1"};
    assert_int_equal(cidr_parse(STR("10.88.0.0/16"), &c), 0);
    for (size_t i = 0; i < COUNT(outside); i++) {
        struct ip_addr ip;
        assert_int_equal(ip_parse(str_of(outside[i]), &ip), 0);
        assert_false(cidr_offset(&c, &ip, &offset));
    }
    struct ip_addr far;
    assert_int_equal(cidr_parse(STR("fd00::/64"), &c), 0);
    assert_int_equal(ip_parse(STR("fd00::1:0:0"), &far), 0); /* inside, but over 32 bits away */
    assert_false(cidr_offset(&c, &far, &offset));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_back_as_they_were_written),
        cmocka_unit_test(what_is_no_address_is_refused_and_leaves_the_output),
        cmocka_unit_test(the_empty_address_has_an_empty_text),
        cmocka_unit_test(ranges_must_have_clear_host_bits_and_a_fitting_prefix),
        cmocka_unit_test(offsets_and_addresses_are_each_others_inverse),
        cmocka_unit_test(addresses_outside_of_a_range_have_no_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
