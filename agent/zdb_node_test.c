/* SPDX-License-Identifier: Apache-2.0 — zdb_node_test.c: servers that fail to serve, played by
 * shell scripts, and the real one when it is built. */
#include "agent/zdb_node.h"

#include "agent/zdb_config.h"
#include "agent/zdb_intent.h"
#include "agent/zdb_owner.h"
#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>

#include <cmocka.h>

struct rig {
    char dir[64];
    char root[96], run[96], bin[96];
    struct loop *loop;
    struct zdb_node *node;
    struct zdb_client *client; /* of the last answer */
    struct err error;
    size_t answers;
    size_t admitted;
};

static int admit(void *self, const struct admission_request *r, struct err *e) {
    struct rig *g = self;
    (void)e;
    assert_true(r->is_storage);
    g->admitted++;
    return 0;
}

static void release(void *self, struct str id) {
    (void)self;
    (void)id;
}

static void rig_begin(struct rig *r) {
    *r = (struct rig){.answers = 0};
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/gridlet-zdb-node-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->root, sizeof r->root, "%s/root", r->dir);
    (void)snprintf(r->run, sizeof r->run, "%s/run", r->dir);
    (void)snprintf(r->bin, sizeof r->bin, "%s/bin", r->dir);
    assert_int_equal(file_mkdirs(AT_FDCWD, r->root, 0755), 0);
    assert_int_equal(file_mkdirs(AT_FDCWD, r->run, 0755), 0);
    assert_int_equal(file_mkdirs(AT_FDCWD, r->bin, 0755), 0);
    r->loop = loop_new(1);
}

static void rig_script(struct rig *r, const char *text) {
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, r->bin);
    assert_int_equal(file_write_atomic(dir, "gridlet-zdb", str_of(text), 0755), 0);
}

static void rig_open(struct rig *r, const char *program_dir, uint64_t patience_ms) {
    struct err e = {0};
    struct zdb_node_options o = {.root = r->root,
                                 .run = r->run,
                                 .program_dir = program_dir,
                                 .patience_ms = patience_ms,
                                 .pause_ms = 20,
                                 .admission = {.self = r, .admit = admit, .release = release}};
    if (zdb_node_open(r->loop, &o, &r->node, &e) < 0) fail_msg("%s", e.msg);
}

static void rig_close(struct rig *r) {
    zdb_node_close(r->node);
    loop_settle(r->loop);
    zdb_node_free(STEAL(r->node));
}

static void rig_end(struct rig *r) {
    rig_close(r);
    loop_free(r->loop);
    assert_int_equal(file_remove_tree(AT_FDCWD, r->dir), 0);
}

static void answered(void *user, struct zdb_client *c, const struct err *e) {
    struct rig *r = user;
    r->answers++;
    r->client = c;
    r->error = e ? *e : (struct err){.kind = ERR_NONE};
    loop_stop(r->loop);
}

static void want(struct rig *r) {
    size_t before = r->answers;
    zdb_node_want(r->node, answered, r);
    assert_int_equal(r->answers, before); /* never from inside */
    loop_run(r->loop);
    assert_int_equal(r->answers, before + 1);
}

static void a_server_that_ends_at_once_is_an_error_that_says_so(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r);
    rig_script(&r, "#!/bin/sh\nexit 3\n");
    rig_open(&r, r.bin, 10000);
    assert_false(zdb_node_in_use(r.node));
    want(&r);
    assert_int_equal(r.error.kind, ERR_IO);
    assert_non_null(strstr(r.error.msg, "gridlet-zdb has ended with status 3"));
    want(&r); /* it is tried again, after a pause */
    assert_int_equal(r.error.kind, ERR_IO);
    rig_end(&r);
}

static void a_server_that_is_not_there_is_an_error_that_names_it(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r);
    rig_open(&r, r.bin, 10000);
    want(&r);
    assert_int_equal(r.error.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(r.error.msg, "/bin/gridlet-zdb'"));
    rig_end(&r);
}

static void a_server_that_never_serves_is_killed_in_time(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r);
    rig_script(&r, "#!/bin/sh\nexec sleep 1000\n");
    rig_open(&r, r.bin, 50);
    want(&r);
    assert_int_equal(r.error.kind, ERR_TIMEOUT);
    assert_non_null(strstr(r.error.msg, "did not serve in 50 ms and was killed"));
    rig_end(&r);
}

static void a_foreign_lock_is_waited_for_and_then_told(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r);
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_LOCK, r.run);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    rig_open(&r, r.bin, 120);
    want(&r);
    assert_int_equal(r.error.kind, ERR_TIMEOUT);
    assert_non_null(strstr(r.error.msg, "zdb.lock' but does not serve"));
    rig_end(&r);
}

