/* SPDX-License-Identifier: Apache-2.0 — cli_list.c: commands that ask one thing and print it. */
#include "agent/cli/cli.h"

#include "base/clock.h"

/* ---- reading answers: a field that is missing is empty, for a daemon of another version ---- */

static const char *text_in(const struct json *v, const char *key) {
    struct str s = STR("");
    const struct json *m = json_get(v, key);
    return json_str(m, &s) == 0 ? s.p : "";
}

static uint64_t number_in(const struct json *v, const char *key) {
    uint64_t n = 0;
    return json_u64(json_get(v, key), &n) == 0 ? n : 0;
}

static const char *age_in(const struct json *v, char *out) {
    return output_ago((int64_t)number_in(v, "created_at_ns"), clock_wall_ns(), out);
}

static const char *id_in(const struct json *v, const char *key, char *out) {
    return output_short_id(str_of(text_in(v, key)), out);
}

/* ---- lists ---- */

struct list {
    const char *command;
    const char *const *titles;
    size_t columns;
    void (*row)(struct output_table *t, const struct json *item);
};

static int print_list(struct cli *c, const struct list *list, const struct json *v) {
    struct output_table t;
    if (c->format != OUTPUT_TABLE) {
        output_value(stdout, c->format, v);
        return CLI_OK;
    }
    output_table_begin(&t, list->titles, list->columns);
    for (const struct json *item = json_first(v); item; item = item->next) list->row(&t, item);
    output_table_print(stdout, &t);
    output_table_done(&t);
    return CLI_OK;
}

/* No operands; asks, prints. */
static int ask_list(struct cli *c, int argc, char **argv, const struct list *list) {
    struct cli_options o = {.mixed = true};
    const struct json *v = NULL;
    struct err e = {0};
    int at = cli_options(c, argc, argv, &o);
    if (at < 0) return cli_options_status(at);
    if (at < argc) return cli_usage(c, "takes no '%s'", argv[at]);
    if (cli_ask_one(c, list->command, NULL, NULL, &v, &e) < 0) return cli_fail(c, &e);
    return print_list(c, list, v);
}

static void pod_row(struct output_table *t, const struct json *v) {
    char text[OUTPUT_TEXT_BYTES];
    output_cell(t, id_in(v, "id", text));
    output_cell(t, text_in(v, "name"));
    output_cell(t, text_in(v, "namespace"));
    output_cell(t, text_in(v, "state"));
    output_cell(t, text_in(v, "ip"));
    output_cell_fmt(t, "%llu/%llu", (unsigned long long)number_in(v, "running"),
                    (unsigned long long)number_in(v, "containers"));
    output_cell(t, age_in(v, text));
}

int cli_pods(struct cli *c, int argc, char **argv) {
    static const char *const titles[] = {"POD ID", "NAME",    "NAMESPACE", "STATE",
                                         "IP",     "RUNNING", "CREATED"};
    static const struct list list = {"pods", titles, COUNT(titles), pod_row};
    return ask_list(c, argc, argv, &list);
}

static void image_row(struct output_table *t, const struct json *v) {
    char text[OUTPUT_TEXT_BYTES];
    const struct json *tag = json_first(json_get(v, "tags"));
    const struct json *digest = json_first(json_get(v, "digests"));
    do {
        struct str name = STR("<none>");
        if (json_str(tag ? tag : digest, &name) < 0) name = STR("<none>");
        output_cell(t, name.p);
        output_cell(t, id_in(v, "id", text));
        output_cell(t, output_bytes(number_in(v, "size_bytes"), text));
        if (tag) tag = tag->next;
    } while (tag);
}

int cli_images(struct cli *c, int argc, char **argv) {
    static const char *const titles[] = {"IMAGE", "IMAGE ID", "SIZE"};
    static const struct list list = {"images", titles, COUNT(titles), image_row};
    return ask_list(c, argc, argv, &list);
}

static void container_row(struct output_table *t, const struct json *v) {
    char text[OUTPUT_TEXT_BYTES];
    output_cell(t, id_in(v, "id", text));
    output_cell(t, text_in(v, "name"));
    output_cell(t, text_in(v, "image"));
    output_cell(t, text_in(v, "state"));
    output_cell(t, text_in(v, "pod"));
    output_cell(t, age_in(v, text));
}

static int set_flag(void *user, int name, const char *value) {
    (void)name;
    (void)value;
    *(bool *)user = true;
    return 0;
}

int cli_ps(struct cli *c, int argc, char **argv) {
    static const char *const titles[] = {"CONTAINER ID", "NAME", "IMAGE",
                                         "STATE",        "POD",  "CREATED"};
    static const struct list list = {"ps", titles, COUNT(titles), container_row};
    static const struct option names[] = {{"all", no_argument, NULL, 'a'}, {NULL, 0, NULL, 0}};
    bool all = false;
    struct cli_options o = {.short_names = "a",
                            .long_names = names,
                            .mixed = true,
                            .on_option = set_flag,
                            .user = &all};
    const struct json *v = NULL;
    struct err e = {0};
    int at = cli_options(c, argc, argv, &o);
    if (at < 0) return cli_options_status(at);
    if (at < argc) return cli_usage(c, "takes no '%s'", argv[at]);
    AUTO(cli_request_done) struct cli_request r;
    cli_request_begin(&r, "ps");
    json_out_bool(&r.w, "all", all);
    if (cli_ask(c, &r, &v, &e) < 0) return cli_fail(c, &e);
    return print_list(c, &list, v);
}

