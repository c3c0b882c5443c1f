/* SPDX-License-Identifier: Apache-2.0 — zdb_call.c */
#include "storage/zdb_client/zdb_call.h"

struct zdb_call *zdb_call_new(const struct str *args, size_t count, struct err *e) {
    struct zdb_call *c = xnew(struct zdb_call);
    c->bytes = BUF(ZDB_CLIENT_REQUEST_MAX);
    size_t n = count && args[0].n < sizeof c->verb ? args[0].n : 0;
    for (size_t i = 0; i < n; i++) c->verb[i] = args[0].p[i] > 0x20 ? args[0].p[i] : '?';
    if (zdb_resp_command(&c->bytes, args, count, e) == 0) {
        c->bytes_total = c->bytes.n;
        return c;
    }
    zdb_call_free(c);
    return NULL;
}

void zdb_call_free(struct zdb_call *c) {
    buf_done(&c->bytes);
    free(c);
}

void zdb_call_tell(struct zdb_call *c, const struct zdb_reply *reply, const struct err *e) {
    if (c->told) return;
    c->told = true;
    c->done(c->user, reply, e);
}

void zdb_calls_push(struct zdb_calls *q, struct zdb_call *c) {
    c->next = NULL;
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
    q->count++;
}

struct zdb_call *zdb_calls_pop(struct zdb_calls *q) {
    struct zdb_call *c = q->head;
    if (!c) return NULL;
    q->head = c->next;
    if (!q->head) q->tail = NULL;
    q->count--;
    c->next = NULL;
    return c;
}

void zdb_calls_prepend(struct zdb_calls *q, struct zdb_calls *front) {
    if (!front->head) return;
    front->tail->next = q->head;
    q->head = front->head;
    if (!q->tail) q->tail = front->tail;
    q->count += front->count;
    *front = (struct zdb_calls){.head = NULL};
}
