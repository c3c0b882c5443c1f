/* SPDX-License-Identifier: Apache-2.0 — documents_fuzz.c: any document, read as each of the kinds;
 * what is accepted and written is accepted again and gives the same bytes. Requests that are not
 * given back (Delete, CompleteMultipartUpload, CreateBucketConfiguration) are only read, headers
 * too. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str in = str_make((const char *)data, size);
    for (size_t i = 0; i < COUNT(RIG_ROUNDS); i++) round_twice(&RIG_ROUNDS[i], in);
    read_requests(in);
    read_headers(in);
    return 0;
}
