/* SPDX-License-Identifier: Apache-2.0 — meta_test.c: each verb, its refusals, opening. */
#include "base/clock.h"
#include "base/sqlite.h"
#include "s3gw/meta/meta_sample.h"

#include <errno.h>
#include <unistd.h>

#define B STR("bucket")
#define K STR("key")

/* ---- buckets ---- */

static void a_bucket_is_made_once_and_says_whose_it_is(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    struct meta_op again = {
        .verb = META_BUCKET_CREATE, .bucket = B, .create = {.owner = STR("ann")}};
    assert_int_equal(sample_run(&s, &again), META_BUCKET_EXISTS);
    assert_true(again.is_own);
    again.create.owner = STR("bob");
    assert_int_equal(sample_run(&s, &again), META_BUCKET_EXISTS);
    assert_false(again.is_own);
    struct meta_bucket b;
    assert_int_equal(meta_bucket(&s.r, B, &b, &s.e), 0);
    assert_true(str_eq(b.owner, STR("ann")));
    assert_int_equal(meta_bucket(&s.r, STR("other"), &b, &s.e), -1);
    assert_int_equal(s.r.why, META_NO_BUCKET);
    sample_close(&s);
}

static void a_bucket_goes_only_when_it_is_empty(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_ENABLED);
    struct meta_op put = sample_put(B, K, STR("x")), del = sample_delete(B, K, META_LATEST);
    struct meta_op drop = {.verb = META_BUCKET_DELETE, .bucket = B};
    sample_ok(&s, &put);
    sample_ok(&s, &del);
    assert_int_equal(sample_run(&s, &drop), META_BUCKET_NOT_EMPTY);
    struct meta_op one = sample_delete(B, K, put.new_version);
    struct meta_op two = sample_delete(B, K, del.new_version);
    sample_ok(&s, &one);
    sample_ok(&s, &two);
    struct meta_op begin = {.verb = META_UPLOAD_BEGIN, .bucket = B, .key = K};
    sample_ok(&s, &begin);
    assert_int_equal(sample_run(&s, &drop), META_BUCKET_NOT_EMPTY);
    struct meta_op abort_op = {
        .verb = META_UPLOAD_ABORT, .bucket = B, .key = K, .abort = begin.upload};
    sample_ok(&s, &abort_op);
    sample_ok(&s, &drop);
    assert_int_equal(sample_run(&s, &drop), META_NO_BUCKET);
    sample_close(&s);
}

