/* SPDX-License-Identifier: Apache-2.0 — cli_zdb_long.c: scrub and compact: started in the server,
 * and followed until they end. One that runs already is followed, too. */
#include "agent/cli/cli_zdb.h"

#include <stdio.h>

#define LOOK_MS   250
#define BAR_CELLS 30

struct following {
    struct zdb_cli *z;
    struct zdb_peer *peer;
    struct str command, name;
    bool bars;
    int tenth; /* the last that a line was printed for */
    struct str status;
};

static void show(struct following *f) {
    char done_text[OUTPUT_TEXT_BYTES];
    char total_text[OUTPUT_TEXT_BYTES];
    char bar[BAR_CELLS + 1];
    uint64_t done = zdb_info_u64(f->status, STR("done_bytes"));
    uint64_t total = zdb_info_u64(f->status, STR("total_bytes"));
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

/* 1: it runs, 0: it has ended. */
static int look(struct following *f, struct arena *a, struct err *e) {
    const struct str args[] = {f->command, STR("STATUS"), f->name};
    if (zdb_peer_text(f->peer, a, args, COUNT(args), &f->status, e) < 0) return -1;
    return str_eq(zdb_info_get(f->status, STR("state")), STR("running"));
}

static int follow(struct following *f, struct err *e) {
    const struct str args[] = {f->command, f->name};
    struct str reply;
    int runs;
    if (zdb_peer_text(f->peer, &f->z->cli->arena, args, COUNT(args), &reply, e) < 0 &&
        e->kind != ERR_BUSY)
        return -1;
    do {
        AUTO(arena_done) struct arena a = ARENA(1 << 20);
        runs = look(f, &a, e);
        if (runs > 0) show(f);
        if (runs > 0) zdb_peer_pause(f->peer, LOOK_MS);
        f->status = runs == 0 ? arena_str(&f->z->cli->arena, f->status) : STR_NONE;
    } while (runs > 0);
    if (f->bars) (void)fputs("\r\033[K", stderr);
    return runs;
}

static void document(struct following *f) {
    struct err e;
    if (zdb_show_one(f->z->cli, f->status, &e) < 0) (void)cli_fail(f->z->cli, &e);
}

static int tell(struct following *f) {
    struct cli *c = f->z->cli;
    struct str state = zdb_info_get(f->status, STR("state"));
    struct str error = zdb_info_get(f->status, STR("error"));
    uint64_t corrupt = zdb_info_u64(f->status, STR("corrupt"));
    char text[OUTPUT_TEXT_BYTES];
    struct err e;
    if (c->format != OUTPUT_TABLE) document(f);
    if (str_eq(state, STR("failed"))) {
        (void)err_set(&e, ERR_IO, "namespace '%.*s': %.*s", STR_ARG(f->name),
                      (int)(error.n < 300 ? error.n : 300), error.p ? error.p : "");
        return cli_fail(c, &e);
    }
    bool scrub = str_eq(f->command, STR("SCRUB"));
    if (c->format == OUTPUT_TABLE && scrub)
        (void)printf("%.*s: %s read, %llu corrupt\n", STR_ARG(f->name),
                     output_bytes(zdb_info_u64(f->status, STR("done_bytes")), text),
                     (unsigned long long)corrupt);
    else if (c->format == OUTPUT_TABLE)
        (void)printf("%.*s: %s returned\n", STR_ARG(f->name),
                     output_bytes(zdb_info_u64(f->status, STR("returned_bytes")), text));
    return corrupt ? CLI_FAILED : CLI_OK;
}

int zdb_cli_long(struct zdb_cli *z, const char *name, const char *command) {
    AUTO(zdb_peer_close) struct zdb_peer p = {.none = false};
    struct following f = {.z = z,
                          .peer = &p,
                          .command = str_of(command),
                          .name = str_of(name),
                          .bars = isatty(STDERR_FILENO) == 1};
    struct str info;
    struct err e = {0};
    if (zdb_peer_open(&p, z->cli, &z->target, STR_NONE, &e) < 0) return cli_fail(z->cli, &e);
    if (zdb_peer_info(&p, &z->cli->arena, f.name, &info, &e) < 0) return cli_fail(z->cli, &e);
    if (follow(&f, &e) < 0) return cli_fail(z->cli, &e);
    return tell(&f);
}
