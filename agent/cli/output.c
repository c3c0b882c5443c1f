/* SPDX-License-Identifier: Apache-2.0 — output.c */
#include "agent/cli/output.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>

#define JSON_BYTES_MAX (64u << 20)
#define SHORT_ID_CHARS 12

int output_format_parse(struct str name, enum output_format *out) {
    static const char *const names[] = {"table", "json", "yaml"};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!str_eq(name, str_of(names[i]))) continue;
        *out = (enum output_format)i;
        return 0;
    }
    return -EINVAL;
}

/* ---- JSON ---- */

static void write_json(struct json_out *w, const struct json *v) {
    if (v->key.p) json_out_key(w, v->key);
    switch (v->type) {
    case JSON_NULL: json_out_null(w, NULL); return;
    case JSON_BOOL: json_out_bool(w, NULL, v->boolean); return;
    case JSON_NUMBER: json_out_raw(w, NULL, v->text); return;
    case JSON_STRING: json_out_str(w, NULL, v->text); return;
    case JSON_ARRAY: json_out_array(w, NULL); break;
    case JSON_OBJECT: json_out_object(w, NULL); break;
    }
    for (const struct json *child = v->first; child; child = child->next) write_json(w, child);
    json_out_close(w);
}

static void print_json(FILE *to, const struct json *v) {
    AUTO(buf_done) struct buf b = BUF(JSON_BYTES_MAX);
    struct json top = *v;
    top.key = STR_NONE; /* v may be a member of something */
    struct json_out w = JSON_OUT_PRETTY(&b);
    write_json(&w, &top);
    if (json_out_end(&w) < 0) abort(); /* an answer is at most one frame */
    (void)fprintf(to, "%s\n", buf_c(&b));
}

/* ---- YAML: the JSON subset in block form; strings are quoted as JSON quotes them ---- */

static void yaml_string(FILE *to, struct str s) {
    AUTO(buf_done) struct buf b = BUF(JSON_BYTES_MAX);
    struct json_out w = JSON_OUT(&b);
    json_out_str(&w, NULL, s);
    if (json_out_end(&w) < 0) abort();
    (void)fputs(buf_c(&b), to);
}

static bool yaml_plain(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool inner = i > 0 && ((c >= '0' && c <= '9') || c == '-' || c == '.' || c == '/');
        if (!word && !inner) return false;
    }
    static const char *const special[] = {"true", "false", "null", "yes", "no",
                                          "on",   "off",   "y",    "n"};
    for (size_t i = 0; i < COUNT(special); i++)
        if (str_eq_nocase(s, str_of(special[i]))) return false;
    return s.n > 0;
}

static void yaml_text(FILE *to, struct str s) {
    if (yaml_plain(s))
        (void)fprintf(to, "%.*s", STR_ARG(s));
    else
        yaml_string(to, s);
}

static bool yaml_scalar(FILE *to, const struct json *v) {
    switch (v->type) {
    case JSON_NULL: (void)fputs("null", to); return true;
    case JSON_BOOL: (void)fputs(v->boolean ? "true" : "false", to); return true;
    case JSON_NUMBER: (void)fprintf(to, "%.*s", STR_ARG(v->text)); return true;
    case JSON_STRING: yaml_text(to, v->text); return true;
    case JSON_ARRAY:
        if (!v->first) (void)fputs("[]", to);
        return !v->first;
    case JSON_OBJECT:
        if (!v->first) (void)fputs("{}", to);
        return !v->first;
    }
    return true;
}

/* The children of v, each on lines of its own; the first line is indented already when
 * inline_first.
 */
static void yaml_children(FILE *to, const struct json *v, int indent, bool inline_first) {
    for (const struct json *child = v->first; child; child = child->next) {
        if (!inline_first) (void)fprintf(to, "%*s", indent, "");
        inline_first = false;
        if (v->type == JSON_OBJECT) {
            yaml_text(to, child->key);
            (void)fputc(':', to);
        } else {
            (void)fputc('-', to);
        }
        bool nested = child->first != NULL;
        bool in_line = nested && v->type == JSON_ARRAY;
        (void)fputc(nested && !in_line ? '\n' : ' ', to);
        if (nested)
            yaml_children(to, child, indent + 2, in_line);
        else if (yaml_scalar(to, child))
            (void)fputc('\n', to);
    }
}

void output_value(FILE *to, enum output_format format, const struct json *v) {
    if (format != OUTPUT_YAML)
        print_json(to, v);
    else if (v->first)
        yaml_children(to, v, 0, false);
    else if (yaml_scalar(to, v))
        (void)fputc('\n', to);
}

/* ---- tables ---- */

void output_table_begin(struct output_table *t, const char *const *titles, size_t columns) {
    *t = (struct output_table){.columns = columns};
    for (size_t i = 0; i < columns; i++) output_cell(t, titles[i]);
}

void output_cell(struct output_table *t, const char *text) {
    if (t->count == (size_t)OUTPUT_ROWS_MAX * OUTPUT_COLUMNS_MAX) return;
    if ((t->count & (t->count - 1)) == 0)
        t->cells = xrealloc(t->cells, (t->count ? t->count * 2 : 1) * sizeof *t->cells);
    char *cell = xstrdup(text && *text ? text : "-");
    for (char *p = cell; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?'; /* nothing may steer the terminal */
    t->cells[t->count++] = cell;
}

void output_cell_fmt(struct output_table *t, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    output_cell(t, text);
}

/* Characters, not bytes, so that columns stay straight. */
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void output_table_print(FILE *to, const struct output_table *t) {
    size_t widths[OUTPUT_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->count; i++) {
        size_t width = width_of(t->cells[i]);
        if (width > widths[i % t->columns]) widths[i % t->columns] = width;
    }
    for (size_t i = 0; i < t->count; i++) {
        bool last = i % t->columns == t->columns - 1;
        int pad = last ? 0 : (int)(widths[i % t->columns] - width_of(t->cells[i])) + 3;
        (void)fprintf(to, "%s%*s%s", t->cells[i], pad, "", last ? "\n" : "");
    }
}

void output_table_done(struct output_table *t) {
    for (size_t i = 0; i < t->count; i++) free(t->cells[i]);
    free(t->cells);
    *t = (struct output_table){.columns = 0};
}

/* ---- numbers ---- */

char *output_bytes(uint64_t bytes, char *out) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < COUNT(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, OUTPUT_TEXT_BYTES, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

char *output_ago(int64_t at_ns, int64_t now_ns, char *out) {
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    int64_t seconds = (now_ns - at_ns) / 1000000000;
    if (at_ns == 0) {
        (void)snprintf(out, OUTPUT_TEXT_BYTES, "-");
        return out;
    }
    (void)snprintf(out, OUTPUT_TEXT_BYTES, "just now");
    for (size_t i = 0; i < COUNT(units); i++) {
        int64_t n = seconds / units[i].seconds;
        if (n < 1) continue;
        (void)snprintf(out, OUTPUT_TEXT_BYTES, "%lld %s%s ago", (long long)n, units[i].name,
                       n == 1 ? "" : "s");
        break;
    }
    return out;
}

char *output_short_id(struct str id, char *out) {
    if (str_starts(id, STR("sha256:"))) id = str_sub(id, 7, id.n);
    id = str_sub(id, 0, SHORT_ID_CHARS);
    (void)snprintf(out, OUTPUT_TEXT_BYTES, "%.*s", STR_ARG(id));
    return out;
}
