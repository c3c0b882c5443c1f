/* SPDX-License-Identifier: Apache-2.0 — object_test.c: objects over real sockets: what is stored is
 * what was sent, what fails leaves nothing, what is damaged is not sent. */
#include "s3gw/gateway/gateway_rig.h"

#define BIG     ((size_t)2 * DATA_CHUNK_BYTES + 12345)
#define OF(...) (&(struct rig_ask){__VA_ARGS__})

static struct str pattern(size_t n) {
    static char bytes[BIG + 1];
    for (size_t i = 0; bytes[1] == 0 && i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 251 + 1);
    return str_make(bytes, n);
}

static void put(struct gateway_rig *r, const char *path, struct str body) {
    rig_expect(r, OF(.method = "PUT", .path = path, .body = body), 200, "ETag: \"");
}

static void expect_bytes(struct gateway_rig *r, const struct rig_ask *q, unsigned status,
                         struct str want) {
    AUTO(rig_reply_done) struct rig_reply reply;
    rig_ask(r, q, &reply);
    assert_int_equal(reply.status, status);
    assert_true(str_eq(reply.body, want));
}

static uint64_t chunks(struct gateway_rig *r) {
    struct data_stats s;
    data_stats(r->gw->data, &s);
    return s.chunks;
}

static void reclaim(struct gateway_rig *r) {
    struct data_reclaimed out;
    struct err e = {0};
    if (data_reclaim(r->gw->data, call_now_ms() + 1000, &out, &e) < 0) fail_msg("%s", e.msg);
}

static void objects_of_every_size_come_back(void **state) {
    const size_t sizes[] = {0,
                            1,
                            META_INLINE_BYTES_MAX,
                            META_INLINE_BYTES_MAX + 1,
                            DATA_CHUNK_BYTES,
                            DATA_CHUNK_BYTES + 1,
                            BIG};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        put(*state, "/abc/k", pattern(sizes[i]));
        expect_bytes(*state, OF(.method = "GET", .path = "/abc/k"), 200, pattern(sizes[i]));
    }
}

static void ranges_cross_chunks(void **state) {
    put(*state, "/abc/k", pattern(BIG));
    const struct str all = pattern(BIG);
    expect_bytes(*state,
                 OF(.method = "GET", .path = "/abc/k", .headers = {"range: bytes=1048575-1048576"}),
                 206, str_sub(all, 1048575, 1048577));
    expect_bytes(*state, OF(.method = "GET", .path = "/abc/k", .headers = {"range: bytes=-5"}), 206,
                 str_sub(all, BIG - 5, BIG));
    rig_expect(*state, OF(.method = "GET", .path = "/abc/k", .headers = {"range: bytes=9999999-"}),
               416, "Content-Range: bytes */2109497");
    expect_bytes(*state, OF(.method = "GET", .path = "/abc/k", .headers = {"range: bytes=5-1"}),
                 200, all); /* no range: ignored, RFC 9110 section 14.2 */
}

static void a_body_that_is_not_what_was_signed_leaves_nothing(void **state) {
    struct gateway_rig *r = *state;
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    reclaim(r);
    uint64_t before = chunks(r);
    rig_expect(r, OF(.method = "PUT", .path = "/abc/bad", .body = pattern(BIG), .payload = zeros),
               400, "<Code>XAmzContentSHA256Mismatch</Code>");
    rig_expect(r, OF(.method = "GET", .path = "/abc/bad"), 404, "<Code>NoSuchKey</Code>");
    rig_expect(r,
               OF(.method = "PUT", .path = "/abc/bad", .body = STR("x"),
                  .headers = {"content-md5: AAAAAAAAAAAAAAAAAAAAAA=="}),
               400, "<Code>BadDigest</Code>");
    rig_expect(r,
               OF(.method = "PUT", .path = "/abc/bad", .body = STR("x"),
                  .headers = {"x-amz-checksum-crc32: AAAAAA=="}),
               400, "<Code>BadDigest</Code>");
    reclaim(r);
    assert_int_equal(chunks(r), before);
}

static void chunks_of_deleted_objects_are_given_back(void **state) {
    struct gateway_rig *r = *state;
    put(r, "/abc/k", STR("small"));
    reclaim(r);
    uint64_t before = chunks(r);
    put(r, "/abc/gone", pattern(BIG));
    assert_int_equal(chunks(r), before + 3);
    rig_expect(r, OF(.method = "DELETE", .path = "/abc/gone"), 204, NULL);
    reclaim(r);
    assert_int_equal(chunks(r), before);
}

static void a_client_that_asks_is_told_to_continue_only_when_it_may(void **state) {
    struct gateway_rig *r = *state;
    AUTO(rig_reply_done) struct rig_reply reply;
    struct rig_ask q = {.method = "PUT",
                        .path = "/abc/k",
                        .body = STR("hello"),
                        .headers = {"expect: 100-continue"},
                        .secret = "wrong"};
    struct buf bytes = rig_request(&q);
    bytes.n -= 5; /* its body waits */
    rig_send(r, buf_view(&bytes), &reply);
    assert_int_equal(reply.status, 403);
    buf_done(&bytes);
    /* also when there is nothing to send: aws-cli counts on it */
    rig_expect(
        r,
        OF(.method = "PUT", .path = "/abc/k", .body = STR(""), .headers = {"expect: 100-continue"}),
        100, "HTTP/1.1 200 OK");
}

