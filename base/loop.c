/* SPDX-License-Identifier: Apache-2.0 — loop.c: libuv behind tasks, timers, watches, signals; a
 * pool of own threads behind strands.
 *
 * Tasks: a list under post_mutex; one uv_async wakes the loop when the list stops being empty.
 *
 * Timers and watches: the uv handle lives in a heap block of its own, because libuv wants it until
 * the close callback while our caller may free its struct at once. Cutting the block's `owner`
 * pointer is what makes "no callback after cancel" true.
 *
 * Pool: uv_queue_work may be called on the loop thread only, so the workers are ours. One mutex
 * guards the queues of all strands; jobs are tens of microseconds at least, the lock is held for a
 * few instructions. After each job the strand goes to the back of the ready list; loose jobs and
 * strands take turns.
 *
 * A strand may be freed by a task that its last job posted, at the very moment its worker comes
 * back from that job. So the worker does not touch the strand afterwards unless jobs are queued on
 * it (then it must be alive): "held" is recorded as the worker's address and turn number, and
 * strand_post() tells the worker, not the strand, that more came. */
#include "base/loop.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <uv.h>

#define LOOP_WORKERS_MAX        64
#define LOOP_WORKER_STACK_BYTES (256 * 1024)
#define LOOP_WORKER_NAME_BYTES  16 /* the kernel's limit, with the NUL */
#define LOOP_TIMER_DELAY_MS_MAX (UINT64_C(1) << 48)

struct worker {
    struct loop *loop;
    pthread_t thread;
    uint64_t turn; /* jobs begun or ended; a strand is held while its number is this one */
    bool more;     /* the held strand has jobs queued */
};

struct pool {
    pthread_mutex_t mutex; /* guards all below and the queues of all strands */
    pthread_cond_t work;   /* something is queued, or closing */
    pthread_cond_t idle;   /* nothing is queued and no worker is busy */
    struct strand *ready_head, *ready_tail;
    struct job *loose_head, *loose_tail;
    bool loose_next; /* whose turn it is when both wait */
    bool closing;
    unsigned busy;
    unsigned count;
    struct worker workers[LOOP_WORKERS_MAX];
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_check_t turn_end; /* active while tasks are deferred */
    struct task *late_head, *late_tail;
    pthread_mutex_t post_mutex; /* guards the task list and stop */
    struct task *post_head, *post_tail;
    bool stop;
    struct pool pool;
};

static void must(int r, const char *what) {
    if (r == 0) return;
    (void)dprintf(STDERR_FILENO, "level=error msg=\"event loop: %s failed\" code=%d\n", what, r);
    abort();
}

/* ---- tasks ---- */

/* Runs what was posted until now; what these tasks post waits for the next round. */
static bool run_tasks(struct loop *l) {
    (void)pthread_mutex_lock(&l->post_mutex);
    struct task *t = l->post_head;
    l->post_head = l->post_tail = NULL;
    (void)pthread_mutex_unlock(&l->post_mutex);
    bool any = t != NULL;
    for (struct task *next; t; t = next) {
        next = t->next;
        t->next = NULL;
        t->run(t);
    }
    return any;
}

static bool stop_wanted(struct loop *l) {
    (void)pthread_mutex_lock(&l->post_mutex);
    bool stop = l->stop;
    (void)pthread_mutex_unlock(&l->post_mutex);
    return stop;
}

static void woken(uv_async_t *wake) {
    struct loop *l = wake->data;
    (void)run_tasks(l);
    if (stop_wanted(l)) uv_stop(&l->uv);
}

void loop_post(struct loop *l, struct task *t) {
    t->next = NULL;
    (void)pthread_mutex_lock(&l->post_mutex);
    bool first = l->post_head == NULL;
    if (first)
        l->post_head = t;
    else
        l->post_tail->next = t;
    l->post_tail = t;
    /* Inside the lock: loop_free() may end the handle as soon as the task has run. */
    if (first) (void)uv_async_send(&l->wake);
    (void)pthread_mutex_unlock(&l->post_mutex);
}

static void end_turn(uv_check_t *check) {
    struct loop *l = check->data;
    struct task *t = l->late_head;
    l->late_head = l->late_tail = NULL;
    (void)uv_check_stop(&l->turn_end);
    for (struct task *next; t; t = next) {
        next = t->next;
        t->next = NULL;
        t->run(t);
    }
}

