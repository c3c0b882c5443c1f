/* SPDX-License-Identifier: Apache-2.0 — netlink_test.c: batches, answers and lying lengths. */
#include "net/netlink.h"
#include "net/testbed.h"

#include <linux/rtnetlink.h>

static void a_batch_that_overflows_is_refused_when_sent(void **state) {
    (void)state;
    uint64_t memory[8];
    AUTO_CLOSE int fd = nl_open(NETLINK_ROUTE);
    for (size_t names = 0; names < 64; names++) {
        struct nl_batch b;
        nl_batch_init(&b, memory, sizeof memory);
        (void)nl_message(&b, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
        size_t nest = nl_nest(&b, IFLA_LINKINFO);
        for (size_t i = 0; i < names; i++) nl_put_u32(&b, IFLA_MTU, 1);
        nl_nest_end(&b, nest);
        /* A header that does not fit is written elsewhere. */
        memset(nl_message(&b, RTM_GETLINK, 0, 64), 0xff, 64);
        memset(nl_put_room(&b, 64), 0xff, 64);
        assert_true(b.full);
        assert_true(b.used_bytes <= sizeof memory);
        assert_int_equal(nl_send(fd, &b, NULL), -EMSGSIZE);
    }
}

static void an_attribute_over_64_kib_is_refused(void **state) {
    (void)state;
    AUTO_FREE char *memory = xmalloc(1 << 18);
    AUTO_FREE char *bytes = xmalloc(UINT16_MAX);
    struct nl_batch b;
    nl_batch_init(&b, memory, 1 << 18);
    (void)nl_message(&b, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
    nl_put(&b, 1, bytes, UINT16_MAX);
    assert_true(b.full);
    nl_batch_init(&b, memory, 1 << 18);
    (void)nl_message(&b, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
    size_t nest = nl_nest(&b, 1);
    nl_put(&b, 1, bytes, 40000);
    assert_false(b.full);
    nl_put(&b, 1, bytes, 40000);
    nl_nest_end(&b, nest);
    assert_true(b.full);
}

static void the_first_refused_message_is_named_with_the_kernels_words(void **state) {
    (void)state;
    uint64_t memory[64];
    struct nl_batch b;
    AUTO_CLOSE int fd = nl_open(NETLINK_ROUTE);
    nl_batch_init(&b, memory, sizeof memory);
    static const char *const names[] = {"lo", "absent", "absent2"};
    for (size_t i = 0; i < COUNT(names); i++) {
        (void)nl_message(&b, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
        nl_put_text(&b, IFLA_IFNAME, names[i]);
    }
    struct nl_answer answer = {.error = 0};
    assert_int_equal(nl_send(fd, &b, &answer), -ENODEV);
    assert_int_equal(answer.at, 1);
    nl_batch_init(&b, memory, sizeof memory);
    struct rtmsg *route = nl_message(&b, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE, sizeof *route);
    route->rtm_family = AF_INET;
    route->rtm_dst_len = 77;
    assert_int_equal(nl_send(fd, &b, &answer), -EINVAL);
    assert_string_not_equal(answer.text, "");
}

static void answers_to_others_are_not_taken(void **state) {
    (void)state;
    uint64_t memory[64];
    struct nl_batch b;
    AUTO_CLOSE int fd = nl_open(NETLINK_ROUTE);
    nl_batch_init(&b, memory, sizeof memory);
    (void)nl_message(&b, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
    nl_put_text(&b, IFLA_IFNAME, "absent");
    /* A former owner's request, whose refusal is still in the queue. */
    b.message->nlmsg_seq = b.first_seq - 1000;
    assert_int_equal(send(fd, memory, b.used_bytes, 0), (ssize_t)b.used_bytes);
    nl_batch_init(&b, memory, sizeof memory);
    (void)nl_message(&b, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
    nl_put_text(&b, IFLA_IFNAME, "lo");
    assert_int_equal(nl_send(fd, &b, NULL), 0);
}

static void count_visit(unsigned type, struct str payload, void *user) {
    (void)type;
    size_t *bytes = user;
    for (size_t i = 0; i < payload.n; i++) *bytes += payload.p[i] == 'x';
}

static void attributes_with_lying_lengths_are_not_read_past_the_message(void **state) {
    (void)state;
    for (unsigned lie = 0; lie < 200; lie++) {
        AUTO_FREE char *memory = xmalloc(sizeof(struct nlmsghdr) + 16);
        struct nlmsghdr *m = (void *)memory;
        struct nlattr *a = (void *)(memory + sizeof *m);
        m->nlmsg_len = sizeof *m + 16;
        a->nla_len = (uint16_t)lie;
        memset(a + 1, 'x', 12);
        size_t seen = 0;
        nl_attributes(m, 0, count_visit, &seen);
        assert_true(seen <= 12);
        nl_attributes(m, 4000, count_visit, &seen);
        nl_nested(str_make((char *)a, 16), count_visit, &seen);
    }
}

static void what_is_no_netlink_socket_is_an_error(void **state) {
    (void)state;
    uint64_t memory[64];
    struct nl_batch b;
    AUTO_CLOSE int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(nl_prepare(fd), -ENOTSOCK);
    nl_batch_init(&b, memory, sizeof memory);
    (void)nl_message(&b, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
    assert_int_equal(nl_send(fd, &b, NULL), -ENOTSOCK);
    assert_true(nl_open(12345) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_that_overflows_is_refused_when_sent),
        cmocka_unit_test(an_attribute_over_64_kib_is_refused),
        cmocka_unit_test(the_first_refused_message_is_named_with_the_kernels_words),
        cmocka_unit_test(answers_to_others_are_not_taken),
        cmocka_unit_test(attributes_with_lying_lengths_are_not_read_past_the_message),
        cmocka_unit_test(what_is_no_netlink_socket_is_an_error),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
