/* SPDX-License-Identifier: Apache-2.0 — zdb_resp.c: hiredis, used for its formatter and its reader.
 *
 * Its asynchronous API is not used: it ends the process (assert) when a server sends a reply that
 * nobody asked for, it frees itself inside its callbacks, and its calls that name a host block on
 * the resolver. The reader has none of this. It builds replies through four functions, and here
 * these are ours: they count, so that a header like *2147483647 is refused before memory is taken,
 * and they put the items of an array in one block.
 *
 * The reader keeps the bytes of an unfinished reply; their number is limited at each feeding. */
#include "storage/zdb_client/zdb_resp.h"

#include <hiredis/hiredis.h>

struct zdb_resp {
    redisReader *reader;
    size_t values; /* of the reply that is being read */
    bool too_many; /* the limit of values was passed */
};

const char *zdb_reply_type_name(enum zdb_reply_type type) {
    switch (type) {
    case ZDB_REPLY_NIL: return "nil";
    case ZDB_REPLY_STATUS: return "a status";
    case ZDB_REPLY_ERROR: return "an error";
    case ZDB_REPLY_INTEGER: return "a number";
    case ZDB_REPLY_BULK: return "a bulk string";
    case ZDB_REPLY_ARRAY: return "an array";
    }
    return "nothing known";
}

/* ---- commands ---- */

int zdb_resp_command(struct buf *out, const struct str *args, size_t count, struct err *e) {
    const char *texts[ZDB_COMMAND_ARGS_MAX];
    size_t lengths[ZDB_COMMAND_ARGS_MAX];
    char *bytes = NULL;
    if (count == 0 || count > ZDB_COMMAND_ARGS_MAX)
        return err_set(e, ERR_INVALID, "a command has 1 to %d arguments, not %zu",
                       ZDB_COMMAND_ARGS_MAX, count);
    for (size_t i = 0; i < count; i++) {
        texts[i] = args[i].p ? args[i].p : "";
        lengths[i] = args[i].n;
    }
    long long n = redisFormatCommandArgv(&bytes, (int)count, texts, lengths);
    if (n < 0) return err_set(e, ERR_LIMIT, "the command does not fit into memory");
    int r = buf_append(out, bytes, (size_t)n);
    redisFreeCommand(bytes);
    return r < 0 ? err_set(e, ERR_LIMIT, "the command is longer than %zu bytes", out->bytes_max)
                 : 0;
}

/* ---- building replies, called by the reader ---- */

static struct zdb_resp *resp_of(const redisReadTask *task) { return task->privdata; }

/* The place for the next value; NULL when there are too many. */
static struct zdb_reply *place(const redisReadTask *task, size_t more) {
    struct zdb_resp *r = resp_of(task);
    if (!task->parent) r->values = 1;
    if (more > ZDB_REPLY_VALUES_MAX - r->values) {
        r->too_many = true;
        return NULL;
    }
    r->values += more;
    if (!task->parent) return xnew(struct zdb_reply);
    struct zdb_reply *array = task->parent->obj;
    return &array->items[task->idx];
}

static void *make_text(const redisReadTask *task, char *bytes, size_t n) {
    struct zdb_reply *v = place(task, 0);
    if (!v) return NULL;
    char *copy = xmalloc(n + 1);
    memcpy(copy, bytes, n);
    v->type = task->type == REDIS_REPLY_ERROR    ? ZDB_REPLY_ERROR
              : task->type == REDIS_REPLY_STATUS ? ZDB_REPLY_STATUS
                                                 : ZDB_REPLY_BULK;
    v->text = str_make(copy, n);
    return v;
}

static void *make_array(const redisReadTask *task, int elements) {
    size_t n = elements > 0 ? (size_t)elements : 0;
    struct zdb_reply *v = place(task, n);
    if (!v) return NULL;
    v->type = ZDB_REPLY_ARRAY;
    v->count = n;
    if (n) v->items = xmalloc(n * sizeof *v->items);
    return v;
}

static void *make_integer(const redisReadTask *task, long long value) {
    struct zdb_reply *v = place(task, 0);
    if (!v) return NULL;
    v->type = ZDB_REPLY_INTEGER;
    v->integer = value;
    return v;
}

static void *make_nil(const redisReadTask *task) { return place(task, 0); /* zeroed: nil */ }

static void release(struct zdb_reply *v) {
    for (size_t i = 0; i < v->count; i++) release(&v->items[i]);
    free(v->items);
    free((char *)(uintptr_t)v->text.p);
}

void zdb_reply_free(struct zdb_reply *r) {
    if (!r) return;
    release(r);
    free(r);
}

static void free_object(void *reply) { zdb_reply_free(reply); }

/* ---- reading ---- */

struct zdb_resp *zdb_resp_new(void) {
    static redisReplyObjectFunctions functions = {.createString = make_text,
                                                  .createArray = make_array,
                                                  .createInteger = make_integer,
                                                  .createNil = make_nil,
                                                  .freeObject = free_object};
    struct zdb_resp *r = xnew(struct zdb_resp);
    r->reader = redisReaderCreateWithFunctions(&functions);
    if (!r->reader) abort(); /* out of memory */
    r->reader->privdata = r;
    return r;
}

void zdb_resp_free(struct zdb_resp *r) {
    if (!r) return;
    redisReaderFree(r->reader);
    free(r);
}

int zdb_resp_feed(struct zdb_resp *r, struct str bytes, struct err *e) {
    size_t kept = r->reader->len - r->reader->pos;
    if (bytes.n > ZDB_REPLY_FEED_MAX || kept + bytes.n > ZDB_REPLY_BYTES_MAX + ZDB_REPLY_FEED_MAX)
        return err_set(e, ERR_LIMIT, "the reply is longer than %u bytes", ZDB_REPLY_BYTES_MAX);
    if (bytes.n == 0 || redisReaderFeed(r->reader, bytes.p, bytes.n) == REDIS_OK) return 0;
    return err_set(e, ERR_LIMIT, "the reply does not fit into memory");
}

int zdb_resp_next(struct zdb_resp *r, struct zdb_reply **out, struct err *e) {
    void *reply = NULL;
    if (redisReaderGetReply(r->reader, &reply) == REDIS_OK) {
        *out = reply;
        return reply != NULL;
    }
    if (r->too_many)
        return err_set(e, ERR_LIMIT, "the reply has more than %u values", ZDB_REPLY_VALUES_MAX);
    return err_set(e, ERR_CORRUPT, "the reply is no RESP: %s", r->reader->errstr);
}