void loop_defer(struct loop *l, struct task *t) {
    t->next = NULL;
    if (l->late_head)
        l->late_tail->next = t;
    else
        l->late_head = t;
    l->late_tail = t;
    must(uv_check_start(&l->turn_end, end_turn), "deferring");
}

void loop_undefer(struct loop *l, struct task *t) {
    struct task *all = l->late_head;
    l->late_head = l->late_tail = NULL;
    for (struct task *next; all; all = next) {
        next = all->next;
        if (all != t) loop_defer(l, all);
    }
}

void loop_stop(struct loop *l) {
    (void)pthread_mutex_lock(&l->post_mutex);
    l->stop = true;
    (void)uv_async_send(&l->wake);
    (void)pthread_mutex_unlock(&l->post_mutex);
}

void loop_run(struct loop *l) {
    while (!stop_wanted(l)) (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    (void)run_tasks(l); /* one round: a task that posts itself again must not keep us */
    (void)pthread_mutex_lock(&l->post_mutex);
    l->stop = false;
    (void)pthread_mutex_unlock(&l->post_mutex);
}

/* ---- timers ---- */

struct timer_impl {
    uv_timer_t uv; /* first: the close callback frees the handle's address */
    struct timer *owner;
};

static void free_handle(uv_handle_t *handle) { free(handle); }

static void timer_detach(struct timer_impl *impl) {
    impl->owner->impl = NULL;
    impl->owner = NULL;
    uv_close((uv_handle_t *)&impl->uv, free_handle);
}

static void timer_fired(uv_timer_t *uv) {
    struct timer_impl *impl = uv->data;
    struct timer *t = impl->owner;
    timer_detach(impl);
    t->fire(t);
}

void timer_arm(struct loop *l, struct timer *t, uint64_t delay_ms) {
    struct timer_impl *impl = t->impl;
    if (!impl) {
        impl = xnew(struct timer_impl);
        must(uv_timer_init(&l->uv, &impl->uv), "timer init");
        impl->uv.data = impl;
        impl->owner = t;
        t->impl = impl;
    }
    if (delay_ms > LOOP_TIMER_DELAY_MS_MAX) delay_ms = LOOP_TIMER_DELAY_MS_MAX;
    uv_update_time(&l->uv); /* the loop's own idea of now is as old as the present callback */
    /* It counts whole milliseconds from the last full one: one more, so that no timer is early. */
    must(uv_timer_start(&impl->uv, timer_fired, delay_ms ? delay_ms + 1 : 0, 0), "timer start");
}

void timer_cancel(struct timer *t) {
    if (t->impl) timer_detach(t->impl);
}

/* ---- watches ---- */

struct watch_impl {
    uv_poll_t uv; /* first, see timer_impl */
    struct watch *owner;
    int events; /* asked for, WATCH_* */
};

static void watch_ready(uv_poll_t *uv, int status, int uv_events);

static int watch_poll(struct watch_impl *impl) {
    int uv_events = (impl->events & WATCH_READ ? UV_READABLE : 0) |
                    (impl->events & WATCH_WRITE ? UV_WRITABLE : 0) |
                    (impl->events & WATCH_HUP ? UV_DISCONNECT : 0);
    return uv_poll_start(&impl->uv, uv_events, watch_ready);
}

static void watch_ready(uv_poll_t *uv, int status, int uv_events) {
    struct watch_impl *impl = uv->data;
    int events = (uv_events & UV_READABLE ? WATCH_READ : 0) |
                 (uv_events & UV_WRITABLE ? WATCH_WRITE : 0) |
                 (uv_events & UV_DISCONNECT ? WATCH_HUP : 0);
    if (status < 0) {
        /* EPOLLERR: libuv stopped the handle. The owner learns the cause from read or write. */
        events = impl->events;
        (void)watch_poll(impl);
    }
    impl->owner->ready(impl->owner, events);
}

int watch_start(struct loop *l, struct watch *w, int fd, int events) {
    struct watch_impl *impl = w->impl;
    if (impl) {
        assert(w->fd == fd);
        if (impl->events == events) return 0;
        impl->events = events;
        return watch_poll(impl);
    }
    impl = xnew(struct watch_impl);
    int r = uv_poll_init(&l->uv, &impl->uv, fd);
    if (r < 0) {
        free(impl);
        return r;
    }
    impl->uv.data = impl;
    impl->owner = w;
    impl->events = events;
    r = watch_poll(impl);
    if (r < 0) {
        uv_close((uv_handle_t *)&impl->uv, free_handle);
        return r;
    }
    w->fd = fd;
    w->impl = impl;
    return 0;
}

void watch_stop(struct watch *w) {
    struct watch_impl *impl = w->impl;
    if (!impl) return;
    w->impl = NULL;
    impl->owner = NULL;
    uv_close((uv_handle_t *)&impl->uv, free_handle);
}

/* ---- signals ---- */

struct signal_impl {
    uv_signal_t uv; /* first, see timer_impl */
    void (*on_signal)(int signum, void *user);
    void *user;
};

static void signal_came(uv_signal_t *uv, int signum) {
    struct signal_impl *impl = uv->data;
    impl->on_signal(signum, impl->user);
}

void loop_on_signal(struct loop *l, int signum, void (*on_signal)(int signum, void *user),
                    void *user) {
    struct signal_impl *impl = xnew(struct signal_impl);
    impl->on_signal = on_signal;
    impl->user = user;
    must(uv_signal_init(&l->uv, &impl->uv), "signal init");
    impl->uv.data = impl;
    must(uv_signal_start(&impl->uv, signal_came, signum), "signal start");
}

/* ---- pool ---- */

static void ready_push(struct pool *p, struct strand *s) {
    s->queued = true;
    s->next_ready = NULL;
    if (p->ready_tail)
        p->ready_tail->next_ready = s;
    else
        p->ready_head = s;
    p->ready_tail = s;
}

static struct job *loose_pop(struct pool *p) {
    struct job *j = p->loose_head;
    p->loose_head = j->next;
    if (!p->loose_head) p->loose_tail = NULL;
    return j;
}

/* Takes the oldest job of the strand that waits longest; w holds the strand from here on. */
static struct job *strand_pop(struct pool *p, struct worker *w, struct strand **out_held) {
    struct strand *s = p->ready_head;
    p->ready_head = s->next_ready;
    if (!p->ready_head) p->ready_tail = NULL;
    s->next_ready = NULL;
    s->queued = false;
    struct job *j = s->head;
    s->head = j->next;
    if (!s->head) s->tail = NULL;
    s->holder = w;
    s->turn = w->turn;
    w->more = s->head != NULL;
    *out_held = s;
    return j;
}

/* Called and returns with the mutex held. */
static void work_once(struct pool *p, struct worker *w) {
    struct strand *held = NULL;
    bool loose = p->loose_head && (p->loose_next || !p->ready_head);
    p->loose_next = !loose;
    w->turn++;
    struct job *j = loose ? loose_pop(p) : strand_pop(p, w, &held);
    j->next = NULL;
    p->busy++;
    (void)pthread_mutex_unlock(&p->mutex);
    j->run(j);
    (void)pthread_mutex_lock(&p->mutex);
    p->busy--;
    w->turn++;
    if (held && w->more) ready_push(p, held);
    w->more = false;
    if (p->busy == 0 && !p->ready_head && !p->loose_head) (void)pthread_cond_broadcast(&p->idle);
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    struct pool *p = &w->loop->pool;
    (void)pthread_mutex_lock(&p->mutex);
    for (;;) {
        while (!p->ready_head && !p->loose_head && !p->closing)
            (void)pthread_cond_wait(&p->work, &p->mutex);
        if (!p->ready_head && !p->loose_head) break;
        work_once(p, w);
    }
    (void)pthread_mutex_unlock(&p->mutex);
    return NULL;
}

void strand_init(struct strand *s, struct loop *l) { *s = (struct strand){.loop = l}; }

void strand_post(struct strand *s, struct job *j) {
    struct pool *p = &s->loop->pool;
    j->next = NULL;
    (void)pthread_mutex_lock(&p->mutex);
    if (s->tail)
        s->tail->next = j;
    else
        s->head = j;
    s->tail = j;
    if (s->holder && s->holder->turn == s->turn) {
        s->holder->more = true;
    } else if (!s->queued) {
        ready_push(p, s);
        (void)pthread_cond_signal(&p->work);
    }
    (void)pthread_mutex_unlock(&p->mutex);
}

void loop_work(struct loop *l, struct job *j) {
    struct pool *p = &l->pool;
    j->next = NULL;
    (void)pthread_mutex_lock(&p->mutex);
    if (p->loose_tail)
        p->loose_tail->next = j;
    else
        p->loose_head = j;
    p->loose_tail = j;
    (void)pthread_cond_signal(&p->work);
    (void)pthread_mutex_unlock(&p->mutex);
}

static void pool_wait_idle(struct pool *p) {
    (void)pthread_mutex_lock(&p->mutex);
    while (p->busy > 0 || p->ready_head || p->loose_head)
        (void)pthread_cond_wait(&p->idle, &p->mutex);
    (void)pthread_mutex_unlock(&p->mutex);
}

/* Signals belong to the loop thread: the workers inherit a mask that blocks all. */
static void pool_start(struct loop *l, unsigned workers) {
    struct pool *p = &l->pool;
    must(pthread_mutex_init(&p->mutex, NULL), "mutex");
    must(pthread_cond_init(&p->work, NULL), "condition");
    must(pthread_cond_init(&p->idle, NULL), "condition");
    pthread_attr_t attr;
    must(pthread_attr_init(&attr), "thread attributes");
    must(pthread_attr_setstacksize(&attr, LOOP_WORKER_STACK_BYTES), "thread stack size");
    sigset_t all, before;
    (void)sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before), "signal mask");
    for (p->count = 0; p->count < workers; p->count++) {
        struct worker *w = &p->workers[p->count];
        w->loop = l;
        must(pthread_create(&w->thread, &attr, worker_main, w), "thread creation");
        char name[LOOP_WORKER_NAME_BYTES];
        (void)snprintf(name, sizeof name, "worker-%u", p->count);
        (void)pthread_setname_np(w->thread, name);
    }
    must(pthread_sigmask(SIG_SETMASK, &before, NULL), "signal mask");
    (void)pthread_attr_destroy(&attr);
}

