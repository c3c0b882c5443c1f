/* SPDX-License-Identifier: Apache-2.0 — tar.h: an archive's entries, put into a tree.
 *
 * libarchive is wrapped here alone: its tar reader (v7, ustar, GNU and pax, sparse files of both)
 * and nothing else of it, no filters. One thread. */
#pragma once

#include "base/err.h"
#include "storage/unpack/tree.h"

/* Where the archive comes from: the next bytes (borrowed until the next call), 0 at the end, -1
 * with e. */
struct tar_source {
    ssize_t (*next)(void *user, const void **out, struct err *e);
    void *user;
};

/* Once per process, before other threads and before it is confined: names in pax headers are UTF-8,
 * and libarchive hands them out only in a locale that can write them. */
int tar_setup(struct err *e) MUST_CHECK;

/* Unpacks everything up to the end of the source, what follows the archive's end mark included.
 * Errors name the entry and what is wrong with it; those of the source come first. */
int tar_unpack(const struct tar_source *source, struct tree *t, struct err *e) MUST_CHECK;
