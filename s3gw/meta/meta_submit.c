/* SPDX-License-Identifier: Apache-2.0 — meta_submit.c: the door to the writer.
 *
 * Sizes are checked here, in the caller's thread, so that the writer sees only what fits. */
#include "s3gw/meta/meta_internal.h"

#include <assert.h>

static bool fits(const struct meta_attributes *a) {
    return a->owner.n <= META_OWNER_BYTES_MAX && a->headers.n <= META_FIELD_BYTES_MAX &&
           a->tags.n <= META_FIELD_BYTES_MAX && a->acl.n <= META_FIELD_BYTES_MAX &&
           a->checksums.n <= META_FIELD_BYTES_MAX && a->sse.n <= META_FIELD_BYTES_MAX;
}

static bool chunks_fit(struct meta_chunks chunks, uint64_t size_bytes) {
    uint64_t sum = 0;
    if (chunks.count > META_CHUNKS_MAX) return false;
    for (size_t i = 0; i < chunks.count; i++) {
        if (chunks.p[i].id == 0 || chunks.p[i].id > INT64_MAX || chunks.p[i].size_bytes == 0)
            return false;
        sum += chunks.p[i].size_bytes;
    }
    return sum == size_bytes;
}

static bool put_fits(const struct meta_put_in *in) {
    if (!fits(&in->attributes)) return false;
    if (in->source.bucket.n > 0) return in->chunks.count == 0 && in->data.n == 0;
    if (in->chunks.count > 0) return in->data.n == 0 && chunks_fit(in->chunks, in->size_bytes);
    return in->data.n <= META_INLINE_BYTES_MAX && in->data.n == in->size_bytes;
}

static bool complete_fits(const struct meta_complete_in *in) {
    return in->parts_count >= 1 && in->parts_count <= META_PARTS_MAX &&
           in->checksums.n <= META_FIELD_BYTES_MAX;
}

static bool part_fits(const struct meta_part_in *in) {
    return in->number >= 1 && in->number <= META_PARTS_MAX &&
           in->checksums.n <= META_FIELD_BYTES_MAX && in->sse.n <= META_FIELD_BYTES_MAX &&
           chunks_fit(in->chunks, in->size_bytes);
}

static bool record_fits(const struct meta_record *r) {
    return r->name.n >= 1 && r->name.n <= META_NAME_BYTES_MAX &&
           r->parent.n <= META_NAME_BYTES_MAX && r->bytes.n <= META_RECORD_BYTES_MAX;
}

static bool has_key(enum meta_verb verb) {
    return verb == META_PUT || verb == META_DELETE || verb == META_UPDATE ||
           verb == META_UPLOAD_BEGIN || verb == META_PART_PUT || verb == META_UPLOAD_COMPLETE ||
           verb == META_UPLOAD_ABORT;
}

/* What is beyond a limit of the header, or NULL. */
static const char *misfit(const struct meta_op *op) {
    if (op->bucket.n > META_BUCKET_BYTES_MAX) return "the bucket's name is too long";
    if (has_key(op->verb) && (op->key.n < 1 || op->key.n > META_KEY_BYTES_MAX))
        return "a key has 1 to 1024 bytes";
    switch (op->verb) {
    case META_BUCKET_CREATE:
    case META_BUCKET_SET:
        if (op->verb == META_BUCKET_CREATE && op->bucket.n < 1) return "a bucket needs a name";
        return op->create.owner.n <= META_OWNER_BYTES_MAX ? NULL : "the owner's name is too long";
    case META_DOCUMENT_SET:
        return op->document.bytes.n <= META_DOCUMENT_BYTES_MAX ? NULL : "the document is too long";
    case META_PUT: return put_fits(&op->put) ? NULL : "a size or a number of chunks";
    case META_UPDATE:
        return op->update.tags.n <= META_FIELD_BYTES_MAX && op->update.acl.n <= META_FIELD_BYTES_MAX
                   ? NULL
                   : "tags or an ACL are too long";
    case META_UPLOAD_BEGIN:
        return fits(&op->begin.attributes) && op->begin.initiator.n <= META_OWNER_BYTES_MAX
                   ? NULL
                   : "an attribute is too long";
    case META_PART_PUT: return part_fits(&op->part_put) ? NULL : "a part's number, size or chunks";
    case META_UPLOAD_COMPLETE:
        return complete_fits(&op->complete) ? NULL : "1 to 10,000 parts make an object";
    case META_RECORD_SET:
        return record_fits(&op->record.record) ? NULL : "a record's name or bytes are too long";
    case META_DISCARD:
        return op->discard.count <= META_CHUNKS_MAX ? NULL : "too many chunks at a time";
    case META_RECLAIMED:
        return op->reclaimed.count <= META_TOKENS_MAX ? NULL : "too many tokens at a time";
    case META_BUCKET_DELETE:
    case META_DELETE:
    case META_UPLOAD_ABORT: return NULL;
    case META_VERBS: break;
    }
    return "there is no such verb";
}

