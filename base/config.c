/* SPDX-License-Identifier: Apache-2.0 — config.c: settings from defaults, YAML and options.
 *
 * The file is one flat mapping of scalars: libyaml's events are taken one by one, and whatever
 * else YAML can say (nesting, anchors, aliases, tags, several documents) is an error with its line.
 * So a file cannot make the parser expand anything. Options are looked at twice: first for --help,
 * --version and --config, then, when the file is in, for values that override it. */
#include "base/config.h"

#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

#define HELP_BYTES_MAX    (64 * 1024)
#define HELP_WRAP_COLUMNS 92
#define HELP_INDENT       "      "

/* ---- values ---- */

struct unit {
    const char *suffix;
    uint64_t factor;
};

static int parse_unit(struct str s, const struct unit *units, size_t count, uint64_t *out) {
    size_t digits = 0;
    uint64_t n = 0;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9') digits++;
    int r = str_u64(str_sub(s, 0, digits), &n);
    if (r < 0) return r;
    struct str suffix = str_sub(s, digits, s.n);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(suffix, str_of(units[i].suffix))) continue;
        return __builtin_mul_overflow(n, units[i].factor, out) ? -ERANGE : 0;
    }
    return -EINVAL;
}

int config_bytes(struct str s, uint64_t *out) {
    static const struct unit units[] = {{"", 1},
                                        {"k", 1ULL << 10},
                                        {"m", 1ULL << 20},
                                        {"g", 1ULL << 30},
                                        {"t", 1ULL << 40},
                                        {"K", 1000},
                                        {"M", 1000000},
                                        {"G", 1000000000},
                                        {"b", 1},
                                        {"T", 1000000000000},
                                        {"Ki", 1ULL << 10},
                                        {"Mi", 1ULL << 20},
                                        {"Gi", 1ULL << 30},
                                        {"Ti", 1ULL << 40}};
    uint64_t value = 0;
    int r = parse_unit(s, units, COUNT(units), &value);
    if (r == 0) *out = value;
    return r;
}

