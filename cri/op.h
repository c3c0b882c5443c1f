/* SPDX-License-Identifier: Apache-2.0 — op.h: one step of work off the loop, and what follows it on
 * the loop.
 *
 * The loop thread owns every pod and container record. What may block is an op: work() runs on a
 * strand (or any worker) and touches only the op itself and immutable parts of the records; done()
 * runs on the loop afterwards, looks at the outcome and changes the records. An op is embedded in a
 * struct that carries its inputs and outputs. */
#pragma once

#include "base/loop.h"

struct op {
    struct job job;
    struct task task;
    struct loop *loop;
    int (*work)(struct op *o, struct err *e); /* 0, or -1 with e set */
    void (*done)(struct op *o);               /* owns o from here; may start it again */
    bool failed;
    struct err e;
};

/* Loop thread. strand NULL: any worker, no order. */
void op_start(struct op *o, struct loop *l, struct strand *strand,
              int (*work)(struct op *o, struct err *e), void (*done)(struct op *o));
