/* SPDX-License-Identifier: Apache-2.0 — record_test.c: the text of a pod's network record. */
#include "net/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char golden[] = "gridlet-pod-network 1\n"
                             "pod 0123456789abcdef\n"
                             "ip4 10.88.0.2\n"
                             "ip6 fd00:88::2\n"
                             "port tcp 8080 80 *\n"
                             "port udp 53 5353 192.0.2.1\n"
                             "port sctp 9 10 ::\n"
                             "end\n";

static void a_record_is_written_as_it_was_read(void **state) {
    (void)state;
    struct err e = {0};
    AUTO(pod_record_done) struct pod_record r = {.port_count = 0};
    AUTO(buf_done) struct buf out = BUF(RECORD_BYTES_MAX);
    assert_int_equal(pod_record_parse(str_of(golden), &r, &e), 0);
    assert_int_equal(r.port_count, 3);
    assert_int_equal(r.ports[1].protocol, PORT_UDP);
    assert_int_equal(r.ports[1].container_port, 5353);
    assert_int_equal(pod_record_print(&r, &out), 0);
    assert_string_equal(buf_c(&out), golden);
}

static void every_cut_record_is_corrupt(void **state) {
    (void)state;
    for (size_t n = 0; n + 1 < sizeof golden; n++) {
        struct err e = {0};
        struct pod_record r;
        assert_int_equal(pod_record_parse(str_make(golden, n), &r, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

static void wrong_lines_are_corrupt_and_named(void **state) {
    (void)state;
    static const char *const bad[] = {
        "gridlet-pod-network 2\npod a\nip4 1.2.3.4\nend\n",
        "gridlet-pod-network 1\npod a\nend\n",
        "gridlet-pod-network 1\nip4 1.2.3.4\nend\n",
        "gridlet-pod-network 1\npod ../a\nip4 1.2.3.4\nend\n",
        "gridlet-pod-network 1\npod a\npod b\nip4 1.2.3.4\nend\n",
        "gridlet-pod-network 1\npod a\nip4 ::1\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\nip4 1.2.3.5\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\nport tcp 0 80 *\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\nport tcp 65536 80 *\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\nport icmp 1 80 *\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\nport tcp 1 80\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\nport tcp 1 80 host\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\nfoo bar\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\n\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\nend\nend\n",
        "gridlet-pod-network 1\npod a\nip4 1.2.3.4\nend",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = {0};
        struct pod_record r;
        assert_int_equal(pod_record_parse(str_of(bad[i]), &r, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
        assert_non_null(strstr(e.msg, "network record"));
    }
}

static void a_record_holds_the_most_ports_and_not_one_more(void **state) {
    (void)state;
    for (int ports = POD_PORTS_MAX; ports <= POD_PORTS_MAX + 1; ports++) {
        struct err e = {0};
        AUTO(buf_done) struct buf text = BUF(RECORD_BYTES_MAX);
        AUTO(buf_done) struct buf again = BUF(RECORD_BYTES_MAX);
        AUTO(pod_record_done) struct pod_record r = {.port_count = 0};
        assert_int_equal(
            buf_fmt(&text, "gridlet-pod-network 1\npod %064d\nip4 255.255.255.255\n", 1), 0);
        for (int i = 0; i < ports; i++)
            assert_int_equal(buf_fmt(&text,
                                     "port sctp %d 65535 1111:2222:3333:4444:5555:6666:7777:8888\n",
                                     65535 - i),
                             0);
        assert_int_equal(buf_str(&text, STR("end\n")), 0);
        int wanted = ports > POD_PORTS_MAX ? -1 : 0;
        assert_int_equal(pod_record_parse(buf_view(&text), &r, &e), wanted);
        if (wanted == 0) {
            assert_int_equal(pod_record_print(&r, &again), 0);
            assert_string_equal(buf_c(&text), buf_c(&again));
        }
    }
}

static void a_text_over_the_limit_is_corrupt(void **state) {
    (void)state;
    struct err e = {0};
    struct pod_record r;
    AUTO_FREE char *text = xmalloc(RECORD_BYTES_MAX + 1);
    memset(text, '\n', RECORD_BYTES_MAX + 1);
    assert_int_equal(pod_record_parse(str_make(text, RECORD_BYTES_MAX + 1), &r, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
}

static void pod_ids_are_safe_file_names(void **state) {
    (void)state;
    assert_true(pod_id_valid(STR("a")));
    assert_true(pod_id_valid(STR("A-b_c.9")));
    assert_false(pod_id_valid(STR("")));
    assert_false(pod_id_valid(STR(".a")));
    assert_false(pod_id_valid(STR("a/b")));
    assert_false(pod_id_valid(STR("a b")));
    char id[POD_ID_BYTES_MAX + 1];
    memset(id, 'a', sizeof id);
    assert_true(pod_id_valid(str_make(id, POD_ID_BYTES_MAX)));
    assert_false(pod_id_valid(str_make(id, POD_ID_BYTES_MAX + 1)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_written_as_it_was_read),
        cmocka_unit_test(every_cut_record_is_corrupt),
        cmocka_unit_test(wrong_lines_are_corrupt_and_named),
        cmocka_unit_test(a_record_holds_the_most_ports_and_not_one_more),
        cmocka_unit_test(a_text_over_the_limit_is_corrupt),
        cmocka_unit_test(pod_ids_are_safe_file_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