int config_duration_ms(struct str s, uint64_t *out) {
    static const struct unit units[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                                        {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t value = 0;
    int r = parse_unit(s, units, COUNT(units), &value);
    if (r == 0) *out = value;
    return r;
}

static int parse_bool(struct str s, bool *out) {
    bool yes = str_eq(s, STR("true"));
    if (!yes && !str_eq(s, STR("false"))) return -EINVAL;
    *out = yes;
    return 0;
}

static int set_str(char **field, struct str s) {
    if (s.n && memchr(s.p, '\0', s.n)) return -EINVAL;
    free(*field);
    *field = xmalloc(s.n + 1);
    if (s.n) memcpy(*field, s.p, s.n);
    return 0;
}

static int set_value(const struct config_key *key, struct str s, void *settings) {
    void *field = (char *)settings + key->offset;
    switch (key->type) {
    case CONFIG_STR: return set_str(field, s);
    case CONFIG_BOOL: return parse_bool(s, field);
    case CONFIG_U64: return str_u64(s, field);
    case CONFIG_BYTES: return config_bytes(s, field);
    case CONFIG_MS: return config_duration_ms(s, field);
    }
    return -EINVAL;
}

static const char *want(enum config_type type) {
    switch (type) {
    case CONFIG_STR: return "text";
    case CONFIG_BOOL: return "true or false";
    case CONFIG_U64: return "a whole number";
    case CONFIG_BYTES: return "a size such as 4096, 512Mi or 2Gi";
    case CONFIG_MS: return "a duration such as 250ms, 30s or 5m";
    }
    return "";
}

static int set_checked(const struct config_key *key, struct str s, void *settings, struct err *e) {
    if (set_value(key, s, settings) == 0) return 0;
    return err_set(e, ERR_INVALID, "'%s' must be %s, not '%.*s'", key->name, want(key->type),
                   (int)(s.n < 80 ? s.n : 80), s.p ? s.p : "");
}

static const struct config_key *find_key(const struct config_program *p, struct str name) {
    for (size_t i = 0; i < p->key_count; i++)
        if (str_eq(name, str_of(p->keys[i].name))) return &p->keys[i];
    return NULL;
}

int config_defaults(const struct config_program *p, void *settings, struct err *e) {
    for (size_t i = 0; i < p->key_count; i++) {
        const struct config_key *key = &p->keys[i];
        if (key->value && set_checked(key, str_of(key->value), settings, e) < 0) return -1;
    }
    return 0;
}

void config_done(const struct config_program *p, void *settings) {
    for (size_t i = 0; i < p->key_count; i++) {
        char **field = (char **)(void *)((char *)settings + p->keys[i].offset);
        if (p->keys[i].type != CONFIG_STR) continue;
        free(*field);
        *field = NULL;
    }
}

/* ---- the file ---- */

struct reader {
    const struct config_program *program;
    void *settings;
    const struct config_key *key; /* whose value comes next; NULL: a key comes next */
    bool seen[CONFIG_KEYS_MAX];
    enum { AT_START, IN_DOCUMENT, IN_MAPPING, AT_END } state;
};

static int take_scalar(struct reader *r, const yaml_event_t *event, struct err *e) {
    struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    bool null = text.n == 0 && event->data.scalar.plain_implicit &&
                event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (event->data.scalar.anchor || event->data.scalar.tag)
        return err_set(e, ERR_INVALID, "anchors and tags are not allowed");
    if (r->state == IN_DOCUMENT && null) return 0; /* a file of comments alone */
    if (r->state != IN_MAPPING)
        return err_set(e, ERR_INVALID, "expected lines of the form 'key: value'");
    if (r->key) {
        const struct config_key *key = r->key;
        r->key = NULL;
        if (null) return err_set(e, ERR_INVALID, "'%s' has no value", key->name);
        return set_checked(key, text, r->settings, e);
    }
    r->key = find_key(r->program, text);
    if (!r->key)
        return err_set(e, ERR_INVALID, "unknown key '%.*s' (%s --help lists the keys)",
                       (int)(text.n < 80 ? text.n : 80), text.p, r->program->name);
    bool *seen = &r->seen[r->key - r->program->keys];
    if (*seen) return err_set(e, ERR_INVALID, "'%s' is set twice", r->key->name);
    *seen = true;
    return 0;
}

static int take_mapping(struct reader *r, const yaml_event_t *event, struct err *e) {
    if (event->data.mapping_start.anchor || event->data.mapping_start.tag)
        return err_set(e, ERR_INVALID, "anchors and tags are not allowed");
    if (r->state == IN_DOCUMENT) {
        r->state = IN_MAPPING;
        return 0;
    }
    if (r->key) return err_set(e, ERR_INVALID, "'%s' must be a plain value", r->key->name);
    return err_set(e, ERR_INVALID, "a key must be a plain word");
}

static int take_event(struct reader *r, const yaml_event_t *event, struct err *e) {
    switch (event->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT: return 0;
    case YAML_STREAM_END_EVENT: r->state = AT_END; return 0;
    case YAML_DOCUMENT_START_EVENT:
        if (r->state != AT_START) return err_set(e, ERR_INVALID, "more than one document");
        r->state = IN_DOCUMENT;
        return 0;
    case YAML_MAPPING_START_EVENT: return take_mapping(r, event, e);
    case YAML_MAPPING_END_EVENT: r->state = IN_DOCUMENT; return 0;
    case YAML_SCALAR_EVENT: return take_scalar(r, event, e);
    case YAML_ALIAS_EVENT: return err_set(e, ERR_INVALID, "aliases are not allowed");
    case YAML_SEQUENCE_START_EVENT:
        if (r->key) return err_set(e, ERR_INVALID, "'%s' must be a plain value", r->key->name);
        return err_set(e, ERR_INVALID, "expected lines of the form 'key: value'");
    case YAML_SEQUENCE_END_EVENT: return 0;
    }
    return 0;
}

static int read_events(struct reader *r, yaml_parser_t *parser, const char *name, struct err *e) {
    while (r->state != AT_END) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            (void)err_set(e, ERR_INVALID, "%s", parser->problem ? parser->problem : "not YAML");
            return err_in(e, "%s line %zu", name, parser->problem_mark.line + 1);
        }
        size_t line = event.start_mark.line + 1;
        int taken = take_event(r, &event, e);
        yaml_event_delete(&event);
        if (taken < 0) return err_in(e, "%s line %zu", name, line);
    }
    return 0;
}

