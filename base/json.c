/* SPDX-License-Identifier: Apache-2.0 — json.c: yajl's events become a tree in an arena.
 *
 * yajl checks the grammar; what it is lenient about is checked here. Before it runs, one scan of
 * the text rejects bytes that are not UTF-8 and \u escapes that are half a surrogate pair (yajl
 * would write '?'). While it runs, the callbacks count values and depth, reject NUL in strings, and
 * keep numbers as text, so that no value passes through a double. When an object closes, its keys
 * are compared: pairwise when there are few, sorted when there are many, so that a stranger cannot
 * make this quadratic.
 *
 * yajl's own memory comes from the aborting allocator: it is bounded by the text's size. */
#include "base/json.h"

#include "base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <yajl/yajl_parse.h>

#define PAIRWISE_KEYS_MAX 16 /* objects with more keys are sorted to find duplicates */

struct builder {
    struct arena *arena;
    struct json_limits limits;
    struct err *e;
    size_t values;
    size_t depth;
    struct json *open[JSON_DEPTH_MAX]; /* containers that are not closed */
    struct json *last[JSON_DEPTH_MAX]; /* their last child so far */
    struct str key;                    /* of the next value */
    struct json *root;
};

/* ---- the tree ---- */

static int arena_full(struct builder *b) {
    (void)err_set(b->e, ERR_LIMIT, "the document needs more than %zu bytes of memory",
                  b->arena->bytes_max);
    return 0;
}

static struct json *add(struct builder *b, enum json_type type) {
    if (++b->values > b->limits.values_max) {
        (void)err_set(b->e, ERR_LIMIT, "more than %zu values", b->limits.values_max);
        return NULL;
    }
    struct json *v = arena_new(b->arena, struct json);
    if (!v) {
        (void)arena_full(b);
        return NULL;
    }
    v->type = type;
    if (b->depth == 0) {
        b->root = v;
        return v;
    }
    struct json *parent = b->open[b->depth - 1];
    struct json *last = b->last[b->depth - 1];
    if (parent->type == JSON_OBJECT) v->key = b->key;
    if (last)
        last->next = v;
    else
        parent->first = v;
    b->last[b->depth - 1] = v;
    parent->count++;
    return v;
}

static int copy_text(struct builder *b, const unsigned char *p, size_t n, struct str *out) {
    if (n && memchr(p, '\0', n)) {
        (void)err_set(b->e, ERR_INVALID, "a string holds a NUL character");
        return 0;
    }
    *out = arena_str(b->arena, str_make((const char *)p, n));
    return out->p ? 1 : arena_full(b);
}

static int on_null(void *user) { return add(user, JSON_NULL) != NULL; }

static int on_bool(void *user, int boolean) {
    struct json *v = add(user, JSON_BOOL);
    if (!v) return 0;
    v->boolean = boolean != 0;
    return 1;
}

static int on_number(void *user, const char *p, size_t n) {
    struct json *v = add(user, JSON_NUMBER);
    return v ? copy_text(user, (const unsigned char *)p, n, &v->text) : 0;
}

static int on_string(void *user, const unsigned char *p, size_t n) {
    struct json *v = add(user, JSON_STRING);
    return v ? copy_text(user, p, n, &v->text) : 0;
}

static int on_key(void *user, const unsigned char *p, size_t n) {
    struct builder *b = user;
    return copy_text(b, p, n, &b->key);
}

static int open_container(struct builder *b, enum json_type type) {
    if (b->depth == JSON_DEPTH_MAX) {
        (void)err_set(b->e, ERR_LIMIT, "nested deeper than %d", JSON_DEPTH_MAX);
        return 0;
    }
    struct json *v = add(b, type);
    if (!v) return 0;
    b->open[b->depth] = v;
    b->last[b->depth] = NULL;
    b->depth++;
    return 1;
}

static int on_object(void *user) { return open_container(user, JSON_OBJECT); }
static int on_array(void *user) { return open_container(user, JSON_ARRAY); }

static int on_array_end(void *user) {
    struct builder *b = user;
    b->depth--;
    return 1;
}

/* ---- duplicate keys ---- */

static int compare_keys(const void *a, const void *b) {
    return str_cmp((*(const struct json *const *)a)->key, (*(const struct json *const *)b)->key);
}

static const struct json *duplicate_pairwise(const struct json *object) {
    for (const struct json *m = object->first; m; m = m->next)
        for (const struct json *n = m->next; n; n = n->next)
            if (str_eq(m->key, n->key)) return n;
    return NULL;
}

