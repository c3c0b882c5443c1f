/* SPDX-License-Identifier: Apache-2.0 — pull_test.c: whole pulls from a registry that misbehaves.
 */
#include "storage/image/pull_fake.h"

static void a_plain_image_is_pulled_and_recorded(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 3, 300000, 'a');
    succeeds(w, "app:1");
    assert_string_equal(w->store.committed, w->id);
    assert_string_equal(w->store.tag, "1");
    assert_string_equal(w->store.digest, m.digest);
    assert_int_equal(w->store.dir_count, 3);
    assert_true(w->progress > 0);
    succeeds(w, "app:1"); /* again: no layer is downloaded twice */
    assert_int_equal(w->store.writers_started, 3);
    AUTO_FREE char *by_digest = xasprintf("app@%s", m.digest);
    succeeds(w, by_digest);
    assert_string_equal(w->store.tag, "");
}

static void an_index_leads_to_our_platform(void **state) {
    struct world *w = *state;
    struct made ours = image_put(&w->main, "app", 1, 1000, 'a');
    struct made theirs = image_put(&w->main, "app", 1, 1000, 'b');
#if defined(__x86_64__)
    const char *us = "amd64", *them = "arm64";
#else
    const char *us = "arm64", *them = "amd64";
#endif
    AUTO_FREE char *index = xasprintf(
        "{\"schemaVersion\":2,\"manifests\":["
        "{\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}},"
        "{\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]"
        "}",
        theirs.digest, theirs.tag->body.n, them, ours.digest, ours.tag->body.n, us);
    (void)put(&w->main, str_of(index), INDEX_TYPE, "/v2/app/manifests/multi");
    succeeds(w, "app:multi");
    struct digest d = digest_of(str_of(index));
    char text[DIGEST_TEXT_CHARS + 1];
    assert_string_equal(w->store.digest, digest_text(&d, text));
    assert_int_equal(ours.layers[0]->served, 1);
    assert_int_equal(theirs.layers[0]->served, 0);
}

static void identical_pulls_and_shared_layers_are_one_download(void **state) {
    struct world *w = *state;
    struct made a = image_put(&w->main, "app", 2, 400000, 'a');
    struct made b = image_put(&w->main, "two", 2, 400000, 'a');
    for (int i = 0; i < 5; i++) (void)pull_as(w, "app:1", (struct image_auth){0});
    (void)pull_as(w, "two:1", (struct image_auth){0});
    loop_run(w->loop);
    assert_int_equal(w->done, 6);
    assert_int_equal(a.tag->served, 1);
    assert_int_equal(b.tag->served, 1);
    assert_int_equal(a.layers[0]->served + b.layers[0]->served, 1);
    assert_int_equal(w->store.writers_started, 2);
}

static void a_waiter_takes_over_when_the_download_it_waits_for_fails(void **state) {
    struct world *w = *state;
    struct made a = image_put(&w->main, "app", 1, 400000, 'a');
    (void)image_put(&w->main, "two", 1, 400000, 'a');
    hit(a.layers[0], WRONG, -1);
    (void)pull_as(w, "app:1", (struct image_auth){0});
    w->start_on_layers = "two:1";
    loop_run(w->loop);
    assert_int_equal(w->failed, 1);
    assert_int_equal(w->done, 1);
    assert_int_equal(w->e.kind, ERR_CORRUPT);
}

static void the_same_layer_twice_in_an_image_is_one_download(void **state) {
    struct world *w = *state;
    char digest[72], config_digest[72];
    struct resource *layer = put_blob(&w->main, "app", STR("some layer bytes"), digest);
    AUTO_FREE char *config =
        xasprintf("{\"rootfs\":{\"diff_ids\":[\"%s\",\"%s\"]}}", digest, digest);
    (void)put_blob(&w->main, "app", str_of(config), config_digest);
#define LAYER                                                                                      \
    "{\"mediaType\":\"application/"                                                                \
    "vnd.docker.image.rootfs.diff.tar.gzip\",\"digest\":\"%s\",\"size\":16}"
    AUTO_FREE char *manifest = xasprintf(
        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/"
        "vnd.docker.container.image.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[" LAYER
        "," LAYER "]}",
        config_digest, strlen(config), digest, digest);
    (void)put(&w->main, str_of(manifest), "application/json", "/v2/app/manifests/1");
    succeeds(w, "app:1");
    assert_int_equal(layer->served, 1);
    assert_int_equal(w->store.dir_count, 2);
}

