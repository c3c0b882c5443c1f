/* SPDX-License-Identifier: Apache-2.0 — progress.c */
#include "agent/cli/progress.h"

#include "agent/cli/output.h"

#include <unistd.h>

#define BAR_CELLS 30

struct layer {
    struct str digest, phase;
    uint64_t done, total;
};

static bool read_layer(const struct json *v, struct layer *out) {
    struct err e;
    *out = (struct layer){.digest = STR("")};
    return json_need_str(v, "digest", &out->digest, &e) == 0 &&
           json_need_str(v, "phase", &out->phase, &e) == 0 &&
           json_opt_u64(v, "done_bytes", &out->done, &e) == 0 &&
           json_opt_u64(v, "total_bytes", &out->total, &e) == 0;
}

void progress_begin(struct progress *p, FILE *to, int fd) {
    *p = (struct progress){.to = to, .bars = isatty(fd) == 1};
}

static void draw_bar(struct progress *p, const struct layer *l) {
    char id[OUTPUT_TEXT_BYTES];
    char done[OUTPUT_TEXT_BYTES];
    char total[OUTPUT_TEXT_BYTES];
    char bar[BAR_CELLS + 1];
    bool complete = str_eq(l->phase, STR("done")) || str_eq(l->phase, STR("exists"));
    double part = complete                         ? 1
                  : l->total && l->done < l->total ? (double)l->done / (double)l->total
                  : l->total                       ? 1
                                                   : 0;
    int cells = (int)(part * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < cells ? '#' : '.';
    bar[BAR_CELLS] = '\0';
    (void)fprintf(p->to, "\r\033[K%s [%s] %-11.*s %s / %s\n", output_short_id(l->digest, id), bar,
                  STR_ARG(l->phase), output_bytes(l->done, done), output_bytes(l->total, total));
}

/* Plain: a line when a layer's phase is new. */
static void tell_change(struct progress *p, size_t at, const struct layer *l) {
    char id[OUTPUT_TEXT_BYTES];
    char size[OUTPUT_TEXT_BYTES];
    if (at >= PROGRESS_LAYERS_MAX || str_eq(l->phase, str_of(p->phases[at]))) return;
    (void)snprintf(p->phases[at], sizeof p->phases[at], "%.*s", STR_ARG(l->phase));
    (void)fprintf(p->to, "%s: %s, %s\n", output_short_id(l->digest, id), p->phases[at],
                  output_bytes(l->total, size));
}

void progress_show(struct progress *p, const struct json *event) {
    const struct json *layers = json_get(event, "pull");
    size_t at = 0;
    if (!layers) return;
    if (p->bars && p->lines) (void)fprintf(p->to, "\033[%zuA", p->lines);
    for (const struct json *v = json_first(layers); v; v = v->next) {
        struct layer l;
        if (!read_layer(v, &l)) continue;
        if (p->bars)
            draw_bar(p, &l);
        else
            tell_change(p, at, &l);
        at++;
    }
    if (p->bars && at > p->lines) p->lines = at;
    for (size_t blank = at; p->bars && blank < p->lines; blank++) (void)fputs("\r\033[K\n", p->to);
    (void)fflush(p->to);
}