static void closing_tells_whoever_waits(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r);
    rig_script(&r, "#!/bin/sh\nexit 0\n");
    rig_open(&r, r.bin, 10000);
    zdb_node_want(r.node, answered, &r);
    rig_close(&r);
    assert_int_equal(r.answers, 1);
    assert_int_equal(r.error.kind, ERR_CANCELLED);
    loop_free(r.loop);
    assert_int_equal(file_remove_tree(AT_FDCWD, r.dir), 0);
}

/* ---- the real one ---- */

static void kill_owner(struct rig *r, int signum) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_SOCKET, r->run);
    AUTO(proc_done) struct proc p = PROC_NONE;
    assert_int_equal(zdb_owner_find(path, &p), 0);
    assert_int_equal(proc_kill(&p, signum), 0);
}

/* SIGTERM, and waits for the end: it is a child of this test. */
static void end_owner(struct rig *r) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_SOCKET, r->run);
    AUTO(proc_done) struct proc p = PROC_NONE;
    struct proc_exit x;
    assert_int_equal(zdb_owner_find(path, &p), 0);
    assert_int_equal(proc_kill(&p, SIGTERM), 0);
    assert_int_equal(proc_wait(&p, &x), 0);
    assert_int_equal(proc_exit_code(x), 0);
}

static pid_t owner(struct rig *r) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_SOCKET, r->run);
    AUTO(proc_done) struct proc p = PROC_NONE;
    return zdb_owner_find(path, &p) == 0 ? p.pid : 0;
}

static void made(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct rig *r = user;
    assert_non_null(reply);
    assert_null(e);
    loop_stop(r->loop);
}

static void make(struct rig *r, const char *name) {
    const struct str args[] = {STR("NSNEW"), str_of(name)};
    struct zdb_request q = {.args = args, .count = COUNT(args), .done = made, .user = r};
    zdb_client_send(r->client, &q);
    loop_run(r->loop);
}

static void a_server_is_taken_over_and_started_again_and_half_made_is_undone(void **state) {
    const char *bin = getenv("GRIDLET_BIN");
    struct rig r;
    (void)state;
    if (!bin) bin = "build/dev/bin";
    AUTO_FREE char *program = xasprintf("%s/gridlet-zdb", bin);
    if (file_exists(AT_FDCWD, program) != 1) fail_msg("build gridlet-zdb first: '%s'", program);
    rig_begin(&r);
    rig_open(&r, bin, 30000);
    want(&r);
    assert_int_equal(r.error.kind, ERR_NONE);
    make(&r, "kept");
    pid_t first = owner(&r);
    rig_close(&r); /* the daemon goes, the server does not */
    assert_int_equal(owner(&r), first);
    rig_open(&r, bin, 30000);
    want(&r);
    assert_int_equal(owner(&r), first);
    assert_int_equal(r.admitted, 1);
    kill_owner(&r, SIGKILL);
    do want(&r); /* until its death was seen, the old one may be given */
    while (r.error.kind != ERR_NONE || owner(&r) == first || owner(&r) == 0);
    assert_true(r.admitted >= 2);
    struct err e;
    assert_int_equal(zdb_intent_write(r.root, "half", &e), 0);
    make(&r, "half");
    kill_owner(&r, SIGKILL);
    do want(&r);
    while (r.error.kind != ERR_NONE || owner(&r) == 0 || zdb_intent_exists(r.root, "half"));
    rig_close(&r); /* nobody is left to start it again */
    end_owner(&r);
    loop_free(r.loop);
    assert_int_equal(file_remove_tree(AT_FDCWD, r.dir), 0);
}

static void a_listening_address_is_checked(void **state) {
    char addr[64];
    unsigned port = 0;
    struct err e;
    (void)state;
    assert_int_equal(zdb_config_listen("[::1]:9901", addr, &port, &e), 0);
    assert_string_equal(addr, "::1");
    assert_int_equal(port, 9901);
    assert_int_equal(zdb_config_listen("/a/socket", addr, &port, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(zdb_config_listen("10.0.0.1:0", addr, &port, &e), -1);
    assert_int_equal(zdb_config_listen("a\"b:1", addr, &port, &e), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_ends_at_once_is_an_error_that_says_so),
        cmocka_unit_test(a_server_that_is_not_there_is_an_error_that_names_it),
        cmocka_unit_test(a_server_that_never_serves_is_killed_in_time),
        cmocka_unit_test(a_foreign_lock_is_waited_for_and_then_told),
        cmocka_unit_test(closing_tells_whoever_waits),
        cmocka_unit_test(a_server_is_taken_over_and_started_again_and_half_made_is_undone),
        cmocka_unit_test(a_listening_address_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