static void broken_transfers_are_resumed(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 2, 500000, 'a');
    hit(m.layers[0], CUT, 2);
    hit(m.layers[1], STALL, 1);
    hit(m.tag, CUT, 1);
    hit(m.config, CUT, 1);
    succeeds(w, "app:1");
    assert_int_equal(m.layers[0]->served, 3);
    assert_int_equal(m.layers[0]->ranges, 2);
    assert_int_equal(m.layers[1]->ranges, 1);
}

static void a_server_that_ignores_ranges_sends_again_and_is_skipped(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 1, 500000, 'a');
    hit(m.layers[0], CUT, 1);
    m.layers[0]->no_range = true;
    succeeds(w, "app:1");
    assert_int_equal(m.layers[0]->served, 2);
}

static void a_wrong_range_is_not_taken(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 1, 500000, 'a');
    hit(m.layers[0], BAD_RANGE, 2);
    succeeds(w, "app:1");
    assert_int_equal(m.layers[0]->served, 3); /* cut, wrong range, whole again */
    assert_int_equal(m.layers[0]->ranges, 1);
}

static void busy_and_failing_servers_are_tried_again(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 2, 1000, 'a');
    m.tag->status = "429 Too Many Requests";
    m.layers[0]->status = "503 Service Unavailable";
    m.layers[1]->status = "500 Internal Server Error";
    hit(m.tag, STATUS, 2);
    hit(m.layers[0], STATUS, 2);
    hit(m.layers[1], STATUS, 1);
    succeeds(w, "app:1");
}

static void a_server_that_never_recovers_is_unavailable(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 1, 1000, 'a');
    m.tag->status = "503 Service Unavailable";
    hit(m.tag, STATUS, -1);
    fails(w, "app:1", ERR_IO, "registry unavailable: 127.0.0.1:");
    assert_int_equal(m.tag->served, 5);
}

static void what_is_not_there_is_not_found(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 1, 1000, 'a');
    fails(w, "app:2", ERR_NOT_FOUND, "not found");
    (void)snprintf(m.layers[0]->path, sizeof(m.layers[0]->path), "/gone");
    fails(w, "app:1", ERR_NOT_FOUND, "layer sha256:");
}

static void forbidden_is_denied(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 1, 1000, 'a');
    m.tag->status = "403 Forbidden";
    hit(m.tag, STATUS, -1);
    fails(w, "app:1", ERR_DENIED, "access denied");
}

static void wrong_bytes_are_refused_wherever_they_are(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 2, 100000, 'a');
    hit(m.layers[0], WRONG, 1);
    fails(w, "app:1", ERR_CORRUPT, "the registry sent bytes with digest");
    hit(m.layers[0], FINE, 0);
    hit(m.config, WRONG, 1);
    fails(w, "app:1", ERR_CORRUPT, "config sha256:");
    AUTO_FREE char *by_digest = xasprintf("app@%s", m.digest);
    struct resource *manifest = m.tag - 1;
    hit(manifest, WRONG, 1);
    fails(w, by_digest, ERR_CORRUPT, "manifest sha256:");
    succeeds(w, "app:1");
}

static void wrong_lengths_are_refused(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 1, 100000, 'a');
    hit(m.layers[0], ENDLESS, 1);
    fails(w, "app:1", ERR_CORRUPT, "larger than it may be");
    hit(m.config, ENDLESS, 1);
    fails(w, "app:1", ERR_CORRUPT, "larger than it may be");
    hit(m.tag, ENDLESS, 1);
    fails(w, "app:1", ERR_CORRUPT, "larger than it may be");
    m.layers[0]->no_range = true;
    hit(m.layers[0], SHORT, -1);
    fails(w, "app:1", ERR_CORRUPT, "ended the transfer after 50000 of 100000 bytes");
}

