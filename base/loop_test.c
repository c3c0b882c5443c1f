/* SPDX-License-Identifier: Apache-2.0 — loop_test.c: order, exclusion and ends of life of tasks,
 * timers, watches, strands. */
#include "base/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#define WORKERS      4
#define STRANDS      16
#define JOBS         2000 /* per strand */
#define FAIR_JOBS    8
#define POSTERS      4
#define POSTED_TASKS 1000

static struct loop *loop;

static int set_up(void **state) {
    (void)state;
    loop = loop_new(WORKERS);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    loop_free(loop);
    return 0;
}

static void stop_task(struct task *t) {
    (void)t;
    loop_stop(loop);
}

/* ---- tasks ---- */

struct numbered {
    struct task task;
    unsigned poster, number;
};

static unsigned next_number[POSTERS];
static unsigned tasks_left;

static void check_order(struct task *t) {
    struct numbered *n = CONTAINER_OF(t, struct numbered, task);
    assert_int_equal(n->number, next_number[n->poster]++);
    free(n);
    if (--tasks_left == 0) loop_stop(loop);
}

static void *post_many(void *poster) {
    for (unsigned i = 0; i < POSTED_TASKS; i++) {
        struct numbered *n = xnew(struct numbered);
        n->task.run = check_order;
        n->poster = (unsigned)(uintptr_t)poster;
        n->number = i;
        loop_post(loop, &n->task);
    }
    return NULL;
}

static void tasks_of_each_thread_run_in_their_order(void **state) {
    (void)state;
    pthread_t threads[POSTERS];
    tasks_left = POSTERS * POSTED_TASKS;
    for (uintptr_t i = 0; i < POSTERS; i++) {
        next_number[i] = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, (void *)i), 0);
    }
    loop_run(loop);
    for (unsigned i = 0; i < POSTERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(tasks_left, 0);
}

static int again_left;
static void post_again(struct task *t) {
    if (--again_left > 0)
        loop_post(loop, t);
    else
        loop_stop(loop);
}

static void a_task_may_post_itself_again(void **state) {
    (void)state;
    struct task t = {.run = post_again};
    again_left = 3;
    loop_post(loop, &t);
    loop_run(loop);
    assert_int_equal(again_left, 0);
}

static bool late_ran;
static void late_run(struct task *t) {
    (void)t;
    late_ran = true;
}

static void tasks_pending_at_a_stop_run_before_the_loop_returns(void **state) {
    (void)state;
    struct task late = {.run = late_run};
    late_ran = false;
    loop_stop(loop);
    loop_post(loop, &late);
    loop_run(loop);
    assert_true(late_ran);
}

/* ---- timers ---- */

#define TIMERS_FIRED 4
#define ROUNDING_NS  2000000

struct timed {
    struct timer timer;
    uint64_t due_from_ns, due_to_ns; /* the clock before and behind the arming, plus the delay */
};
static int fired;
static uint64_t latest_due_ns;

static void check_timer(struct timer *t) {
    struct timed *timed = CONTAINER_OF(t, struct timed, timer);
    assert_null(t->impl);
    assert_true(clock_ns() >= timed->due_from_ns);
    assert_true(timed->due_to_ns + ROUNDING_NS >= latest_due_ns);
    if (timed->due_from_ns > latest_due_ns) latest_due_ns = timed->due_from_ns;
    if (++fired == TIMERS_FIRED) loop_stop(loop);
}

static void check_and_free(struct timer *t) {
    check_timer(t);
    free(CONTAINER_OF(t, struct timed, timer));
}

static void must_not_fire(struct timer *t) {
    (void)t;
    abort();
}

static void arm(struct timed *t, uint64_t delay_ms) {
    t->due_from_ns = clock_ns() + delay_ms * 1000000;
    timer_arm(loop, &t->timer, delay_ms);
    t->due_to_ns = clock_ns() + delay_ms * 1000000;
}

