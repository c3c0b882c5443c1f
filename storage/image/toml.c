/* SPDX-License-Identifier: Apache-2.0 — toml.c: a recursive descent over one text.
 *
 * The reader stands on a byte and knows its line. A failure sets the error once and every caller
 * returns -1. Nesting of values is bounded by TOML_DEPTH_MAX, memory by the arena. */
#include "storage/image/toml.h"

struct reader {
    struct arena *a;
    struct str text;
    size_t at;
    unsigned line;
    struct err *e;
};

static int fail(const struct reader *r, const char *what) {
    return err_set(r->e, ERR_INVALID, "line %u: %s", r->line, what);
}
static int no_memory(const struct reader *r) {
    return err_set(r->e, ERR_LIMIT, "line %u: the file holds too much", r->line);
}

static int peek(const struct reader *r) {
    return r->at < r->text.n ? (unsigned char)r->text.p[r->at] : -1;
}

static void skip_blank(struct reader *r) {
    while (peek(r) == ' ' || peek(r) == '\t') r->at++;
}

/* Blanks, comments and line ends. */
static void skip_lines(struct reader *r) {
    for (;;) {
        skip_blank(r);
        if (peek(r) == '#')
            while (peek(r) >= 0 && peek(r) != '\n') r->at++;
        if (peek(r) == '\r' && r->at + 1 < r->text.n && r->text.p[r->at + 1] == '\n') r->at++;
        if (peek(r) != '\n') return;
        r->at++;
        r->line++;
    }
}

/* After a key/value pair or a header nothing but a comment may follow on the line. */
static int line_end(struct reader *r) {
    skip_blank(r);
    int c = peek(r);
    if (c < 0 || c == '\n' || c == '#') return 0;
    if (c == '\r' && r->at + 1 < r->text.n && r->text.p[r->at + 1] == '\n') return 0;
    return fail(r, "unexpected text at the end of the line");
}

static struct toml *node_new(struct reader *r, enum toml_type type) {
    struct toml *n = arena_new(r->a, struct toml);
    if (!n) {
        (void)no_memory(r);
        return NULL;
    }
    n->type = type;
    n->line = r->line;
    return n;
}