static void an_unpacker_that_leaves_early_fails_the_pull(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 1, 3000000, 'a');
    char *body = (char *)(uintptr_t)m.layers[0]->body.p;
    (void)memcpy(body, "EXIT", 4);
    fails(w, "app:1", ERR_CORRUPT, "wrong diff_id");
}

static void malformed_manifests_are_named(void **state) {
    struct world *w = *state;
    static const struct {
        const char *body, *text;
        enum err_kind kind;
    } bad[] = {{"{", "JSON", ERR_CORRUPT},
               {"[]", "no object", ERR_CORRUPT},
               {"{\"schemaVersion\":1}", "schema 1", ERR_UNSUPPORTED},
               {"{\"schemaVersion\":2,\"manifests\":[]}", "not made for", ERR_NOT_FOUND},
               {"{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", "at once", ERR_CORRUPT}};
    for (size_t i = 0; i < COUNT(bad); i++) { /* the server may still be sending the one before */
        AUTO_FREE char *ref = xasprintf("app:%zu", i);
        (void)put(&w->main, str_of(bad[i].body), "application/json", "/v2/app/manifests/%zu", i);
        fails(w, ref, bad[i].kind, bad[i].text);
    }
}

static void a_token_is_fetched_and_renewed_in_mid_pull(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 4, 200000, 'a');
    w->main.want_token = w->main.want_basic = true;
    w->main.token_uses = 2;
    hit(m.layers[2], CUT, 1);
    struct image_auth auth = {.username = STR("user"), .password = STR("pass")};
    run_as(w, "app:1", auth);
    if (w->done != 1) fail_msg("%s", w->e.msg);
    assert_true(w->main.tokens >= 3);
    assert_string_equal(w->main.last_scope, "scope=repository%3Aapp%3Apull");
}

static void a_token_for_one_request_does_for_layers_in_parallel(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 12, 100000, 'a');
    w->main.want_token = w->main.want_basic = true;
    w->main.token_uses = 1;
    hit(m.layers[3], CUT, 1);
    hit(m.layers[5], STATUS, 1);
    m.layers[5]->status = "503 Busy";
    struct image_auth auth = {.username = STR("user"), .password = STR("pass")};
    run_as(w, "app:1", auth);
    if (w->done != 1) fail_msg("%s", w->e.msg);
    for (int i = 1; i <= w->main.tokens; i++) assert_true(w->main.uses[i] <= 1);
}

static void without_a_good_credential_access_is_denied(void **state) {
    struct world *w = *state;
    (void)image_put(&w->main, "app", 1, 1000, 'a');
    w->main.want_token = w->main.want_basic = true;
    w->main.token_uses = 100;
    fails(w, "app:1", ERR_DENIED, "refused the credential");
    struct image_auth auth = {.username = STR("user"), .password = STR("pass")};
    run_as(w, "app:1", auth);
    assert_int_equal(w->done, 1);
    fails(w, "app:1", ERR_DENIED, "refused the credential"); /* the token was not for everyone */
    auth.auth = STR("!!!");
    auth.username = STR_NONE;
    run_as(w, "app:1", auth);
    assert_int_equal(w->e.kind, ERR_INVALID);
}

static void a_token_that_is_never_accepted_ends_in_denied(void **state) {
    struct world *w = *state;
    (void)image_put(&w->main, "app", 1, 1000, 'a');
    w->main.want_token = true;
    w->main.token_uses = 0;
    fails(w, "app:1", ERR_DENIED, "denies access to 'app'");
    assert_int_equal(w->main.tokens, 1);
}

static void identity_and_registry_tokens_are_used_as_meant(void **state) {
    struct world *w = *state;
    (void)image_put(&w->main, "app", 1, 1000, 'a');
    w->main.want_token = w->main.want_basic = true;
    w->main.token_uses = 100;
    run_as(w, "app:1", (struct image_auth){.identity_token = STR("id/+")});
    assert_int_equal(w->done, 1);
    assert_non_null(strstr(w->main.last_form, "grant_type=refresh_token"));
    assert_non_null(strstr(w->main.last_form, "refresh_token=id%2F%2B"));
    run_as(w, "app:1", (struct image_auth){.registry_token = STR("t1")});
    assert_int_equal(w->done, 2);
    run_as(w, "app:1", (struct image_auth){.registry_token = STR("wrong")});
    assert_int_equal(w->e.kind, ERR_DENIED);
    assert_int_equal(w->main.tokens, 1);
}

