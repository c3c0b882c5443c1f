/* SPDX-License-Identifier: Apache-2.0 — cli_zdb_long.c: scrub and compact: started in the server,
 * and followed until they end, in the lines that NSINFO has of them ("scrub: running",
 * "scrub_done_bytes: ..."). One that runs already is followed, too. */
#include "agent/cli/cli_zdb.h"

#include <stdio.h>

#define LOOK_MS    250
#define BAR_CELLS  30
#define LINE_BYTES 64

struct following {
    struct zdb_cli *z;
    struct zdb_peer *peer;
    struct str command, name;
    const char *kind; /* "scrub", "compact" */
    bool bars;
    int tenth; /* the last that a line was printed for */
    struct str info;
};

static struct str line(const struct following *f, const char *what) {
    char key[LINE_BYTES];
    (void)snprintf(key, sizeof key, "%s%s", f->kind, what);
    return zdb_info_get(f->info, str_of(key));
}

static uint64_t number(const struct following *f, const char *what) {
    uint64_t n = 0;
    return str_u64(line(f, what), &n) == 0 ? n : 0;
}

static bool runs(const struct following *f) { return str_eq(line(f, ""), STR("running")); }

static void show(struct following *f) {
    char done_text[OUTPUT_TEXT_BYTES];
    char total_text[OUTPUT_TEXT_BYTES];
    char bar[BAR_CELLS + 1];
    uint64_t done = number(f, "_done_bytes");
    uint64_t total = number(f, "_total_bytes");
    double part = total ? (double)(done < total ? done : total) / (double)total : 0;
    int cells = (int)(part * BAR_CELLS);
    int tenth = (int)(part * 10);
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < cells ? '#' : '.';
    bar[BAR_CELLS] = '\0';
    (void)output_bytes(done, done_text);
    (void)output_bytes(total, total_text);
    if (f->bars)
        (void)fprintf(stderr, "\r\033[K%.*s [%s] %3d%% %s / %s", STR_ARG(f->name), bar,
                      (int)(part * 100), done_text, total_text);
    else if (tenth > f->tenth)
        (void)fprintf(stderr, "%.*s: %d%%, %s of %s\n", STR_ARG(f->name), tenth * 10, done_text,
                      total_text);
    f->tenth = tenth;
}

static int look(struct following *f, struct arena *a, struct err *e) {
    return zdb_peer_info(f->peer, a, f->name, &f->info, e);
}

/* Starts it; one of this kind that runs there already is as good. */
static int start(struct following *f, struct err *e) {
    const struct str args[] = {f->command, f->name};
    struct str reply;
    struct err ignored;
    if (look(f, &f->z->cli->arena, e) < 0) return -1;
    if (zdb_peer_text(f->peer, &f->z->cli->arena, args, COUNT(args), &reply, e) == 0) return 0;
    if (e->kind != ERR_BUSY || look(f, &f->z->cli->arena, &ignored) < 0) return -1;
    return runs(f) ? 0 : -1;
}

static int follow(struct following *f, struct err *e) {
    for (bool go_on = true; go_on;) {
        AUTO(arena_done) struct arena a = ARENA(1 << 20);
        if (look(f, &a, e) < 0) return -1;
        go_on = runs(f);
        if (go_on) {
            show(f);
            zdb_peer_pause(f->peer, LOOK_MS);
        } else {
            f->info = arena_str(&f->z->cli->arena, f->info); /* the last look is kept */
        }
    }
    if (f->bars) (void)fputs("\r\033[K", stderr);
    return 0;
}

static void print_result(struct following *f) {
    char text[OUTPUT_TEXT_BYTES];
    if (str_eq(f->command, STR("SCRUB")))
        (void)printf("%.*s: %llu values, %s read, %llu corrupt\n", STR_ARG(f->name),
                     (unsigned long long)number(f, "_values"),
                     output_bytes(number(f, "_done_bytes"), text),
                     (unsigned long long)number(f, "_corrupt"));
    else
        (void)printf("%.*s: %s returned\n", STR_ARG(f->name),
                     output_bytes(number(f, "_returned_bytes"), text));
}

static int tell(struct following *f) {
    struct cli *c = f->z->cli;
    struct str state = line(f, "");
    struct str error = line(f, "_error");
    struct err e = {0};
    if (c->format != OUTPUT_TABLE && zdb_show_one(c, f->info, &e) < 0) return cli_fail(c, &e);
    if (!str_eq(state, STR("ended"))) {
        (void)err_set(&e, ERR_IO, "the %s of namespace '%.*s' did not end well: %.*s, %.*s",
                      f->kind, STR_ARG(f->name), (int)(state.n < 40 ? state.n : 40),
                      state.p ? state.p : "", (int)(error.p ? error.n : 15),
                      error.p ? error.p : "no reason given");
        return cli_fail(c, &e);
    }
    if (c->format == OUTPUT_TABLE) print_result(f);
    return number(f, "_corrupt") ? CLI_FAILED : CLI_OK;
}

int zdb_cli_long(struct zdb_cli *z, const char *name, const char *command) {
    AUTO(zdb_peer_close) struct zdb_peer p = {.none = false};
    struct following f = {.z = z,
                          .peer = &p,
                          .command = str_of(command),
                          .kind = strcmp(command, "SCRUB") == 0 ? "scrub" : "compact",
                          .name = str_of(name),
                          .bars = isatty(STDERR_FILENO) == 1};
    struct err e = {0};
    if (zdb_peer_open(&p, z->cli, &z->target, STR_NONE, &e) < 0) return cli_fail(z->cli, &e);
    if (start(&f, &e) < 0 || follow(&f, &e) < 0) return cli_fail(z->cli, &e);
    return tell(&f);
}
