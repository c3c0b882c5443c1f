/* SPDX-License-Identifier: Apache-2.0 — log.h: one logfmt line per event on stderr.
 *
 * A constant message plus typed fields: LOG_WARN("pull failed", F_STR("image", ref), F_ERR(&e)).
 * Only boundary code logs (mains, dispatchers, loop callbacks); what is below returns errors.
 * Values are quoted and escaped, so a peer cannot forge a line. A line is one write(2), cut at
 * LOG_LINE_BYTES_MAX. Any thread. */
#pragma once

#include "base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

#define LOG_LINE_BYTES_MAX 2048

struct log_field {
    const char *key;
    enum { LOG_FIELD_STR, LOG_FIELD_I64, LOG_FIELD_U64 } type;
    struct str text;
    int64_t i64;
    uint64_t u64;
};

#define F_STR(k, s) ((struct log_field){.key = (k), .type = LOG_FIELD_STR, .text = (s)})
#define F_C(k, c)   F_STR(k, str_of(c))
#define F_INT(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_I64, .i64 = (v)})
#define F_U64(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_U64, .u64 = (v)})
#define F_MS(k, v)  F_U64(k "_ms", v)
#define F_ERR(e)    F_STR("error", str_of((e)->msg))

/* Lines below the level are dropped. Default: INFO. */
void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error"; 0 or -EINVAL. */
int log_level_parse(struct str name, enum log_level *out) MUST_CHECK;
void log_line(enum log_level level, const char *msg, const struct log_field *fields, size_t count);

#define LOG_AT(level, msg, ...)                                                                    \
    log_line(level, msg, (const struct log_field[]){{.key = NULL}, ##__VA_ARGS__},                 \
             sizeof((const struct log_field[]){{.key = NULL}, ##__VA_ARGS__}) /                    \
                 sizeof(struct log_field))
#define LOG_DEBUG(msg, ...) LOG_AT(LOG_LEVEL_DEBUG, msg, ##__VA_ARGS__)
#define LOG_INFO(msg, ...)  LOG_AT(LOG_LEVEL_INFO, msg, ##__VA_ARGS__)
#define LOG_WARN(msg, ...)  LOG_AT(LOG_LEVEL_WARN, msg, ##__VA_ARGS__)
#define LOG_ERROR(msg, ...) LOG_AT(LOG_LEVEL_ERROR, msg, ##__VA_ARGS__)
