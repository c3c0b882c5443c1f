/* SPDX-License-Identifier: Apache-2.0 — zdb_error.c: the one table from a server's words to kinds.
 * Source: the answers of 0-db 2.0.7 (tests/zdb-vectors/transcript.json and its source). */
#include "storage/zdb_client/zdb_client.h"

static const struct {
    const char *part; /* the text holds it; the first that fits counts */
    enum err_kind kind;
} kinds[] = {
    {"not found", ERR_NOT_FOUND},    /* Key, Namespace */
    {"No more data", ERR_NOT_FOUND}, /* the end of a scan */
    {"Invalid key", ERR_NOT_FOUND},  /* seq: no such id */
    {"No space left", ERR_LIMIT},    /* the namespace's limit, or the disk's */
    {"too large", ERR_LIMIT},        /* Key, payload */
    {"temporarily", ERR_BUSY},       /* locked, frozen */
    {"running already", ERR_BUSY},   /* a scrub or a compaction */
    {"try again", ERR_BUSY},         /* the namespace is being changed */
    {"already", ERR_EXISTS},
    {"not available", ERR_EXISTS},      /* a namespace of that name */
    {"exists", ERR_NOT_FOUND},          /* "... doesn't exists" */
    {"read-only", ERR_DENIED},          /* selected without password */
    {"protected", ERR_DENIED},          /* worm; a private namespace */
    {"denied", ERR_DENIED},             /* Permission, Access */
    {"not supported", ERR_UNSUPPORTED}, /* Command */
    {"unknown command", ERR_UNSUPPORTED},
    {"issing argument", ERR_INVALID},
    {"nvalid", ERR_INVALID},
    {"corrupt", ERR_CORRUPT},
    {"is not open", ERR_CORRUPT}, /* a namespace whose files cannot be read */
    {"imeout", ERR_TIMEOUT},      /* of WAIT */
};

enum err_kind zdb_error_kind(struct str text) {
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (str_contains(text, str_of(kinds[i].part))) return kinds[i].kind;
    return ERR_IO;
}
