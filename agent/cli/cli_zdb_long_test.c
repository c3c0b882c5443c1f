/* SPDX-License-Identifier: Apache-2.0 — cli_zdb_long_test.c: scrub and compact against a server
 * that plays their progress. */
#include "agent/cli/cli_zdb.h"

#include "storage/zdb_client/zdb_fake_rig.h"

/* NSINFO, look by look: the first is before the start. */
static const char *const scrub_good[] = {
    "name: x\nscrub: never\n", "scrub: running\nscrub_done_bytes: 10\nscrub_total_bytes: 100\n",
    "scrub: running\nscrub_done_bytes: 70\nscrub_total_bytes: 100\n",
    "scrub: ended\nscrub_done_bytes: 100\nscrub_values: 7\nscrub_corrupt: 0\n", NULL};
static const char *const scrub_bad[] = {
    "name: x\n", "scrub: ended\nscrub_done_bytes: 100\nscrub_values: 7\nscrub_corrupt: 2\n", NULL};
static const char *const compact_good[] = {"name: x\n", "compact: running\n", "compact: running\n",
                                           "compact: ended\ncompact_returned_bytes: 2048\n", NULL};
static const char *const compact_other[] = {"name: x\n", "compact: never\n", NULL};
static const char *const compact_failed[] = {
    "name: x\n", "compact: failed\ncompact_error: read d3: broken\n", NULL};

static const char *const *story; /* of the test that runs */
static const char *start_reply;

static void say_bulk(int fd, const char *text) {
    AUTO_FREE char *reply = xasprintf("$%zu\r\n%s\r\n", strlen(text), text);
    rig_say(fd, reply);
}

static void teller(struct rig *r) {
    char command[256];
    int fd = rig_accept(r);
    const char *const *next = story;
    while (rig_hear(fd, command, sizeof command)) {
        if (strcmp(command, "NSINFO x") == 0)
            say_bulk(fd, *next ? *next++ : "");
        else if (strncmp(command, "NSINFO", 6) == 0)
            rig_say(fd, "-Namespace not found\r\n");
        else
            rig_say(fd, start_reply);
    }
    (void)close(fd);
}

static char out[256]; /* what the last run() wrote to stdout */

/* The command's exit status. */
static int run(const char *command, const char *name, const char *reply, const char *const *told) {
    static const struct cli_command description = {"zdb work", "", "", NULL};
    struct cli c = {.arena = ARENA(1 << 20), .command = &description};
    struct rig r = {.script = teller};
    story = told;
    start_reply = reply;
    rig_listen(&r);
    assert_int_equal(pthread_create(&r.server, NULL, rig_thread, &r), 0);
    struct zdb_cli z = {.cli = &c, .target = {.server = r.address}};
    FILE *file = tmpfile();
    (void)fflush(stdout);
    int before = dup(STDOUT_FILENO);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    int status = zdb_cli_long(&z, name, command);
    (void)fflush(stdout);
    assert_true(dup2(before, STDOUT_FILENO) >= 0);
    (void)close(before);
    rewind(file);
    size_t n = fread(out, 1, sizeof out - 1, file);
    out[n] = '\0';
    (void)fclose(file);
    (void)shutdown(r.listener, SHUT_RDWR);
    (void)pthread_join(r.server, NULL);
    (void)close(r.listener);
    assert_int_equal(file_remove_tree(AT_FDCWD, r.dir), 0);
    arena_done(&c.arena);
    return status;
}

static void a_scrub_is_followed_to_its_end(void **state) {
    (void)state;
    assert_int_equal(run("SCRUB", "x", "+OK\r\n", scrub_good), CLI_OK);
    assert_string_equal(out, "x: 7 values, 100 B read, 0 corrupt\n");
}

static void corrupt_values_are_told_and_fail_the_command(void **state) {
    (void)state;
    assert_int_equal(run("SCRUB", "x", "+OK\r\n", scrub_bad), CLI_FAILED);
    assert_string_equal(out, "x: 7 values, 100 B read, 2 corrupt\n");
}

static void a_compaction_that_runs_already_is_followed(void **state) {
    (void)state;
    const char *busy = "-Maintenance is running already: compact of 'x'\r\n";
    assert_int_equal(run("COMPACT", "x", busy, compact_good), CLI_OK);
    assert_string_equal(out, "x: 2.0 KiB returned\n");
    const char *other = "-Maintenance is running already: scrub of 'y'\r\n";
    assert_int_equal(run("COMPACT", "x", other, compact_other), CLI_FAILED);
}

static void a_failure_is_told(void **state) {
    (void)state;
    assert_int_equal(run("COMPACT", "x", "+OK\r\n", compact_failed), CLI_FAILED);
    assert_int_equal(run("COMPACT", "x", "-Command not supported\r\n", compact_good), CLI_FAILED);
    assert_int_equal(run("COMPACT", "y", "+OK\r\n", compact_good), CLI_FAILED);
    assert_string_equal(out, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scrub_is_followed_to_its_end),
        cmocka_unit_test(corrupt_values_are_told_and_fail_the_command),
        cmocka_unit_test(a_compaction_that_runs_already_is_followed),
        cmocka_unit_test(a_failure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
