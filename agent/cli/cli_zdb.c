/* SPDX-License-Identifier: Apache-2.0 — cli_zdb.c: `gridlet zdb`: its commands, their options.
 *
 * On the node, what changes a namespace goes through gridletd, which asks the contract; what reads
 * goes to the server. With --server everything goes to that server, as its admin. */
#include "agent/cli/cli_zdb.h"

#include "agent/zdb_change.h"

#include <stdio.h>

#define TARGET_HELP                                                                                \
    "      --server HOST:PORT|SOCKET     another 0-db server than the node's own\n"                \
    "      --admin-password-file FILE    its admin's password\n"
#define PROPS_HELP                                                                                 \
    "  size=10G          at most so many bytes of payload; 0: no limit\n"                          \
    "  password=TEXT     whoever selects it must give it; empty: none\n"                           \
    "  public=yes|no     with a password: may others read?\n"                                      \
    "  worm=yes|no       nothing is overwritten or deleted\n"                                      \
    "  lock=yes|no       nothing is written for now; freeze=yes|no: nor read\n"                    \
    "  durability=...    always (before a write is acknowledged), interval:MS, never\n"            \
    "  versions=N|all    superseded values of a key that compaction leaves\n"                      \
    "  mode=user|seq     only while it is empty\n"

enum {
    OPT_SERVER = 2000,
    OPT_PASSWORD_FILE,
    OPT_YES,
    OPT_VALUES,
    OPT_FORMAT,
    OPT_SPACE_PASSWORD,
    OPT_PROP
};

static const struct {
    const char *name; /* of the option; the property is called the same */
    int arg;
} prop_options[] = {{"size", required_argument},     {"mode", required_argument},
                    {"password", required_argument}, {"public", no_argument},
                    {"worm", no_argument},           {"durability", required_argument},
                    {"versions", required_argument}};

/* ---- options ---- */

static int bad_value(struct zdb_cli *z) {
    (void)cli_usage(z->cli, "%s", z->error.msg);
    return -1;
}

static int take_prop(struct zdb_cli *z, size_t i, const char *value) {
    struct str text = prop_options[i].arg == no_argument ? STR("yes") : str_of(value);
    return zdb_props_add(&z->props, str_of(prop_options[i].name), text, &z->error) < 0
               ? bad_value(z)
               : 0;
}

static int on_option(void *user, int name, const char *value) {
    struct zdb_cli *z = user;
    switch (name) {
    case OPT_SERVER: z->target.server = value; return 0;
    case OPT_PASSWORD_FILE: z->target.password_file = value; return 0;
    case OPT_SPACE_PASSWORD: z->target.space_password_file = value; return 0;
    case OPT_YES:
    case 'f': z->force = true; return 0;
    case OPT_VALUES: z->values = true; return 0;
    case OPT_FORMAT:
        z->raw = strcmp(value, "resp") == 0;
        if (z->raw || strcmp(value, "json") == 0) return 0;
        (void)cli_usage(z->cli, "the format '%s' is not json or resp", value);
        return -1;
    default: return take_prop(z, (size_t)(name - OPT_PROP), value);
    }
}

int zdb_cli_options(struct zdb_cli *z, int argc, char **argv, const char *own) {
    struct option names[24] = {{"server", required_argument, NULL, OPT_SERVER},
                               {"admin-password-file", required_argument, NULL, OPT_PASSWORD_FILE}};
    size_t n = 2;
    bool force = strchr(own, 'f') != NULL;
    if (force) names[n++] = (struct option){"force", no_argument, NULL, 'f'};
    if (force) names[n++] = (struct option){"yes", no_argument, NULL, OPT_YES};
    if (strchr(own, 'v')) names[n++] = (struct option){"values", no_argument, NULL, OPT_VALUES};
    if (strchr(own, 'v'))
        names[n++] = (struct option){"format", required_argument, NULL, OPT_FORMAT};
    if (strchr(own, 'v'))
        names[n++] = (struct option){"password-file", required_argument, NULL, OPT_SPACE_PASSWORD};
    for (size_t i = 0; strchr(own, 'p') && i < COUNT(prop_options); i++)
        names[n++] =
            (struct option){prop_options[i].name, prop_options[i].arg, NULL, OPT_PROP + (int)i};
    struct cli_options o = {.short_names = force ? "f" : "",
                            .long_names = names,
                            .mixed = true,
                            .on_option = on_option,
                            .user = z};
    return cli_options(z->cli, argc, argv, &o);
}

