/* SPDX-License-Identifier: Apache-2.0 — cli.c: commands, options, help, asking the daemon. */
#include "agent/cli/cli.h"

#include "agent/settings.h"

#include <stdarg.h>

#define REQUEST_BYTES_MAX ADMIN_FRAME_BYTES_MAX

/* ---- the commands and what their --help teaches ---- */

static const struct cli_command commands[] = {
    {"run", "start a container from an image",
     "Usage: gridlet run [OPTIONS] IMAGE [COMMAND [ARG]...]\n\n"
     "Starts a container in a pod of its own. The image is pulled when it is not here. Without -d\n"
     "its output is shown until it ends, Ctrl-C stops it, and its exit code becomes gridlet's.\n\n"
     "  -d, --detach               return as soon as it runs, print its id\n"
     "      --rm                   remove it when it has ended\n"
     "      --name NAME            call it NAME\n"
     "  -p, --publish [IP:]HOST:CONTAINER[/udp]\n"
     "                             reach a port of the container through one of the node\n"
     "  -v, --volume SRC:DST[:ro]  show the folder or file SRC of the node as DST inside\n"
     "  -e, --env NAME=VALUE       set a variable; NAME alone passes on gridlet's own\n"
     "  -w, --workdir DIR          start in DIR\n"
     "  -m, --memory SIZE          at most so much memory: 256m, 512Mi, 2Gi\n"
     "      --cpus N               at most so many CPUs: 0.5, 2\n\n"
     "Examples:\n"
     "  gridlet run --rm docker.io/library/busybox echo hello\n"
     "  gridlet run -d --name web -p 8080:80 nginx\n"
     "  gridlet run -m 256m --cpus 0.5 -v /srv/data:/data:ro -e MODE=fast my/image\n",
     cli_run},
    {"ps", "list containers",
     "Usage: gridlet ps [-a]\n\n"
     "Lists the containers that run.\n\n"
     "  -a, --all   those that have ended, or were not started, too\n\n"
     "Examples:\n  gridlet ps -a\n  gridlet ps -o json\n",
     cli_ps},
    {"pods", "list pods",
     "Usage: gridlet pods\n\nLists all pods, those of a kubelet too.\n\n"
     "Example:\n  gridlet pods\n",
     cli_pods},
    {"logs", "show what a container wrote",
     "Usage: gridlet logs [-f] NAME\n\n"
     "Writes the container's standard output and error to gridlet's own.\n\n"
     "  -f, --follow   go on until the container ends\n\n"
     "Examples:\n  gridlet logs web\n  gridlet logs -f web\n",
     cli_logs},
    {"exec", "run a command inside a container",
     "Usage: gridlet exec [-i] [-t] NAME COMMAND [ARG]...\n\n"
     "  -i, --interactive   pass on standard input\n"
     "  -t, --tty           give it a terminal\n\n"
     "The command's exit code becomes gridlet's.\n\n"
     "Examples:\n  gridlet exec -it web sh\n  gridlet exec web cat /etc/hosts\n",
     cli_exec},
    {"stop", "end containers",
     "Usage: gridlet stop [-t SECONDS] NAME...\n\n"
     "Asks each container to end (SIGTERM, or the image's own signal), and kills it when it has\n"
     "not ended in time.\n\n"
     "  -t, --time SECONDS   how long to wait (10)\n\n"
     "Example:\n  gridlet stop -t 30 web\n",
     cli_stop},
    {"rm", "remove containers and pods that have ended",
     "Usage: gridlet rm [-f] NAME...\n\n"
     "  -f, --force   those that run, too\n\n"
     "Examples:\n  gridlet rm web\n  gridlet rm -f web db\n",
     cli_rm},
    {"images", "list images", "Usage: gridlet images\n\nExample:\n  gridlet images -o json\n",
     cli_images},
    {"pull", "fetch an image from its registry",
     "Usage: gridlet pull [-u USER[:PASSWORD]] IMAGE\n\n"
     "Shows a bar per layer on a terminal, plain lines otherwise.\n\n"
     "  -u, --user USER[:PASSWORD]   log in; without a password one line is read from stdin\n\n"
     "Examples:\n  gridlet pull nginx\n  gridlet pull registry.example.org/team/app:1.2\n",
     cli_pull},
    {"rmi", "remove images",
     "Usage: gridlet rmi IMAGE...\n\n"
     "Removes an image with all its names, whichever is given.\n\n"
     "Example:\n  gridlet rmi nginx:1.27\n",
     cli_rmi},
    {"inspect", "show everything about a container, pod or image",
     "Usage: gridlet inspect NAME...\n\nExamples:\n  gridlet inspect web\n"
     "  gridlet inspect -o yaml nginx\n",
     cli_inspect},
    {"zdb", "key-value namespaces (0-db)",
     "Usage: gridlet zdb COMMAND\n\nTry: gridlet zdb --help\n", cli_zdb},
    {"status", "show how the node is", "Usage: gridlet status\n\nExample:\n  gridlet status\n",
     cli_status},
    {"version", "show the versions of gridlet and gridletd",
     "Usage: gridlet version\n\nExample:\n  gridlet version\n", cli_version},
};

