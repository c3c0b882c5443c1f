/* SPDX-License-Identifier: Apache-2.0 — admin_frame.h: the frames and messages of the admin socket,
 * without I/O.
 *
 * A frame is a length (32 bits, little endian) and so many bytes of one JSON object. The client
 * sends {"command": NAME, ...arguments}; the daemon answers with any number of {"event": {...}}
 * frames and then one {"result": {...}} or {"error": {"kind": ..., "message": ...}}. "fds": N in a
 * frame says that N descriptors came with it (SCM_RIGHTS). The next command may follow the result.
 * Any thread. */
#pragma once

#include "base/err.h"
#include "base/json.h"

#define ADMIN_FRAME_BYTES_MAX   (4 << 20)
#define ADMIN_FRAME_HEADER      4
#define ADMIN_FRAME_FDS_MAX     4
#define ADMIN_COMMAND_BYTES_MAX 64

/* Looks at the start of in: 1 and a frame's body (a view) with the bytes to drop; 0: incomplete;
 * -EMSGSIZE: longer than allowed; -EINVAL: empty. */
int admin_frame_next(struct str in, struct str *out_body, size_t *out_bytes) MUST_CHECK;
/* Writes the ADMIN_FRAME_HEADER bytes in front of a body of n bytes. */
void admin_frame_header(size_t n, uint8_t *out);

/* A request's name and arguments (the object itself). INVALID, LIMIT. */
struct admin_request {
    struct str command;
    const struct json *args;
    size_t fd_count;
};
int admin_request_parse(struct arena *a, struct str body, struct admin_request *out,
                        struct err *e) MUST_CHECK;

enum admin_reply_kind { ADMIN_EVENT, ADMIN_RESULT, ADMIN_ERROR };
struct admin_reply {
    enum admin_reply_kind kind;
    const struct json *value; /* of "event" or "result"; may be null in the JSON sense */
    struct err error;         /* of ADMIN_ERROR */
    size_t fd_count;
};
int admin_reply_parse(struct arena *a, struct str body, struct admin_reply *out,
                      struct err *e) MUST_CHECK;

/* Appends a whole frame {"event": value} or {"result": value} to *out; -ENOSPC when it is too long.
 */
int admin_reply_write(struct buf *out, enum admin_reply_kind kind, struct str value,
                      size_t fd_count) MUST_CHECK;
int admin_error_write(struct buf *out, const struct err *error) MUST_CHECK;
