/* SPDX-License-Identifier: Apache-2.0 — bench_main.c: figures of the metadata layer, by hand.
 *
 *   meta-bench FOLDER KEYS    FOLDER: empty or from an earlier run; KEYS: of the listed buckets
 *
 * Fills a bucket of KEYS flat keys and one of KEYS keys below as many prefixes, then measures pages
 * of lists (warm, and the first after dropping the page cache, which needs root), puts of 4 KiB by
 * 32 and by 1 callers, reads and deletions. */
#include "base/clock.h"
#include "base/file.h"
#include "s3gw/meta/meta.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define CALLERS   32
#define PAGES     200
#define SMALL     4096
#define PUTS      32000
#define DROP_FILE "/proc/sys/vm/drop_caches"

struct bench {
    struct meta *m;
    const char *folder;
    uint64_t keys;
};
struct caller {
    struct bench *b;
    pthread_t thread;
    struct str bucket;
    struct str data;
    enum meta_verb verb;
    const char *format;
    uint64_t from, to, step, worst_ns, sum_ns;
};

static void die(const struct err *e) {
    (void)fprintf(stderr, "meta-bench: %s\n", e->msg);
    exit(1);
}

static void open_store(struct bench *b) {
    struct err e;
    const struct meta_options o = {.folder = b->folder, .readers = 4};
    if (meta_open(&o, &b->m, &e) < 0) die(&e);
}

/* Spread over the key space, as uploads of many clients are. */
static void key_of(char out[64], const char *format, uint64_t i) {
    uint64_t spread = i * UINT64_C(0x9e3779b97f4a7c15) >> 24;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(out, 64, format, (unsigned long long)spread);
#pragma GCC diagnostic pop
}

static void *call(void *arg) {
    struct caller *c = arg;
    char key[64];
    struct err e;
    for (uint64_t i = c->from; i < c->to; i += c->step) {
        key_of(key, c->format, i);
        struct meta_op op = {
            .verb = c->verb, .bucket = c->bucket, .key = str_of(key), .now_ms = i + 1};
        if (c->verb == META_PUT) {
            op.put = (struct meta_put_in){.data = c->data, .size_bytes = c->data.n};
            op.put.attributes.headers = STR("content-type: application/octet-stream");
            memcpy(op.put.etag.md5, &i, sizeof i);
        }
        uint64_t begin = clock_ns();
        if (meta_run(c->b->m, &op, &e) < 0) die(&e);
        uint64_t took = clock_ns() - begin;
        c->sum_ns += took;
        if (took > c->worst_ns) c->worst_ns = took;
    }
    return NULL;
}

static void change(const char *what, struct caller like, unsigned callers) {
    struct caller c[256];
    struct meta_stats before, after;
    uint64_t worst = 0, sum = 0, count = like.to - like.from;
    meta_stats(like.b->m, &before);
    uint64_t begin = clock_ns();
    for (unsigned i = 0; i < callers; i++) {
        c[i] = like;
        c[i].from += i;
        c[i].step = callers;
        if (pthread_create(&c[i].thread, NULL, call, &c[i]) != 0) abort();
    }
    for (unsigned i = 0; i < callers; i++) {
        (void)pthread_join(c[i].thread, NULL);
        if (c[i].worst_ns > worst) worst = c[i].worst_ns;
        sum += c[i].sum_ns;
    }
    double seconds = (double)(clock_ns() - begin) / 1e9;
    meta_stats(like.b->m, &after);
    printf("%-34s %8.0f/s  mean %.2f ms, worst %.1f ms, %.1f ops a commit\n", what,
           (double)count / seconds, (double)sum / (double)count / 1e6, (double)worst / 1e6,
           (double)(after.ops - before.ops) / (double)(after.commits - before.commits));
}

static double list_ms(struct bench *b, struct meta_list_query q, size_t *out_count) {
    AUTO(arena_done) struct arena a = ARENA(META_PAGE_ARENA_BYTES);
    struct meta_read r = {.m = b->m, .arena = &a};
    struct meta_page page;
    struct err e;
    uint64_t begin = clock_ns();
    if (meta_list(&r, &q, &page, &e) < 0) die(&e);
    *out_count = page.count;
    return (double)(clock_ns() - begin) / 1e6;
}