static void timers_fire_in_due_order_never_early_and_not_after_cancel(void **state) {
    (void)state;
    fired = 0;
    latest_due_ns = 0;
    struct timed now = {.timer = {.fire = check_timer}};
    struct timed soon = now, moved = now, cancelled = {.timer = {.fire = must_not_fire}};
    struct timed *last = xnew(struct timed);
    last->timer.fire = check_and_free;
    arm(last, 12);
    arm(&soon, 3);
    arm(&moved, 1);
    arm(&moved, 8);
    arm(&cancelled, 1);
    arm(&now, 0);
    assert_int_equal(fired, 0); /* not from inside the call that armed it */
    timer_cancel(&cancelled.timer);
    timer_cancel(&cancelled.timer);
    loop_run(loop);
    assert_int_equal(fired, TIMERS_FIRED);
}

static void an_armed_timer_does_not_leak_with_its_loop(void **state) {
    (void)state;
    struct timed *t = xnew(struct timed);
    t->timer.fire = must_not_fire;
    arm(t, UINT64_MAX); /* also: the longest delay does not wrap */
    loop_post(loop, &(struct task){.run = stop_task});
    loop_run(loop);
    free(t);
}

/* ---- watches ---- */

struct watched {
    struct watch watch;
    int calls;
    int events;
};

static void note_ready(struct watch *w, int events) {
    struct watched *watched = CONTAINER_OF(w, struct watched, watch);
    watched->calls++;
    watched->events = events;
    watch_stop(w);
    loop_stop(loop);
}

static void a_watch_tells_readable_and_hang_up(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct watched w = {.watch = {.ready = note_ready}};
    assert_int_equal(watch_start(loop, &w.watch, fds[0], WATCH_READ | WATCH_HUP), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    loop_run(loop);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.events, WATCH_READ);

    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(watch_start(loop, &w.watch, fds[0], WATCH_HUP), 0);
    loop_run(loop);
    assert_int_equal(w.calls, 2);
    assert_int_equal(w.events, WATCH_HUP);
    assert_int_equal(close(fds[0]), 0);
}

static unsigned turn_watches, turn_ends;
static struct task turn_end, turn_never;
static void end_turn(struct task *t) {
    assert_ptr_equal(t, &turn_end);
    assert_int_equal(turn_watches, 2); /* both were ready: it comes behind them */
    turn_ends++;
    loop_stop(loop);
}
static void defer_once(struct watch *w, int events) {
    (void)events;
    watch_stop(w);
    if (turn_watches++ > 0) return;
    loop_defer(loop, &turn_never);
    loop_defer(loop, &turn_end);
    loop_undefer(loop, &turn_never);
}

