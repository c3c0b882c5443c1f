/* SPDX-License-Identifier: Apache-2.0 — cli_run.c: starts a container and, unless detached, stays
 * with it: shows its log, passes on Ctrl-C, returns its exit code. */
#include "agent/cli/cli.h"
#include "agent/cli/follow.h"
#include "agent/cli/progress.h"
#include "agent/cli/run_options.h"
#include "agent/cli/signals.h"
#include "base/config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>

#define LIST_MAX 256 /* of each of -p, -v, -e */

enum { OPTION_RM = 2000, OPTION_NAME, OPTION_CPUS };

struct texts {
    const char *items[LIST_MAX];
    size_t count;
};

struct run {
    struct cli *cli;
    bool detach, remove;
    const char *name, *working_dir;
    uint64_t memory_bytes, cpu_milli;
    struct texts ports, volumes, env;
    struct admin_client stopping; /* a stop that was asked for by a signal */
    bool stop_asked;
    struct follow follow;
};

/* ---- options ---- */

static int add_text(const struct run *r, struct texts *list, const char *value) {
    if (list->count == LIST_MAX) {
        (void)cli_usage(r->cli, "more than %d of one option", LIST_MAX);
        return -1;
    }
    list->items[list->count++] = value;
    return 0;
}

static int limit_option(struct run *r, int name, const char *value) {
    struct err e = {0};
    if (name == 'm' && config_bytes(str_of(value), &r->memory_bytes) < 0)
        (void)err_set(&e, ERR_INVALID, "'%s' is no size: try 256m, 512Mi or 2Gi", value);
    if (name == OPTION_CPUS) (void)!run_cpus_parse(str_of(value), &r->cpu_milli, &e);
    if (e.kind == ERR_NONE) return 0;
    (void)cli_usage(r->cli, "%s", e.msg);
    return -1;
}

static int run_option(void *user, int name, const char *value) {
    struct run *r = user;
    switch (name) {
    case 'd': r->detach = true; return 0;
    case OPTION_RM: r->remove = true; return 0;
    case OPTION_NAME: r->name = value; return 0;
    case 'w': r->working_dir = value; return 0;
    case 'p': return add_text(r, &r->ports, value);
    case 'v': return add_text(r, &r->volumes, value);
    case 'e': return add_text(r, &r->env, value);
    default: return limit_option(r, name, value);
    }
}

/* ---- the request ---- */

static int write_ports(struct run *r, struct json_out *w, struct err *e) {
    json_out_array(w, "ports");
    for (size_t i = 0; i < r->ports.count; i++) {
        struct run_port p;
        if (run_port_parse(str_of(r->ports.items[i]), &p, e) < 0) return -1;
        json_out_object(w, NULL);
        json_out_u64(w, "host_port", p.host);
        json_out_u64(w, "container_port", p.container);
        json_out_str(w, "protocol", p.protocol);
        json_out_str(w, "host_ip", p.ip);
        json_out_close(w);
    }
    json_out_close(w);
    return 0;
}

static int write_volumes(struct run *r, struct json_out *w, struct err *e) {
    json_out_array(w, "mounts");
    for (size_t i = 0; i < r->volumes.count; i++) {
        struct run_volume v;
        char path[PATH_MAX];
        if (run_volume_parse(str_of(r->volumes.items[i]), &v, e) < 0) return -1;
        char *source = str_to_c(&r->cli->arena, v.source);
        if (!source || !realpath(source, path))
            return err_sys(e, errno, "the volume's source '%.*s'", STR_ARG(v.source));
        json_out_object(w, NULL);
        json_out_c(w, "source", path);
        json_out_str(w, "target", v.target);
        json_out_bool(w, "readonly", v.readonly);
        json_out_close(w);
    }
    json_out_close(w);
    return 0;
}

/* NAME alone takes the value from our own environment; without one it is left out. */
static void write_env(struct run *r, struct json_out *w) {
    json_out_array(w, "env");
    for (size_t i = 0; i < r->env.count; i++) {
        const char *item = r->env.items[i];
        const char *value = strchr(item, '=') ? NULL : getenv(item);
        if (strchr(item, '=')) {
            json_out_c(w, NULL, item);
        } else if (value) {
            AUTO_FREE char *both = xasprintf("%s=%s", item, value);
            json_out_c(w, NULL, both);
        }
    }
    json_out_close(w);
}