static void pool_join(struct pool *p) {
    (void)pthread_mutex_lock(&p->mutex);
    p->closing = true;
    (void)pthread_cond_broadcast(&p->work);
    (void)pthread_mutex_unlock(&p->mutex);
    for (unsigned i = 0; i < p->count; i++)
        must(pthread_join(p->workers[i].thread, NULL), "thread join");
    (void)pthread_cond_destroy(&p->idle);
    (void)pthread_cond_destroy(&p->work);
    (void)pthread_mutex_destroy(&p->mutex);
}

/* ---- the loop ---- */

struct loop *loop_new(unsigned workers) {
    assert(workers >= 1 && workers <= LOOP_WORKERS_MAX);
    struct loop *l = xnew(struct loop);
    must(uv_loop_init(&l->uv), "init");
    must(uv_async_init(&l->uv, &l->wake, woken), "wake-up init");
    l->wake.data = l;
    must(uv_check_init(&l->uv, &l->turn_end), "turn init");
    l->turn_end.data = l;
    must(pthread_mutex_init(&l->post_mutex, NULL), "mutex");
    pool_start(l, workers);
    return l;
}

static void close_left_over(uv_handle_t *handle, void *loop) {
    struct loop *l = loop;
    if (uv_is_closing(handle)) return;
    bool is_ours = handle == (uv_handle_t *)&l->wake || handle == (uv_handle_t *)&l->turn_end;
    uv_close(handle, is_ours ? NULL : free_handle);
}

void loop_settle(struct loop *l) {
    do pool_wait_idle(&l->pool);
    while (run_tasks(l)); /* tasks may queue jobs, jobs may post tasks */
}

void loop_free(struct loop *l) {
    if (!l) return;
    loop_settle(l);
    pool_join(&l->pool);
    uv_walk(&l->uv, close_left_over, l);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    must(uv_loop_close(&l->uv), "close");
    (void)pthread_mutex_destroy(&l->post_mutex);
    free(l);
}
