/* SPDX-License-Identifier: Apache-2.0 — documents_fuzz.c: any document, read as each of the kinds;
 * what is accepted and written is accepted again and gives the same bytes. Requests that are not
 * given back (Delete, CompleteMultipartUpload, CreateBucketConfiguration) are only read, headers
 * too. Rules that were accepted are asked. */
#include "s3gw/config/acl.h"
#include "s3gw/config/complete_upload.h"
#include "s3gw/config/config_rig.h"
#include "s3gw/config/create_bucket.h"
#include "s3gw/config/delete_objects.h"

#define OUT_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

static void round_twice(const struct rig_round *r, struct str in) {
    AUTO(arena_done) struct arena a = ARENA(LIFECYCLE_ARENA_BYTES);
    AUTO(buf_done) struct buf out = BUF(OUT_BYTES_MAX), again = BUF(OUT_BYTES_MAX);
    struct s3_error x = {0};
    if (r->run(&a, in, &out, &x) < 0) {
        must(x.code != S3_OK && x.message[0] != '\0');
        return;
    }
    int result = r->run(&a, buf_view(&out), &again, &x);
    must(result == 0 || in.n > 10000); /* escapes may make a large one too large */
    if (result == 0) must(str_eq(buf_view(&out), buf_view(&again)));
}

static void read_requests(struct str in) {
    AUTO(arena_done) struct arena a = ARENA(COMPLETE_ARENA_BYTES);
    struct s3_error x = {0};
    struct delete_objects d;
    struct complete_upload c;
    struct create_bucket b;
    if (delete_objects_parse(&a, in, &d, &x) == 0)
        must(d.count >= 1 && d.count <= DELETE_OBJECTS_MAX && d.at[d.count - 1].key.n);
    if (complete_upload_parse(&a, in, &c, &x) == 0)
        must(c.count >= 1 && c.count <= COMPLETE_PARTS_MAX && c.parts[0].number);
    if (create_bucket_parse(&a, in, STR("eu-west-1"), &b, &x) == 0)
        must(b.location.n <= sizeof "us-east-1" - 1);
}

static void read_headers(struct str in) {
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    AUTO(buf_done) struct buf out = BUF(OUT_BYTES_MAX);
    struct s3_error x = {0};
    struct tagging t, again;
    if (tagging_of_header(&a, in, &t, &x) == 0) {
        must(tagging_header(&t, &out) == 0);
        must(tagging_of_header(&a, buf_view(&out), &again, &x) == 0 && again.count == t.count);
    }
    struct s3_pair header = {STR("x-amz-grant-read"), in};
    struct s3_request rq = {.headers = &header, .header_count = 1};
    struct acl_place place = {STR("o"), STR("o"), true};
    struct acl_asked asked;
    struct acl loaded;
    buf_clear(&out);
    if (acl_of_headers(&a, &rq, &place, &asked, &x) == 0) {
        must(acl_store(&asked.acl, &out) == 0);
        must(acl_load(&a, buf_view(&out), &loaded) == 0 && loaded.count == asked.acl.count);
    }
    if (acl_load(&a, in, &loaded) == 0) must(loaded.owner.n > 0);
}

/* Rules that are accepted decide about a question, and only within what the header promises. */
static void evaluate(struct str in) {
    AUTO(arena_done) struct arena a = ARENA(LIFECYCLE_ARENA_BYTES);
    AUTO(buf_done) struct buf out = BUF(OUT_BYTES_MAX);
    struct s3_error x = {0};
    const struct cors *c = NULL;
    const struct lifecycle *l = NULL;
    const struct website *w = NULL;
    if (cors_parse(&a, in, &c, &x) == 0) {
        struct cors_question q = {STR("http://www.example.com"), STR("PUT"), STR("x-a, X-B")};
        struct cors_reply reply = {.count = 0};
        if (cors_preflight(&a, c, &q, &reply, &x) == 0) must(reply.count >= 3);
        must(cors_simple(&a, c, &q, &reply) == 0 && reply.count <= CORS_HEADERS_MAX);
    }
    if (lifecycle_parse(&a, in, &l, &x) == 0) {
        struct lifecycle_object o = {.key = STR("p"), .size_bytes = 2};
        struct lifecycle_past past = {RIG_NOW_S, 3};
        struct lifecycle_due due;
        if (lifecycle_current(l, &o, RIG_NOW_S, LIFECYCLE_DAY_S, &due))
            must(lifecycle_header(&due, &out) == 0);
        if (lifecycle_noncurrent(l, &o, &past, 1, &due)) must(due.at_s > RIG_NOW_S);
        if (lifecycle_upload(l, o.key, RIG_NOW_S, 1, &due)) must(due.at_s > RIG_NOW_S);
        (void)lifecycle_lone_marker(l, o.key, RIG_NOW_S, 1, &due);
    }
    if (website_parse(&a, in, &w, &x) == 0) {
        struct website_question q = {STR("docs/\r\n"), STR("http"), STR("h"), 404};
        unsigned status = 0;
        buf_clear(&out);
        if (website_redirects(w, &q, &out, &status) == 1)
            must(status > 300 && status < 400 && str_find(buf_view(&out), '\n') < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str in = str_make((const char *)data, size);
    for (size_t i = 0; i < COUNT(RIG_ROUNDS); i++) round_twice(&RIG_ROUNDS[i], in);
    read_requests(in);
    read_headers(in);
    evaluate(in);
    return 0;
}
