/* SPDX-License-Identifier: Apache-2.0 — commands.c: the table, and how commands end. */
#include "agent/commands/commands.h"

#include <stdarg.h>
#include <stdio.h>

const struct admin_command commands_table[] = {
    {"version", command_version}, {"status", command_status},
    {"pods", command_pods},       {"ps", command_ps},
    {"inspect", command_inspect}, {"logs", command_logs},
    {"images", command_images},   {"pull", command_pull},
    {"rmi", command_rmi},         {"run", command_run_container},
    {"stop", command_stop},       {"rm", command_rm},
    {"exec", command_exec},       {"wait", command_wait},
    {"zdb", command_zdb},         {"zdb-create", command_zdb_create},
    {"zdb-set", command_zdb_set}, {"zdb-rm", command_zdb_rm},
};
const size_t commands_count = COUNT(commands_table);

void command_answer(struct admin_call *c, const struct json_out *w, const struct buf *b) {
    if (json_out_end(w) < 0)
        command_refuse(c, ERR_LIMIT, "the answer is longer than %d bytes", ADMIN_FRAME_BYTES_MAX);
    else
        admin_result(c, buf_view(b));
}

void command_refuse(struct admin_call *c, enum err_kind kind, const char *fmt, ...) {
    struct err e;
    char msg[ERR_MSG_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    (void)err_set(&e, kind, "%s", msg);
    admin_fail(c, &e);
}