static const struct json *duplicate_sorted(const struct json *object) {
    AUTO_FREE const struct json **members = xmalloc(object->count * sizeof(struct json *));
    size_t count = 0;
    for (const struct json *m = object->first; m; m = m->next) members[count++] = m;
    qsort(members, count, sizeof *members, compare_keys);
    for (size_t i = 1; i < count; i++)
        if (str_eq(members[i - 1]->key, members[i]->key)) return members[i];
    return NULL;
}

static int on_object_end(void *user) {
    struct builder *b = user;
    const struct json *object = b->open[--b->depth];
    const struct json *twice =
        object->count <= PAIRWISE_KEYS_MAX ? duplicate_pairwise(object) : duplicate_sorted(object);
    if (!twice) return 1;
    (void)err_set(b->e, ERR_INVALID, "the key '%.100s' comes twice in one object", twice->key.p);
    return 0;
}

/* ---- the text ---- */

/* The value of the \uXXXX escape at `at`, or -1. */
static int escape_unit(struct str s, size_t at) {
    int unit = 0;
    if (s.n - at < 6 || s.p[at] != '\\' || s.p[at + 1] != 'u') return -1;
    for (size_t i = at + 2; i < at + 6; i++) {
        char c = s.p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Bytes of the escape sequence at `at`, or 0 when it is half a surrogate pair. Anything else that
 * is wrong with it is left to yajl. */
static size_t escape_bytes(struct str s, size_t at) {
    int unit = escape_unit(s, at);
    if (unit < 0xd800 || unit > 0xdfff) return 2;
    if (unit > 0xdbff) return 0;
    int low = escape_unit(s, at + 6);
    return low >= 0xdc00 && low <= 0xdfff ? 12 : 0;
}

/* Index of the first byte that is wrong, or s.n. */
static size_t scan(struct str s, const char **out_what) {
    size_t at = 0;
    while (at < s.n) {
        size_t n;
        if (s.p[at] == '\\') {
            *out_what = "half a surrogate pair";
            n = escape_bytes(s, at);
        } else {
            *out_what = "not UTF-8";
            n = utf8_next(str_sub(s, at, s.n));
        }
        if (n == 0) return at;
        at += n;
    }
    return s.n;
}

static int fail_at(struct str text, size_t at, struct err *e) {
    size_t line = 1;
    size_t line_start = 0;
    if (at > text.n) at = text.n;
    for (size_t i = 0; i < at; i++) {
        if (text.p[i] != '\n') continue;
        line++;
        line_start = i + 1;
    }
    return err_in(e, "JSON line %zu byte %zu", line, at - line_start + 1);
}

static void *yajl_get(void *user, size_t n) {
    (void)user;
    return xmalloc(n);
}
static void *yajl_regrow(void *user, void *p, size_t n) {
    (void)user;
    return xrealloc(p, n);
}
static void yajl_release(void *user, void *p) {
    (void)user;
    free(p);
}

/* Puts yajl's own message into e when no callback has set one. */
static void tell_grammar(yajl_handle parser, struct err *e) {
    if (e->kind != ERR_NONE) return;
    unsigned char *told = yajl_get_error(parser, 0, NULL, 0);
    struct str line = str_trim(str_of((const char *)told));
    (void)err_set(e, ERR_INVALID, "%.*s", STR_ARG(line));
    yajl_free_error(parser, told);
}

static int run_parser(struct builder *b, struct str text) {
    static const yajl_callbacks callbacks = {.yajl_null = on_null,
                                             .yajl_boolean = on_bool,
                                             .yajl_number = on_number,
                                             .yajl_string = on_string,
                                             .yajl_start_map = on_object,
                                             .yajl_map_key = on_key,
                                             .yajl_end_map = on_object_end,
                                             .yajl_start_array = on_array,
                                             .yajl_end_array = on_array_end};
    yajl_alloc_funcs memory = {.malloc = yajl_get, .realloc = yajl_regrow, .free = yajl_release};
    yajl_handle parser = yajl_alloc(&callbacks, &memory, b);
    err_clear(b->e);
    yajl_status status = yajl_parse(parser, (const unsigned char *)text.p, text.n);
    size_t at = yajl_get_bytes_consumed(parser);
    if (status == yajl_status_ok) {
        at = text.n;
        status = yajl_complete_parse(parser);
    }
    if (status != yajl_status_ok) tell_grammar(parser, b->e);
    yajl_free(parser);
    return status == yajl_status_ok ? 0 : fail_at(text, at, b->e);
}

int json_parse(struct arena *a, struct str text, struct json_limits limits, const struct json **out,
               struct err *e) {
    if (text.n > limits.bytes_max)
        return err_set(e, ERR_LIMIT, "the JSON text has %zu bytes, the limit is %zu", text.n,
                       limits.bytes_max);
    const char *what = NULL;
    size_t wrong = scan(text, &what);
    if (wrong < text.n) {
        (void)err_set(e, ERR_INVALID, "%s", what);
        return fail_at(text, wrong, e);
    }
    struct builder b = {.arena = a, .limits = limits, .e = e};
    if (run_parser(&b, text) < 0) return -1;
    if (!b.root) {
        (void)err_set(e, ERR_INVALID, "there is no value");
        return fail_at(text, text.n, e);
    }
    *out = b.root;
    return 0;
}

/* ---- reading the tree ---- */

const struct json *json_get(const struct json *v, const char *key) {
    if (!v || v->type != JSON_OBJECT) return NULL;
    for (const struct json *m = v->first; m; m = m->next)
        if (strcmp(m->key.p, key) == 0) return m->type == JSON_NULL ? NULL : m;
    return NULL;
}

const struct json *json_first(const struct json *v) { return v ? v->first : NULL; }

int json_str(const struct json *v, struct str *out) {
    if (!v || v->type != JSON_STRING) return -EINVAL;
    *out = v->text;
    return 0;
}

int json_bool(const struct json *v, bool *out) {
    if (!v || v->type != JSON_BOOL) return -EINVAL;
    *out = v->boolean;
    return 0;
}

int json_u64(const struct json *v, uint64_t *out) {
    return v && v->type == JSON_NUMBER ? str_u64(v->text, out) : -EINVAL;
}

int json_i64(const struct json *v, int64_t *out) {
    return v && v->type == JSON_NUMBER ? str_i64(v->text, out) : -EINVAL;
}

static int wrong(const char *key, int r, const char *want, struct err *e) {
    if (r == -ERANGE) return err_set(e, ERR_INVALID, "'%s' is out of range", key);
    return err_set(e, ERR_INVALID, "'%s' must be %s", key, want);
}

static const char *const want_text[] = {"null",     "true or false", "a whole number",
                                        "a string", "an array",      "an object"};

int json_opt_str(const struct json *v, const char *key, struct str *out, struct err *e) {
    const struct json *m = json_get(v, key);
    int r = m ? json_str(m, out) : 0;
    return r < 0 ? wrong(key, r, want_text[JSON_STRING], e) : 0;
}

int json_opt_bool(const struct json *v, const char *key, bool *out, struct err *e) {
    const struct json *m = json_get(v, key);
    int r = m ? json_bool(m, out) : 0;
    return r < 0 ? wrong(key, r, want_text[JSON_BOOL], e) : 0;
}

int json_opt_u64(const struct json *v, const char *key, uint64_t *out, struct err *e) {
    const struct json *m = json_get(v, key);
    int r = m ? json_u64(m, out) : 0;
    return r < 0 ? wrong(key, r, "a whole number, not negative", e) : 0;
}

int json_opt_i64(const struct json *v, const char *key, int64_t *out, struct err *e) {
    const struct json *m = json_get(v, key);
    int r = m ? json_i64(m, out) : 0;
    return r < 0 ? wrong(key, r, want_text[JSON_NUMBER], e) : 0;
}

int json_opt_tree(const struct json *v, const char *key, enum json_type type,
                  const struct json **out, struct err *e) {
    const struct json *m = json_get(v, key);
    if (m && m->type != type) return wrong(key, -EINVAL, want_text[type], e);
    *out = m;
    return 0;
}

static int need(const struct json *v, const char *key, struct err *e) {
    return json_get(v, key) ? 0 : err_set(e, ERR_INVALID, "'%s' is missing", key);
}

int json_need_str(const struct json *v, const char *key, struct str *out, struct err *e) {
    return need(v, key, e) < 0 ? -1 : json_opt_str(v, key, out, e);
}

int json_need_u64(const struct json *v, const char *key, uint64_t *out, struct err *e) {
    return need(v, key, e) < 0 ? -1 : json_opt_u64(v, key, out, e);
}

int json_need_tree(const struct json *v, const char *key, enum json_type type,
                   const struct json **out, struct err *e) {
    return need(v, key, e) < 0 ? -1 : json_opt_tree(v, key, type, out, e);
}
