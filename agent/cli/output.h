/* SPDX-License-Identifier: Apache-2.0 — output.h: tables, JSON and YAML on stdout, and how numbers
 * are written for people. */
#pragma once

#include "base/json.h"

#include <stdio.h>

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML };
/* "table", "json", "yaml"; -EINVAL. */
int output_format_parse(struct str name, enum output_format *out) MUST_CHECK;

/* A whole document, indented. format: JSON or YAML. */
void output_value(FILE *to, enum output_format format, const struct json *v);

/* Rows of cells; widths fit the longest cell. Cells are copied. */
#define OUTPUT_COLUMNS_MAX 12
#define OUTPUT_ROWS_MAX    100000
struct output_table {
    size_t columns;
    size_t count; /* of cells */
    char **cells; /* owned */
};
/* titles: columns strings, upper-case by custom. */
void output_table_begin(struct output_table *t, const char *const *titles, size_t columns);
void output_cell(struct output_table *t, const char *text);
void output_cell_fmt(struct output_table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void output_table_print(FILE *to, const struct output_table *t);
void output_table_done(struct output_table *t);

#define OUTPUT_TEXT_BYTES 32
/* "1.4 GiB"; out has OUTPUT_TEXT_BYTES. Returns out. */
char *output_bytes(uint64_t bytes, char *out);
/* "5 minutes ago", from a time since 1970; "-" for 0. */
char *output_ago(int64_t at_ns, int64_t now_ns, char *out);
/* The first 12 hex digits of an id, without "sha256:". */
char *output_short_id(struct str id, char *out);
