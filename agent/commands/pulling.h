/* SPDX-License-Identifier: Apache-2.0 — pulling.h: a pull on behalf of an admin call.
 *
 * Progress goes out as events {"pull": [{"digest", "done_bytes", "total_bytes", "phase"}...]},
 * phase "waiting", "downloading", "unpacking", "done" or "exists". A peer that goes away cancels
 * its pull. Loop thread. */
#pragma once

#include "agent/daemon.h"

struct pulling_request {
    struct str ref;
    struct image_auth auth;
    void *user;
    /* Once: image_id (borrowed), or e. The call is still to be answered. */
    void (*then)(struct admin_call *c, void *user, struct str image_id, const struct err *e);
};
void pulling_start(struct daemon *d, struct admin_call *c, const struct pulling_request *r);
