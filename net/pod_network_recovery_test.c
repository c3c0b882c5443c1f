/* SPDX-License-Identifier: Apache-2.0 — pod_network_recovery_test.c: what interrupted attempts,
 * restarts, a full range and many pods at once leave behind: nothing. */
#include "net/ipam.h"
#include "net/nft.h"
#include "net/pod_network.h"
#include "net/testbed.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define BRIDGE "glrec0"
#define TABLE  "glrec"

struct node {
    char *root;
    struct pod_network *n;
};

static struct pod_network *open_network(const char *root, const char *cidr4) {
    struct pod_network_options o = {.root = root,
                                    .bridge = BRIDGE,
                                    .nft_table = TABLE,
                                    .cidr4 = str_of(cidr4),
                                    .cidr6 = STR("fd00:98::/64")};
    struct err e = {0};
    struct pod_network *n = pod_network_open(&o, &e);
    if (!n) print_error("%s\n", e.msg);
    assert_non_null(n);
    return n;
}

static int open_node(void **state) {
    struct node *node = xnew(struct node);
    node->root = testbed_root();
    node->n = open_network(node->root, "10.98.0.0/16");
    *state = node;
    return 0;
}

static void reopen(struct node *node, const char *cidr4) {
    pod_network_close(node->n);
    node->n = open_network(node->root, cidr4);
}

static size_t count_records(const char *root) {
    AUTO_FREE char *path = xasprintf("%s/network/pods", root);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t n = 0;
    for (struct dirent *d; (d = readdir(dir));)
        if (d->d_name[0] != '.' && strcmp(d->d_name, "corrupt") != 0) n++;
    (void)closedir(dir);
    return n;
}

static size_t count_links(void) {
    AUTO_CLOSE int rt = nl_open(NETLINK_ROUTE);
    AUTO(link_list_done) struct link_list links = {.names = NULL};
    struct err e = {0};
    uint32_t index;
    assert_int_equal(link_index(rt, BRIDGE, &index, &e), 0);
    assert_int_equal(link_ports(rt, index, &links, &e), 0);
    return links.count;
}

static int setup(struct node *node, const char *id, const struct testbed_ns *ns,
                 const struct port_mapping *port, struct pod_addresses *out) {
    struct err e = {0};
    struct pod_network_request request = {ns->net, ns->nl, port, port ? 1 : 0};
    int r = pod_network_setup(node->n, str_of(id), &request, out, &e);
    if (r < 0) print_message("%s\n", e.msg);
    return r < 0 ? -(int)e.kind : 0;
}

static int close_node(void **state) {
    struct node *node = *state;
    struct err e = {0};
    assert_int_equal(pod_network_sweep(node->n, NULL, 0, &e), 0);
    assert_int_equal(count_records(node->root), 0);
    assert_int_equal(count_links(), 0);
    assert_int_equal(pod_network_destroy(node->n, &e), 0);
    AUTO_CLOSE int nf = nl_open(NETLINK_NETFILTER);
    assert_int_equal(nft_has_table(&(struct nft_table){nf, TABLE}, &e), 0);
    pod_network_close(node->n);
    testbed_remove(node->root);
    free(node);
    return 0;
}

static const struct port_mapping web = {
    .protocol = PORT_TCP, .host_port = 8080, .container_port = 80, .host_ip = STR("")};

static bool web_answers(const struct testbed_ns *ns) {
    AUTO_CLOSE int listener = testbed_socket(ns->net, SOCK_STREAM, "0.0.0.0", 80);
    return testbed_tcp(testbed_node, "127.0.0.1", 8080, listener)[0] != '\0';
}

static void a_repeated_setup_gives_the_same_and_works(void **state) {
    struct node *node = *state;
    struct testbed_ns ns = testbed_ns_new();
    struct pod_addresses first, second;
    assert_int_equal(setup(node, "pod1", &ns, &web, &first), 0);
    assert_int_equal(setup(node, "pod1", &ns, &web, &second), 0);
    assert_string_equal(first.ip4, second.ip4);
    assert_int_equal(count_links(), 1);
    assert_int_equal(count_records(node->root), 1);
    assert_true(web_answers(&ns));
    /* With other ports: the old ones are gone. */
    assert_int_equal(setup(node, "pod1", &ns, NULL, &second), 0);
    assert_false(web_answers(&ns));
    assert_int_equal(count_records(node->root), 1);
    testbed_ns_close(&ns);
}

