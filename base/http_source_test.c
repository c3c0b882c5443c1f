/* SPDX-License-Identifier: Apache-2.0 — http_source_test.c */
#include "base/http_source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct http_source *take(struct http_sources *t, const char *text, uint32_t max) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool counts = false;
    struct http_source *source;
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        source = http_source_take(t, (const struct sockaddr *)&v4, max, &counts);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        source = http_source_take(t, (const struct sockaddr *)&v6, max, &counts);
    }
    assert_true(counts);
    return source;
}

static void an_address_has_a_limit_until_it_gives_back(void **state) {
    (void)state;
    struct http_sources t;
    http_sources_init(&t);
    struct http_source *a = take(&t, "1.2.3.4", 2), *b = take(&t, "1.2.3.4", 2);
    assert_ptr_equal(a, b);
    assert_null(take(&t, "1.2.3.4", 2));
    struct http_source *other = take(&t, "1.2.3.5", 2);
    assert_non_null(other);
    http_source_give(&t, a);
    assert_ptr_equal(take(&t, "1.2.3.4", 2), b);
    http_source_give(&t, b);
    http_source_give(&t, b);
    http_source_give(&t, other);
    http_source_give(&t, NULL);
}

static void a_mapped_address_is_the_same_and_a_network_of_v6_too(void **state) {
    (void)state;
    struct http_sources t;
    http_sources_init(&t);
    struct http_source *a = take(&t, "1.2.3.4", 1);
    assert_null(take(&t, "::ffff:1.2.3.4", 1));
    struct http_source *b = take(&t, "2001:db8:1:2::1", 1);
    assert_null(take(&t, "2001:db8:1:2:ffff::9", 1));
    struct http_source *c = take(&t, "2001:db8:1:3::1", 1);
    assert_non_null(c);
    http_source_give(&t, a);
    http_source_give(&t, b);
    http_source_give(&t, c);
}

static void unix_sockets_are_not_counted(void **state) {
    (void)state;
    struct http_sources t;
    http_sources_init(&t);
    struct sockaddr a = {.sa_family = AF_UNIX};
    bool counts = true;
    assert_null(http_source_take(&t, &a, 1, &counts));
    assert_false(counts);
}

static void many_addresses_are_told_apart(void **state) {
    (void)state;
    enum { MANY = 5000 };
    static struct http_source *all[MANY];
    struct http_sources t;
    http_sources_init(&t);
    char text[32];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(text, sizeof text, "10.0.%u.%u", i >> 8, i & 255);
        all[i] = take(&t, text, 1);
        assert_non_null(all[i]);
    }
    for (unsigned i = 0; i < MANY; i++) http_source_give(&t, all[i]);
    for (size_t i = 0; i < HTTP_SOURCE_BUCKETS; i++) assert_null(t.buckets[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_a_limit_until_it_gives_back),
        cmocka_unit_test(a_mapped_address_is_the_same_and_a_network_of_v6_too),
        cmocka_unit_test(unix_sockets_are_not_counted),
        cmocka_unit_test(many_addresses_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
