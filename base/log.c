/* SPDX-License-Identifier: Apache-2.0 — log.c: formatting of logfmt lines. */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>

static enum log_level lowest = LOG_LEVEL_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level) { __atomic_store_n(&lowest, level, __ATOMIC_RELAXED); }

int log_level_parse(struct str name, enum log_level *out) {
    for (size_t i = 0; i < COUNT(level_names); i++) {
        if (!str_eq(name, str_of(level_names[i]))) continue;
        *out = (enum log_level)i;
        return 0;
    }
    return -EINVAL;
}

/* A line under construction; what does not fit is dropped, the newline always fits. */
struct line {
    char text[LOG_LINE_BYTES_MAX];
    size_t n;
};

static void put(struct line *l, char c) {
    if (l->n < sizeof l->text - 1) l->text[l->n++] = c;
}

static void put_c(struct line *l, const char *s) {
    while (*s) put(l, *s++);
}

static void put_quoted(struct line *l, struct str s) {
    put(l, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            put(l, '\\');
            put(l, (char)c);
        } else if (c == '\n') {
            put_c(l, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            char hex[5];
            (void)snprintf(hex, sizeof hex, "\\x%02x", c);
            put_c(l, hex);
        } else {
            put(l, (char)c);
        }
    }
    put(l, '"');
}

static void put_field(struct line *l, const struct log_field *f) {
    char number[24];
    put(l, ' ');
    put_c(l, f->key);
    put(l, '=');
    switch (f->type) {
    case LOG_FIELD_STR: put_quoted(l, f->text); break;
    case LOG_FIELD_I64:
        (void)snprintf(number, sizeof number, "%lld", (long long)f->i64);
        put_c(l, number);
        break;
    case LOG_FIELD_U64:
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)f->u64);
        put_c(l, number);
        break;
    }
}

void log_line(enum log_level level, const char *msg, const struct log_field *fields, size_t count) {
    if (level < __atomic_load_n(&lowest, __ATOMIC_RELAXED)) return;
    struct line l = {.n = 0};
    char now[CLOCK_RFC3339_BYTES];
    (void)clock_rfc3339(clock_wall_ns(), now);
    put_c(&l, "time=");
    put_c(&l, now);
    put_c(&l, " level=");
    put_c(&l, level_names[level]);
    put_c(&l, " msg=");
    put_quoted(&l, str_of(msg));
    for (size_t i = 0; i < count; i++)
        if (fields[i].key) put_field(&l, &fields[i]);
    l.text[l.n++] = '\n';
    ssize_t written = write(STDERR_FILENO, l.text, l.n);
    (void)written; /* nobody is left to tell */
}
