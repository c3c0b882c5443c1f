/* SPDX-License-Identifier: Apache-2.0 — gateway_test.c: who may come in, and what is where. */
#include "s3gw/gateway/gateway_rig.h"

static void the_root_user_lists_no_buckets_at_first(void **state) {
    rig_expect(*state, &(struct rig_ask){.method = "GET", .path = "/"}, 200, "<Buckets></Buckets>");
}

static void a_wrong_secret_is_refused(void **state) {
    rig_expect(*state, &(struct rig_ask){.method = "GET", .path = "/", .secret = "wrong"}, 403,
               "<Code>SignatureDoesNotMatch</Code>");
}

static void strangers_are_denied_with_a_request_id(void **state) {
    rig_expect(*state, &(struct rig_ask){.method = "GET", .path = "/", .secret = ""}, 403,
               "<Code>AccessDenied</Code>");
    rig_expect(*state, &(struct rig_ask){.method = "GET", .path = "/", .secret = ""}, 403,
               "x-amz-request-id: ");
}

static void what_has_no_entry_in_the_table_does_not_exist(void **state) {
    rig_expect(*state, &(struct rig_ask){.method = "GET", .path = "/abc", .query = "replication="},
               501, "<Code>NotImplemented</Code>");
    rig_expect(*state, &(struct rig_ask){.method = "DELETE", .path = "/"}, 405,
               "<Code>MethodNotAllowed</Code>");
}

static void names_that_no_bucket_can_have_are_refused(void **state) {
    rig_expect(*state, &(struct rig_ask){.method = "GET", .path = "/A_"}, 400,
               "<Code>InvalidBucketName</Code>");
}

/* An entry without a permission and without is_open would be served to everybody. */
static void every_route_says_who_may_use_it(void **state) {
    (void)state;
    for (size_t i = 0; i < route_count(); i++) {
        const struct route *r = route_at(i);
        assert_true(r->is_open || r->action);
        assert_non_null(r->run);
        assert_true((r->body == ROUTE_STREAM) == (r->stored != NULL));
        assert_true((r->body != ROUTE_NO_BODY) == (r->body_max > 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_user_lists_no_buckets_at_first),
        cmocka_unit_test(a_wrong_secret_is_refused),
        cmocka_unit_test(strangers_are_denied_with_a_request_id),
        cmocka_unit_test(what_has_no_entry_in_the_table_does_not_exist),
        cmocka_unit_test(names_that_no_bucket_can_have_are_refused),
        cmocka_unit_test(every_route_says_who_may_use_it),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
