/* SPDX-License-Identifier: Apache-2.0 — entry_path.h: what the name of a layer's entry means.
 *
 * A name becomes a clean path below the root of the layer: no leading or double slashes, no "."
 * components; ".." is refused. Whiteouts follow the image specification (OCI image-spec v1.1,
 * layer.md, "Whiteouts"). Pure; any thread. */
#pragma once

#include "base/err.h"

#define ENTRY_PATH_BYTES_MAX      4095 /* the kernel's PATH_MAX without its NUL */
#define ENTRY_COMPONENT_BYTES_MAX 255  /* NAME_MAX */

enum entry_kind {
    ENTRY_PLAIN,
    ENTRY_WHITEOUT, /* hides `path` of the layers below */
    ENTRY_OPAQUE,   /* hides what the folder `path` holds in the layers below */
    ENTRY_IGNORED   /* book-keeping of aufs */
};

struct entry_path {
    enum entry_kind kind;
    size_t n;                            /* 0: the root itself */
    size_t base;                         /* where the last component starts */
    char path[ENTRY_PATH_BYTES_MAX + 1]; /* NUL-terminated */
};

/* INVALID ("..", NUL, a whiteout of nothing or with something below it), LIMIT. */
int entry_path_parse(struct str name, struct entry_path *out, struct err *e) MUST_CHECK;