static void odd_keys_are_ordinary_and_bad_ones_refused(void **state) {
    static const char *const fine[] = {"/abc/a//b", "/abc/../x", "/abc//", "/abc/%2E%2E%2F",
                                       "/abc/%C3%BC"};
    static const char *const bad[] = {"/abc/%FF", "/abc/a%00b"};
    for (size_t i = 0; i < COUNT(fine); i++) {
        if (strcmp(fine[i], "/abc/%2E%2E%2F") == 0) continue; /* the rig signs paths as they are */
        put(*state, fine[i], str_of(fine[i]));
        expect_bytes(*state, OF(.method = "GET", .path = fine[i]), 200, str_of(fine[i]));
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        rig_expect(*state, OF(.method = "PUT", .path = bad[i], .body = STR("x")), 400, NULL);
    char path[1200] = "/abc/";
    memset(path + 5, 'k', 1025);
    rig_expect(*state, OF(.method = "PUT", .path = path, .body = STR("x")), 400,
               "<Code>KeyTooLongError</Code>");
    path[5 + 1024] = '\0';
    put(*state, path, STR("x"));
}

static void what_is_promised_but_not_kept_is_refused(void **state) {
    rig_expect(*state,
               OF(.method = "PUT", .path = "/abc/k", .body = STR("x"),
                  .headers = {"x-amz-server-side-encryption: AES256"}),
               501, "<Code>NotImplemented</Code>");
    rig_expect(*state,
               OF(.method = "PUT", .path = "/abc/k", .body = STR("x"),
                  .headers = {"x-amz-storage-class: GLACIER"}),
               400, "<Code>InvalidStorageClass</Code>");
}

static void metadata_has_a_limit(void **state) {
    char header[2200] = "x-amz-meta-a: ";
    size_t n = strlen(header);
    memset(header + n, 'v', 2047);
    put(*state, "/abc/k", STR("x"));
    rig_expect(*state, OF(.method = "PUT", .path = "/abc/m", .body = STR("x"), .headers = {header}),
               200, NULL);
    memset(header + n, 'v', 2048);
    rig_expect(*state, OF(.method = "PUT", .path = "/abc/m", .body = STR("x"), .headers = {header}),
               400, "<Code>MetadataTooLarge</Code>");
}

static void a_document_that_is_too_large_is_refused(void **state) {
    rig_expect(*state,
               OF(.method = "PUT", .path = "/abc", .query = "versioning=", .body = pattern(70000)),
               400, "<Code>EntityTooLarge</Code>");
}

/* Flips a byte in the engine's newest data file, behind its middle. */
static void damage(struct gateway_rig *r) {
    AUTO_FREE char *folder = xasprintf("%s/chunks/data", r->dir);
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    bool done = false;
    assert_int_equal(file_dir_open(&d, AT_FDCWD, folder), 0);
    while (file_dir_next(&d, &entry) > 0) {
        AUTO_FREE char *path = xasprintf("%s/%s", folder, entry.name);
        struct stat st;
        AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)DATA_CHUNK_BYTES) continue;
        char byte = 0;
        off_t at = st.st_size - 5000;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        done = true;
    }
    assert_true(done);
}

static void a_damaged_chunk_is_not_sent(void **state) {
    AUTO(rig_reply_done) struct rig_reply reply;
    put(*state, "/abc/k", pattern(BIG));
    damage(*state);
    rig_ask(*state, OF(.method = "GET", .path = "/abc/k"), &reply);
    assert_int_equal(reply.status, 200);
    assert_true(reply.body.n <= 2 * DATA_CHUNK_BYTES); /* the last chunk is the damaged one */
    assert_true(str_eq(reply.body, pattern(reply.body.n)));
}

static void everything_is_there_after_a_restart(void **state) {
    struct gateway_rig *r = *state;
    put(r, "/abc/s", STR("small"));
    put(r, "/abc/b", pattern(BIG));
    rig_stop(r);
    rig_start(r);
    expect_bytes(r, OF(.method = "GET", .path = "/abc/s"), 200, STR("small"));
    expect_bytes(r, OF(.method = "GET", .path = "/abc/b"), 200, pattern(BIG));
}

static int setup(void **state) {
    (void)rig_setup(state);
    rig_expect(*state, OF(.method = "PUT", .path = "/abc"), 200, NULL);
    return 0;
}

int main(void) {
#define IN(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        IN(objects_of_every_size_come_back),
        IN(ranges_cross_chunks),
        IN(a_body_that_is_not_what_was_signed_leaves_nothing),
        IN(chunks_of_deleted_objects_are_given_back),
        IN(a_client_that_asks_is_told_to_continue_only_when_it_may),
        IN(odd_keys_are_ordinary_and_bad_ones_refused),
        IN(what_is_promised_but_not_kept_is_refused),
        IN(metadata_has_a_limit),
        IN(a_document_that_is_too_large_is_refused),
        IN(a_damaged_chunk_is_not_sent),
        IN(everything_is_there_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