static void drop_caches(struct bench *b) {
    meta_close(b->m);
    sync();
    if (file_put(AT_FDCWD, DROP_FILE, STR("3")) < 0)
        (void)fprintf(stderr, "meta-bench: the page cache cannot be dropped, these are warm\n");
    open_store(b);
}

static void lists(struct bench *b, const char *what, struct str bucket, const char *format,
                  struct str delimiter) {
    struct meta_list_query q = {.bucket = bucket, .delimiter = delimiter, .max = META_PAGE_MAX};
    char key[64];
    double sum = 0, worst = 0, cold[5], cold_sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < COUNT(cold); i++) {
        drop_caches(b);
        key_of(key, format, (i + 1) * b->keys / 7);
        q.after_key = str_of(key);
        cold[i] = list_ms(b, q, &count);
        cold_sum += cold[i];
    }
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < PAGES; i++) {
            key_of(key, format, i * b->keys / PAGES);
            q.after_key = str_of(key);
            double ms = list_ms(b, q, &count);
            if (round == 0) continue;
            sum += ms;
            if (ms > worst) worst = ms;
        }
    printf("%-34s warm mean %.2f ms, worst %.2f ms; first after dropping caches %.2f ms\n", what,
           sum / PAGES, worst, cold_sum / (double)COUNT(cold));
}

static void read_small(struct bench *b) {
    struct err e;
    char key[64];
    uint64_t begin = clock_ns();
    for (uint64_t i = 0; i < PUTS; i++) {
        AUTO(arena_done) struct arena a = ARENA(64 * 1024);
        struct meta_read r = {.m = b->m, .arena = &a};
        struct meta_object o;
        key_of(key, "s/%010llx", i);
        const struct meta_name name = {STR("small"), str_of(key), META_LATEST};
        if (meta_object(&r, &name, &o, &e) < 0) die(&e);
    }
    printf("%-34s %8.0f/s\n", "GET 4 KiB, 1 caller", PUTS / ((double)(clock_ns() - begin) / 1e9));
}

static void print_memory(void) {
    AUTO(buf_done) struct buf b = BUF(0);
    if (file_read_all(AT_FDCWD, "/proc/self/status", 64 * 1024, &b) < 0) return;
    const char *line = strstr(buf_c(&b), "VmRSS");
    if (line) printf("%-34s %.*s\n", "memory of this process", (int)strcspn(line, "\n"), line);
}

static bool make_bucket(struct bench *b, struct str name) {
    struct err e;
    struct meta_op op = {.verb = META_BUCKET_CREATE, .bucket = name, .now_ms = 1};
    if (meta_run(b->m, &op, &e) == 0) return true;
    if (op.why != META_BUCKET_EXISTS) die(&e);
    return false;
}

int main(int argc, char **argv) {
    static char data[SMALL];
    struct bench b = {.folder = argc > 1 ? argv[1] : ""};
    if (argc != 3 || str_u64(str_of(argv[2]), &b.keys) < 0) {
        (void)fprintf(stderr, "usage: meta-bench FOLDER KEYS\n");
        return 2;
    }
    open_store(&b);
    struct caller c = {.b = &b, .verb = META_PUT, .to = b.keys, .format = "key/%010llx"};
    c.bucket = STR("flat");
    if (make_bucket(&b, c.bucket)) change("fill: PUT 0 bytes, 200 callers", c, 200);
    c.bucket = STR("prefixes");
    c.format = "dir-%010llx/file";
    if (make_bucket(&b, c.bucket)) change("fill below prefixes, 200 callers", c, 200);
    lists(&b, "LIST 1000 flat", STR("flat"), "key/%010llx", STR(""));
    lists(&b, "LIST 1000 common prefixes", STR("prefixes"), "dir-%010llx/file", STR("/"));
    c = (struct caller){.b = &b,
                        .verb = META_PUT,
                        .to = PUTS,
                        .format = "s/%010llx",
                        .bucket = STR("small"),
                        .data = {data, sizeof data}};
    (void)make_bucket(&b, c.bucket);
    change("PUT 4 KiB, 32 callers", c, CALLERS);
    read_small(&b);
    print_memory();
    c.verb = META_DELETE;
    change("DELETE 4 KiB, 32 callers", c, CALLERS);
    c.verb = META_PUT;
    c.to = PUTS / 8;
    change("PUT 4 KiB, 1 caller", c, 1);
    meta_close(b.m);
    return 0;
}
