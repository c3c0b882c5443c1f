/* SPDX-License-Identifier: Apache-2.0 — pump.c: it either reads (empty buffer) or writes. */
#include "agent/cli/pump.h"

#include <errno.h>

void pump_begin(struct pump *p, int from, int to) {
    p->from = from;
    p->to = to;
    p->at = p->n = 0;
    p->own_to = false;
}

static void finish(struct pump *p) {
    if (p->own_to && p->to >= 0) (void)close(p->to);
    p->from = p->to = -1;
    p->at = p->n = 0;
}

bool pump_ended(const struct pump *p) { return p->from < 0 && p->at == p->n; }

void pump_poll(const struct pump *p, struct pollfd *out) {
    bool writing = p->at < p->n;
    *out = (struct pollfd){.fd = writing ? p->to : p->from, .events = writing ? POLLOUT : POLLIN};
}

static bool retry(void) { return errno == EINTR || errno == EAGAIN; }

static void do_write(struct pump *p) {
    ssize_t n = write(p->to, p->bytes + p->at, p->n - p->at);
    if (n < 0 && retry()) return;
    if (n < 0) {
        finish(p); /* nobody takes it any more */
        return;
    }
    p->at += (size_t)n;
}

/* False when there is nothing now. */
static bool do_read(struct pump *p) {
    ssize_t n = read(p->from, p->bytes, sizeof p->bytes);
    if (n < 0 && retry()) return false;
    if (n <= 0) { /* the end; EIO is how a pty's master says it */
        finish(p);
        return false;
    }
    p->at = 0;
    p->n = (size_t)n;
    return true;
}

void pump_run(struct pump *p, const struct pollfd *polled) {
    if (polled->fd < 0 || polled->revents == 0) return;
    if (p->at < p->n)
        do_write(p);
    else
        (void)do_read(p);
}

void pump_rest(struct pump *p) {
    while (p->from >= 0 || p->at < p->n) {
        if (p->at < p->n) {
            struct pollfd out = {.fd = p->to, .events = POLLOUT};
            if (poll(&out, 1, -1) < 0 && errno != EINTR) return;
            do_write(p);
            continue;
        }
        struct pollfd in = {.fd = p->from, .events = POLLIN};
        if (poll(&in, 1, 0) != 1 || !do_read(p)) return;
    }
}
