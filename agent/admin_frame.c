/* SPDX-License-Identifier: Apache-2.0 — admin_frame.c */
#include "agent/admin_frame.h"

#include <errno.h>

#define FRAME_VALUES_MAX 200000

int admin_frame_next(struct str in, struct str *out_body, size_t *out_bytes) {
    if (in.n < ADMIN_FRAME_HEADER) return 0;
    const uint8_t *p = (const uint8_t *)in.p;
    size_t n = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (n == 0) return -EINVAL;
    if (n > ADMIN_FRAME_BYTES_MAX) return -EMSGSIZE;
    if (in.n - ADMIN_FRAME_HEADER < n) return 0;
    *out_body = str_sub(in, ADMIN_FRAME_HEADER, ADMIN_FRAME_HEADER + n);
    *out_bytes = ADMIN_FRAME_HEADER + n;
    return 1;
}

void admin_frame_header(size_t n, uint8_t *out) {
    for (int i = 0; i < ADMIN_FRAME_HEADER; i++) out[i] = (uint8_t)(n >> (8 * i));
}

static int parse_body(struct arena *a, struct str body, const struct json **out, size_t *out_fds,
                      struct err *e) {
    struct json_limits limits = {.bytes_max = ADMIN_FRAME_BYTES_MAX,
                                 .values_max = FRAME_VALUES_MAX};
    const struct json *v = NULL;
    uint64_t fds = 0;
    if (json_parse(a, body, limits, &v, e) < 0) return -1;
    if (v->type != JSON_OBJECT) return err_set(e, ERR_INVALID, "a frame must be a JSON object");
    if (json_opt_u64(v, "fds", &fds, e) < 0) return -1;
    if (fds > ADMIN_FRAME_FDS_MAX)
        return err_set(e, ERR_LIMIT, "a frame carries at most %d descriptors", ADMIN_FRAME_FDS_MAX);
    *out = v;
    *out_fds = (size_t)fds;
    return 0;
}

int admin_request_parse(struct arena *a, struct str body, struct admin_request *out,
                        struct err *e) {
    struct admin_request r = {.args = NULL};
    if (parse_body(a, body, &r.args, &r.fd_count, e) < 0) return -1;
    if (json_need_str(r.args, "command", &r.command, e) < 0) return -1;
    if (r.command.n == 0 || r.command.n > ADMIN_COMMAND_BYTES_MAX)
        return err_set(e, ERR_INVALID, "a command's name has 1 to %d bytes",
                       ADMIN_COMMAND_BYTES_MAX);
    *out = r;
    return 0;
}

static enum err_kind kind_of(struct str name) {
    for (int k = ERR_NONE + 1; k < ERR_KINDS; k++)
        if (str_eq(name, str_of(err_kind_name((enum err_kind)k)))) return (enum err_kind)k;
    return ERR_INTERNAL;
}

/* The raw member: unlike json_get, null counts as a value. */
static const struct json *member(const struct json *v, const char *key) {
    const struct json *m = json_first(v);
    while (m && !str_eq(m->key, str_of(key))) m = m->next;
    return m;
}

int admin_reply_parse(struct arena *a, struct str body, struct admin_reply *out, struct err *e) {
    struct admin_reply r = {.kind = ADMIN_EVENT};
    const struct json *v = NULL;
    if (parse_body(a, body, &v, &r.fd_count, e) < 0) return -1;
    const struct json *error = NULL;
    if (json_opt_tree(v, "error", JSON_OBJECT, &error, e) < 0) return -1;
    if (error) {
        struct str kind = STR("internal");
        struct str message = STR("the daemon gave no reason");
        if (json_opt_str(error, "kind", &kind, e) < 0) return -1;
        if (json_opt_str(error, "message", &message, e) < 0) return -1;
        r.kind = ADMIN_ERROR;
        (void)err_set(&r.error, kind_of(kind), "%.*s", STR_ARG(message));
    } else if ((r.value = member(v, "event"))) {
        r.kind = ADMIN_EVENT;
    } else if ((r.value = member(v, "result"))) {
        r.kind = ADMIN_RESULT;
    } else {
        return err_set(e, ERR_INVALID, "a reply must have 'event', 'result' or 'error'");
    }
    *out = r;
    return 0;
}

/* Reserves the header, and fills it in when the body behind it is complete. */
static int finish(struct buf *out, size_t start, int r) {
    size_t n = out->n - start - ADMIN_FRAME_HEADER;
    if (r == 0 && n > ADMIN_FRAME_BYTES_MAX) r = -ENOSPC;
    if (r < 0) {
        out->n = start;
        return r;
    }
    admin_frame_header(n, (uint8_t *)out->p + start);
    return 0;
}

int admin_reply_write(struct buf *out, enum admin_reply_kind kind, struct str value,
                      size_t fd_count) {
    static const uint8_t header[ADMIN_FRAME_HEADER] = {0};
    size_t start = out->n;
    if (buf_append(out, header, sizeof header) < 0) return -ENOSPC;
    struct json_out w = JSON_OUT(out);
    json_out_object(&w, NULL);
    json_out_raw(&w, kind == ADMIN_EVENT ? "event" : "result", value.n ? value : STR("{}"));
    if (fd_count) json_out_u64(&w, "fds", fd_count);
    json_out_close(&w);
    return finish(out, start, json_out_end(&w));
}

int admin_error_write(struct buf *out, const struct err *error) {
    static const uint8_t header[ADMIN_FRAME_HEADER] = {0};
    size_t start = out->n;
    if (buf_append(out, header, sizeof header) < 0) return -ENOSPC;
    struct json_out w = JSON_OUT(out);
    json_out_object(&w, NULL);
    json_out_object(&w, "error");
    json_out_c(&w, "kind", err_kind_name(error->kind));
    json_out_c(&w, "message", error->msg);
    json_out_close(&w);
    json_out_close(&w);
    return finish(out, start, json_out_end(&w));
}
