/* SPDX-License-Identifier: Apache-2.0 — zdb_verbs.c: a table says how each command's reply is read.
 */
#include "storage/zdb_client/zdb_verbs.h"

#define ARGS_MAX       3
#define PAGE_ITEM_SIZE 3 /* key, bytes, time */

struct verb {
    const char *name;
    bool reads;
    /* False: the reply has another shape. NULL replies do not come here. */
    bool (*read)(const struct zdb_reply *r, struct zdb_answer *out);
    const char *missing; /* what a nil reply means; NULL: read() takes it */
};

struct asked {
    const struct zdb_client *client;
    const struct verb *verb;
    zdb_answer_done *done;
    void *user;
};

/* ---- reading replies ---- */

static bool read_set(const struct zdb_reply *r, struct zdb_answer *out) {
    out->unchanged = r->type == ZDB_REPLY_NIL;
    out->key = r->text;
    return out->unchanged || r->type == ZDB_REPLY_BULK;
}

static bool read_value(const struct zdb_reply *r, struct zdb_answer *out) {
    out->value = r->text;
    return r->type == ZDB_REPLY_BULK;
}

static bool read_status(const struct zdb_reply *r, struct zdb_answer *out) {
    (void)out;
    return r->type == ZDB_REPLY_STATUS;
}

static bool read_number(const struct zdb_reply *r, struct zdb_answer *out) {
    if (r->type != ZDB_REPLY_INTEGER || r->integer < 0) return false;
    out->number = (uint64_t)r->integer;
    return true;
}

static bool is_number(const struct zdb_reply *r) {
    return r->type == ZDB_REPLY_INTEGER && r->integer >= 0;
}

static bool is_cursor(const struct zdb_reply *r) {
    return r->type == ZDB_REPLY_BULK && r->text.n > 0 && r->text.n <= ZDB_CURSOR_BYTES_MAX;
}

static bool read_page(const struct zdb_reply *r, struct zdb_answer *out) {
    if (r->type != ZDB_REPLY_ARRAY || r->count != 2 || !is_cursor(&r->items[0])) return false;
    const struct zdb_reply *page = &r->items[1];
    if (page->type != ZDB_REPLY_ARRAY) return false;
    for (size_t i = 0; i < page->count; i++) {
        const struct zdb_reply *item = &page->items[i];
        if (item->type != ZDB_REPLY_ARRAY || item->count < PAGE_ITEM_SIZE) return false;
        if (item->items[0].type != ZDB_REPLY_BULK) return false;
        if (!is_number(&item->items[1]) || !is_number(&item->items[2])) return false;
    }
    out->cursor = r->items[0].text;
    out->page = page;
    return true;
}

static bool read_version(const struct zdb_reply *r, struct zdb_answer *out) {
    uint64_t time = 0;
    if (r->type != ZDB_REPLY_ARRAY || r->count != 3) return false;
    const struct zdb_reply *cursor = &r->items[0];
    if (cursor->type != ZDB_REPLY_NIL && !is_cursor(cursor)) return false;
    if (r->items[1].type == ZDB_REPLY_BULK) {
        if (str_u64(r->items[1].text, &time) < 0) return false;
    } else if (is_number(&r->items[1])) {
        time = (uint64_t)r->items[1].integer;
    } else {
        return false;
    }
    if (time > UINT32_MAX || r->items[2].type != ZDB_REPLY_BULK) return false;
    out->cursor = cursor->text;
    out->time_s = (uint32_t)time;
    out->value = r->items[2].text;
    return true;
}

/* ---- asking ---- */

