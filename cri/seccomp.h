/* SPDX-License-Identifier: Apache-2.0 — seccomp.h: seccomp programs of containers (libseccomp is
 * used only here).
 *
 * A profile is compiled once per set of capabilities and kept (the SECCOMP_CACHE_MAX last used; a
 * Localhost profile is compiled again when its file has changed). Any thread.
 * Sources: CRI SecurityProfile; runtime-spec config-linux.md "Seccomp"; what RuntimeDefault allows
 * is what the default profile of Docker and containerd allows. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define SECCOMP_PROFILE_BYTES_MAX (1u << 20)
#define SECCOMP_RULES_MAX         4096
#define SECCOMP_NAMES_MAX         16384 /* all rules together */
#define SECCOMP_CACHE_MAX         64
#define SECCOMP_PROGRAM_BYTES_MAX (32768u * 8)

enum seccomp_kind { SECCOMP_UNCONFINED, SECCOMP_RUNTIME_DEFAULT, SECCOMP_LOCALHOST };

struct seccomp_request {
    enum seccomp_kind kind;
    const char *path; /* LOCALHOST: absolute path of the JSON file */
    uint64_t
        capabilities; /* bounding set of the container: RUNTIME_DEFAULT allows more with some */
};

/* Appends the program (struct sock_filter[]) to *out, nothing for UNCONFINED; *out_flags are
 * SECCOMP_FILTER_FLAG_* for seccomp(2). NOT_FOUND: no such file; INVALID: the profile is wrong (the
 * message says where); UNSUPPORTED: an action that needs a listener. */
int seccomp_program(const struct seccomp_request *r, struct buf *out, uint32_t *out_flags,
                    struct err *e) MUST_CHECK;
/* Compiles a profile's JSON; for seccomp_program and its tests. */
int seccomp_compile_json(struct str json, struct buf *out, uint32_t *out_flags,
                         struct err *e) MUST_CHECK;
/* Forgets all compiled programs (tests, end of the process). */
void seccomp_cache_clear(void);