/* ---- changes ---- */

struct change_end {
    struct zdb_peer *peer;
    struct err error;
    bool failed;
};

static void change_done(void *user, const struct err *e) {
    struct change_end *end = user;
    end->failed = e != NULL;
    if (e) end->error = *e;
    loop_stop(end->peer->loop);
}

static int change_there(struct zdb_cli *z, enum zdb_change_kind kind, const char *name,
                        struct err *e) {
    AUTO(zdb_peer_close) struct zdb_peer p = {.none = false};
    struct change_end end = {.peer = &p};
    struct zdb_change c = {
        .kind = kind, .name = str_of(name), .props = &z->props, .done = change_done, .user = &end};
    if (zdb_peer_open(&p, z->cli, &z->target, STR_NONE, e) < 0) return -1;
    zdb_change_start(p.client, &c);
    loop_run(p.loop);
    if (end.failed) *e = end.error;
    return end.failed ? -1 : 0;
}

static int change_here(struct zdb_cli *z, const char *command, const char *name, struct err *e) {
    const struct json *v = NULL;
    AUTO(cli_request_done) struct cli_request r;
    cli_request_begin(&r, command);
    json_out_c(&r.w, "name", name);
    json_out_object(&r.w, "props");
    for (size_t i = 0; i < z->props.count; i++)
        json_out_c(&r.w, z->props.items[i].name, z->props.items[i].value);
    json_out_close(&r.w);
    return cli_ask(z->cli, &r, &v, e);
}

/* Does it, and prints the name. */
static int change(struct zdb_cli *z, enum zdb_change_kind kind, const char *name) {
    static const char *const commands[] = {[ZDB_CHANGE_CREATE] = "zdb-create",
                                           [ZDB_CHANGE_SET] = "zdb-set",
                                           [ZDB_CHANGE_REMOVE] = "zdb-rm"};
    struct err e = {0};
    int r = zdb_name_check(str_of(name), &e);
    if (r == 0 && z->target.server)
        r = change_there(z, kind, name, &e);
    else if (r == 0)
        r = change_here(z, commands[kind], name, &e);
    if (r < 0) return cli_fail(z->cli, &e);
    (void)printf("%s\n", name);
    return CLI_OK;
}

static int zdb_create(struct cli *c, int argc, char **argv) {
    struct zdb_cli z = {.cli = c};
    int at = zdb_cli_options(&z, argc, argv, "p");
    if (at < 0) return cli_options_status(at);
    if (at != argc - 1) return cli_usage(c, "give one name");
    return change(&z, ZDB_CHANGE_CREATE, argv[at]);
}

static int zdb_set_props(struct cli *c, int argc, char **argv) {
    struct zdb_cli z = {.cli = c};
    struct err e;
    int at = zdb_cli_options(&z, argc, argv, "");
    if (at < 0) return cli_options_status(at);
    if (at + 2 > argc) return cli_usage(c, "give a name and at least one KEY=VALUE");
    for (int i = at + 1; i < argc; i++) {
        struct str text = str_of(argv[i]);
        ptrdiff_t equals = str_find(text, '=');
        if (equals < 1) return cli_usage(c, "'%s' is not KEY=VALUE", argv[i]);
        struct str value = str_sub(text, (size_t)equals + 1, text.n);
        if (zdb_props_add(&z.props, str_sub(text, 0, (size_t)equals), value, &e) < 0)
            return cli_usage(c, "%s", e.msg);
    }
    return change(&z, ZDB_CHANGE_SET, argv[at]);
}

static int zdb_rm(struct cli *c, int argc, char **argv) {
    struct zdb_cli z = {.cli = c};
    int at = zdb_cli_options(&z, argc, argv, "f");
    if (at < 0) return cli_options_status(at);
    if (at != argc - 1) return cli_usage(c, "give one name");
    if (!z.force)
        return cli_usage(c, "this deletes '%s' with all its data for good: say --yes", argv[at]);
    return change(&z, ZDB_CHANGE_REMOVE, argv[at]);
}

/* ---- lists ---- */

struct names {
    struct arena *arena;
    struct str *names;
    size_t count;
};

