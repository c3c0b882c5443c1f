/* SPDX-License-Identifier: Apache-2.0 — seccomp_filter.h: a seccomp program in the making; the
 * wrapper around libseccomp. For seccomp_*.c only.
 *
 * Names that neither the library nor the table of newer system calls knows are passed over, so that
 * a profile for a newer machine works on an older one. One thread at a time. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct seccomp_filter;

enum seccomp_action_kind {
    SECCOMP_ALLOW,
    SECCOMP_ERRNO, /* with a number */
    SECCOMP_LOG,
    SECCOMP_TRAP,
    SECCOMP_TRACE, /* with a number */
    SECCOMP_KILL_THREAD,
    SECCOMP_KILL_PROCESS
};
struct seccomp_action {
    enum seccomp_action_kind kind;
    uint16_t number;
};

enum seccomp_compare {
    SECCOMP_NE,
    SECCOMP_LT,
    SECCOMP_LE,
    SECCOMP_EQ,
    SECCOMP_GE,
    SECCOMP_GT,
    SECCOMP_MASKED_EQ
};
struct seccomp_condition {
    unsigned argument; /* 0 .. 5 */
    enum seccomp_compare compare;
    uint64_t value, value2; /* MASKED_EQ: (argument & value) == value2 */
};
#define SECCOMP_CONDITIONS_MAX 6

struct seccomp_filter *seccomp_filter_new(struct seccomp_action otherwise);
void seccomp_filter_free(struct seccomp_filter *f); /* NULL-safe */
/* "x86_64", "x86", "x32", "aarch64", ...; unknown ones are passed over. The machine's own is always
 * there. */
void seccomp_filter_arch(struct seccomp_filter *f, struct str name);
/* The machine's own and those whose programs it runs too. */
void seccomp_filter_arch_all(struct seccomp_filter *f);
/* Conditions are all required; two on one argument make rules of their own, as runc has it. 0 or
 * -errno. */
int seccomp_filter_rule(struct seccomp_filter *f, struct seccomp_action action, struct str name,
                        const struct seccomp_condition *conditions, size_t count) MUST_CHECK;
/* Appends struct sock_filter[] to *out. System calls that are newer than the library answer ENOSYS
 * where the profile would answer with an error: C libraries fall back on ENOSYS only. 0 or -errno.
 */
int seccomp_filter_export(struct seccomp_filter *f, struct buf *out) MUST_CHECK;

/* The RuntimeDefault profile for a container with these capabilities. 0 or -errno. */
int seccomp_default_build(uint64_t capabilities, struct seccomp_filter **out) MUST_CHECK;
/* The capabilities that make a difference to it. */
uint64_t seccomp_default_capabilities(void);
