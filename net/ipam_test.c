/* SPDX-License-Identifier: Apache-2.0 — ipam_test.c: the pool, its files, and what breaks them. */
#include "net/ipam.h"
#include "net/testbed.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

struct folder {
    char *root, *path;
    struct ipam *pool;
};

static struct ipam *open_pool(const char *path, struct str cidr4, struct err *e) {
    struct ipam_options o = {.folder = path};
    assert_int_equal(cidr_parse(cidr4, &o.cidr4), 0);
    assert_int_equal(cidr_parse(STR("fd00:1::/64"), &o.cidr6), 0);
    return ipam_open(&o, e);
}

static int open_folder(void **state) {
    struct folder *f = xnew(struct folder);
    struct err e = {0};
    f->root = testbed_root();
    f->path = xasprintf("%s/pods", f->root);
    f->pool = open_pool(f->path, STR("10.1.0.0/24"), &e);
    assert_non_null(f->pool);
    *state = f;
    return 0;
}

static int close_folder(void **state) {
    struct folder *f = *state;
    ipam_close(f->pool);
    testbed_remove(f->root);
    free(f->path);
    free(f);
    return 0;
}

static void reopen(struct folder *f) {
    struct err e = {0};
    ipam_close(f->pool);
    f->pool = open_pool(f->path, STR("10.1.0.0/24"), &e);
    assert_non_null(f->pool);
}

static int claim(struct folder *f, const char *id, struct err *e) {
    const struct pod_record *r;
    if (ipam_claim(f->pool, str_of(id), &(struct pod_ports){NULL, 0}, &r, e) < 0) return -1;
    int last = r->ip4.bytes[3];
    ipam_settle(f->pool, r);
    return last;
}

static int give_back(struct folder *f, const char *id) {
    struct err e = {0};
    const struct pod_record *r = ipam_hold(f->pool, str_of(id));
    return r ? ipam_return(f->pool, r, &e) : 1;
}

