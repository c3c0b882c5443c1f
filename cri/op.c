/* SPDX-License-Identifier: Apache-2.0 — op.c: from the loop to a worker and back. */
#include "cri/op.h"

static void op_done(struct task *t) {
    struct op *o = CONTAINER_OF(t, struct op, task);
    o->done(o);
}

static void op_work(struct job *j) {
    struct op *o = CONTAINER_OF(j, struct op, job);
    o->failed = o->work(o, &o->e) < 0;
    o->task.run = op_done;
    loop_post(o->loop, &o->task);
}

void op_start(struct op *o, struct loop *l, struct strand *strand,
              int (*work)(struct op *o, struct err *e), void (*done)(struct op *o)) {
    o->loop = l;
    o->work = work;
    o->done = done;
    o->failed = false;
    err_clear(&o->e);
    o->job.run = op_work;
    if (strand)
        strand_post(strand, &o->job);
    else
        loop_work(l, &o->job);
}