static void take_names(void *user, const struct zdb_reply *r) {
    struct names *n = user;
    if (r->type != ZDB_REPLY_ARRAY) return;
    n->names = arena_array(n->arena, r->count + 1, sizeof *n->names);
    for (size_t i = 0; n->names && i < r->count; i++)
        if (r->items[i].type == ZDB_REPLY_BULK)
            n->names[n->count++] = arena_str(n->arena, r->items[i].text);
}

static int list(struct zdb_cli *z, struct err *e) {
    AUTO(zdb_peer_close) struct zdb_peer p = {.none = false};
    const struct str nslist = STR("NSLIST");
    struct names n = {.arena = &z->cli->arena};
    struct zdb_listing l = {.count = 0};
    if (zdb_peer_open(&p, z->cli, &z->target, STR_NONE, e) < 0) return -1;
    if (!p.none && zdb_peer_ask(&p, &nslist, 1, take_names, &n, e) < 0) return -1;
    l.infos = arena_array(n.arena, n.count + 1, sizeof *l.infos);
    for (size_t i = 0; l.infos && i < n.count; i++) {
        bool own = !z->target.server && str_eq(n.names[i], STR("default"));
        if (own) continue; /* nobody contracted it */
        if (zdb_peer_info(&p, n.arena, n.names[i], &l.infos[l.count], e) == 0)
            l.count++;
        else if (e->kind == ERR_CORRUPT) /* the others are shown */
            (void)fprintf(stderr, "gridlet zdb ls: %.*s: %s\n", STR_ARG(n.names[i]), e->msg);
        else if (e->kind != ERR_NOT_FOUND) /* removed meanwhile */
            return -1;
    }
    return zdb_show_list(z->cli, &l, e);
}

static int zdb_ls(struct cli *c, int argc, char **argv) {
    struct zdb_cli z = {.cli = c};
    struct err e = {0};
    int at = zdb_cli_options(&z, argc, argv, "");
    if (at < 0) return cli_options_status(at);
    if (at != argc) return cli_usage(c, "takes no '%s'", argv[at]);
    return list(&z, &e) < 0 ? cli_fail(c, &e) : CLI_OK;
}

static int info(struct zdb_cli *z, const char *name, struct err *e) {
    AUTO(zdb_peer_close) struct zdb_peer p = {.none = false};
    struct str text;
    if (zdb_peer_open(&p, z->cli, &z->target, STR_NONE, e) < 0) return -1;
    if (zdb_peer_info(&p, &z->cli->arena, str_of(name), &text, e) < 0) return -1;
    return zdb_show_one(z->cli, text, e);
}

static int zdb_info_command(struct cli *c, int argc, char **argv) {
    struct zdb_cli z = {.cli = c};
    struct err e = {0};
    int at = zdb_cli_options(&z, argc, argv, "");
    if (at < 0) return cli_options_status(at);
    if (at != argc - 1) return cli_usage(c, "give one name");
    return info(&z, argv[at], &e) < 0 ? cli_fail(c, &e) : CLI_OK;
}

/* ---- long work ---- */

static int long_work(struct cli *c, int argc, char **argv, const char *command) {
    struct zdb_cli z = {.cli = c};
    int at = zdb_cli_options(&z, argc, argv, "");
    if (at < 0) return cli_options_status(at);
    if (at != argc - 1) return cli_usage(c, "give one name");
    return zdb_cli_long(&z, argv[at], command);
}

static int zdb_scrub(struct cli *c, int argc, char **argv) {
    return long_work(c, argc, argv, "SCRUB");
}

static int zdb_compact(struct cli *c, int argc, char **argv) {
    return long_work(c, argc, argv, "COMPACT");
}

static int zdb_dump(struct cli *c, int argc, char **argv) {
    struct zdb_cli z = {.cli = c};
    int at = zdb_cli_options(&z, argc, argv, "v");
    if (at < 0) return cli_options_status(at);
    if (at != argc - 1) return cli_usage(c, "give one name");
    return zdb_cli_dump(&z, argv[at]);
}

/* ---- which one ---- */