int config_yaml(const struct config_program *p, struct str text, const char *name, void *settings,
                struct err *e) {
    yaml_parser_t parser;
    if (p->key_count > CONFIG_KEYS_MAX) abort(); /* the program's own table */
    if (text.n > CONFIG_FILE_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "%s: longer than %d bytes", name, CONFIG_FILE_BYTES_MAX);
    if (!yaml_parser_initialize(&parser)) abort(); /* out of memory */
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    struct reader r = {.program = p, .settings = settings};
    int result = read_events(&r, &parser, name, e);
    yaml_parser_delete(&parser);
    return result;
}

static int load_file(const struct config_program *p, const char *named, void *settings,
                     struct err *e) {
    AUTO_FREE char *standard = xasprintf("/etc/gridlet/%s.yaml", p->name);
    AUTO(buf_done) struct buf text = BUF(0);
    const char *path = named ? named : standard;
    int r = file_read_all(AT_FDCWD, path, CONFIG_FILE_BYTES_MAX, &text);
    if (r == -ENOENT && !named) return 0;
    if (r == -EFBIG)
        return err_set(e, ERR_LIMIT, "%s: longer than %d bytes", path, CONFIG_FILE_BYTES_MAX);
    if (r < 0) return err_sys(e, -r, "read the settings '%s'", path);
    return config_yaml(p, buf_view(&text), path, settings, e);
}

/* ---- the command line ---- */

struct option {
    struct str name;
    struct str value;
    bool has_value;
};

/* Splits argv[*at] (and its value in the next argument) and moves *at behind it. */
static int next_option(const struct config_program *p, char *const *argv, int *at,
                       struct option *out, struct err *e) {
    struct str arg = str_of(argv[*at]);
    if (!str_starts(arg, STR("--")) || arg.n == 2)
        return err_set(e, ERR_INVALID, "'%s' is no option (%s --help lists them)", argv[*at],
                       p->name);
    ++*at;
    arg = str_sub(arg, 2, arg.n);
    ptrdiff_t equals = str_find(arg, '=');
    *out = (struct option){.name = arg};
    if (equals >= 0) {
        out->name = str_sub(arg, 0, (size_t)equals);
        out->value = str_sub(arg, (size_t)equals + 1, arg.n);
        out->has_value = true;
        return 0;
    }
    if (str_eq(arg, STR("help")) || str_eq(arg, STR("version"))) return 0;
    const struct config_key *key = find_key(p, arg);
    if (key && key->type == CONFIG_BOOL) {
        out->value = STR("true");
        out->has_value = true;
        return 0;
    }
    if (!key && !str_eq(arg, STR("config")))
        return err_set(e, ERR_INVALID, "unknown option '--%.*s' (%s --help lists them)",
                       (int)(arg.n < 80 ? arg.n : 80), arg.p, p->name);
    if (!argv[*at]) return err_set(e, ERR_INVALID, "'--%.*s' needs a value", STR_ARG(arg));
    out->value = str_of(argv[(*at)++]);
    out->has_value = true;
    return 0;
}

/* First look: what is about the program itself. */
static int scan_options(const struct config_program *p, char *const *argv, const char **out_file,
                        enum config_result *out, struct err *e) {
    *out = CONFIG_RUN;
    for (int at = 1; argv[at];) {
        struct option o;
        if (next_option(p, argv, &at, &o, e) < 0) return -1;
        if (str_eq(o.name, STR("config"))) *out_file = o.value.p; /* the rest of an argument */
        if (str_eq(o.name, STR("help"))) {
            AUTO_FREE char *help = config_help(p);
            (void)fputs(help, stdout);
            *out = CONFIG_ANSWERED;
            return 0;
        }
        if (str_eq(o.name, STR("version"))) {
            (void)printf("%s %s\n", p->name, GRIDLET_VERSION);
            *out = CONFIG_ANSWERED;
            return 0;
        }
    }
    return 0;
}