static void buckets_are_listed_in_order_by_owner_and_prefix(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    const char *names[] = {"b-2", "a-1", "b-1", "b-3"};
    for (size_t i = 0; i < COUNT(names); i++) sample_bucket(&s, str_of(names[i]), META_UNVERSIONED);
    struct meta_buckets page;
    struct meta_buckets_query q = {.owner = STR("ann"), .prefix = STR("b-"), .max = 2};
    assert_int_equal(meta_buckets(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 2);
    assert_true(page.truncated);
    assert_true(str_eq(page.p[0].name, STR("b-1")));
    q.after = page.p[1].name;
    assert_int_equal(meta_buckets(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 1);
    assert_false(page.truncated);
    q.owner = STR("bob");
    assert_int_equal(meta_buckets(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 0);
    sample_close(&s);
}

static void documents_are_kept_replaced_and_removed(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    struct str got;
    assert_int_equal(meta_document(&s.r, B, 3, &got, &s.e), -1);
    assert_int_equal(s.r.why, META_NO_DOCUMENT);
    struct meta_op set = {
        .verb = META_DOCUMENT_SET, .bucket = B, .document = {.kind = 3, .bytes = STR("one")}};
    sample_ok(&s, &set);
    set.document.bytes = STR("two");
    sample_ok(&s, &set);
    assert_int_equal(meta_document(&s.r, B, 3, &got, &s.e), 0);
    assert_true(str_eq(got, STR("two")));
    assert_int_equal(meta_document(&s.r, B, 4, &got, &s.e), -1);
    set.document.bytes = STR_NONE;
    sample_ok(&s, &set);
    assert_true(set.was_found);
    assert_int_equal(meta_document(&s.r, B, 3, &got, &s.e), -1);
    sample_close(&s);
}

static void versioning_is_never_taken_back_and_a_lock_needs_it(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    struct meta_op set = {.verb = META_BUCKET_SET,
                          .bucket = B,
                          .settings = {.which = META_SET_LOCK, .lock_enabled = true}};
    assert_int_equal(sample_run(&s, &set), META_INVALID);
    set.settings.which |= META_SET_VERSIONING;
    set.settings.versioning = META_ENABLED;
    sample_ok(&s, &set);
    set.settings.lock_enabled = false;
    assert_int_equal(sample_run(&s, &set), META_INVALID);
    set.settings = (struct meta_bucket_in){META_SET_VERSIONING, .versioning = META_SUSPENDED};
    assert_int_equal(sample_run(&s, &set), META_INVALID);
    set.settings.versioning = META_UNVERSIONED;
    assert_int_equal(sample_run(&s, &set), META_INVALID);
    sample_close(&s);
}

/* ---- objects ---- */

static void an_object_comes_back_with_all_that_was_put(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    struct meta_op put = sample_put(B, STR("k\x01\xff/\xf0\x9f"), STR("data\0!"));
    put.put.attributes = (struct meta_attributes){.owner = STR("bob"),
                                                  .headers = STR("h"),
                                                  .tags = STR("t"),
                                                  .acl = STR("a"),
                                                  .checksums = STR("c"),
                                                  .sse = STR("s"),
                                                  .storage_class = 3,
                                                  .checksum_kind = 9};
    sample_ok(&s, &put);
    assert_true(put.is_null);
    sample_reopen(&s);
    struct meta_object o;
    assert_int_equal(sample_get(&s, B, put.key, META_LATEST, &o), META_OK);
    assert_true(str_eq(o.data, STR("data\0!")));
    assert_int_equal(o.size_bytes, 6);
    assert_int_equal(o.body, 0);
    assert_true(o.is_latest && o.is_null && !o.is_marker);
    assert_int_equal(o.version, put.new_version);
    assert_int_equal(o.modified_ms, put.now_ms);
    assert_memory_equal(o.etag.md5, put.put.etag.md5, 16);
    assert_true(str_eq(o.attributes.owner, STR("bob")));
    assert_true(str_eq(o.attributes.headers, STR("h")) && str_eq(o.attributes.tags, STR("t")));
    assert_true(str_eq(o.attributes.acl, STR("a")) && str_eq(o.attributes.checksums, STR("c")));
    assert_true(str_eq(o.attributes.sse, STR("s")));
    assert_int_equal(o.attributes.storage_class, 3);
    assert_int_equal(o.attributes.checksum_kind, 9);
    sample_close(&s);
}

static void conditions_on_what_is_there_hold_or_refuse(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    const struct meta_etag seven = sample_etag(7), other = sample_etag(1);
    struct meta_op put = sample_put(B, K, STR("x"));
    put.put.conditions = (struct meta_conditions){.match = &seven};
    assert_int_equal(sample_run(&s, &put), META_NO_KEY);
    put.put.conditions = (struct meta_conditions){.one_must_exist = true};
    assert_int_equal(sample_run(&s, &put), META_NO_KEY);
    put.put.conditions = (struct meta_conditions){.none_may_exist = true};
    sample_ok(&s, &put);
    assert_int_equal(sample_run(&s, &put), META_PRECONDITION);
    put.put.conditions = (struct meta_conditions){.match = &other};
    assert_int_equal(sample_run(&s, &put), META_PRECONDITION);
    put.put.conditions = (struct meta_conditions){.match = &seven};
    sample_ok(&s, &put);
    put.put.conditions = (struct meta_conditions){.none_match = &seven};
    assert_int_equal(sample_run(&s, &put), META_PRECONDITION);
    const uint64_t size = 1, wrong = 2;
    struct meta_op del = sample_delete(B, K, META_LATEST);
    del.remove.conditions = (struct meta_conditions){.size_bytes = &wrong};
    assert_int_equal(sample_run(&s, &del), META_PRECONDITION);
    const uint64_t later = put.modified_ms + 1000;
    del.remove.conditions = (struct meta_conditions){.size_bytes = &size, .modified_ms = &later};
    assert_int_equal(sample_run(&s, &del), META_PRECONDITION);
    del.remove.conditions.modified_ms = NULL;
    sample_ok(&s, &del);
    assert_int_equal(sample_run(&s, &del), META_NO_KEY);
    sample_check(&s);
    sample_close(&s);
}

static void a_copy_shares_the_body_until_the_last_one_goes(void **state) {
    (void)state;
    struct sample s;
    struct meta_chunk c[3];
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    struct meta_op put = sample_put_chunks(B, K, sample_chunks(&s, c, 3));
    sample_ok(&s, &put);
    struct meta_op copy = {.verb = META_PUT,
                           .bucket = B,
                           .key = STR("copy"),
                           .put = {.source = {.bucket = B, .key = K}, .etag = sample_etag(8)}};
    sample_ok(&s, &copy);
    assert_int_equal(copy.size_bytes, 3);
    copy.key = K; /* onto itself: new attributes */
    copy.put.attributes.headers = STR("new");
    sample_ok(&s, &copy);
    struct meta_op del = sample_delete(B, K, META_LATEST);
    sample_ok(&s, &del);
    struct meta_garbage g;
    const struct meta_garbage_query q = {.before_ms = UINT32_MAX, .chunks_max = META_CHUNKS_MAX};
    assert_int_equal(meta_garbage(&s.r, &q, &g, &s.e), 0);
    assert_int_equal(g.count, 0);
    del.key = STR("copy");
    sample_ok(&s, &del);
    assert_int_equal(meta_garbage(&s.r, &q, &g, &s.e), 0);
    assert_int_equal(g.count, 1);
    assert_int_equal(g.p[0].chunks.count, 3);
    copy.put.source.key = STR("nothing");
    assert_int_equal(sample_run(&s, &copy), META_NO_KEY);
    sample_check(&s);
    sample_close(&s);
}

static void a_small_object_is_copied_whole_and_only_if_it_is_what_was_seen(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    sample_bucket(&s, STR("second"), META_ENABLED);
    struct meta_op put = sample_put(B, K, STR("small"));
    sample_ok(&s, &put);
    const struct meta_etag seven = sample_etag(7), other = sample_etag(1);
    struct meta_op copy = {.verb = META_PUT,
                           .bucket = STR("second"),
                           .key = K,
                           .put = {.source = {.bucket = B, .key = K, .match = &other}}};
    assert_int_equal(sample_run(&s, &copy), META_PRECONDITION);
    copy.put.source.match = &seven;
    sample_ok(&s, &copy);
    struct meta_object o;
    assert_int_equal(sample_get(&s, STR("second"), K, copy.new_version, &o), META_OK);
    assert_true(str_eq(o.data, STR("small")));
    assert_false(o.is_null);
    sample_close(&s);
}

static void tags_and_acls_of_a_version_are_replaced(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_ENABLED);
    struct meta_op put = sample_put(B, K, STR("x"));
    sample_ok(&s, &put);
    struct meta_op update = {
        .verb = META_UPDATE,
        .bucket = B,
        .key = K,
        .update = {.which = META_SET_TAGS | META_SET_ACL, .tags = STR("tags"), .acl = STR("acl")}};
    sample_ok(&s, &update);
    struct meta_object o;
    assert_int_equal(sample_get(&s, B, K, put.new_version, &o), META_OK);
    assert_true(str_eq(o.attributes.tags, STR("tags")) && str_eq(o.attributes.acl, STR("acl")));
    struct meta_op del = sample_delete(B, K, META_LATEST);
    sample_ok(&s, &del);
    assert_int_equal(sample_run(&s, &update), META_NO_KEY);
    update.version = del.new_version;
    assert_int_equal(sample_run(&s, &update), META_NO_VERSION);
    assert_true(update.is_marker);
    sample_close(&s);
}

/* ---- locks ---- */

static void make_locked(struct sample *s, struct meta_op *put, enum meta_lock_mode mode) {
    struct meta_op create = {
        .verb = META_BUCKET_CREATE,
        .bucket = B,
        .create = {.owner = STR("ann"), .versioning = META_ENABLED, .lock_enabled = true}};
    sample_open(s);
    sample_ok(s, &create);
    *put = sample_put(B, K, STR("x"));
    put->put.attributes.lock = (struct meta_lock){mode, 5000000, false};
    sample_ok(s, put);
}

static void compliance_cannot_be_deleted_or_shortened_by_anybody(void **state) {
    (void)state;
    struct sample s;
    struct meta_op put;
    make_locked(&s, &put, META_LOCK_COMPLIANCE);
    struct meta_op del = sample_delete(B, K, put.new_version);
    del.remove.bypass_governance = true;
    assert_int_equal(sample_run(&s, &del), META_LOCKED);
    struct meta_op update = {.verb = META_UPDATE,
                             .bucket = B,
                             .key = K,
                             .update = {.which = META_SET_RETENTION,
                                        .lock = {META_LOCK_COMPLIANCE, 4999999, false},
                                        .bypass_governance = true}};
    assert_int_equal(sample_run(&s, &update), META_LOCKED);
    update.update.lock = (struct meta_lock){META_LOCK_GOVERNANCE, 6000000, false};
    assert_int_equal(sample_run(&s, &update), META_LOCKED);
    update.update.lock = (struct meta_lock){META_LOCK_COMPLIANCE, 6000000, false};
    sample_ok(&s, &update);
    struct meta_op marker = sample_delete(B, K, META_LATEST); /* hides, removes nothing */
    sample_ok(&s, &marker);
    del.now_ms = 6000000;
    sample_ok(&s, &del);
    sample_close(&s);
}

static void governance_yields_to_those_who_may_bypass_it(void **state) {
    (void)state;
    struct sample s;
    struct meta_op put;
    make_locked(&s, &put, META_LOCK_GOVERNANCE);
    struct meta_op del = sample_delete(B, K, put.new_version);
    assert_int_equal(sample_run(&s, &del), META_LOCKED);
    struct meta_op update = {
        .verb = META_UPDATE, .bucket = B, .key = K, .update = {.which = META_SET_RETENTION}};
    assert_int_equal(sample_run(&s, &update), META_LOCKED);
    del.remove.bypass_governance = true;
    sample_ok(&s, &del);
    sample_close(&s);
}

static void a_legal_hold_keeps_a_version_until_it_is_lifted(void **state) {
    (void)state;
    struct sample s;
    struct meta_op put;
    make_locked(&s, &put, META_LOCK_NONE);
    struct meta_op update = {.verb = META_UPDATE,
                             .bucket = B,
                             .key = K,
                             .update = {.which = META_SET_HOLD, .lock = {.hold = true}}};
    sample_ok(&s, &update);
    struct meta_op del = sample_delete(B, K, put.new_version);
    del.remove.bypass_governance = true;
    assert_int_equal(sample_run(&s, &del), META_LOCKED);
    update.update.lock.hold = false;
    sample_ok(&s, &update);
    sample_ok(&s, &del);
    sample_close(&s);
}

static void a_bucket_without_object_lock_takes_no_retention(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_ENABLED);
    struct meta_op put = sample_put(B, K, STR("x"));
    sample_ok(&s, &put);
    struct meta_op update = {
        .verb = META_UPDATE, .bucket = B, .key = K, .update = {.which = META_SET_RETENTION}};
    assert_int_equal(sample_run(&s, &update), META_INVALID);
    sample_close(&s);
}

/* ---- quotas and limits ---- */

static void quotas_refuse_what_grows_and_nothing_else(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    struct meta_op set = {
        .verb = META_BUCKET_SET,
        .bucket = B,
        .settings = {.which = META_SET_QUOTA, .quota_bytes = 10, .quota_objects = 2}};
    sample_ok(&s, &set);
    struct meta_op put = sample_put(B, K, STR("12345678"));
    sample_ok(&s, &put);
    struct meta_op more = sample_put(B, STR("more"), STR("123"));
    assert_int_equal(sample_run(&s, &more), META_QUOTA);
    more = sample_put(B, STR("more"), STR("12"));
    sample_ok(&s, &more);
    struct meta_op third = sample_put(B, STR("third"), STR(""));
    assert_int_equal(sample_run(&s, &third), META_QUOTA);
    put = sample_put(B, K, STR("smaller"));
    sample_ok(&s, &put);
    struct meta_bucket b;
    assert_int_equal(meta_bucket(&s.r, B, &b, &s.e), 0);
    assert_int_equal(b.bytes, 9);
    assert_int_equal(b.objects, 2);
    sample_close(&s);
}

static void every_limit_is_reached_and_refused(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    AUTO_FREE char *big = xmalloc(META_DOCUMENT_BYTES_MAX + 1);
    memset(big, 'b', META_DOCUMENT_BYTES_MAX + 1);
    struct meta_op put = sample_put(B, str_make(big, META_KEY_BYTES_MAX), STR("x"));
    sample_ok(&s, &put);
    put.key.n++;
    assert_int_equal(sample_run(&s, &put), META_INVALID);
    put = sample_put(B, K, str_make(big, META_INLINE_BYTES_MAX));
    sample_ok(&s, &put);
    put = sample_put(B, K, str_make(big, META_INLINE_BYTES_MAX + 1));
    assert_int_equal(sample_run(&s, &put), META_INVALID);
    put = sample_put(B, K, STR("x"));
    put.put.attributes.headers = str_make(big, META_FIELD_BYTES_MAX);
    sample_ok(&s, &put);
    put.put.attributes.headers.n++;
    assert_int_equal(sample_run(&s, &put), META_INVALID);
    struct meta_op set = {.verb = META_DOCUMENT_SET,
                          .bucket = B,
                          .document = {.bytes = str_make(big, META_DOCUMENT_BYTES_MAX)}};
    sample_ok(&s, &set);
    set.document.bytes.n++;
    assert_int_equal(sample_run(&s, &set), META_INVALID);
    struct meta_op create = {.verb = META_BUCKET_CREATE,
                             .bucket = str_make(big, META_BUCKET_BYTES_MAX + 1)};
    assert_int_equal(sample_run(&s, &create), META_INVALID);
    struct meta_op discard = {.verb = META_DISCARD, .discard = {NULL, META_CHUNKS_MAX + 1}};
    assert_int_equal(sample_run(&s, &discard), META_INVALID);
    struct meta_list_query q = {.bucket = B, .prefix = str_make(big, META_KEY_BYTES_MAX + 1)};
    struct meta_page page;
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), -1);
    assert_int_equal(s.r.why, META_INVALID);
    AUTO(arena_done) struct arena tiny = ARENA(16);
    s.r.arena = &tiny;
    struct meta_object o;
    assert_int_equal(sample_get(&s, B, K, META_LATEST, &o), META_FAILED);
    assert_int_equal(s.e.kind, ERR_LIMIT);
    sample_close(&s);
}