static void what_is_deferred_runs_once_behind_all_watches_of_the_turn(void **state) {
    (void)state;
    struct watch w[2] = {{.ready = defer_once}, {.ready = defer_once}};
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    turn_watches = turn_ends = 0;
    turn_end.run = turn_never.run = end_turn;
    for (int i = 0; i < 2; i++) assert_int_equal(watch_start(loop, &w[i], fds[i], WATCH_WRITE), 0);
    loop_run(loop);
    assert_int_equal(turn_ends, 1);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static int hits;
static void count_hits(struct watch *w, int events) {
    assert_int_equal(events, WATCH_WRITE);
    if (++hits < 3) return;
    watch_stop(w);
    watch_stop(w);
    loop_stop(loop);
}

static void a_watch_is_level_triggered_and_its_events_can_change(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct watch w = {.ready = count_hits};
    hits = 0;
    assert_int_equal(watch_start(loop, &w, fds[0], WATCH_READ), 0);
    assert_int_equal(watch_start(loop, &w, fds[0], WATCH_WRITE), 0);
    loop_run(loop);
    assert_int_equal(hits, 3);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void an_error_condition_is_reported_as_the_events_asked_for(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    (void)close(fds[0]); /* a pipe without a reader: POLLERR on the writing end */
    struct watched w = {.watch = {.ready = note_ready}};
    assert_int_equal(watch_start(loop, &w.watch, fds[1], WATCH_HUP), 0);
    loop_run(loop);
    assert_int_equal(w.events, WATCH_HUP);
    (void)close(fds[1]);
}

static void what_cannot_be_watched_is_refused(void **state) {
    (void)state;
    struct watch w = {.ready = note_ready};
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(watch_start(loop, &w, fd, WATCH_READ), -EPERM);
    assert_null(w.impl);
    (void)close(fd);
    assert_int_equal(watch_start(loop, &w, fd, WATCH_READ), -EBADF);

    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct watch second = w;
    assert_int_equal(watch_start(loop, &w, fds[0], WATCH_READ), 0);
    assert_int_equal(watch_start(loop, &second, fds[0], WATCH_READ), -EEXIST);
    watch_stop(&w);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* ---- signals ---- */

static void note_signal(int signum, void *user) {
    *(int *)user = signum;
    loop_stop(loop);
}

static void a_signal_arrives_on_the_loop(void **state) {
    (void)state;
    int seen = 0;
    loop_on_signal(loop, SIGUSR1, note_signal, &seen);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    loop_run(loop);
    assert_int_equal(seen, SIGUSR1);
}

/* ---- strands and jobs ---- */

struct owner {
    struct strand strand;
    struct task done;
    unsigned next; /* touched by this strand's jobs only: TSan proves the exclusion */
    unsigned jobs;
};
struct step {
    struct job job;
    struct owner *owner;
    unsigned number;
};
static unsigned owners_left;

static void owner_done(struct task *t) {
    free(CONTAINER_OF(t, struct owner, done)); /* the worker may still be on its way back */
    if (--owners_left == 0) loop_stop(loop);
}

static void run_step(struct job *j) {
    struct step *step = CONTAINER_OF(j, struct step, job);
    struct owner *o = step->owner;
    if (step->number != o->next++) abort();
    free(step);
    if (o->next == o->jobs) loop_post(loop, &o->done);
}

static void post_step(struct owner *o, unsigned number) {
    struct step *step = xnew(struct step);
    step->job.run = run_step;
    step->owner = o;
    step->number = number;
    strand_post(&o->strand, &step->job);
}

static struct owner *owner_new(unsigned jobs) {
    struct owner *o = xnew(struct owner);
    strand_init(&o->strand, loop);
    o->done.run = owner_done;
    o->jobs = jobs;
    return o;
}

static void jobs_of_a_strand_run_one_at_a_time_in_order(void **state) {
    (void)state;
    struct owner *owners[STRANDS];
    owners_left = STRANDS;
    for (unsigned i = 0; i < STRANDS; i++) owners[i] = owner_new(JOBS);
    for (unsigned n = 0; n < JOBS; n++)
        for (unsigned i = 0; i < STRANDS; i++) post_step(owners[i], n);
    loop_run(loop);
    assert_int_equal(owners_left, 0);
}

static void a_strand_may_be_freed_by_a_task_of_its_last_job(void **state) {
    (void)state;
    owners_left = JOBS;
    for (unsigned i = 0; i < JOBS; i++) post_step(owner_new(1), 0);
    loop_run(loop);
    assert_int_equal(owners_left, 0);
}

struct chain {
    struct strand strand;
    struct job job;
    struct task done;
    unsigned left;
};

static void chain_done(struct task *t) {
    free(CONTAINER_OF(t, struct chain, done));
    loop_stop(loop);
}

static void run_chain(struct job *j) {
    struct chain *c = CONTAINER_OF(j, struct chain, job);
    if (--c->left > 0)
        strand_post(&c->strand, j);
    else
        loop_post(loop, &c->done);
}

static void a_job_may_post_itself_to_its_own_strand(void **state) {
    (void)state;
    struct chain *c = xnew(struct chain);
    strand_init(&c->strand, loop);
    c->job.run = run_chain;
    c->done.run = chain_done;
    c->left = JOBS;
    strand_post(&c->strand, &c->job);
    loop_run(loop);
}

/* One worker, so that the order of the whole pool can be seen. */
static char order[4 * FAIR_JOBS];
static unsigned order_length;
struct letter {
    struct job job;
    char name;
};

static void note_letter(struct job *j) {
    struct letter *l = CONTAINER_OF(j, struct letter, job);
    order[order_length++] = l->name;
}

/* Occupies the worker: tells that it has begun, then waits to be let go. */
struct gate {
    struct job job;
    int fds[2];
};

static void wait_at_gate(struct job *j) {
    struct gate *g = CONTAINER_OF(j, struct gate, job);
    char c = 'x';
    if (write(g->fds[1], &c, 1) != 1 || read(g->fds[1], &c, 1) != 1) abort();
}

static void strands_and_loose_jobs_take_turns(void **state) {
    (void)state;
    struct loop *one = loop_new(1);
    struct strand a, b;
    strand_init(&a, one);
    strand_init(&b, one);
    struct letter as[FAIR_JOBS], bs[FAIR_JOBS], loose[FAIR_JOBS];
    struct gate gate = {.job = {.run = wait_at_gate}};
    char c;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate.fds), 0);
    order_length = 0;
    loop_work(one, &gate.job);
    assert_int_equal(read(gate.fds[0], &c, 1), 1);
    for (int i = 0; i < FAIR_JOBS; i++) {
        as[i] = (struct letter){.job = {.run = note_letter}, .name = 'a'};
        strand_post(&a, &as[i].job);
    }
    for (int i = 0; i < FAIR_JOBS; i++) {
        bs[i] = (struct letter){.job = {.run = note_letter}, .name = 'b'};
        strand_post(&b, &bs[i].job);
        loose[i] = (struct letter){.job = {.run = note_letter}, .name = '.'};
        loop_work(one, &loose[i].job);
    }
    assert_int_equal(write(gate.fds[0], &c, 1), 1);
    loop_free(one); /* finishes what is queued */
    assert_int_equal(order_length, 3 * FAIR_JOBS);
    /* Strands alternate with loose jobs, and among themselves. */
    assert_memory_equal(order, "a.b.a.b.a.b.a.b.", 2 * FAIR_JOBS);
    (void)close(gate.fds[0]);
    (void)close(gate.fds[1]);
}

static int freed_stage;
static void stage_task(struct task *t) {
    (void)t;
    freed_stage = 2;
}
static struct task stage_done = {.run = stage_task};
static struct loop *stage_loop;
static void stage_job(struct job *j) {
    (void)j;
    freed_stage = 1;
    loop_post(stage_loop, &stage_done);
}

static void freeing_a_loop_finishes_jobs_and_the_tasks_they_post(void **state) {
    (void)state;
    freed_stage = 0;
    stage_loop = loop_new(1);
    struct job j = {.run = stage_job};
    loop_work(stage_loop, &j);
    loop_free(stage_loop);
    assert_int_equal(freed_stage, 2);
}

static sigset_t worker_mask;
static void read_mask(struct job *j) {
    (void)j;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &worker_mask);
}