static void node_add(struct toml *parent, struct toml *child) {
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

static struct toml *member(const struct toml *table, struct str key) {
    for (struct toml *n = table->first; n; n = n->next)
        if (str_eq(n->key, key)) return n;
    return NULL;
}

const struct toml *toml_get(const struct toml *table, struct str key) {
    return table && table->type == TOML_TABLE ? member(table, key) : NULL;
}

/* ---- strings ---- */

static int hex_value(int c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static size_t utf8_put(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (char)(lead[n] | c);
    return n;
}

static int read_unicode(struct reader *r, int digits, char *out, size_t *n) {
    uint32_t c = 0;
    for (int i = 0; i < digits; i++) {
        int h = hex_value(peek(r));
        if (h < 0) return fail(r, "\\u wants 4 hex digits, \\U wants 8");
        c = c << 4 | (uint32_t)h;
        r->at++;
    }
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return fail(r, "the escape is not a Unicode character that may stand here");
    *n += utf8_put(c, out + *n);
    return 0;
}

/* Behind a backslash; an escape never yields more bytes than it was written with. */
static int read_escape(struct reader *r, char *out, size_t *n) {
    static const char from[] = "btnfr\"\\";
    static const char to[] = "\b\t\n\f\r\"\\";
    int c = peek(r);
    if (c < 0) return fail(r, "the string does not end");
    r->at++;
    if (c == 'u') return read_unicode(r, 4, out, n);
    if (c == 'U') return read_unicode(r, 8, out, n);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at) return fail(r, "unknown escape in a string");
    out[(*n)++] = to[at - from];
    return 0;
}

static bool is_control(int c) { return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7F; }

static int read_basic(struct reader *r, struct str *out) {
    ptrdiff_t line_left = str_find(str_sub(r->text, r->at, r->text.n), '\n');
    size_t bytes_max = line_left >= 0 ? (size_t)line_left : r->text.n - r->at;
    char *p = arena_alloc(r->a, bytes_max + 1);
    size_t n = 0;
    if (!p) return no_memory(r);
    for (;;) {
        int c = peek(r);
        if (c < 0 || c == '\n') return fail(r, "the string does not end on its line");
        if (is_control(c)) return fail(r, "control character in a string");
        r->at++;
        if (c == '"') break;
        if (c != '\\')
            p[n++] = (char)c;
        else if (read_escape(r, p, &n) < 0)
            return -1;
    }
    *out = str_make(p, n);
    return 0;
}

static int read_literal(struct reader *r, struct str *out) {
    size_t from = r->at;
    while (peek(r) != '\'') {
        if (peek(r) < 0 || peek(r) == '\n') return fail(r, "the string does not end on its line");
        if (is_control(peek(r))) return fail(r, "control character in a string");
        r->at++;
    }
    *out = str_sub(r->text, from, r->at);
    r->at++;
    return 0;
}

static int read_string(struct reader *r, struct str *out) {
    int quote = peek(r);
    r->at++;
    if (r->at + 1 < r->text.n && r->text.p[r->at] == quote && r->text.p[r->at + 1] == quote)
        return fail(r, "multi-line strings are not supported here");
    return quote == '"' ? read_basic(r, out) : read_literal(r, out);
}

/* ---- keys ---- */

static bool is_bare(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static int read_key(struct reader *r, struct str *out) {
    skip_blank(r);
    int c = peek(r);
    if (c == '"' || c == '\'') return read_string(r, out);
    size_t from = r->at;
    while (is_bare(peek(r))) r->at++;
    if (r->at == from) return fail(r, "a key is expected here");
    *out = str_sub(r->text, from, r->at);
    return 0;
}

static struct toml *add_table(struct reader *r, struct toml *parent, struct str key) {
    struct toml *n = node_new(r, TOML_TABLE);
    if (!n) return NULL;
    n->key = key;
    node_add(parent, n);
    return n;
}

/* The table `key` of parent, made when it is not there. */
static struct toml *enter_table(struct reader *r, struct toml *parent, struct str key) {
    struct toml *n = member(parent, key);
    if (!n) return add_table(r, parent, key);
    if (n->type == TOML_TABLE) return n;
    (void)fail(r, "the key has a value already and is no table");
    return NULL;
}

/* Reads a dotted key: *table moves down to the table of its last part, *out_key. */
static int read_path(struct reader *r, struct toml **table, struct str *out_key) {
    struct str key;
    for (unsigned depth = 0;; depth++) {
        if (depth >= TOML_DEPTH_MAX) return fail(r, "the key has more than 16 parts");
        if (read_key(r, &key) < 0) return -1;
        skip_blank(r);
        if (peek(r) != '.') break;
        r->at++;
        *table = enter_table(r, *table, key);
        if (!*table) return -1;
    }
    *out_key = key;
    return 0;
}

/* ---- values ---- */

static int read_value(struct reader *r, unsigned depth, struct toml **out);

static int read_pair(struct reader *r, struct toml *table, unsigned depth) {
    struct str key;
    struct toml *value;
    if (read_path(r, &table, &key) < 0) return -1;
    if (peek(r) != '=') return fail(r, "'=' is expected behind the key");
    r->at++;
    if (member(table, key)) return fail(r, "the key is given twice");
    if (read_value(r, depth, &value) < 0) return -1;
    value->key = key;
    node_add(table, value);
    return 0;
}

static int read_array(struct reader *r, unsigned depth, struct toml **out) {
    struct toml *array = node_new(r, TOML_ARRAY);
    if (!array) return -1;
    r->at++;
    for (;;) {
        struct toml *item;
        skip_lines(r);
        if (peek(r) == ']') break;
        if (read_value(r, depth + 1, &item) < 0) return -1;
        node_add(array, item);
        skip_lines(r);
        if (peek(r) == ']') break;
        if (peek(r) != ',') return fail(r, "',' or ']' is expected in the array");
        r->at++;
    }
    r->at++;
    *out = array;
    return 0;
}

static int read_inline_table(struct reader *r, unsigned depth, struct toml **out) {
    struct toml *table = node_new(r, TOML_TABLE);
    if (!table) return -1;
    table->closed = true;
    r->at++;
    skip_blank(r);
    while (peek(r) != '}') {
        if (read_pair(r, table, depth + 1) < 0) return -1;
        skip_blank(r);
        if (peek(r) == '}') break;
        if (peek(r) != ',') return fail(r, "',' or '}' is expected in the inline table");
        r->at++;
    }
    r->at++;
    *out = table;
    return 0;
}

/* true, false or a decimal integer; *digits* may be grouped by '_'. */
static int read_word(struct reader *r, struct toml **out) {
    size_t from = r->at;
    while (is_bare(peek(r)) || peek(r) == '+' || peek(r) == '.' || peek(r) == ':') r->at++;
    struct str word = str_sub(r->text, from, r->at);
    bool is_true = str_eq(word, STR("true"));
    if (is_true || str_eq(word, STR("false"))) {
        struct toml *n = node_new(r, TOML_BOOL);
        if (!n) return -1;
        n->boolean = is_true;
        *out = n;
        return 0;
    }
    int64_t number;
    if (str_starts(word, STR("+"))) word = str_sub(word, 1, word.n);
    struct str digits = str_starts(word, STR("-")) ? str_sub(word, 1, word.n) : word;
    if ((digits.n > 1 && digits.p[0] == '0') || str_i64(word, &number) < 0)
        return fail(r, "the value is no string, integer, boolean, array or table");
    struct toml *n = node_new(r, TOML_INTEGER);
    if (!n) return -1;
    n->integer = number;
    *out = n;
    return 0;
}

static int read_value(struct reader *r, unsigned depth, struct toml **out) {
    if (depth >= TOML_DEPTH_MAX) return fail(r, "values are nested deeper than 16");
    skip_blank(r);
    int c = peek(r);
    if (c == '[') return read_array(r, depth, out);
    if (c == '{') return read_inline_table(r, depth, out);
    if (c != '"' && c != '\'') return read_word(r, out);
    struct toml *n = node_new(r, TOML_STRING);
    if (!n || read_string(r, &n->string) < 0) return -1;
    *out = n;
    return 0;
}

/* ---- the file ---- */

static int read_header(struct reader *r, struct toml *root, struct toml **out) {
    struct toml *table = root;
    struct str key;
    r->at++;
    if (peek(r) == '[') return fail(r, "arrays of tables are not supported here");
    if (read_path(r, &table, &key) < 0) return -1;
    if (peek(r) != ']') return fail(r, "']' is expected behind the table's name");
    r->at++;
    table = enter_table(r, table, key);
    if (!table) return -1;
    if (table->closed) return fail(r, "the table is defined twice");
    table->closed = true;
    *out = table;
    return line_end(r);
}

int toml_parse(struct arena *a, struct str text, const struct toml **out, struct err *e) {
    struct reader r = {.a = a, .text = text, .line = 1, .e = e};
    if (text.n > TOML_BYTES_MAX) return err_set(e, ERR_LIMIT, "the file is larger than 256 KiB");
    struct toml *root = node_new(&r, TOML_TABLE);
    if (!root) return -1;
    struct toml *table = root;
    for (skip_lines(&r); peek(&r) >= 0; skip_lines(&r)) {
        if (peek(&r) == '[') {
            if (read_header(&r, root, &table) < 0) return -1;
        } else if (read_pair(&r, table, 0) < 0 || line_end(&r) < 0) {
            return -1;
        }
    }
    *out = root;
    return 0;
}
