/* SPDX-License-Identifier: Apache-2.0 — meta_sample.h: a store in a folder of its own, and the ops
 * that tests say again and again. Only tests include it. */
#pragma once

#include "base/file.h"
#include "s3gw/meta/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct sample {
    char dir[64];
    struct meta *m;
    struct err e;
    struct arena a;
    struct meta_read r;
    uint64_t now_ms;
};

static inline void sample_reopen(struct sample *s) {
    meta_close(s->m);
    s->m = NULL;
    const struct meta_options o = {.folder = s->dir, .readers = 2, .reserve_bytes = 1 << 20};
    if (meta_open(&o, &s->m, &s->e) < 0) fail_msg("%s", s->e.msg);
    s->r.m = s->m;
}

static inline void sample_open(struct sample *s) {
    *s = (struct sample){.dir = "/tmp/meta_test.XXXXXX", .a = ARENA(64 << 20), .now_ms = 1000000};
    assert_non_null(mkdtemp(s->dir));
    s->r.arena = &s->a;
    sample_reopen(s);
}

static inline void sample_close(struct sample *s) {
    meta_close(s->m);
    arena_done(&s->a);
    assert_int_equal(file_remove_tree(AT_FDCWD, s->dir), 0);
}

/* Runs op; gives its why. */
static inline enum meta_why sample_run(struct sample *s, struct meta_op *op) {
    if (!op->now_ms) op->now_ms = ++s->now_ms;
    int r = meta_run(s->m, op, &s->e);
    assert_int_equal(r, op->why == META_OK ? 0 : -1);
    if (r < 0) assert_true(s->e.kind != ERR_NONE && s->e.msg[0]);
    return op->why;
}

static inline void sample_ok(struct sample *s, struct meta_op *op) {
    if (sample_run(s, op) != META_OK) fail_msg("%s", s->e.msg);
}

static inline void sample_bucket(struct sample *s, struct str name, enum meta_versioning v) {
    struct meta_op op = {.verb = META_BUCKET_CREATE,
                         .bucket = name,
                         .create = {.owner = STR("ann"), .versioning = v}};
    sample_ok(s, &op);
}

static inline struct meta_etag sample_etag(unsigned n) {
    struct meta_etag etag = {.parts = 0};
    memcpy(etag.md5, &n, sizeof n);
    return etag;
}

static inline struct meta_op sample_put(struct str bucket, struct str key, struct str data) {
    return (struct meta_op){.verb = META_PUT,
                            .bucket = bucket,
                            .key = key,
                            .put = {.data = data, .size_bytes = data.n, .etag = sample_etag(7)}};
}

static inline struct meta_op sample_delete(struct str bucket, struct str key, uint64_t version) {
    return (struct meta_op){.verb = META_DELETE, .bucket = bucket, .key = key, .version = version};
}

/* count chunks of one byte each into `out`; 0 when the store gives none. */
static inline struct meta_chunks sample_chunks(struct sample *s, struct meta_chunk *out,
                                               uint32_t count) {
    uint64_t first;
    if (meta_chunk_ids(s->m, count, &first, &s->e) < 0) fail_msg("%s", s->e.msg);
    for (uint32_t i = 0; i < count; i++) out[i] = (struct meta_chunk){first + i, 1};
    return (struct meta_chunks){out, count};
}

static inline struct meta_op sample_put_chunks(struct str bucket, struct str key,
                                               struct meta_chunks chunks) {
    return (struct meta_op){
        .verb = META_PUT,
        .bucket = bucket,
        .key = key,
        .put = {.chunks = chunks, .size_bytes = chunks.count, .etag = sample_etag(8)}};
}

static inline enum meta_why sample_get(struct sample *s, struct str bucket, struct str key,
                                       uint64_t version, struct meta_object *out) {
    const struct meta_name name = {bucket, key, version};
    int r = meta_object(&s->r, &name, out, &s->e);
    assert_int_equal(r, s->r.why == META_OK ? 0 : -1);
    return s->r.why;
}

static inline void sample_problem(void *user, const char *problem) {
    (void)user;
    print_error("check: %s\n", problem);
}

/* The store agrees with itself. */
static inline void sample_check(struct sample *s) {
    const struct meta_check_report report = {sample_problem, NULL};
    int n = meta_check(s->m, &report, &s->e);
    if (n < 0) fail_msg("%s", s->e.msg);
    assert_int_equal(n, 0);
}

static inline uint64_t sample_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
