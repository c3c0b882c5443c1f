/* SPDX-License-Identifier: Apache-2.0 — meta_crash_test.c: a writer that is killed in the middle.
 *
 * A child process writes with several threads and tells each answer through a pipe; after a random
 * number of them it is killed. Whatever it told must be there, and the store must agree with
 * itself. */
#include "s3gw/meta/meta_sample.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define B       STR("bucket")
#define THREADS 6
#define ROUNDS  8

struct told {
    uint32_t thread, number;
};
struct writer {
    struct meta *m;
    int fd;
    uint32_t thread, from, round;
};

static void name_of(char out[48], uint32_t thread, uint32_t number) {
    (void)snprintf(out, 48, "t%u/%06u", thread, number);
}

/* Every third with chunks, every fifth of them dropped before it is put, some overwritten. */
static bool write_one(struct writer *w, uint32_t number, struct err *e) {
    char key[48];
    struct meta_chunk c[2];
    name_of(key, w->thread, number);
    struct meta_op op = sample_put(B, str_of(key), str_of(key));
    op.now_ms = 1;
    if (number % 3 == 0) {
        uint64_t first;
        if (meta_chunk_ids(w->m, 2, &first, e) < 0) return false;
        c[0] = (struct meta_chunk){first, 1};
        c[1] = (struct meta_chunk){first + 1, 1};
        struct meta_op put = sample_put_chunks(B, STR("shared"), (struct meta_chunks){c, 2});
        put.now_ms = 1;
        if (number % 5 && meta_run(w->m, &put, e) < 0) return false;
    }
    return meta_run(w->m, &op, e) == 0;
}

static void *write_many(void *arg) {
    struct writer *w = arg;
    struct err e;
    for (uint32_t number = w->from;; number++) {
        struct told told = {w->thread, number};
        if (!write_one(w, number, &e)) _exit(3);
        if (write(w->fd, &told, sizeof told) != sizeof told) _exit(4);
    }
    return NULL;
}

static void child(const char *dir, int fd, const uint32_t from[THREADS]) {
    struct meta *m;
    struct err e;
    pthread_t threads[THREADS];
    struct writer writers[THREADS];
    const struct meta_options o = {.folder = dir, .readers = 1, .reserve_bytes = 1 << 20};
    if (meta_open(&o, &m, &e) < 0) _exit(2);
    for (uint32_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){m, fd, i, from[i], 0};
        if (pthread_create(&threads[i], NULL, write_many, &writers[i]) != 0) _exit(5);
    }
    for (;;) (void)pause();
}

/* Reads what the child tells until it is killed after `answers` of them. */
static void listen_and_kill(pid_t pid, int fd, uint64_t answers, uint32_t until[THREADS]) {
    struct told told;
    ssize_t n;
    for (uint64_t i = 0; (n = read(fd, &told, sizeof told)) == sizeof told; i++) {
        if (told.number + 1 > until[told.thread]) until[told.thread] = told.number + 1;
        if (i == answers) (void)kill(pid, SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status)) fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
}

static void verify(struct sample *s, const uint32_t until[THREADS]) {
    char key[48];
    struct meta_object o;
    for (uint32_t t = 0; t < THREADS; t++)
        for (uint32_t number = 0; number < until[t]; number++) {
            name_of(key, t, number);
            if (sample_get(s, B, str_of(key), META_LATEST, &o) != META_OK)
                fail_msg("'%s' was acknowledged and is lost", key);
            assert_true(str_eq(o.data, str_of(key)));
            if (number % 100 == 0) arena_done(&s->a);
        }
    sample_check(s);
}

static void what_was_acknowledged_survives_a_kill(void **state) {
    (void)state;
    struct sample s;
    uint32_t until[THREADS] = {0};
    uint64_t seed = 77;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    for (int round = 0; round < ROUNDS; round++) {
        meta_close(s.m);
        s.m = NULL;
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            (void)close(ends[0]);
            child(s.dir, ends[1], until);
        }
        (void)close(ends[1]);
        listen_and_kill(pid, ends[0], 50 + sample_random(&seed) % 500, until);
        (void)close(ends[0]);
        sample_reopen(&s);
        verify(&s, until);
    }
    sample_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