/* ---- records ---- */

static void records_are_kept_by_kind_listed_by_parent_and_guarded(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    struct meta_op user = {.verb = META_RECORD_SET,
                           .record = {.record = {.kind = 1, .name = STR("ann"), .bytes = STR("u")},
                                      .must = META_RECORD_ABSENT}};
    sample_ok(&s, &user);
    assert_int_equal(sample_run(&s, &user), META_RECORD_EXISTS);
    const char *keys[] = {"AK2", "AK1", "AK3"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct meta_op key = {.verb = META_RECORD_SET,
                              .record.record = {.kind = 2,
                                                .name = str_of(keys[i]),
                                                .parent = STR("ann"),
                                                .expires_ms = 5,
                                                .bytes = STR("sealed\0")}};
        sample_ok(&s, &key);
    }
    struct meta_record r;
    assert_int_equal(meta_record(&s.r, 2, STR("AK2"), &r, &s.e), 0);
    assert_true(str_eq(r.parent, STR("ann")) && str_eq(r.bytes, STR("sealed\0")));
    assert_int_equal(r.expires_ms, 5);
    assert_int_equal(meta_record(&s.r, 1, STR("AK2"), &r, &s.e), -1);
    assert_int_equal(s.r.why, META_NO_RECORD);
    struct meta_records page;
    struct meta_records_query q = {.kind = 2, .parent = STR("ann"), .max = 2};
    assert_int_equal(meta_records(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 2);
    assert_true(page.truncated && str_eq(page.p[0].name, STR("AK1")));
    q = (struct meta_records_query){.kind = 2, .after = STR("AK2"), .max = 2};
    assert_int_equal(meta_records(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 1);
    assert_false(page.truncated);
    user.record = (struct meta_record_in){
        .record = {.kind = 1, .name = STR("ann")}, .must = META_RECORD_PRESENT, .child_kind = 2};
    assert_int_equal(sample_run(&s, &user), META_RECORD_IN_USE);
    user.record.child_kind = 3;
    sample_ok(&s, &user);
    assert_int_equal(sample_run(&s, &user), META_NO_RECORD);
    sample_close(&s);
}

/* ---- opening ---- */

static void a_second_opener_is_told_that_it_is_busy(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    struct meta *second;
    const struct meta_options o = {.folder = s.dir, .readers = 1};
    assert_int_equal(meta_open(&o, &second, &s.e), -1);
    assert_int_equal(s.e.kind, ERR_BUSY);
    sample_close(&s);
}

static void damage_file(struct sample *s, uint64_t from, uint64_t to) {
    AUTO_FREE char *path = xasprintf("%s/meta.db", s->dir);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    AUTO_FREE char *junk = xmalloc(to - from);
    memset(junk, 0xa5, to - from);
    assert_int_equal(file_pwrite_all(fd, junk, to - from, from), 0);
}

static void a_file_that_is_no_database_is_corrupt_and_named(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    meta_close(s.m);
    damage_file(&s, 0, 4096);
    const struct meta_options o = {.folder = s.dir, .readers = 1};
    assert_int_equal(meta_open(&o, &s.m, &s.e), -1);
    assert_int_equal(s.e.kind, ERR_CORRUPT);
    assert_non_null(strstr(s.e.msg, s.dir));
    s.m = NULL;
    sample_close(&s);
}

static void ignore_problem(void *user, const char *problem) {
    (void)problem;
    ++*(int *)user;
}

static void a_damaged_page_fails_who_reads_it_and_the_check_finds_it(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    for (int i = 0; i < 2000; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%05d", i);
        struct meta_op put = sample_put(B, str_of(key), STR("0123456789012345678901234567890123"));
        put.next = NULL;
        sample_ok(&s, &put);
    }
    meta_close(s.m);
    s.m = NULL;
    AUTO_FREE char *path = xasprintf("%s/meta.db", s.dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    damage_file(&s, 4096 * 30, (uint64_t)st.st_size);
    struct meta_options o = {.folder = s.dir, .readers = 1};
    if (meta_open(&o, &s.m, &s.e) == 0) {
        s.r.m = s.m;
        struct meta_list_query q = {.bucket = B, .max = 1000};
        struct meta_page page;
        int r = 0;
        do {
            r = meta_list(&s.r, &q, &page, &s.e);
            if (r == 0 && page.count) q.after_key = page.p[page.count - 1].key;
        } while (r == 0 && page.truncated);
        assert_int_equal(r, -1);
        int problems = 0;
        const struct meta_check_report report = {ignore_problem, &problems};
        struct err e;
        int n = meta_check(s.m, &report, &e);
        assert_true(n > 0 || (n < 0 && e.kind == ERR_CORRUPT));
    }
    assert_int_equal(s.e.kind, ERR_CORRUPT);
    assert_non_null(strstr(s.e.msg, "meta.db"));
    sample_close(&s);
}

static struct sqlite *open_beside(struct sample *s) {
    AUTO_FREE char *path = xasprintf("%s/meta.db", s->dir);
    const struct sqlite_options o = {
        .path = path, .version = 1, .remedy = "", .cache_bytes = 1 << 16, .shared = true};
    struct sqlite *db = sqlite_open(&o, &s->e);
    assert_non_null(db);
    return db;
}

static void a_newer_schema_is_left_alone_and_says_so(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    meta_close(s.m);
    struct sqlite *db = open_beside(&s);
    assert_int_equal(SQL_RUN(db, &s.e, "PRAGMA user_version = 2"), 0);
    sqlite_close(db);
    const struct meta_options o = {.folder = s.dir, .readers = 1};
    assert_int_equal(meta_open(&o, &s.m, &s.e), -1);
    assert_int_equal(s.e.kind, ERR_UNSUPPORTED);
    assert_non_null(strstr(s.e.msg, "version 2"));
    s.m = NULL;
    sample_close(&s);
}

/* ---- the loop ---- */

struct looping {
    struct loop *loop;
    struct meta_op ops[300];
    unsigned answered, refused;
};
static struct looping looping;

static void op_done(struct meta_op *op) {
    if (op->why == META_PRECONDITION) looping.refused++;
    if (++looping.answered == COUNT(looping.ops)) loop_stop(looping.loop);
}

static void ops_of_one_batch_are_answered_singly_on_the_loop(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    meta_close(s.m);
    looping.loop = loop_new(1);
    const struct meta_options o = {.folder = s.dir, .readers = 1, .loop = looping.loop};
    assert_int_equal(meta_open(&o, &s.m, &s.e), 0);
    for (size_t i = 0; i < COUNT(looping.ops); i++) {
        struct meta_op *op = &looping.ops[i];
        *op = sample_put(B, i % 3 ? STR("a") : STR("b"), STR("x"));
        op->put.conditions.none_may_exist = true;
        op->now_ms = 1;
        op->done = op_done;
        assert_int_equal(meta_submit(s.m, op, &s.e), 0);
    }
    loop_run(looping.loop);
    assert_int_equal(looping.answered, COUNT(looping.ops));
    assert_int_equal(looping.refused, COUNT(looping.ops) - 2);
    struct meta_stats stats;
    meta_stats(s.m, &stats);
    assert_int_equal(stats.ops, COUNT(looping.ops));
    assert_true(stats.commits < 100);
    meta_close(s.m);
    s.m = NULL;
    loop_free(looping.loop);
    sample_reopen(&s);
    sample_close(&s);
}

static uint64_t log_pages_after_a_put(struct sample *s) {
    static char data[META_INLINE_BYTES_MAX];
    struct meta_op put = sample_put(B, K, str_make(data, sizeof data));
    struct meta_stats stats;
    sample_ok(s, &put);
    meta_stats(s->m, &stats);
    return stats.wal_pages;
}

static void a_long_reader_makes_the_log_grow_and_its_end_lets_it_begin_anew(void **state) {
    (void)state;
    struct sample s;
    uint64_t pages = 0;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    struct sqlite *reader = open_beside(&s);
    {
        AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
        assert_int_equal(sqlite_begin_read(reader, &s.e), 0);
        assert_int_equal(SQL_SELECT(reader, &rows, &s.e, "SELECT name FROM bucket"), 0);
        assert_int_equal(sqlite_next(&rows, &s.e), 1);
        uint64_t before = clock_ms();
        for (int i = 0; i < 400; i++) pages = log_pages_after_a_put(&s);
        assert_true(pages > 1000);
        assert_true(clock_ms() - before < 100 * 1000); /* a wait at each commit takes 400 s */
    }
    sqlite_rollback(reader);
    sqlite_close(reader);
    for (int i = 0; i < 400 && pages > 200; i++) pages = log_pages_after_a_put(&s);
    assert_true(pages <= 200);
    sample_close(&s);
}

static struct loop *queue_loop;
static unsigned queue_left;

static void queued_done(struct meta_op *op) {
    assert_int_equal(op->why, META_OK);
    if (--queue_left == 0) loop_stop(queue_loop);
}

/* A second connection holds the write lock, so that the writer stands in its first batch. */
static void a_full_queue_refuses_and_answers_the_others(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    meta_close(s.m);
    queue_loop = loop_new(1);
    const struct meta_options o = {.folder = s.dir, .readers = 1, .loop = queue_loop};
    assert_int_equal(meta_open(&o, &s.m, &s.e), 0);
    struct sqlite *holder = open_beside(&s);
    assert_int_equal(sqlite_begin(holder, &s.e), 0);
    size_t most = META_QUEUE_MAX + META_BATCH_MAX + 1, n = 0;
    struct meta_op *ops = xmalloc(most * sizeof *ops);
    for (; n < most; n++) {
        ops[n] = sample_put(B, K, STR("x"));
        ops[n].now_ms = 1;
        ops[n].done = queued_done;
        if (meta_submit(s.m, &ops[n], &s.e) < 0) break;
    }
    assert_true(n >= META_QUEUE_MAX && n < most);
    assert_int_equal(s.e.kind, ERR_LIMIT);
    queue_left = (unsigned)n;
    sqlite_rollback(holder);
    sqlite_close(holder);
    loop_run(queue_loop);
    assert_int_equal(queue_left, 0);
    struct meta_stats stats;
    meta_stats(s.m, &stats);
    assert_int_equal(stats.refused_queue, 1);
    meta_close(s.m);
    s.m = NULL;
    loop_free(queue_loop);
    free(ops);
    sample_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_is_made_once_and_says_whose_it_is),
        cmocka_unit_test(a_bucket_goes_only_when_it_is_empty),
        cmocka_unit_test(buckets_are_listed_in_order_by_owner_and_prefix),
        cmocka_unit_test(documents_are_kept_replaced_and_removed),
        cmocka_unit_test(versioning_is_never_taken_back_and_a_lock_needs_it),
        cmocka_unit_test(an_object_comes_back_with_all_that_was_put),
        cmocka_unit_test(conditions_on_what_is_there_hold_or_refuse),
        cmocka_unit_test(a_copy_shares_the_body_until_the_last_one_goes),
        cmocka_unit_test(a_small_object_is_copied_whole_and_only_if_it_is_what_was_seen),
        cmocka_unit_test(tags_and_acls_of_a_version_are_replaced),
        cmocka_unit_test(compliance_cannot_be_deleted_or_shortened_by_anybody),
        cmocka_unit_test(governance_yields_to_those_who_may_bypass_it),
        cmocka_unit_test(a_legal_hold_keeps_a_version_until_it_is_lifted),
        cmocka_unit_test(a_bucket_without_object_lock_takes_no_retention),
        cmocka_unit_test(quotas_refuse_what_grows_and_nothing_else),
        cmocka_unit_test(every_limit_is_reached_and_refused),
        cmocka_unit_test(records_are_kept_by_kind_listed_by_parent_and_guarded),
        cmocka_unit_test(a_second_opener_is_told_that_it_is_busy),
        cmocka_unit_test(a_file_that_is_no_database_is_corrupt_and_named),
        cmocka_unit_test(a_damaged_page_fails_who_reads_it_and_the_check_finds_it),
        cmocka_unit_test(a_newer_schema_is_left_alone_and_says_so),
        cmocka_unit_test(ops_of_one_batch_are_answered_singly_on_the_loop),
        cmocka_unit_test(a_long_reader_makes_the_log_grow_and_its_end_lets_it_begin_anew),
        cmocka_unit_test(a_full_queue_refuses_and_answers_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
