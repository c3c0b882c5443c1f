/* SPDX-License-Identifier: Apache-2.0 — config.h: a program's settings from one table: defaults,
 * one YAML file, command line.
 *
 * Each key of the table is a key of the file and an option (`--key VALUE`, `--key=VALUE`; a bool
 * also as `--key` alone); options win over the file, the file over defaults. An unknown or doubled
 * key and a value of the wrong type are errors that name file and line. libyaml is wrapped here
 * alone. Start-up only, one thread. */
#pragma once

#include "base/err.h"

enum config_type {
    CONFIG_STR,   /* char *, owned by the struct; NULL when there is no default */
    CONFIG_BOOL,  /* bool: true, false */
    CONFIG_U64,   /* uint64_t: decimal */
    CONFIG_BYTES, /* uint64_t: config_bytes() */
    CONFIG_MS,    /* uint64_t, milliseconds: config_duration_ms() */
};

struct config_key {
    const char *name; /* "cgroup-root" */
    enum config_type type;
    size_t offset;     /* of the field in the program's struct */
    const char *value; /* default as it would be written, or NULL */
    const char *arg;   /* what --help calls the value: "NAME" */
    const char *help;  /* one sentence */
};

struct config_program {
    const char *name;     /* "gridletd": the default file is /etc/gridlet/gridletd.yaml */
    const char *synopsis; /* one line: what the program is */
    const char *notes;    /* examples and hints under the options of --help, or NULL */
    const struct config_key *keys;
    size_t key_count;
};

#define CONFIG_FILE_BYTES_MAX (64 * 1024)
#define CONFIG_KEYS_MAX       128 /* options in one command line */

enum config_result { CONFIG_RUN, CONFIG_ANSWERED };

/* Fills the zeroed struct *settings. *out: CONFIG_RUN, or CONFIG_ANSWERED after --help or --version
 * were printed to stdout: exit with 0 then. `--config FILE` names the file, which must exist then.
 * Errors: INVALID, LIMIT, and what reading the file gives. config_done() in every case. */
int config_load(const struct config_program *p, int argc, char *const *argv, void *settings,
                enum config_result *out, struct err *e) MUST_CHECK;
/* Frees the strings. */
void config_done(const struct config_program *p, void *settings);

/* The parts of config_load, for tests and for other sources of the same text. */
int config_defaults(const struct config_program *p, void *settings, struct err *e) MUST_CHECK;
/* name: of the file, for messages. */
int config_yaml(const struct config_program *p, struct str text, const char *name, void *settings,
                struct err *e) MUST_CHECK;
/* The text of --help; heap, the caller's. */
char *config_help(const struct config_program *p);

/* "4096", "512Mi" (Ki Mi Gi Ti: powers of 1024), "5G" (K M G T: powers of 1000), "512m" (k m g t:
 * powers of 1024, as Docker's options mean them). Tier (a): -EINVAL, -ERANGE. */
int config_bytes(struct str s, uint64_t *out) MUST_CHECK;
/* "250ms", "30s", "5m", "2h", "7d"; a bare number is seconds. Tier (a). */
int config_duration_ms(struct str s, uint64_t *out) MUST_CHECK;
