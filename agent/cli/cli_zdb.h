/* SPDX-License-Identifier: Apache-2.0 — cli_zdb.h: what the commands of `gridlet zdb` share. */
#pragma once

#include "agent/cli/zdb_peer.h"
#include "agent/zdb_props.h"

struct zdb_cli {
    struct cli *cli;
    struct zdb_target target;
    struct zdb_props props; /* of create */
    bool force, values, raw;
    struct err error; /* of an option's value */
};

/* Parses the options that all take and those named in `own` (getopt's letters of the table in
 * cli_zdb.c); then exactly `operands` operands, or at least one of set's. As cli_options(). */
int zdb_cli_options(struct zdb_cli *z, int argc, char **argv, const char *own);

/* cli_zdb_long.c */
int zdb_cli_long(struct zdb_cli *z, const char *name, const char *command);
/* cli_zdb_dump.c */
int zdb_cli_dump(struct zdb_cli *z, const char *name);
/* zdb_show.c: NSINFO texts as a table, or as JSON or YAML */
struct zdb_listing {
    struct str *infos;
    size_t count;
};
int zdb_show_list(struct cli *c, const struct zdb_listing *l, struct err *e) MUST_CHECK;
int zdb_show_one(struct cli *c, struct str info, struct err *e) MUST_CHECK;
