/* SPDX-License-Identifier: Apache-2.0 — progress_test.c */
#include "agent/cli/progress.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DIGEST "sha256:0123456789abcdef"

static void show(struct progress *p, const char *event) {
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    const struct json *v = NULL;
    struct err e = {0};
    assert_int_equal(json_parse(&a, str_of(event), JSON_LIMITS, &v, &e), 0);
    progress_show(p, v);
}

static void plain_output_has_a_line_per_change(void **state) {
    (void)state;
    char *text = NULL;
    size_t n = 0;
    struct progress p = {.to = open_memstream(&text, &n)};
    const char *event = "{\"pull\":[{\"digest\":\"" DIGEST "\",\"phase\":\"downloading\","
                        "\"done_bytes\":10,\"total_bytes\":1024}]}";
    show(&p, "{\"pull\":[]}");
    show(&p, event);
    show(&p, event);
    show(&p, "{\"pull\":[{\"digest\":\"" DIGEST "\",\"phase\":\"done\",\"total_bytes\":1024}]}");
    show(&p, "{\"other\":1}");
    show(&p, "{\"pull\":[{\"digest\":7},8]}");
    (void)fclose(p.to);
    assert_string_equal(text, "0123456789ab: downloading, 1.0 KiB\n0123456789ab: done, 1.0 KiB\n");
    free(text);
}

static void bars_are_drawn_over_each_other(void **state) {
    (void)state;
    char *text = NULL;
    size_t n = 0;
    struct progress p = {.to = open_memstream(&text, &n), .bars = true};
    const char *event = "{\"pull\":[{\"digest\":\"" DIGEST "\",\"phase\":\"downloading\","
                        "\"done_bytes\":512,\"total_bytes\":1024}]}";
    show(&p, event);
    show(&p, event);
    (void)fclose(p.to);
    assert_non_null(strstr(text, "0123456789ab [###############...............] downloading"));
    assert_non_null(strstr(text, "\033[1A"));
    free(text);
}

static void more_layers_than_expected_do_no_harm(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(1 << 20);
    struct json_out w = JSON_OUT(&b);
    char *text = NULL;
    size_t n = 0;
    struct progress p = {.to = open_memstream(&text, &n)};
    json_out_object(&w, NULL);
    json_out_array(&w, "pull");
    for (int i = 0; i < PROGRESS_LAYERS_MAX + 5; i++) {
        json_out_object(&w, NULL);
        json_out_c(&w, "digest", DIGEST);
        json_out_c(&w, "phase", "a phase with a name that is far too long");
        json_out_close(&w);
    }
    json_out_close(&w);
    json_out_close(&w);
    show(&p, buf_c(&b));
    (void)fclose(p.to);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_output_has_a_line_per_change),
        cmocka_unit_test(bars_are_drawn_over_each_other),
        cmocka_unit_test(more_layers_than_expected_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