static void a_link_of_a_half_made_attempt_is_replaced(void **state) {
    struct node *node = *state;
    struct testbed_ns old = testbed_ns_new();
    struct testbed_ns ns = testbed_ns_new();
    struct pod_addresses out;
    struct err e = {0};
    AUTO_CLOSE int rt = nl_open(NETLINK_ROUTE);
    struct link_veth veth = {.host_name = "gl0123456789a", .netns_fd = old.net, .mtu = 1500};
    assert_int_equal(link_index(rt, BRIDGE, &veth.bridge_index, &e), 0);
    assert_int_equal(link_veth_create(rt, &veth, &e), 0);
    assert_int_equal(setup(node, "0123456789abcdef", &ns, &web, &out), 0);
    assert_true(web_answers(&ns));
    assert_int_equal(count_links(), 1);
    testbed_ns_close(&old);
    testbed_ns_close(&ns);
}

static void a_namespace_with_another_eth0_is_an_error_that_leaves_nothing(void **state) {
    struct node *node = *state;
    struct testbed_ns ns = testbed_ns_new();
    struct pod_addresses out;
    struct err e = {0};
    AUTO_CLOSE int rt = nl_open(NETLINK_ROUTE);
    struct link_veth veth = {.host_name = "stranger", .netns_fd = ns.net, .mtu = 1500};
    assert_int_equal(link_index(rt, BRIDGE, &veth.bridge_index, &e), 0);
    assert_int_equal(link_veth_create(rt, &veth, &e), 0);
    assert_int_equal(setup(node, "pod1", &ns, &web, &out), -ERR_EXISTS);
    assert_int_equal(count_records(node->root), 0);
    assert_int_equal(pod_network_find(node->n, STR("pod1"), &out, &e), -1);
    /* Somebody else's port of the bridge is left alone by the sweep. */
    assert_int_equal(pod_network_sweep(node->n, NULL, 0, &e), 0);
    assert_int_equal(count_links(), 1);
    assert_int_equal(link_delete(rt, "stranger", &e), 0);
    testbed_ns_close(&ns);
}

static void a_descriptor_that_is_no_namespace_is_an_error_that_leaves_nothing(void **state) {
    struct node *node = *state;
    struct testbed_ns wrong = {.net = open("/dev/null", O_RDONLY | O_CLOEXEC), .nl = -1};
    struct pod_addresses out;
    assert_true(setup(node, "pod1", &wrong, &web, &out) < 0);
    assert_int_equal(count_records(node->root), 0);
    /* The link is made, the pod's own socket does not work. */
    struct testbed_ns deaf = testbed_ns_new();
    (void)close(deaf.nl);
    deaf.nl = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(setup(node, "pod2", &deaf, &web, &out) < 0);
    assert_int_equal(count_records(node->root), 0);
    testbed_ns_close(&wrong);
    testbed_ns_close(&deaf);
}

static void a_restarted_daemon_keeps_ports_and_addresses(void **state) {
    struct node *node = *state;
    struct testbed_ns ns = testbed_ns_new();
    struct testbed_ns other = testbed_ns_new();
    struct pod_addresses before, after;
    struct err e = {0};
    assert_int_equal(setup(node, "pod1", &ns, &web, &before), 0);
    reopen(node, "10.98.0.0/16");
    assert_true(web_answers(&ns)); /* before the sweep already */
    assert_int_equal(pod_network_find(node->n, STR("pod1"), &after, &e), 0);
    assert_string_equal(before.ip4, after.ip4);
    struct str known[] = {STR("pod1")};
    assert_int_equal(pod_network_sweep(node->n, known, 1, &e), 0);
    assert_true(web_answers(&ns));
    assert_int_equal(setup(node, "pod2", &other, &web, &after), -ERR_BUSY);
    assert_int_equal(setup(node, "pod2", &other, NULL, &after), 0);
    assert_string_not_equal(before.ip4, after.ip4);
    testbed_ns_close(&ns);
    testbed_ns_close(&other);
}

static void the_sweep_gives_back_what_unknown_pods_hold(void **state) {
    struct node *node = *state;
    struct testbed_ns one = testbed_ns_new();
    struct testbed_ns two = testbed_ns_new();
    struct pod_addresses out;
    struct err e = {0};
    assert_int_equal(setup(node, "pod1", &one, &web, &out), 0);
    assert_int_equal(setup(node, "pod2", &two, NULL, &out), 0);
    reopen(node, "10.98.0.0/16");
    struct str known[] = {STR("pod2")};
    assert_int_equal(pod_network_sweep(node->n, known, 1, &e), 0);
    assert_int_equal(count_records(node->root), 1);
    assert_int_equal(count_links(), 1); /* though pod1's namespace is still there */
    assert_int_equal(pod_network_find(node->n, STR("pod1"), &out, &e), -1);
    assert_int_equal(setup(node, "pod3", &one, &web, &out), 0);
    testbed_ns_close(&one);
    testbed_ns_close(&two);
}

