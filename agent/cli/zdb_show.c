/* SPDX-License-Identifier: Apache-2.0 — zdb_show.c: namespaces as tables and documents. A line that
 * a server does not have (0-db knows no durability) is left out, or "-" in a table. */
#include "agent/cli/cli_zdb.h"

#include <stdio.h>

#define DOCUMENT_BYTES_MAX (16u << 20)

static const char *mode_of(struct str info) {
    return str_starts(zdb_info_get(info, STR("mode")), STR("seq")) ? "seq" : "user";
}

static void cell(struct output_table *t, struct str s) {
    output_cell_fmt(t, "%.*s", (int)(s.n < 200 ? s.n : 200), s.p ? s.p : "");
}

static void flags(struct output_table *t, struct str info) {
    static const char *const names[] = {"public", "worm", "locked", "password"};
    char text[64] = "";
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!zdb_info_yes(info, str_of(names[i]))) continue;
        size_t n = strlen(text);
        (void)snprintf(text + n, sizeof text - n, "%s%s", n ? "," : "", names[i]);
    }
    output_cell(t, text);
}

static void size(struct output_table *t, struct str info, const char *key, const char *zero) {
    char text[OUTPUT_TEXT_BYTES];
    uint64_t n = zdb_info_u64(info, str_of(key));
    bool known = zdb_info_get(info, str_of(key)).p != NULL;
    output_cell(t, !known ? "" : n || !zero ? output_bytes(n, text) : zero);
}

static void row(struct output_table *t, struct str info) {
    cell(t, zdb_info_get(info, STR("name")));
    output_cell(t, mode_of(info));
    cell(t, zdb_info_get(info, STR("entries")));
    size(t, info, "data_size_bytes", NULL);
    size(t, info, "data_limits_bytes", "none");
    size(t, info, "data_dead_bytes", NULL);
    cell(t, zdb_info_get(info, STR("durability")));
    flags(t, info);
}

/* Numbers as numbers, yes and no as booleans, the rest as text. */
static void write_line(struct json_out *w, struct str key, struct str value) {
    uint64_t n = 0;
    json_out_key(w, key);
    if (str_eq(key, STR("name")) || str_u64(value, &n) < 0) {
        if (str_eq(value, STR("yes")) || str_eq(value, STR("no")))
            json_out_bool(w, NULL, str_eq(value, STR("yes")));
        else
            json_out_str(w, NULL, value);
    } else {
        json_out_u64(w, NULL, n);
    }
}

static void write_info(struct json_out *w, struct str info) {
    struct str line;
    json_out_object(w, NULL);
    while (str_next(&info, '\n', &line)) {
        ptrdiff_t colon = str_find(line, ':');
        if (colon <= 0 || line.p[0] == '#') continue;
        struct str key = str_sub(line, 0, (size_t)colon);
        /* Secrets; and the same once more with two digits after the point. */
        if (str_eq(key, STR("password_raw")) || str_ends(key, STR("_mb")) ||
            str_ends(key, STR("_kb")))
            continue;
        write_line(w, key, str_trim(str_sub(line, (size_t)colon + 1, line.n)));
    }
    json_out_close(w);
}

static int print_document(struct cli *c, const struct json_out *w, const struct buf *b,
                          struct err *e) {
    struct json_limits limits = {.bytes_max = DOCUMENT_BYTES_MAX, .values_max = 1000000};
    const struct json *v = NULL;
    if (json_out_end(w) < 0) return err_set(e, ERR_LIMIT, "the list is too long");
    if (json_parse(&c->arena, buf_view(b), limits, &v, e) < 0) return -1;
    output_value(stdout, c->format == OUTPUT_YAML ? OUTPUT_YAML : OUTPUT_JSON, v);
    return 0;
}

int zdb_show_list(struct cli *c, const struct zdb_listing *l, struct err *e) {
    static const char *const titles[] = {"NAME",  "MODE", "KEYS",       "USED",
                                         "LIMIT", "DEAD", "DURABILITY", "FLAGS"};
    if (c->format == OUTPUT_TABLE) {
        struct output_table t;
        output_table_begin(&t, titles, COUNT(titles));
        for (size_t i = 0; i < l->count; i++) row(&t, l->infos[i]);
        output_table_print(stdout, &t);
        output_table_done(&t);
        return 0;
    }
    AUTO(buf_done) struct buf b = BUF(DOCUMENT_BYTES_MAX);
    struct json_out w = JSON_OUT(&b);
    json_out_array(&w, NULL);
    for (size_t i = 0; i < l->count; i++) write_info(&w, l->infos[i]);
    json_out_close(&w);
    return print_document(c, &w, &b, e);
}

static void print_flag(struct str info, const char *title, const char *key) {
    (void)printf("  %-12s %s\n", title, zdb_info_yes(info, str_of(key)) ? "yes" : "no");
}

static void print_size(struct str info, const char *title, const char *key) {
    char text[OUTPUT_TEXT_BYTES];
    if (zdb_info_get(info, str_of(key)).p)
        (void)printf("  %-12s %s\n", title, output_bytes(zdb_info_u64(info, str_of(key)), text));
}

static void print_text(struct str info, const char *title, const char *key) {
    struct str value = zdb_info_get(info, str_of(key));
    if (value.p) (void)printf("  %-12s %.*s\n", title, STR_ARG(value));
}

int zdb_show_one(struct cli *c, struct str info, struct err *e) {
    if (c->format != OUTPUT_TABLE) {
        AUTO(buf_done) struct buf b = BUF(DOCUMENT_BYTES_MAX);
        struct json_out w = JSON_OUT(&b);
        write_info(&w, info);
        return print_document(c, &w, &b, e);
    }
    (void)printf("Namespace %.*s:\n", STR_ARG(zdb_info_get(info, STR("name"))));
    (void)printf("  %-12s %s\n", "mode", mode_of(info));
    print_text(info, "keys", "entries");
    print_size(info, "used", "data_size_bytes");
    if (zdb_info_u64(info, STR("data_limits_bytes")))
        print_size(info, "limit", "data_limits_bytes");
    else
        (void)printf("  %-12s none\n", "limit");
    print_size(info, "dead", "data_dead_bytes");
    print_size(info, "on disk", "data_files_bytes");
    print_size(info, "index", "index_size_bytes");
    print_size(info, "memory", "memory_bytes");
    print_text(info, "durability", "durability");
    print_text(info, "versions", "versions");
    print_flag(info, "password", "password");
    print_flag(info, "public", "public");
    print_flag(info, "worm", "worm");
    print_flag(info, "locked", "locked");
    print_text(info, "bad reads", "corrupt_reads");
    print_text(info, "data", "data_path");
    print_text(info, "index files", "index_path");
    return 0;
}