static void print_help(FILE *to) {
    (void)fputs("gridlet - containers and pods on this node\n\n"
                "Usage: gridlet [--run DIR] COMMAND [OPTIONS]\n\nCommands:\n",
                to);
    for (size_t i = 0; i < COUNT(commands); i++)
        (void)fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].synopsis);
    (void)fputs("\nOptions of every command:\n"
                "  -o, --output table|json|yaml   how lists are printed (table)\n"
                "      --run DIR                  the daemon's run folder (" SETTINGS_RUN
                ", or $GRIDLET_RUN)\n"
                "      --help                     what the command does, with examples\n\n"
                "Examples:\n"
                "  gridlet run -d --name web -p 8080:80 nginx\n"
                "  gridlet logs -f web\n"
                "  gridlet run --help\n",
                to);
}

int cli_usage(const struct cli *c, const char *fmt, ...) {
    va_list args;
    (void)fprintf(stderr, "gridlet %s: ", c->command->name);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\nTry: gridlet %s --help\n", c->command->name);
    return CLI_USAGE;
}

int cli_fail(const struct cli *c, const struct err *e) {
    (void)fprintf(stderr, "gridlet %s: %s\n", c->command->name, e->msg);
    return CLI_FAILED;
}

/* ---- options ---- */

enum { OPTION_HELP = 1000, OPTION_RUN };
#define LONG_MAX_OWN 24

static int common_option(struct cli *c, int name, const char *value) {
    switch (name) {
    case OPTION_HELP: (void)fputs(c->command->help, stdout); return -2;
    case OPTION_RUN: c->run_dir = value; return 0;
    case 'o':
        if (output_format_parse(str_of(value), &c->format) == 0) return 0;
        (void)cli_usage(c, "the output '%s' is not table, json or yaml", value);
        return -1;
    default: return 1;
    }
}

int cli_options(struct cli *c, int argc, char **argv, const struct cli_options *o) {
    static const struct option common[] = {{"help", no_argument, NULL, OPTION_HELP},
                                           {"run", required_argument, NULL, OPTION_RUN},
                                           {"output", required_argument, NULL, 'o'},
                                           {NULL, 0, NULL, 0}};
    struct option all[LONG_MAX_OWN + COUNT(common)];
    char names[64];
    size_t n = 0;
    while (o->long_names && o->long_names[n].name && n < LONG_MAX_OWN) {
        all[n] = o->long_names[n];
        n++;
    }
    memcpy(all + n, common, sizeof common);
    (void)snprintf(names, sizeof names, "%s:o:%s", o->mixed ? "" : "+",
                   o->short_names ? o->short_names : "");
    opterr = 0;
    optind = 0; /* glibc: start anew */
    int name;
    while ((name = getopt_long(argc, argv, names, all, NULL)) != -1) {
        const char *shown = optind > 0 && optind <= argc ? argv[optind - 1] : "";
        if (name == ':') {
            (void)cli_usage(c, "'%s' needs a value", shown);
            return -1;
        }
        if (name == '?') {
            (void)cli_usage(c, "unknown option '%s'", shown);
            return -1;
        }
        int r = common_option(c, name, optarg);
        if (r == 1) r = o->on_option(o->user, name, optarg);
        if (r < 0) return r;
    }
    return optind;
}