/* ---- single answers ---- */

static void print_contract(const struct json *v) {
    char promised[OUTPUT_TEXT_BYTES];
    char whole[OUTPUT_TEXT_BYTES];
    (void)printf("Contract %s:\n", text_in(v, "name"));
    (void)printf("  memory        %s of %s promised\n",
                 output_bytes(number_in(v, "promised_memory_bytes"), promised),
                 output_bytes(number_in(v, "memory_bytes"), whole));
    (void)printf("  cpu           %.2f of %.2f promised\n",
                 (double)number_in(v, "promised_cpu_milli") / 1000,
                 (double)number_in(v, "cpu_milli") / 1000);
    (void)printf("  without limit %llu of %llu containers\n",
                 (unsigned long long)number_in(v, "containers_without_limit"),
                 (unsigned long long)number_in(v, "containers"));
    if (number_in(v, "namespaces") == 0) return;
    (void)printf("  0-db          %llu namespaces, %s of %s promised\n",
                 (unsigned long long)number_in(v, "namespaces"),
                 output_bytes(number_in(v, "promised_storage_bytes"), promised),
                 output_bytes(number_in(v, "storage_bytes"), whole));
}

static void print_status(const struct json *v) {
    char text[OUTPUT_TEXT_BYTES];
    (void)printf("gridletd %s, started %s\n", text_in(v, "version"),
                 output_ago((int64_t)number_in(v, "started_at_ns"), clock_wall_ns(), text));
    (void)printf("  pods          %llu, %llu ready\n", (unsigned long long)number_in(v, "pods"),
                 (unsigned long long)number_in(v, "pods_ready"));
    (void)printf("  containers    %llu, %llu running\n",
                 (unsigned long long)number_in(v, "containers"),
                 (unsigned long long)number_in(v, "containers_running"));
    (void)printf("  image layers  %s\n", output_bytes(number_in(v, "image_bytes"), text));
    (void)printf("  root          %s\n", text_in(v, "root"));
    (void)printf("  CRI socket    %s\n", text_in(v, "cri_socket"));
    (void)printf("  pod network   %s, %s %s\n", text_in(v, "bridge"), text_in(v, "pod_cidr"),
                 text_in(v, "pod_cidr6"));
    (void)printf("  cgroups       %s, driver %s\n", text_in(v, "cgroup_root"),
                 text_in(v, "cgroup_driver"));
    for (const struct json *k = json_first(json_get(v, "contracts")); k; k = k->next)
        print_contract(k);
}

int cli_status(struct cli *c, int argc, char **argv) {
    struct cli_options o = {.mixed = true};
    const struct json *v = NULL;
    struct err e = {0};
    int at = cli_options(c, argc, argv, &o);
    if (at < 0) return cli_options_status(at);
    if (at < argc) return cli_usage(c, "takes no '%s'", argv[at]);
    if (cli_ask_one(c, "status", NULL, NULL, &v, &e) < 0) return cli_fail(c, &e);
    if (c->format == OUTPUT_TABLE)
        print_status(v);
    else
        output_value(stdout, c->format, v);
    return CLI_OK;
}

int cli_version(struct cli *c, int argc, char **argv) {
    struct cli_options o = {.mixed = true};
    const struct json *v = NULL;
    struct err e = {0};
    int at = cli_options(c, argc, argv, &o);
    if (at < 0) return cli_options_status(at);
    if (at < argc) return cli_usage(c, "takes no '%s'", argv[at]);
    int r = cli_ask_one(c, "version", NULL, NULL, &v, &e); /* no daemon is no failure here */
    const char *daemon = r < 0 ? NULL : text_in(v, "version");
    if (c->format == OUTPUT_TABLE) {
        (void)printf("gridlet  %s\ngridletd %s\n", GRIDLET_VERSION, daemon ? daemon : e.msg);
        return CLI_OK;
    }
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out w = JSON_OUT(&b);
    json_out_object(&w, NULL);
    json_out_c(&w, "gridlet", GRIDLET_VERSION);
    json_out_c(&w, "gridletd", daemon);
    json_out_close(&w);
    if (json_out_end(&w) < 0 || json_parse(&c->arena, buf_view(&b), JSON_LIMITS, &v, &e) < 0)
        return cli_fail(c, &e);
    output_value(stdout, c->format, v);
    return CLI_OK;
}

int cli_inspect(struct cli *c, int argc, char **argv) {
    struct cli_options o = {.mixed = true};
    int status = CLI_OK;
    int at = cli_options(c, argc, argv, &o);
    if (at < 0) return cli_options_status(at);
    if (at == argc) return cli_usage(c, "which container, pod or image?");
    for (; at < argc; at++) {
        const struct json *v = NULL;
        struct err e = {0};
        if (cli_ask_one(c, "inspect", "name", argv[at], &v, &e) < 0)
            status = cli_fail(c, &e);
        else
            output_value(stdout, c->format == OUTPUT_YAML ? OUTPUT_YAML : OUTPUT_JSON, v);
    }
    return status;
}
