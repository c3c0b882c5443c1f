/* SPDX-License-Identifier: Apache-2.0 — log_test.c: lines as they reach stderr. */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW "time=1970-01-01T00:00:00.000000000Z "

static int saved_stderr = -1;
static int pipe_fds[2] = {-1, -1};
static char captured[2 * LOG_LINE_BYTES_MAX];

/* stderr goes into a pipe that holds more than a line. */
static int set_up(void **state) {
    (void)state;
    clock_fake(0, 0);
    log_set_level(LOG_LEVEL_INFO);
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0) return -1;
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return dup2(pipe_fds[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    clock_real();
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    return 0;
}

static const char *logged(void) {
    ssize_t n = read(pipe_fds[0], captured, sizeof captured - 1);
    captured[n > 0 ? n : 0] = '\0';
    return captured;
}

static void a_line_holds_its_fields(void **state) {
    (void)state;
    struct err e;
    (void)err_set(&e, ERR_IO, "broken");
    LOG_WARN("pull failed", F_STR("image", STR("a:b")), F_INT("n", -1), F_MS("took", UINT64_MAX),
             F_C("none", NULL), F_ERR(&e));
    assert_string_equal(logged(), NOW "level=warn msg=\"pull failed\" image=\"a:b\" n=-1 "
                                      "took_ms=18446744073709551615 none=\"\" error=\"broken\"\n");
    LOG_INFO("alone");
    assert_string_equal(logged(), NOW "level=info msg=\"alone\"\n");
}

static void a_value_cannot_forge_a_line(void **state) {
    (void)state;
    LOG_ERROR("m", F_STR("v", STR("a\"b\\c\nlevel=info\x1b[0m\x7f\0\xc3\xa9")));
    assert_string_equal(logged(), NOW "level=error msg=\"m\" v=\"a\\\"b\\\\c\\nlevel=info\\x1b[0m"
                                      "\\x7f\\x00\xc3\xa9\"\n");
}

static void a_long_line_is_cut_and_ended(void **state) {
    (void)state;
    char text[2 * LOG_LINE_BYTES_MAX];
    memset(text, '\n', sizeof text);
    LOG_INFO("m", F_STR("v", str_make(text, sizeof text)), F_INT("n", 1));
    const char *line = logged();
    assert_int_equal(strlen(line), LOG_LINE_BYTES_MAX);
    assert_ptr_equal(strchr(line, '\n'), line + LOG_LINE_BYTES_MAX - 1);
}

static void lines_below_the_level_are_dropped(void **state) {
    (void)state;
    LOG_DEBUG("hidden");
    assert_string_equal(logged(), "");
    enum log_level level = LOG_LEVEL_INFO;
    assert_int_equal(log_level_parse(STR("debug"), &level), 0);
    log_set_level(level);
    LOG_DEBUG("shown");
    assert_string_equal(logged(), NOW "level=debug msg=\"shown\"\n");
    assert_int_equal(log_level_parse(STR("error"), &level), 0);
    log_set_level(level);
    LOG_WARN("hidden");
    assert_string_equal(logged(), "");
    assert_int_equal(log_level_parse(STR("Error"), &level), -EINVAL);
    assert_int_equal(level, LOG_LEVEL_ERROR);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_line_holds_its_fields),
        TEST(a_value_cannot_forge_a_line),
        TEST(a_long_line_is_cut_and_ended),
        TEST(lines_below_the_level_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