static int apply_options(const struct config_program *p, char *const *argv, void *settings,
                         struct err *e) {
    for (int at = 1; argv[at];) {
        struct option o;
        if (next_option(p, argv, &at, &o, e) < 0) return -1;
        if (str_eq(o.name, STR("config"))) continue;
        const struct config_key *key = find_key(p, o.name);
        if (!key)
            return err_set(e, ERR_INVALID, "unknown option '--%.*s' (%s --help lists them)",
                           (int)(o.name.n < 80 ? o.name.n : 80), o.name.p, p->name);
        if (set_checked(key, o.value, settings, e) < 0) return err_in(e, "option");
    }
    return 0;
}

int config_load(const struct config_program *p, int argc, char *const *argv, void *settings,
                enum config_result *out, struct err *e) {
    const char *file = NULL;
    if (argc > 2 * CONFIG_KEYS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d arguments", 2 * CONFIG_KEYS_MAX);
    if (scan_options(p, argv, &file, out, e) < 0) return -1;
    if (*out == CONFIG_ANSWERED) return 0;
    if (config_defaults(p, settings, e) < 0) return -1;
    if (load_file(p, file, settings, e) < 0) return -1;
    return apply_options(p, argv, settings, e);
}

/* ---- --help ---- */

static void put(struct buf *b, struct str s) {
    if (buf_str(b, s) < 0) abort(); /* the program's own table is larger than HELP_BYTES_MAX */
}

/* Adds the words of text in lines of at most HELP_WRAP_COLUMNS, each indented. */
static void put_wrapped(struct buf *b, struct str text) {
    struct str word;
    size_t column = 0;
    while (str_next(&text, ' ', &word)) {
        if (word.n == 0) continue;
        if (column == 0 || column + 1 + word.n > HELP_WRAP_COLUMNS) {
            if (column) put(b, STR("\n"));
            put(b, STR(HELP_INDENT));
            column = sizeof HELP_INDENT - 1;
        } else {
            put(b, STR(" "));
            column++;
        }
        put(b, word);
        column += word.n;
    }
    put(b, STR("\n"));
}

static void put_option(struct buf *b, const char *name, const char *arg, const char *help) {
    put(b, STR("  --"));
    put(b, str_of(name));
    if (arg) {
        put(b, STR(" "));
        put(b, str_of(arg));
    }
    put(b, STR("\n"));
    put_wrapped(b, str_of(help));
}

char *config_help(const struct config_program *p) {
    AUTO(buf_done) struct buf b = BUF(HELP_BYTES_MAX);
    AUTO_FREE char *head =
        xasprintf("%s - %s\n\nUsage: %s [--KEY VALUE]...\n\n"
                  "Each option is also a key of the settings file (key: value, one per line).\n\n",
                  p->name, p->synopsis, p->name);
    AUTO_FREE char *file = xasprintf("The settings file. Default: /etc/gridlet/%s.yaml, which need "
                                     "not exist.",
                                     p->name);
    put(&b, str_of(head));
    for (size_t i = 0; i < p->key_count; i++) {
        const struct config_key *key = &p->keys[i];
        AUTO_FREE char *help = xasprintf("%s%s%s%s", key->help, key->value ? " Default: " : "",
                                         key->value ? (*key->value ? key->value : "empty") : "",
                                         key->value ? "." : "");
        put_option(&b, key->name, key->type == CONFIG_BOOL ? NULL : key->arg, help);
    }
    put_option(&b, "config", "FILE", file);
    put_option(&b, "version", NULL, "Prints the version and ends.");
    put_option(&b, "help", NULL, "Prints this text and ends.");
    if (p->notes) {
        put(&b, STR("\n"));
        put(&b, str_of(p->notes));
    }
    return xstrdup(buf_c(&b));
}
