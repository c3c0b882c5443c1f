/* SPDX-License-Identifier: Apache-2.0 — zdbd_metrics_port.c */
#include "storage/zdb_server/zdbd_metrics_port.h"

#include "base/http_server.h"
#include "base/log.h"

#define CONNECTIONS_MAX 64

struct zdbd_metrics_port {
    struct zdbd_server *server; /* borrowed */
    struct http_server *http;
};

static void call_done(void *user, struct http_call *c, const struct err *e) {
    struct buf *body = user;
    (void)c;
    (void)e; /* the client has gone */
    buf_done(body);
    free(body);
}

static const struct http_handler handler = {.on_done = call_done};

static void on_request(void *user, struct http_call *c) {
    struct zdbd_metrics_port *p = user;
    const struct http_head *head = http_call_head(c);
    struct buf *body = xnew(struct buf);
    *body = BUF(ZDBD_METRICS_BYTES_MAX);
    struct http_field type = {STR("Content-Type"), STR("text/plain; version=0.0.4")};
    struct http_answer a = {.status = 200, .fields = &type, .field_count = 1};
    bool is_read = str_eq(head->method, STR("GET")) || str_eq(head->method, STR("HEAD"));
    int r = 0;
    if (!is_read)
        a.status = 405;
    else if (!str_eq(head->target, STR("/metrics")))
        a.status = 404;
    else if (zdbd_metrics(p->server, body) < 0)
        a.status = 500;
    if (a.status != 200) {
        buf_clear(body);
        r = buf_fmt(body, "%u: the counters are at GET /metrics\n", a.status);
    }
    (void)r; /* it fits */
    http_call_handle(c, &handler, body);
    http_call_reply(c, &a, buf_view(body));
}

int zdbd_metrics_open(struct loop *l, struct zdbd_server *s, const char *where,
                      struct zdbd_metrics_port **out, struct err *e) {
    struct zdbd_metrics_port *p = xnew(struct zdbd_metrics_port);
    uint16_t port = 0;
    p->server = s;
    struct http_options o = {
        .user = p, .on_request = on_request, .limits = {.connections_max = CONNECTIONS_MAX}};
    p->http = http_server_new(l, &o);
    if (http_server_listen(p->http, where, &port, e) < 0) {
        zdbd_metrics_close(p);
        return err_in(e, "metrics");
    }
    LOG_INFO("metrics are served", F_C("at", where), F_U64("port", port));
    *out = p;
    return 0;
}

void zdbd_metrics_close(struct zdbd_metrics_port *p) {
    if (!p) return;
    http_server_free(p->http);
    free(p);
}
