/* SPDX-License-Identifier: Apache-2.0 — nft_test.c: running nft, and transactions of elements. */
#include "net/hostport.h"
#include "net/nft.h"
#include "net/ruleset.h"
#include "net/testbed.h"

#define TABLE "glnft"

static int load(void **state) {
    struct cidr c4, c6;
    struct err e = {0};
    AUTO(buf_done) struct buf text = BUF(RULESET_BYTES_MAX);
    assert_int_equal(cidr_parse(STR("10.1.0.0/16"), &c4), 0);
    assert_int_equal(cidr_parse(STR("fd00::/64"), &c6), 0);
    struct ruleset_options o = {TABLE, "br-0.x_y", &c4, &c6, true};
    assert_int_equal(ruleset_print(&o, &text), 0);
    int r = nft_run(buf_view(&text), &e);
    if (r < 0) print_error("%s\n", e.msg);
    assert_int_equal(r, 0);
    struct nft_table *t = xnew(struct nft_table);
    *t = (struct nft_table){nl_open(NETLINK_NETFILTER), TABLE};
    *state = t;
    return 0;
}

static int unload(void **state) {
    struct err e = {0};
    const struct nft_table *t = *state;
    assert_int_equal(nft_delete_table(t, &e), 0);
    assert_int_equal(nft_delete_table(t, &e), 0);
    assert_int_equal(nft_has_table(t, &e), 0);
    (void)close(t->nf);
    free(*state);
    return 0;
}

static struct nft_element element(uint16_t port, uint8_t last) {
    struct pod_port p = {PORT_TCP, port, 80, {.family = IP_NONE}};
    struct pod_record r = {
        .ip4 = {.family = IP_V4, .bytes = {10, 1, 0, last}}, .ports = &p, .port_count = 1};
    struct nft_element out[HOSTPORT_ELEMENTS_MAX];
    assert_int_equal(hostport_elements(&r, out), 1);
    return out[0];
}

/* nft itself is asked: it fails when the element is not there. */
static bool holds(const char *text) {
    struct err e = {0};
    AUTO_FREE char *command = xasprintf("get element inet " TABLE " host_ports4 { %s }\n", text);
    return nft_run(str_of(command), &e) == 0;
}

static void elements_are_what_nft_itself_would_write(void **state) {
    const struct nft_table *t = *state;
    struct err e = {0};
    struct nft_element a = element(8080, 7);
    assert_false(holds("tcp . 8080"));
    assert_int_equal(nft_change(t, NFT_ADD, &a, 1, &e), 0);
    assert_true(holds("tcp . 8080 : 10.1.0.7 . 80"));
    assert_int_equal(nft_change(t, NFT_ADD, &a, 1, &e), 0); /* again */
    a = element(8080, 8);
    assert_int_equal(nft_change(t, NFT_ADD, &a, 1, &e), 0); /* another value */
    assert_true(holds("tcp . 8080 : 10.1.0.8 . 80"));
    assert_int_equal(nft_change(t, NFT_REMOVE, &a, 1, &e), 0);
    assert_false(holds("tcp . 8080"));
    assert_int_equal(nft_change(t, NFT_REMOVE, &a, 1, &e), 0); /* again */
}

static void a_batch_with_one_absent_element_removes_the_others(void **state) {
    const struct nft_table *t = *state;
    struct err e = {0};
    struct nft_element all[] = {element(1, 7), element(2, 7), element(3, 7)};
    assert_int_equal(nft_change(t, NFT_ADD, all, 1, &e), 0);
    assert_int_equal(nft_change(t, NFT_ADD, all + 2, 1, &e), 0);
    assert_int_equal(nft_change(t, NFT_REMOVE, all, 3, &e), 0);
    for (int i = 1; i <= 3; i++) {
        AUTO_FREE char *text = xasprintf("tcp . %d", i);
        assert_false(holds(text));
    }
}