static void answered(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct asked *a = user;
    struct zdb_answer answer = {.number = 0};
    struct err wrong;
    if (reply && reply->type == ZDB_REPLY_NIL && a->verb->missing) {
        (void)err_set(&wrong, ERR_NOT_FOUND, "%s", a->verb->missing);
        e = &wrong;
    } else if (reply && !a->verb->read(reply, &answer)) {
        (void)err_set(&wrong, ERR_CORRUPT, "the answer is %s of a wrong shape",
                      zdb_reply_type_name(reply->type));
        e = &wrong;
    }
    if (e == &wrong) zdb_client_blame(a->client, a->verb->name, &wrong);
    a->done(a->user, e ? NULL : &answer, e);
    free(a);
}

static void ask(const struct zdb_how *how, const struct verb *verb, const struct str *operands,
                size_t count) {
    struct str args[ARGS_MAX + 1] = {str_of(verb->name)};
    struct asked *a = xnew(struct asked);
    a->client = how->client;
    a->verb = verb;
    a->done = how->done;
    a->user = how->user;
    for (size_t i = 0; i < count; i++) args[i + 1] = operands[i];
    struct zdb_request r = {.args = args,
                            .count = count + 1,
                            .timeout_ms = how->timeout_ms,
                            .idempotent = verb->reads || how->repeat,
                            .done = answered,
                            .user = a};
    zdb_client_send(how->client, &r);
}

void zdb_set(const struct zdb_how *how, struct str key, struct str value) {
    static const struct verb verb = {.name = "SET", .read = read_set};
    ask(how, &verb, (const struct str[]){key, value}, 2);
}

void zdb_get(const struct zdb_how *how, struct str key) {
    static const struct verb verb = {"GET", true, read_value, "there is no such key"};
    ask(how, &verb, &key, 1);
}

void zdb_del(const struct zdb_how *how, struct str key) {
    static const struct verb verb = {.name = "DEL", .read = read_status};
    ask(how, &verb, &key, 1);
}

void zdb_exists(const struct zdb_how *how, struct str key) {
    static const struct verb verb = {"EXISTS", true, read_number, NULL};
    ask(how, &verb, &key, 1);
}

void zdb_length(const struct zdb_how *how, struct str key) {
    static const struct verb verb = {"LENGTH", true, read_number, "there is no such key"};
    ask(how, &verb, &key, 1);
}

void zdb_scan_page(const struct zdb_how *how, struct str cursor) {
    static const struct verb verb = {"SCAN", true, read_page, NULL};
    ask(how, &verb, &cursor, cursor.n > 0);
}

void zdb_versions(const struct zdb_how *how, struct str key, struct str cursor) {
    static const struct verb verb = {"HISTORY", true, read_version, "there is no such key"};
    ask(how, &verb, (const struct str[]){key, cursor}, cursor.n ? 2 : 1);
}

void zdb_nsinfo(const struct zdb_how *how, struct str space) {
    static const struct verb verb = {"NSINFO", true, read_value, NULL};
    ask(how, &verb, &space, 1);
}

size_t zdb_answer_keys(const struct zdb_answer *a) { return a->page ? a->page->count : 0; }

void zdb_answer_key(const struct zdb_answer *a, size_t i, struct zdb_listed *out) {
    const struct zdb_reply *item = a->page->items[i].items;
    *out = (struct zdb_listed){.key = item[0].text,
                               .payload_bytes = (uint64_t)item[1].integer,
                               .time_s = (uint32_t)item[2].integer};
}

/* ---- "key: value" lines ---- */

struct str zdb_info_get(struct str text, struct str key) {
    struct str line;
    while (str_next(&text, '\n', &line)) {
        if (!str_starts(line, key) || line.n <= key.n || line.p[key.n] != ':') continue;
        return str_trim(str_sub(line, key.n + 1, line.n));
    }
    return STR_NONE;
}

uint64_t zdb_info_u64(struct str text, struct str key) {
    uint64_t n = 0;
    return str_u64(zdb_info_get(text, key), &n) == 0 ? n : 0;
}

bool zdb_info_yes(struct str text, struct str key) {
    return str_eq(zdb_info_get(text, key), STR("yes"));
}