int cli_options_status(int r) { return r == -2 ? CLI_OK : CLI_USAGE; }

/* ---- asking ---- */

void cli_request_begin(struct cli_request *r, const char *command) {
    r->bytes = BUF(REQUEST_BYTES_MAX);
    r->w = JSON_OUT(&r->bytes);
    json_out_object(&r->w, NULL);
    json_out_c(&r->w, "command", command);
}

void cli_request_done(struct cli_request *r) { buf_done(&r->bytes); }

int cli_send(struct cli_request *r, struct admin_client *to, const int *fds, size_t fd_count,
             struct err *e) {
    r->w.to = &r->bytes; /* the request may have been moved since */
    json_out_close(&r->w);
    if (json_out_end(&r->w) < 0)
        return err_set(e, ERR_LIMIT, "the request is longer than %d bytes", REQUEST_BYTES_MAX);
    return admin_client_send(to, buf_view(&r->bytes), fds, fd_count, e);
}

int cli_ask(struct cli *c, struct cli_request *r, const struct json **out, struct err *e) {
    AUTO(admin_client_close) struct admin_client client = ADMIN_CLIENT_NONE;
    int next;
    if (admin_client_open(&client, c->run_dir, e) < 0) return -1;
    if (cli_send(r, &client, NULL, 0, e) < 0) return -1;
    while ((next = admin_client_next(&client, &c->arena, out, NULL, e)) > 0) {
        struct str note = STR("");
        if (json_str(json_get(*out, "note"), &note) == 0)
            (void)fprintf(stderr, "gridlet %s: %s ...\n", c->command->name, note.p);
    }
    return next;
}

int cli_ask_one(struct cli *c, const char *command, const char *key, const char *value,
                const struct json **out, struct err *e) {
    AUTO(cli_request_done) struct cli_request r;
    cli_request_begin(&r, command);
    if (key) json_out_c(&r.w, key, value);
    return cli_ask(c, &r, out, e);
}

/* ---- main ---- */

/* Options in front of the command; returns the index of the command, or -1 with *out_status. */
static int leading_options(struct cli *c, int argc, char **argv, int *out_status) {
    int i = 1;
    *out_status = CLI_USAGE;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(stdout);
            *out_status = CLI_OK;
            return -1;
        }
        if (strcmp(argv[i], "--version") == 0) {
            (void)printf("gridlet %s\n", GRIDLET_VERSION);
            *out_status = CLI_OK;
            return -1;
        }
        bool run = strcmp(argv[i], "--run") == 0;
        if (!run && strncmp(argv[i], "--run=", 6) != 0) {
            (void)fprintf(stderr, "gridlet: unknown option '%s'\nTry: gridlet --help\n", argv[i]);
            return -1;
        }
        c->run_dir = run ? argv[i + 1] : argv[i] + 6;
        i += run;
        if (!c->run_dir) {
            (void)fprintf(stderr, "gridlet: '--run' needs a value\n");
            return -1;
        }
    }
    if (i < argc) return i;
    print_help(stderr);
    return -1;
}

int cli_main(int argc, char **argv) {
    const char *run_dir = getenv("GRIDLET_RUN");
    struct cli c = {.run_dir = run_dir && *run_dir ? run_dir : SETTINGS_RUN,
                    .arena = ARENA(CLI_ARENA_BYTES)};
    int status = CLI_USAGE;
    int at = leading_options(&c, argc, argv, &status);
    if (at < 0) return status;
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (strcmp(argv[at], commands[i].name) != 0) continue;
        c.command = &commands[i];
        status = commands[i].run(&c, argc - at, argv + at);
        arena_done(&c.arena);
        if (fflush(stdout) == 0) return status;
        return status == CLI_OK ? CLI_FAILED : status;
    }
    (void)fprintf(stderr, "gridlet: there is no command '%s'\nTry: gridlet --help\n", argv[at]);
    return CLI_USAGE;
}