static void more_elements_than_a_transaction_holds_are_replaced(void **state) {
    const struct nft_table *t = *state;
    struct err e = {0};
    size_t count = NFT_ELEMENTS_MAX * 2 + 7;
    AUTO_FREE struct nft_element *all = xmalloc(count * sizeof *all);
    for (size_t i = 0; i < count; i++) all[i] = element((uint16_t)(i + 1), 7);
    struct nft_element stale = element(60000, 9);
    assert_int_equal(nft_change(t, NFT_ADD, &stale, 1, &e), 0);
    assert_int_equal(nft_replace_all(t, hostport_maps, all, count, &e), 0);
    assert_false(holds("tcp . 60000"));
    assert_true(holds("tcp . 1"));
    AUTO_FREE char *last = xasprintf("tcp . %zu", count);
    assert_true(holds(last));
    assert_int_equal(nft_change(t, NFT_REMOVE, all, count, &e), 0);
    assert_false(holds(last));
    assert_int_equal(nft_replace_all(t, hostport_maps, NULL, 0, &e), 0);
}

static void the_largest_elements_fill_a_transaction(void **state) {
    const struct nft_table *t = *state;
    struct err e = {0};
    AUTO_FREE struct nft_element *all = xmalloc(NFT_ELEMENTS_MAX * sizeof *all);
    for (size_t i = 0; i < NFT_ELEMENTS_MAX; i++) {
        struct pod_port p = {PORT_UDP, (uint16_t)(i + 1), 53, {.family = IP_V6, .bytes = {0x20}}};
        struct pod_record r = {.ip4 = {.family = IP_V4},
                               .ip6 = {.family = IP_V6, .bytes = {0xfd}},
                               .ports = &p,
                               .port_count = 1};
        struct nft_element out[HOSTPORT_ELEMENTS_MAX];
        assert_int_equal(hostport_elements(&r, out), 1);
        assert_int_equal(out[0].key_bytes, sizeof out[0].key);
        assert_int_equal(out[0].value_bytes, sizeof out[0].value);
        all[i] = out[0];
    }
    assert_int_equal(nft_change(t, NFT_ADD, all, NFT_ELEMENTS_MAX, &e), 0);
    assert_int_equal(nft_change(t, NFT_REMOVE, all, NFT_ELEMENTS_MAX, &e), 0);
}

static void an_absent_table_is_named(void **state) {
    const struct nft_table *t = *state;
    struct err e = {0};
    struct nft_table nosuch = {t->nf, "nosuch"};
    struct nft_element a = element(1, 7);
    assert_int_equal(nft_change(&nosuch, NFT_ADD, &a, 1, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "nosuch"));
    assert_int_equal(nft_change(&nosuch, NFT_REMOVE, &a, 1, &e), 0);
    assert_int_equal(nft_replace_all(&nosuch, hostport_maps, &a, 1, &e), -1);
    assert_int_equal(nft_has_table(t, &e), 1);
}

static void a_wrong_ruleset_changes_nothing_and_gives_nfts_complaint(void **state) {
    const struct nft_table *t = *state;
    struct err e = {0};
    struct nft_table bad = {t->nf, "glbad"};
    assert_int_equal(nft_run(STR("add table inet glbad\nadd rule inet glbad nochain drop\n"), &e),
                     -1);
    assert_int_equal(e.kind, ERR_IO);
    assert_non_null(strstr(e.msg, "Error"));
    assert_int_equal(nft_has_table(&bad, &e), 0);
}

static void loading_again_keeps_the_elements(void **state) {
    const struct nft_table *t = *state;
    struct err e = {0};
    void *second = NULL;
    struct nft_element a = element(8080, 7);
    assert_int_equal(nft_change(t, NFT_ADD, &a, 1, &e), 0);
    assert_int_equal(load(&second), 0);
    assert_true(holds("tcp . 8080 : 10.1.0.7 . 80"));
    (void)close(((struct nft_table *)second)->nf);
    free(second);
}

#define LOADED(test) cmocka_unit_test_setup_teardown(test, load, unload)

int main(void) {
    const struct CMUnitTest tests[] = {
        LOADED(elements_are_what_nft_itself_would_write),
        LOADED(a_batch_with_one_absent_element_removes_the_others),
        LOADED(more_elements_than_a_transaction_holds_are_replaced),
        LOADED(the_largest_elements_fill_a_transaction),
        LOADED(an_absent_table_is_named),
        LOADED(a_wrong_ruleset_changes_nothing_and_gives_nfts_complaint),
        LOADED(loading_again_keeps_the_elements),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