enum { KILLS = 24 };

/* Sets up and releases for ever, telling about each step. */
static void live_until_killed(struct node *node, const struct testbed_ns *ns, int tell) {
    struct pod_network_request request = {ns->net, ns->nl, &web, 1};
    for (;;) {
        struct pod_addresses out;
        struct err e = {0};
        char byte = 'x';
        if (pod_network_setup(node->n, STR("pod1"), &request, &out, &e) < 0) byte = '!';
        if (write(tell, &byte, 1) != 1) _exit(1);
        if (pod_network_release(node->n, STR("pod1"), &e) < 0) byte = '!';
        if (write(tell, &byte, 1) != 1) _exit(1);
    }
}

static void a_daemon_killed_at_any_moment_leaves_nothing_behind_the_sweep(void **state) {
    struct node *node = *state;
    for (int i = 0; i < KILLS; i++) {
        int tell[2];
        struct err e = {0};
        struct testbed_ns ns = testbed_ns_new();
        assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) live_until_killed(node, &ns, tell[1]);
        for (int steps = 0; steps <= i % 5; steps++) {
            char byte = 0;
            assert_int_equal(read(tell[0], &byte, 1), 1);
            assert_int_equal(byte, 'x');
        }
        /* Some work more for the child, so that the kill falls into the middle of it. */
        for (volatile int spin = 0; spin < i * 20000;) spin = spin + 1;
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        (void)close(tell[0]);
        (void)close(tell[1]);
        reopen(node, "10.98.0.0/16");
        /* Either the pod is known and set up again, or it is swept. */
        struct str known = STR("pod1");
        struct pod_addresses out;
        assert_int_equal(pod_network_sweep(node->n, &known, (size_t)(i % 2), &e), 0);
        assert_int_equal(setup(node, "pod1", &ns, &web, &out), 0);
        assert_true(web_answers(&ns));
        assert_int_equal(count_links(), 1);
        assert_int_equal(count_records(node->root), 1);
        assert_int_equal(pod_network_sweep(node->n, NULL, 0, &e), 0);
        assert_int_equal(count_links(), 0);
        assert_int_equal(count_records(node->root), 0);
        assert_false(web_answers(&ns));
        testbed_ns_close(&ns);
    }
}

static void after_a_reboot_records_without_links_are_given_back(void **state) {
    struct node *node = *state;
    struct testbed_ns ns = testbed_ns_new();
    struct pod_addresses out;
    struct err e = {0};
    assert_int_equal(setup(node, "pod1", &ns, &web, &out), 0);
    testbed_ns_close(&ns);
    /* The kernel's side is empty. */
    assert_int_equal(pod_network_destroy(node->n, &e), 0);
    reopen(node, "10.98.0.0/16");
    assert_int_equal(pod_network_sweep(node->n, NULL, 0, &e), 0);
    assert_int_equal(count_records(node->root), 0);
    assert_int_equal(pod_network_release(node->n, STR("pod1"), &e), 0);
}

static void flushed_tables_are_healed_by_the_next_setup_and_releases_pass(void **state) {
    struct node *node = *state;
    struct testbed_ns one = testbed_ns_new();
    struct testbed_ns two = testbed_ns_new();
    struct pod_addresses out;
    struct err e = {0};
    assert_int_equal(setup(node, "pod1", &one, &web, &out), 0);
    AUTO_CLOSE int nf = nl_open(NETLINK_NETFILTER);
    assert_int_equal(nft_delete_table(&(struct nft_table){nf, TABLE}, &e), 0);
    assert_false(web_answers(&one));
    assert_int_equal(setup(node, "pod2", &two, NULL, &out), 0);
    assert_true(web_answers(&one));
    assert_int_equal(nft_delete_table(&(struct nft_table){nf, TABLE}, &e), 0);
    assert_int_equal(pod_network_release(node->n, STR("pod1"), &e), 0);
    assert_int_equal(setup(node, "pod2", &two, NULL, &out), 0);
    testbed_ns_close(&one);
    testbed_ns_close(&two);
}

static void a_stale_map_element_is_replaced(void **state) {
    struct node *node = *state;
    struct testbed_ns ns = testbed_ns_new();
    struct pod_addresses out;
    struct err e = {0};
    assert_int_equal(
        nft_run(STR("add element inet " TABLE " host_ports4 { tcp . 8080 : 10.98.9.9 . 81 }\n"),
                &e),
        0);
    assert_int_equal(setup(node, "pod1", &ns, &web, &out), 0);
    assert_true(web_answers(&ns));
    testbed_ns_close(&ns);
}

