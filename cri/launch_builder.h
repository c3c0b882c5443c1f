/* SPDX-License-Identifier: Apache-2.0 — launch_builder.h: writing a launch spec.
 *
 * Part of the daemon, not of init. Strings and tables are appended behind the fixed header;
 * launch_build_seal() checks the result with launch_spec_check() and gives a sealed memfd. One
 * thread at a time. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "cri/launch/launch_spec.h"

struct launch_builder {
    struct launch_spec spec; /* scalars are set directly; refs by the functions below */
    struct buf body;         /* what follows the header */
    bool failed;             /* a limit was passed: reported by launch_build_seal() */
};

void launch_build_init(struct launch_builder *b, enum launch_mode mode);
void launch_build_done(struct launch_builder *b);
/* Appends; errors are kept until the end. Strings must not hold NUL bytes. */
struct launch_ref launch_build_str(struct launch_builder *b, struct str s);
struct launch_ref launch_build_table(struct launch_builder *b, const void *items, size_t item_bytes,
                                     size_t count);
/* A table of string refs (argv, envp, paths). */
struct launch_ref launch_build_strs(struct launch_builder *b, const struct str *strs, size_t count);
/* The spec in a memfd with all seals, close-on-exec; owned by the caller. */
int launch_build_seal(struct launch_builder *b, int *out_fd, struct err *e) MUST_CHECK;