static int write_request(struct run *r, struct json_out *w, char **argv, struct err *e) {
    json_out_c(w, "image", argv[0]);
    if (r->name) json_out_c(w, "name", r->name);
    if (r->working_dir) json_out_c(w, "working_dir", r->working_dir);
    if (r->memory_bytes) json_out_u64(w, "memory_bytes", r->memory_bytes);
    if (r->cpu_milli) json_out_u64(w, "cpu_milli", r->cpu_milli);
    if (r->remove && r->detach) json_out_bool(w, "remove", true); /* else we do it */
    json_out_array(w, "argv");
    for (char **arg = argv + 1; *arg; arg++) json_out_c(w, NULL, *arg);
    json_out_close(w);
    write_env(r, w);
    return write_ports(r, w, e) < 0 || write_volumes(r, w, e) < 0 ? -1 : 0;
}

/* Starts the container, showing the pull if there is one. *out_id lives in the arena. */
static int start(struct run *r, char **argv, struct str *out_id, struct err *e) {
    AUTO(admin_client_close) struct admin_client client = ADMIN_CLIENT_NONE;
    AUTO(cli_request_done) struct cli_request request;
    const struct json *v = NULL;
    struct progress p;
    int next;
    cli_request_begin(&request, "run");
    if (write_request(r, &request.w, argv, e) < 0) return -1;
    if (admin_client_open(&client, r->cli->run_dir, e) < 0) return -1;
    if (cli_send(&request, &client, NULL, 0, e) < 0) return -1;
    progress_begin(&p, stderr, STDERR_FILENO);
    while ((next = admin_client_next(&client, &r->cli->arena, &v, NULL, e)) > 0)
        progress_show(&p, v);
    return next < 0 ? -1 : json_need_str(v, "id", out_id, e);
}

/* ---- staying with it ---- */

/* The first signal asks it to end, the next kills it; we stay until it has ended. */
static bool pass_signal(struct follow *f, int signum) {
    struct run *r = CONTAINER_OF(f, struct run, follow);
    AUTO(cli_request_done) struct cli_request request;
    struct err e = {0};
    (void)signum;
    admin_client_close(&r->stopping);
    cli_request_begin(&request, "stop");
    json_out_c(&request.w, "name", f->name);
    if (r->stop_asked) json_out_u64(&request.w, "seconds", 0);
    r->stop_asked = true;
    if (admin_client_open(&r->stopping, r->cli->run_dir, &e) == 0 &&
        cli_send(&request, &r->stopping, NULL, 0, &e) == 0)
        return true;
    (void)cli_fail(r->cli, &e);
    return false;
}

static int stay(struct run *r, const char *id, struct err *e) {
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, 0};
    int code = CLI_CONTAINER_FAILED;
    AUTO_CLOSE int signals = signals_open(watched, e);
    if (signals < 0) return -1;
    (void)signal(SIGPIPE, SIG_IGN);
    r->follow =
        (struct follow){.cli = r->cli, .name = id, .signals = signals, .on_signal = pass_signal};
    int followed = follow_run(&r->follow, &code, e);
    admin_client_close(&r->stopping);
    return followed < 0 ? -1 : code;
}

static int remove_it(struct run *r, const char *id, struct err *e) {
    AUTO(cli_request_done) struct cli_request request;
    const struct json *v = NULL;
    cli_request_begin(&request, "rm");
    json_out_c(&request.w, "name", id);
    json_out_bool(&request.w, "force", true);
    return cli_ask(r->cli, &request, &v, e);
}

static int run(struct run *r, char **argv, struct err *e) {
    struct str id;
    if (start(r, argv, &id, e) < 0) return -1;
    if (r->detach) {
        (void)printf("%s\n", id.p);
        return CLI_OK;
    }
    int code = stay(r, id.p, e);
    if (!r->remove || code < 0) return code;
    return remove_it(r, id.p, e) < 0 ? -1 : code;
}

int cli_run(struct cli *c, int argc, char **argv) {
    static const struct option names[] = {{"detach", no_argument, NULL, 'd'},
                                          {"rm", no_argument, NULL, OPTION_RM},
                                          {"name", required_argument, NULL, OPTION_NAME},
                                          {"publish", required_argument, NULL, 'p'},
                                          {"volume", required_argument, NULL, 'v'},
                                          {"env", required_argument, NULL, 'e'},
                                          {"workdir", required_argument, NULL, 'w'},
                                          {"memory", required_argument, NULL, 'm'},
                                          {"cpus", required_argument, NULL, OPTION_CPUS},
                                          {NULL, 0, NULL, 0}};
    struct run r = {.cli = c, .stopping = ADMIN_CLIENT_NONE};
    struct cli_options o = {
        .short_names = "dp:v:e:w:m:", .long_names = names, .on_option = run_option, .user = &r};
    struct err e = {0};
    int at = cli_options(c, argc, argv, &o);
    if (at < 0) return cli_options_status(at);
    if (at == argc) return cli_usage(c, "give an image");
    int code = run(&r, argv + at, &e);
    if (code >= 0) return code;
    (void)cli_fail(c, &e);
    return CLI_CONTAINER_FAILED;
}
