/* SPDX-License-Identifier: Apache-2.0 — json.h: strict JSON documents, read into an arena.
 *
 * Source: RFC 8259, and stricter where it leaves room: valid UTF-8 only, no duplicate keys, no NUL
 * in strings, no lone surrogates, nothing behind the value. Nesting, values and size are limited.
 * A document is immutable and lives as long as its arena. Any thread. The writer is json_out.h.
 *
 * Reading a schema:
 *   const struct json *config = json_get(doc, "config");        NULL-safe: chains are fine
 *   if (json_need_str(config, "digest", &digest, e) < 0) return -1;
 *   if (json_opt_u64(config, "size", &size, e) < 0) return -1;   keeps `size` when absent
 *   for (const struct json *l = json_first(json_get(doc, "layers")); l; l = l->next) ... */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json_out.h"

#define JSON_DEPTH_MAX 64

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    bool boolean;             /* of JSON_BOOL */
    struct str key;           /* of a member of an object; NUL-terminated, without NUL inside */
    struct str text;          /* of JSON_STRING, like key; of JSON_NUMBER, as it was written */
    const struct json *first; /* of JSON_ARRAY and JSON_OBJECT: children in order */
    const struct json *next;  /* sibling */
    size_t count;             /* of children */
};

struct json_limits {
    size_t bytes_max;  /* of the text */
    size_t values_max; /* of all nesting levels together */
};
/* For documents of strangers: manifests, configurations, requests. */
#define JSON_LIMITS ((struct json_limits){.bytes_max = 4 << 20, .values_max = 100000})

/* Parses exactly one document. Errors: INVALID (with line and byte), LIMIT (size, values, depth,
 * arena). *out lives in `a`; what a failure has allocated there stays until arena_done(). */
int json_parse(struct arena *a, struct str text, struct json_limits limits, const struct json **out,
               struct err *e) MUST_CHECK;

/* The member of an object; NULL when v is NULL or no object, or the member is absent or null (as
 * encoders of other languages write an empty list or map). */
const struct json *json_get(const struct json *v, const char *key);
/* The first child, or NULL when v is NULL or neither array nor object. */
const struct json *json_first(const struct json *v);

/* The value itself. Tier (a): 0, or -EINVAL when v is NULL or of another type; numbers: whole
 * numbers only, -ERANGE when they do not fit. */
int json_str(const struct json *v, struct str *out) MUST_CHECK;
int json_bool(const struct json *v, bool *out) MUST_CHECK;
int json_u64(const struct json *v, uint64_t *out) MUST_CHECK;
int json_i64(const struct json *v, int64_t *out) MUST_CHECK;

/* A member that may be absent (or null): *out keeps its value then. 0, or -1 and INVALID with the
 * key's name when it has another type. v may be NULL. */
int json_opt_str(const struct json *v, const char *key, struct str *out, struct err *e) MUST_CHECK;
int json_opt_bool(const struct json *v, const char *key, bool *out, struct err *e) MUST_CHECK;
int json_opt_u64(const struct json *v, const char *key, uint64_t *out, struct err *e) MUST_CHECK;
int json_opt_i64(const struct json *v, const char *key, int64_t *out, struct err *e) MUST_CHECK;
/* type: JSON_ARRAY or JSON_OBJECT; *out is NULL when absent. */
int json_opt_tree(const struct json *v, const char *key, enum json_type type,
                  const struct json **out, struct err *e) MUST_CHECK;

/* A member that must be there. */
int json_need_str(const struct json *v, const char *key, struct str *out, struct err *e) MUST_CHECK;
int json_need_u64(const struct json *v, const char *key, uint64_t *out, struct err *e) MUST_CHECK;
int json_need_tree(const struct json *v, const char *key, enum json_type type,
                   const struct json **out, struct err *e) MUST_CHECK;
