/* SPDX-License-Identifier: Apache-2.0 — progress.h: shows the layers of a pull. */
#pragma once

#include "base/json.h"

#include <stdio.h>

#define PROGRESS_LAYERS_MAX 128

struct progress {
    FILE *to;     /* borrowed */
    bool bars;    /* a terminal: bars that are drawn again; else one line per change of a phase */
    size_t lines; /* drawn on the terminal so far */
    char phases[PROGRESS_LAYERS_MAX][16];
};
/* Bars when fd is a terminal. */
void progress_begin(struct progress *p, FILE *to, int fd);
/* event: the daemon's {"pull": [...]}; others are ignored. */
void progress_show(struct progress *p, const struct json *event);