static const struct cli_command zdb_commands[] = {
    {"zdb ls", "list namespaces",
     "Usage: gridlet zdb ls\n\n"
     "Lists the namespaces of the node, or of another server. DEAD is what compaction can "
     "return.\n\n" TARGET_HELP "\nExamples:\n  gridlet zdb ls\n  gridlet zdb ls -o json\n"
     "  gridlet zdb ls --server 10.0.0.7:9900 --admin-password-file ./admin\n",
     zdb_ls},
    {"zdb create", "make a namespace",
     "Usage: gridlet zdb create NAME [OPTIONS]\n\n"
     "Makes a key-value namespace under the node's contract. The first one starts gridlet-zdb.\n\n"
     "      --size SIZE           at most so many bytes of payload: 500M, 10G (no limit)\n"
     "      --mode user|seq       keys are the client's (user), or numbers that the server gives\n"
     "      --password TEXT       whoever selects it must give it\n"
     "      --public              with a password: others may read\n"
     "      --worm                nothing is overwritten or deleted\n"
     "      --durability HOW      always (default), interval:MS, never\n"
     "      --versions N|all      superseded values of a key that compaction leaves "
     "(all)\n" TARGET_HELP "\nExamples:\n  gridlet zdb create photos --size 10G --password secret\n"
     "  gridlet zdb create log --mode seq --durability interval:100\n",
     zdb_create},
    {"zdb info", "show everything about a namespace",
     "Usage: gridlet zdb info NAME\n\n" TARGET_HELP
     "\nExamples:\n  gridlet zdb info photos\n  gridlet zdb info photos -o yaml\n",
     zdb_info_command},
    {"zdb set", "change a namespace",
     "Usage: gridlet zdb set NAME KEY=VALUE...\n\n" PROPS_HELP "\n" TARGET_HELP
     "\nExamples:\n  gridlet zdb set photos size=20G public=yes\n"
     "  gridlet zdb set photos password=\n",
     zdb_set_props},
    {"zdb rm", "delete a namespace with all its data",
     "Usage: gridlet zdb rm --yes NAME\n\n"
     "      --yes, -f, --force            yes, delete it for good\n" TARGET_HELP
     "\nExample:\n  gridlet zdb rm --yes photos\n",
     zdb_rm},
    {"zdb scrub", "read everything and compare checksums",
     "Usage: gridlet zdb scrub NAME\n\n"
     "Goes on in the server when this command is ended. Exit status 1 when something is "
     "corrupt.\n\n" TARGET_HELP "\nExample:\n  gridlet zdb scrub photos\n",
     zdb_scrub},
    {"zdb compact", "return the space of deleted and superseded values",
     "Usage: gridlet zdb compact NAME\n\n"
     "The server goes on serving; the work goes on when this command is ended.\n\n" TARGET_HELP
     "\nExample:\n  gridlet zdb compact photos\n",
     zdb_compact},
    {"zdb dump", "write all keys, and their values, in the order of their writing",
     "Usage: gridlet zdb dump NAME [--values] [--format json|resp]\n\n"
     "json: one object per line: key, size, time, with --values value. Bytes that are not UTF-8\n"
     "stand in key_base64 and value_base64. resp: SET commands, which redis-cli --pipe replays "
     "into\n"
     "an empty namespace (mode user).\n\n"
     "      --values              the values, too (resp has them always)\n"
     "      --format json|resp    (json)\n"
     "      --password-file FILE  the namespace's password, when it has one and is not "
     "public\n" TARGET_HELP "\nExamples:\n  gridlet zdb dump photos | wc -l\n"
     "  gridlet zdb dump photos --format resp > photos.resp\n",
     zdb_dump},
};

static void print_help(FILE *to) {
    (void)fputs("Usage: gridlet zdb COMMAND [OPTIONS] NAME\n\n"
                "Key-value namespaces (0-db) of this node.\n\nCommands:\n",
                to);
    for (size_t i = 0; i < COUNT(zdb_commands); i++)
        (void)fprintf(to, "  %-9s %s\n", zdb_commands[i].name + 4, zdb_commands[i].synopsis);
    (void)fputs("\nExamples:\n  gridlet zdb create photos --size 10G\n"
                "  gridlet zdb ls\n  gridlet zdb create --help\n",
                to);
}

int cli_zdb(struct cli *c, int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    for (size_t i = 0; i < COUNT(zdb_commands); i++) {
        if (strcmp(argv[1], zdb_commands[i].name + 4) != 0) continue;
        c->command = &zdb_commands[i];
        return zdb_commands[i].run(c, argc - 1, argv + 1);
    }
    return cli_usage(c, "there is no command '%s'", argv[1]);
}