static int enqueue(struct meta *m, struct meta_op *op, struct err *e) {
    const char *wrong = misfit(op);
    if (wrong) {
        op->why = META_INVALID;
        return err_set(e, ERR_INVALID, "a change of '%.*s/%.80s' is beyond a limit: %s",
                       STR_ARG(str_sub(op->bucket, 0, META_BUCKET_BYTES_MAX)),
                       op->key.n ? "..." : "", wrong);
    }
    op->next = NULL;
    (void)pthread_mutex_lock(&m->mutex);
    bool has_room = m->queued < META_QUEUE_MAX;
    if (has_room) {
        if (m->tail)
            m->tail->next = op;
        else
            m->head = op;
        m->tail = op;
        m->queued++;
        (void)pthread_cond_signal(&m->work);
    } else {
        m->stats.refused_queue++;
    }
    (void)pthread_mutex_unlock(&m->mutex);
    if (has_room) return 0;
    op->why = META_FAILED;
    return err_set(e, ERR_LIMIT, "%d changes of the metadata wait already: try again later",
                   META_QUEUE_MAX);
}

static void done_on_loop(struct task *task) {
    struct meta_op *op = CONTAINER_OF(task, struct meta_op, task);
    op->done(op);
}

static void finish_by_loop(struct meta_op *op) {
    op->task.run = done_on_loop;
    loop_post(op->finish_user, &op->task);
}

int meta_submit(struct meta *m, struct meta_op *op, struct err *e) {
    assert(m->loop && op->done);
    op->finish = finish_by_loop;
    op->finish_user = m->loop;
    op->chunks_taken = false;
    return enqueue(m, op, e);
}

struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    bool is_answered;
};

static void finish_by_waking(struct meta_op *op) {
    struct waiter *w = op->finish_user;
    (void)pthread_mutex_lock(&w->mutex);
    w->is_answered = true;
    (void)pthread_cond_signal(&w->answered);
    (void)pthread_mutex_unlock(&w->mutex);
}

int meta_run(struct meta *m, struct meta_op *op, struct err *e) {
    struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    op->finish = finish_by_waking;
    op->finish_user = &w;
    op->chunks_taken = false;
    if (enqueue(m, op, e) < 0) return -1;
    (void)pthread_mutex_lock(&w.mutex);
    while (!w.is_answered) (void)pthread_cond_wait(&w.answered, &w.mutex);
    (void)pthread_mutex_unlock(&w.mutex);
    if (op->why == META_OK) return 0;
    *e = op->error;
    return -1;
}

/* Why there will be no ids, or 0. Called with the mutex held. */
static int no_ids(const struct meta *m, uint64_t failures_before, struct err *e) {
    if (m->closing) return err_set(e, ERR_CANCELLED, "the metadata are being closed");
    if (m->lease.failures == failures_before) return 0;
    *e = m->lease.error;
    return -1;
}

/* The next extension is asked for when half of the last one is used, so that hardly anybody waits
 * for the disk. */
int meta_chunk_ids(struct meta *m, uint32_t ids, uint64_t *out_first, struct err *e) {
    assert(ids >= 1 && ids <= META_IDS_MAX);
    int r = 0;
    (void)pthread_mutex_lock(&m->mutex);
    struct meta_lease *l = &m->lease;
    uint64_t failures = l->failures;
    for (;;) {
        if (!l->wanted && l->end - l->next < ids + META_LEASE_IDS / 2) {
            l->wanted = true;
            (void)pthread_cond_signal(&m->work);
        }
        if (l->end - l->next >= ids || (r = no_ids(m, failures, e)) < 0) break;
        (void)pthread_cond_wait(&m->leased, &m->mutex);
    }
    if (r == 0) {
        *out_first = l->next;
        l->next += ids;
    }
    (void)pthread_mutex_unlock(&m->mutex);
    return r;
}

void meta_stats(struct meta *m, struct meta_stats *out) {
    (void)pthread_mutex_lock(&m->mutex);
    *out = m->stats;
    (void)pthread_mutex_unlock(&m->mutex);
}