static void workers_take_no_signals(void **state) {
    (void)state;
    struct loop *one = loop_new(1);
    struct job j = {.run = read_mask};
    loop_work(one, &j);
    loop_free(one);
    assert_int_equal(sigismember(&worker_mask, SIGTERM), 1);
    assert_int_equal(sigismember(&worker_mask, SIGCHLD), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(tasks_of_each_thread_run_in_their_order),
        TEST(a_task_may_post_itself_again),
        TEST(tasks_pending_at_a_stop_run_before_the_loop_returns),
        TEST(timers_fire_in_due_order_never_early_and_not_after_cancel),
        TEST(an_armed_timer_does_not_leak_with_its_loop),
        TEST(a_watch_tells_readable_and_hang_up),
        TEST(what_is_deferred_runs_once_behind_all_watches_of_the_turn),
        TEST(a_watch_is_level_triggered_and_its_events_can_change),
        TEST(an_error_condition_is_reported_as_the_events_asked_for),
        TEST(what_cannot_be_watched_is_refused),
        TEST(a_signal_arrives_on_the_loop),
        TEST(jobs_of_a_strand_run_one_at_a_time_in_order),
        TEST(a_strand_may_be_freed_by_a_task_of_its_last_job),
        TEST(a_job_may_post_itself_to_its_own_strand),
        cmocka_unit_test(strands_and_loose_jobs_take_turns),
        cmocka_unit_test(freeing_a_loop_finishes_jobs_and_the_tasks_they_post),
        cmocka_unit_test(workers_take_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