static void credentials_stay_at_home_on_a_redirect(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 1, 100000, 'a');
    (void)image_put(&w->other, "app", 1, 100000, 'a');
    AUTO_FREE char *elsewhere = xasprintf("http://127.0.0.1:%u", w->other.http->port);
    w->main.elsewhere = elsewhere;
    w->main.want_token = w->main.want_basic = w->other.no_credentials = true;
    w->main.token_uses = 100;
    hit(m.layers[0], REDIRECT, -1);
    run_as(w, "app:1", (struct image_auth){.username = STR("user"), .password = STR("pass")});
    if (w->done != 1) fail_msg("%s", w->e.msg);
    assert_int_equal(w->other.leaked, 0);
}

static void redirects_in_a_circle_end(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 1, 1000, 'a');
    AUTO_FREE char *self = xasprintf("http://127.0.0.1:%u", w->main.http->port);
    w->main.elsewhere = self;
    hit(m.tag, REDIRECT, -1);
    fails(w, "app:1", ERR_CORRUPT, "redirected more than 5 times");
}

static void mirror_use(struct world *w, const char *toml) {
    AUTO_FREE char *folder = xasprintf("%s/127.0.0.1_%u_", w->folder, w->main.http->port);
    AUTO_CLOSE int dir = file_mkdirs_open(AT_FDCWD, folder, 0755);
    assert_true(dir >= 0);
    assert_int_equal(file_write_atomic(dir, "hosts.toml", str_of(toml), 0644), 0);
}

static void mirrors_come_first_and_any_failure_falls_back(void **state) {
    struct world *w = *state;
    AUTO_FREE char *toml =
        xasprintf("[host.\"http://127.0.0.1:1\"]\n[host.\"http://127.0.0.1:%u\"]\n"
                  "[host.\"http://127.0.0.1:%u\".header]\nauthorization = \"none\"\n",
                  w->other.http->port, w->other.http->port);
    mirror_use(w, toml);
    struct made at_home = image_put(&w->main, "app", 2, 1000, 'a');
    struct made mirrored = image_put(&w->other, "app", 2, 1000, 'a');
    mirrored.layers[1]->status = "500 x";
    hit(mirrored.layers[1], STATUS, -1);
    succeeds(w, "app:1");
    assert_int_equal(at_home.tag->served, 0);
    assert_int_equal(at_home.layers[0]->served, 0);
    assert_int_equal(at_home.layers[1]->served, 1);
    (void)image_put(&w->main, "only", 1, 1000, 'c');
    succeeds(w, "only:1");
    fails(w, "none:1", ERR_NOT_FOUND, "127.0.0.1:1: http://");
}

static void a_given_credential_is_not_for_mirrors(void **state) {
    struct world *w = *state;
    AUTO_FREE char *toml = xasprintf("[host.\"http://127.0.0.1:%u\"]\n", w->other.http->port);
    mirror_use(w, toml);
    (void)image_put(&w->main, "app", 1, 1000, 'a');
    (void)image_put(&w->other, "app", 1, 1000, 'a');
    w->main.want_token = w->main.want_basic = true;
    w->other.want_token = w->other.want_basic = true;
    w->main.token_uses = w->other.token_uses = 100;
    run_as(w, "app:1", (struct image_auth){.username = STR("user"), .password = STR("pass")});
    if (w->done != 1) fail_msg("%s", w->e.msg);
    assert_int_equal(w->other.tokens, 0);
    assert_true(w->main.tokens > 0);
}

static void a_cancelled_pull_leaves_the_others_alone(void **state) {
    struct world *w = *state;
    (void)image_put(&w->main, "app", 3, 400000, 'a');
    w->cancel_on_progress = pull_as(w, "app:1", (struct image_auth){0});
    (void)pull_as(w, "app:1", (struct image_auth){0});
    loop_run(w->loop);
    assert_int_equal(w->done, 1);
    assert_int_equal(w->failed, 1);
    assert_int_equal(w->e.kind, ERR_CANCELLED);
}

