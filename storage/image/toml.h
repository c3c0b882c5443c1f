/* SPDX-License-Identifier: Apache-2.0 — toml.h: the part of TOML that hosts.toml files use.
 *
 * Tables, dotted and quoted keys, one-line strings, integers, booleans, arrays and inline tables.
 * Whatever else TOML has (floats, dates, multi-line strings, arrays of tables) is an error that
 * names the line: nothing is skipped or guessed. Bytes in, a tree in an arena out; no I/O. Any
 * thread. Source: toml.io, v1.0.0. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define TOML_BYTES_MAX (256U << 10)
#define TOML_DEPTH_MAX 16

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_BOOL, TOML_ARRAY, TOML_TABLE };

struct toml {
    enum toml_type type;
    struct str key;    /* empty in an array */
    struct str string; /* TOML_STRING, escapes resolved */
    int64_t integer;
    bool boolean;
    struct toml *first, *last; /* of TOML_ARRAY and TOML_TABLE, in the order of the file */
    struct toml *next;         /* sibling */
    unsigned line;
    bool closed; /* a table that was defined whole: by a header or as an inline table */
};

/* *out: the root table; it and its strings live in a and in text. INVALID: "line 3: ...". */
int toml_parse(struct arena *a, struct str text, const struct toml **out, struct err *e) MUST_CHECK;
/* The member of a table, or NULL (also when table is NULL or no table). */
const struct toml *toml_get(const struct toml *table, struct str key);