static void put_file(const struct folder *f, const char *name, const char *text) {
    AUTO_FREE char *path = xasprintf("%s/%s", f->path, name);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static bool has_file(const struct folder *f, const char *name) {
    AUTO_FREE char *path = xasprintf("%s/%s", f->path, name);
    return access(path, F_OK) == 0;
}

static void addresses_go_round_and_are_the_same_after_reopening(void **state) {
    struct folder *f = *state;
    struct err e = {0};
    assert_int_equal(claim(f, "a", &e), 2);
    assert_int_equal(claim(f, "b", &e), 3);
    assert_int_equal(claim(f, "a", &e), 2);
    assert_int_equal(give_back(f, "a"), 0);
    assert_int_equal(give_back(f, "a"), 1);
    assert_int_equal(claim(f, "c", &e), 4);
    reopen(f);
    assert_int_equal(claim(f, "b", &e), 3);
    assert_int_equal(claim(f, "c", &e), 4);
    assert_int_equal(claim(f, "d", &e), 5);
    for (int last = 6; last < 255; last++) {
        AUTO_FREE char *id = xasprintf("p%d", last);
        assert_int_equal(claim(f, id, &e), last);
    }
    assert_int_equal(claim(f, "e", &e), 2);
    assert_int_equal(claim(f, "f", &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void a_record_file_is_the_golden_text(void **state) {
    struct folder *f = *state;
    struct err e = {0};
    const struct pod_record *r;
    struct pod_port port = {PORT_TCP, 8080, 80, {.family = IP_NONE}};
    assert_int_equal(ipam_claim(f->pool, STR("a"), &(struct pod_ports){&port, 1}, &r, &e), 0);
    ipam_settle(f->pool, r);
    AUTO_FREE char *path = xasprintf("%s/a", f->path);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[512];
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, "gridlet-pod-network 1\npod a\nip4 10.1.0.2\nip6 fd00:1::2\n"
                              "port tcp 8080 80 *\nend\n");
}

static void leftovers_of_interrupted_writes_are_removed(void **state) {
    struct folder *f = *state;
    struct err e = {0};
    put_file(f, ".half", "gridlet-pod-net");
    reopen(f);
    assert_false(has_file(f, ".half"));
    assert_int_equal(claim(f, "a", &e), 2);
}

static void what_cannot_be_read_is_set_aside_and_counted(void **state) {
    struct folder *f = *state;
    struct err e = {0};
    const char *first;
    put_file(f, "empty", "");
    put_file(f, "stranger", "gridlet-pod-network 1\npod other\nip4 10.1.0.9\nend\n");
    put_file(f, "twin1", "gridlet-pod-network 1\npod twin1\nip4 10.1.0.7\nend\n");
    put_file(f, "twin2", "gridlet-pod-network 1\npod twin2\nip4 10.1.0.7\nend\n");
    AUTO_FREE char *link = xasprintf("%s/link", f->path);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    AUTO_FREE char *fifo = xasprintf("%s/fifo", f->path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    reopen(f);
    assert_int_equal(ipam_corrupt(f->pool, &first), 5);
    assert_true(strlen(first) > 0);
    assert_true(has_file(f, "corrupt/empty"));
    assert_true(has_file(f, "twin1") != has_file(f, "twin2"));
    assert_int_equal(claim(f, "a", &e), 8);
    reopen(f);
    assert_int_equal(ipam_corrupt(f->pool, &first), 0);
}

static void a_record_that_cannot_be_written_is_not_claimed(void **state) {
    struct folder *f = *state;
    struct err e = {0};
    /* Writing past the limit of this process fails with EFBIG, as a full disk would with ENOSPC. */
    struct rlimit old, none = {0, 0};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    none.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int r = claim(f, "a", &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(r, -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_null(ipam_hold(f->pool, STR("a")));
    assert_false(has_file(f, "a"));
    assert_false(has_file(f, ".a"));
    assert_int_equal(claim(f, "a", &e), 3);
}

static void a_record_that_cannot_be_removed_stays_held(void **state) {
    struct folder *f = *state;
    struct err e = {0};
    assert_int_equal(claim(f, "a", &e), 2);
    const struct pod_record *r = ipam_hold(f->pool, STR("a"));
    AUTO_FREE char *path = xasprintf("%s/a", f->path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* unlink of a folder fails */
    assert_int_equal(ipam_return(f->pool, r, &e), -1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(ipam_return(f->pool, r, &e), 0); /* absent: removed already */
    assert_int_equal(give_back(f, "a"), 1);
}

static void unusable_ids_and_ranges_are_invalid(void **state) {
    struct folder *f = *state;
    static const char *const ids[] = {"", "..", "a/b", "corrupt"};
    for (size_t i = 0; i < COUNT(ids); i++) {
        struct err e = {0};
        assert_int_equal(claim(f, ids[i], &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    static const char *const ranges[] = {"10.0.0.0/7", "10.0.0.0/31"};
    for (size_t i = 0; i < COUNT(ranges); i++) {
        struct err e = {0};
        struct cidr c6 = {.base.family = IP_NONE};
        struct cidr c4 = {.base = {.family = IP_V4, .bytes = {10}}, .prefix_bits = i ? 31 : 7};
        assert_int_equal(ipam_check_ranges(&c4, &c6, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

static void the_pool_has_a_limit_of_pods(void **state) {
    struct folder *f = *state;
    struct err e = {0};
    ipam_close(f->pool);
    f->pool = open_pool(f->path, STR("10.0.0.0/8"), &e);
    assert_non_null(f->pool);
    for (int i = 0; i < IPAM_PODS_MAX; i++) {
        AUTO_FREE char *id = xasprintf("pod%d", i);
        assert_true(claim(f, id, &e) >= 0);
    }
    assert_int_equal(claim(f, "more", &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

/* ---- holding ---- */

static void *hold_a(void *user) {
    struct folder *f = user;
    const struct pod_record *r = ipam_hold(f->pool, STR("a"));
    if (r) ipam_settle(f->pool, r);
    return (void *)(uintptr_t)r;
}

static void others_wait_for_the_holder_and_see_what_it_did(void **state) {
    struct folder *f = *state;
    struct err e = {0};
    pthread_t thread;
    void *seen = f;
    assert_int_equal(claim(f, "a", &e), 2);
    const struct pod_record *r = ipam_hold(f->pool, STR("a"));
    assert_int_equal(pthread_create(&thread, NULL, hold_a, f), 0);
    assert_int_equal(ipam_return(f->pool, r, &e), 0);
    assert_int_equal(pthread_join(thread, &seen), 0);
    assert_null(seen);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, open_folder, close_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(addresses_go_round_and_are_the_same_after_reopening),
        WITH_FOLDER(a_record_file_is_the_golden_text),
        WITH_FOLDER(leftovers_of_interrupted_writes_are_removed),
        WITH_FOLDER(what_cannot_be_read_is_set_aside_and_counted),
        WITH_FOLDER(a_record_that_cannot_be_written_is_not_claimed),
        WITH_FOLDER(a_record_that_cannot_be_removed_stays_held),
        WITH_FOLDER(unusable_ids_and_ranges_are_invalid),
        WITH_FOLDER(the_pool_has_a_limit_of_pods),
        WITH_FOLDER(others_wait_for_the_holder_and_see_what_it_did),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
