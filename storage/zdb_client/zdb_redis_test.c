/* SPDX-License-Identifier: Apache-2.0 — zdb_redis_test.c: against Debian's redis-server, for the
 * commands that both have: the pool, pipelining and large values meet a real peer. */
#include "storage/zdb_client/zdb_fake_rig.h"

#include "base/proc.h"

#include <signal.h>

#define REDIS   "/usr/bin/redis-server"
#define KEYS    2000
#define LARGE   ((size_t)ZDB_REPLY_PAYLOAD_MAX)
#define START_S 20
/* Each takes a connection attempt, after a pause of up to 50 ms. */
#define TRIES_MAX 1000

/* A redis of our own, on a socket, without files. */
static struct proc redis_start(struct rig *r) {
    AUTO_FREE char *path = xasprintf("%s/redis.sock", r->dir);
    const char *argv[] = {REDIS, "--port",       "0",  "--unixsocket", path,   "--save",
                          "",    "--appendonly", "no", "--dir",        r->dir, NULL};
    struct proc_spec spec = PROC_SPEC;
    struct proc p = PROC_NONE;
    struct err e;
    spec.path = REDIS;
    spec.argv = argv;
    spec.flags = PROC_DIE_WITH_PARENT;
    if (proc_spawn(&spec, &p, &e) < 0) fail_msg("redis-server (scripts/deps.sh test): %s", e.msg);
    return p;
}

/* The client itself waits for the server: it connects again and again. */
static void wait_for_redis(struct rig *r) {
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        rig_send(r, "PING", true, 1000);
        rig_wait(r);
        if (r->error.kind == ERR_NONE) return;
        assert_int_not_equal(r->error.kind, ERR_CORRUPT);
    }
    fail_msg("redis-server does not answer: %s", r->error.msg);
}

static void begin(struct rig *r, struct proc *p) {
    struct err e = {0};
    *r = (struct rig){.listener = -1};
    rig_listen(r);
    *p = redis_start(r);
    AUTO_FREE char *path = xasprintf("%s/redis.sock", r->dir);
    struct zdb_client_options o = {.address = str_of(path),
                                   .connections = 4,
                                   .timeout_ms = START_S * 1000,
                                   .backoff_ms = 5,
                                   .backoff_ms_max = 50};
    r->loop = loop_new(1);
    if (zdb_client_new(r->loop, &o, &r->client, &e) < 0) fail_msg("%s", e.msg);
    wait_for_redis(r);
    r->errors = r->answers = 0;
}

static void end(struct rig *r, struct proc *p) {
    struct proc_exit x;
    (void)!proc_kill(p, SIGKILL);
    assert_int_equal(proc_wait(p, &x), 0);
    proc_done(p);
    rig_end(r);
}

static void ask(struct rig *r, const struct str *args, size_t count) {
    struct zdb_request q = {.args = args, .count = count, .done = rig_got_raw, .user = r};
    r->waiting++;
    zdb_client_send(r->client, &q);
}

static void many_requests_over_many_connections_all_get_their_own_answer(void **state) {
    struct rig r;
    struct proc p;
    char key[32];
    (void)state;
    begin(&r, &p);
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof key, "key%d", i);
        ask(&r, (const struct str[]){STR("SET"), str_of(key), str_of(key + 3)}, 3);
    }
    rig_wait(&r);
    assert_int_equal(r.answers, KEYS);
    for (int i = 0; i < KEYS; i += 37) {
        (void)snprintf(key, sizeof key, "key%d", i);
        struct zdb_how how = rig_how(&r);
        zdb_get(&how, str_of(key));
        rig_wait(&r);
        assert_string_equal(r.text, key + 3);
    }
    struct zdb_client_state s;
    zdb_client_state(r.client, &s);
    assert_true(s.connected >= 1 && s.connected <= 4);
    end(&r, &p);
}

static void the_largest_payload_comes_back_whole(void **state) {
    struct rig r;
    struct proc p;
    (void)state;
    begin(&r, &p);
    AUTO_FREE char *large = xmalloc(LARGE);
    for (size_t i = 0; i < LARGE; i++) large[i] = (char)(i * 7 + i / 251);
    ask(&r, (const struct str[]){STR("SET"), STR("large"), str_make(large, LARGE)}, 3);
    rig_wait(&r);
    assert_int_equal(r.answers, 1);
    ask(&r, (const struct str[]){STR("STRLEN"), STR("large")}, 2);
    struct zdb_how how = rig_how(&r);
    zdb_get(&how, STR("large"));
    rig_wait(&r);
    assert_int_equal(r.answers, 3);
    assert_int_equal(r.text[0], large[0]);
    end(&r, &p);
}

static void a_real_server_says_what_is_wrong(void **state) {
    struct rig r;
    struct proc p;
    (void)state;
    begin(&r, &p);
    rig_send(&r, "NSLIST", false, 0);
    rig_wait(&r);
    assert_int_equal(r.error.kind, ERR_UNSUPPORTED);
    struct zdb_how how = rig_how(&r);
    zdb_get(&how, STR("nothing"));
    rig_wait(&r);
    assert_int_equal(r.error.kind, ERR_NOT_FOUND);
    how = rig_how(&r);
    zdb_exists(&how, STR("nothing"));
    rig_wait(&r);
    assert_int_equal(r.number, 0);
    end(&r, &p);
}

static void a_killed_server_is_an_error_and_its_successor_is_found(void **state) {
    struct rig r;
    struct proc p;
    struct proc_exit x;
    (void)state;
    begin(&r, &p);
    assert_int_equal(proc_kill(&p, SIGSTOP), 0);
    ask(&r, (const struct str[]){STR("SET"), STR("a"), STR("b")}, 3);
    loop_stop(r.loop); /* one turn: it is in flight then */
    loop_run(r.loop);
    assert_int_equal(proc_kill(&p, SIGKILL), 0);
    assert_int_equal(proc_wait(&p, &x), 0);
    proc_done(&p);
    rig_wait(&r);
    assert_int_equal(r.errors, 1);
    p = redis_start(&r);
    wait_for_redis(&r);
    assert_string_equal(r.text, "PONG");
    end(&r, &p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_requests_over_many_connections_all_get_their_own_answer),
        cmocka_unit_test(the_largest_payload_comes_back_whole),
        cmocka_unit_test(a_real_server_says_what_is_wrong),
        cmocka_unit_test(a_killed_server_is_an_error_and_its_successor_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