static void a_full_range_is_a_limit_and_a_returned_address_is_given_again(void **state) {
    struct node *node = *state;
    reopen(node, "10.98.0.0/29");
    struct testbed_ns ns[6];
    struct pod_addresses out;
    struct err e = {0};
    for (int i = 0; i < 6; i++) {
        ns[i] = testbed_ns_new();
        AUTO_FREE char *id = xasprintf("pod%d", i);
        assert_int_equal(setup(node, id, &ns[i], NULL, &out), i < 5 ? 0 : -ERR_LIMIT);
    }
    assert_string_equal(out.ip4, "10.98.0.6");
    assert_int_equal(pod_network_release(node->n, STR("pod2"), &e), 0);
    assert_int_equal(setup(node, "pod5", &ns[5], NULL, &out), 0);
    assert_string_equal(out.ip4, "10.98.0.4");
    for (int i = 0; i < 6; i++) testbed_ns_close(&ns[i]);
}

static void pods_of_a_former_range_are_moved_when_set_up_again(void **state) {
    struct node *node = *state;
    struct testbed_ns ns = testbed_ns_new();
    struct pod_addresses out;
    assert_int_equal(setup(node, "pod1", &ns, &web, &out), 0);
    reopen(node, "10.97.0.0/16");
    assert_int_equal(setup(node, "pod1", &ns, &web, &out), 0);
    assert_string_equal(out.ip4, "10.97.0.2");
    assert_true(web_answers(&ns));
    testbed_ns_close(&ns);
}

static void a_corrupt_record_is_set_aside_and_reported(void **state) {
    struct node *node = *state;
    AUTO_FREE char *path = xasprintf("%s/network/pods/pod7", node->root);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "gridlet-pod-net", 15), 15);
    reopen(node, "10.98.0.0/16");
    struct pod_network_health health;
    pod_network_health(node->n, &health);
    assert_int_equal(health.corrupt_records, 1);
    assert_non_null(strstr(health.corrupt_first, "pod7"));
    assert_true(health.ip6);
    assert_int_equal(count_records(node->root), 0);
}

/* ---- many at once ---- */

enum { THREADS = 4, PODS_PER_THREAD = 25 };
struct crowd {
    struct node *node;
    struct testbed_ns ns[PODS_PER_THREAD];
    struct pod_addresses out[PODS_PER_THREAD];
    int number, failures;
    pthread_t thread;
};

static void *live(void *user) {
    struct crowd *c = user;
    for (int i = 0; i < PODS_PER_THREAD; i++) {
        char id[32];
        struct err e = {0};
        struct port_mapping port = {PORT_UDP, (uint16_t)(1000 + c->number * 100 + i), 53, STR("")};
        struct pod_network_request request = {c->ns[i].net, c->ns[i].nl, &port, 1};
        (void)snprintf(id, sizeof id, "pod-%d-%d", c->number, i);
        if (pod_network_setup(c->node->n, str_of(id), &request, &c->out[i], &e) < 0) c->failures++;
        if (i % 5 == 0 && pod_network_release(c->node->n, str_of(id), &e) < 0) c->failures++;
    }
    return NULL;
}

static void a_hundred_pods_at_once_get_a_hundred_addresses(void **state) {
    struct crowd *crowds = xmalloc(THREADS * sizeof *crowds);
    for (int t = 0; t < THREADS; t++) {
        crowds[t].node = *state;
        crowds[t].number = t;
        for (int i = 0; i < PODS_PER_THREAD; i++) crowds[t].ns[i] = testbed_ns_new();
    }
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&crowds[t].thread, NULL, live, &crowds[t]), 0);
    for (int t = 0; t < THREADS; t++) assert_int_equal(pthread_join(crowds[t].thread, NULL), 0);
    bool seen[65536] = {false};
    for (int k = 0; k < THREADS * PODS_PER_THREAD; k++) {
        struct crowd *c = &crowds[k / PODS_PER_THREAD];
        struct ip_addr ip;
        assert_int_equal(c->failures, 0);
        assert_int_equal(ip_parse(str_of(c->out[k % PODS_PER_THREAD].ip4), &ip), 0);
        assert_false(seen[ip.bytes[2] << 8 | ip.bytes[3]]);
        seen[ip.bytes[2] << 8 | ip.bytes[3]] = true;
        testbed_ns_close(&c->ns[k % PODS_PER_THREAD]);
    }
    assert_int_equal(count_records(crowds[0].node->root), THREADS * PODS_PER_THREAD * 4 / 5);
    free(crowds);
}