static void cancelling_at_once_and_in_mid_download_cleans_up(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 3, 400000, 'a');
    image_pull_cancel(pull_as(w, "app:1", (struct image_auth){0}));
    loop_run(w->loop);
    assert_int_equal(w->e.kind, ERR_CANCELLED);
    hit(m.layers[1], STALL, 1);
    w->cancel_on_progress = pull_as(w, "app:1", (struct image_auth){0});
    loop_run(w->loop);
    assert_int_equal(w->failed, 2);
    assert_int_equal(w->e.kind, ERR_CANCELLED);
    hit(m.layers[1], FINE, 0);
    succeeds(w, "app:1"); /* and whatever the cancelled one still does is harmless */
}

static void closing_the_puller_ends_every_pull_and_leaves_nothing(void **state) {
    struct world *w = *state;
    struct made m = image_put(&w->main, "app", 3, 400000, 'a');
    hit(m.layers[1], STALL, -1);
    (void)pull_as(w, "app:1", (struct image_auth){0});
    (void)pull_as(w, "none:1", (struct image_auth){0});
    w->cancel_on_progress = pull_as(w, "app:1", (struct image_auth){0});
    w->left -= 2; /* stops when the first of the three has ended */
    loop_run(w->loop);
    (void)pull_as(w, "app:2", (struct image_auth){0});
    w->left = 100;
    image_puller_free(STEAL(w->puller)); /* teardown runs what is left, and counts */
}

static void a_failure_to_record_releases_the_layers(void **state) {
    struct world *w = *state;
    (void)image_put(&w->main, "app", 13, 1000, 'a');
    fails(w, "app:1", ERR_IO, "disk full");
}

static void bad_references_fail_by_callback(void **state) {
    struct world *w = *state;
    fails(w, "App:1", ERR_INVALID, "lower case");
    w->left++;
    struct image_pull_request r = {.ref = STR(""), .user = w, .on_done = world_done};
    (void)image_pull_start(w->puller, &r);
    loop_run(w->loop);
    assert_int_equal(w->e.kind, ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_plain_image_is_pulled_and_recorded),
        TEST(an_index_leads_to_our_platform),
        TEST(identical_pulls_and_shared_layers_are_one_download),
        TEST(a_waiter_takes_over_when_the_download_it_waits_for_fails),
        TEST(the_same_layer_twice_in_an_image_is_one_download),
        TEST(broken_transfers_are_resumed),
        TEST(a_server_that_ignores_ranges_sends_again_and_is_skipped),
        TEST(a_wrong_range_is_not_taken),
        TEST(busy_and_failing_servers_are_tried_again),
        TEST(a_server_that_never_recovers_is_unavailable),
        TEST(what_is_not_there_is_not_found),
        TEST(forbidden_is_denied),
        TEST(wrong_bytes_are_refused_wherever_they_are),
        TEST(wrong_lengths_are_refused),
        TEST(an_unpacker_that_leaves_early_fails_the_pull),
        TEST(malformed_manifests_are_named),
        TEST(a_token_is_fetched_and_renewed_in_mid_pull),
        TEST(without_a_good_credential_access_is_denied),
        TEST(a_token_for_one_request_does_for_layers_in_parallel),
        TEST(a_token_that_is_never_accepted_ends_in_denied),
        TEST(identity_and_registry_tokens_are_used_as_meant),
        TEST(credentials_stay_at_home_on_a_redirect),
        TEST(redirects_in_a_circle_end),
        TEST(mirrors_come_first_and_any_failure_falls_back),
        TEST(a_given_credential_is_not_for_mirrors),
        TEST(a_cancelled_pull_leaves_the_others_alone),
        TEST(cancelling_at_once_and_in_mid_download_cleans_up),
        TEST(closing_the_puller_ends_every_pull_and_leaves_nothing),
        TEST(a_failure_to_record_releases_the_layers),
        TEST(bad_references_fail_by_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
