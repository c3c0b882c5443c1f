/* SPDX-License-Identifier: Apache-2.0 — zdb_sample.h: namespaces in a test's own folders. Only
 * tests include it. */
#pragma once

#include "storage/zdb/zdb_namespace.h"

#include "base/file.h"
#include "storage/unpack/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SAMPLE_TIME_S 0x6b00768eu /* when 0-db wrote the vectors */

struct sample {
    char path[64], data[96], index[96];
    char report[4096]; /* what recovery said, joined */
    struct zdb_options options;
    struct zdb_namespace *ns;
};

static inline void sample_report(void *user, const char *text) {
    struct sample *s = user;
    size_t n = strlen(s->report);
    (void)snprintf(s->report + n, sizeof s->report - n, "%s\n", text);
}

static inline void sample_init(struct sample *s, enum zdb_mode mode) {
    const char *buffer = getenv("ZDB_TEST_BUFFER"); /* small writes wait in so many bytes */
    *s = (struct sample){.options = {.name = STR("default"), .mode = mode}};
    if (buffer) s->options.buffer_bytes = (uint32_t)strtoul(buffer, NULL, 10);
    char path[64]; /* its own: the compiler sees an overlap within *s */
    (void)close(scratch_dir(path));
    memcpy(s->path, path, sizeof path);
    (void)snprintf(s->data, sizeof s->data, "%s/data", path);
    (void)snprintf(s->index, sizeof s->index, "%s/index", path);
    s->options.data_path = s->data;
    s->options.index_path = s->index;
    s->options.report = sample_report;
    s->options.user = s;
}

static inline void sample_open(struct sample *s) {
    struct err e = {0};
    s->report[0] = 0;
    if (zdb_open(&s->options, &s->ns, &e) < 0) fail_msg("open: %s", e.msg);
}

static inline void sample_close(struct sample *s) {
    struct err e = {0};
    if (zdb_close(s->ns, &e) < 0) fail_msg("close: %s", e.msg);
    s->ns = NULL;
}

static inline void sample_reopen(struct sample *s) {
    sample_close(s);
    sample_open(s);
}

static inline struct zdb_put_result sample_put(struct sample *s, struct str key,
                                               struct str payload) {
    struct zdb_put put = {key, payload, SAMPLE_TIME_S};
    struct zdb_put_result result;
    struct err e = {0};
    if (zdb_put(s->ns, &put, &result, &e) < 0) fail_msg("put: %s", e.msg);
    return result;
}

static inline void sample_delete(struct sample *s, struct str key) {
    struct err e = {0};
    uint64_t ticket;
    if (zdb_delete(s->ns, key, SAMPLE_TIME_S, &ticket, &e) < 0) fail_msg("delete: %s", e.msg);
}

/* The value, read into out (cleared before); ERR_NONE or why not. */
static inline enum err_kind sample_get(struct sample *s, struct str key, struct buf *out) {
    AUTO(zdb_value_done) struct zdb_value v = {0};
    struct err e = {0};
    buf_clear(out);
    if (zdb_find(s->ns, key, &v, &e) < 0 || zdb_read(s->ns, key, &v, out, &e) < 0) return e.kind;
    return ERR_NONE;
}

static inline void sample_expect(struct sample *s, struct str key, struct str payload) {
    AUTO(buf_done) struct buf out = BUF(ZDB_PAYLOAD_BYTES_MAX);
    assert_int_equal(sample_get(s, key, &out), ERR_NONE);
    assert_int_equal(out.n, payload.n);
    if (payload.n > 0) assert_memory_equal(out.p, payload.p, payload.n);
}

static inline void sample_expect_error(struct sample *s, struct str key, enum err_kind kind) {
    AUTO(buf_done) struct buf out = BUF(ZDB_PAYLOAD_BYTES_MAX);
    assert_int_equal(sample_get(s, key, &out), kind);
}

/* The whole file FOLDER/NAME. */
static inline struct buf sample_file(const char *folder, const char *name) {
    struct buf b = {0};
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_read_all(AT_FDCWD, path, (size_t)64 << 20, &b), 0);
    return b;
}