static void wrong_options_are_named_and_touch_nothing(void **state) {
    struct node *node = *state;
    const struct pod_network_options good = {
        .root = node->root, .bridge = "glbad0", .nft_table = "glbad", .cidr4 = STR("10.96.0.0/16")};
    struct pod_network_options bad[8];
    for (size_t i = 0; i < COUNT(bad); i++) bad[i] = good;
    bad[0].bridge = "sixteen-bytes-xx";
    bad[1].bridge = "a b";
    bad[2].nft_table = "x; flush ruleset";
    bad[3].cidr4 = STR("10.96.0.1/16");
    bad[4].cidr4 = STR("10.96.0.0/32");
    bad[5].cidr6 = STR("fd00::/120");
    bad[6].mtu = 100;
    bad[7].cidr4 = STR("fd00::/64");
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = {0};
        assert_null(pod_network_open(&bad[i], &e));
        assert_int_equal(e.kind, ERR_INVALID);
        assert_int_equal(if_nametoindex("glbad0"), 0);
    }
}

/* ---- several nodes ---- */

static struct pod_network *open_second(const char *root, const char *bridge, const char *cidr4,
                                       const char *cidr6, struct err *e) {
    struct pod_network_options o = {.root = root,
                                    .bridge = bridge,
                                    .nft_table = "glrec_second",
                                    .cidr4 = str_of(cidr4),
                                    .cidr6 = str_of(cidr6)};
    return pod_network_open(&o, e);
}

static void a_second_node_on_the_same_range_or_bridge_is_refused(void **state) {
    const struct node *node = *state;
    char *root = testbed_root();
    struct err e = {0};
    static const struct {
        const char *bridge, *cidr4, *cidr6, *text;
    } bad[] = {{"glsecond", "10.98.0.0/16", "", "another --pod-cidr ("},
               {"glsecond", "10.0.0.0/8", "", "another --pod-cidr ("},
               {"glsecond", "10.98.7.0/24", "", "another --pod-cidr ("},
               {"glsecond", "10.99.0.0/16", "fd00:98::/48", "another --pod-cidr6 ("},
               {BRIDGE, "10.99.0.0/16", "", "its own --bridge"}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint32_t index;
        struct err absent;
        AUTO_CLOSE int rt = nl_open(NETLINK_ROUTE);
        assert_null(open_second(root, bad[i].bridge, bad[i].cidr4, bad[i].cidr6, &e));
        assert_int_equal(e.kind, ERR_BUSY);
        if (!strstr(e.msg, bad[i].text) || !strstr(e.msg, node->root) || !strstr(e.msg, BRIDGE))
            fail_msg("%s", e.msg);
        assert_int_equal(link_index(rt, "glsecond", &index, &absent), -1);
    }
    struct pod_network *n = open_second(root, "glsecond", "10.99.0.0/16", "fd00:99::/64", &e);
    if (!n) fail_msg("%s", e.msg);
    assert_int_equal(pod_network_destroy(n, &e), 0);
    pod_network_close(n);
    testbed_remove(root);
}

#define ON_NODE(test) cmocka_unit_test_setup_teardown(test, open_node, close_node)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_NODE(a_repeated_setup_gives_the_same_and_works),
        ON_NODE(a_link_of_a_half_made_attempt_is_replaced),
        ON_NODE(a_namespace_with_another_eth0_is_an_error_that_leaves_nothing),
        ON_NODE(a_descriptor_that_is_no_namespace_is_an_error_that_leaves_nothing),
        ON_NODE(a_restarted_daemon_keeps_ports_and_addresses),
        ON_NODE(the_sweep_gives_back_what_unknown_pods_hold),
        ON_NODE(a_daemon_killed_at_any_moment_leaves_nothing_behind_the_sweep),
        ON_NODE(after_a_reboot_records_without_links_are_given_back),
        ON_NODE(flushed_tables_are_healed_by_the_next_setup_and_releases_pass),
        ON_NODE(a_stale_map_element_is_replaced),
        ON_NODE(a_full_range_is_a_limit_and_a_returned_address_is_given_again),
        ON_NODE(pods_of_a_former_range_are_moved_when_set_up_again),
        ON_NODE(a_corrupt_record_is_set_aside_and_reported),
        ON_NODE(a_second_node_on_the_same_range_or_bridge_is_refused),
        ON_NODE(a_hundred_pods_at_once_get_a_hundred_addresses),
        ON_NODE(wrong_options_are_named_and_touch_nothing),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
