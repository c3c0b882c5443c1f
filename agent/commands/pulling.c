/* SPDX-License-Identifier: Apache-2.0 — pulling.c */
#include "agent/commands/pulling.h"

struct pulling {
    struct admin_call *call;
    struct image_pull *pull;
    struct pulling_request request;
};

static const char *phase_name(enum image_layer_phase phase) {
    switch (phase) {
    case IMAGE_LAYER_WAITING: return "waiting";
    case IMAGE_LAYER_DOWNLOADING: return "downloading";
    case IMAGE_LAYER_UNPACKING: return "unpacking";
    case IMAGE_LAYER_DONE: return "done";
    case IMAGE_LAYER_EXISTS: return "exists";
    }
    return "";
}

static void progressed(void *user, const struct image_pull_progress *p) {
    struct pulling *u = user;
    AUTO(buf_done) struct buf b = BUF(256 << 10);
    struct json_out w = JSON_OUT(&b);
    json_out_object(&w, NULL);
    json_out_array(&w, "pull");
    for (size_t i = 0; i < p->layer_count; i++) {
        json_out_object(&w, NULL);
        json_out_str(&w, "digest", p->layers[i].digest);
        json_out_u64(&w, "done_bytes", p->layers[i].done_bytes);
        json_out_u64(&w, "total_bytes", p->layers[i].total_bytes);
        json_out_c(&w, "phase", phase_name(p->layers[i].phase));
        json_out_close(&w);
    }
    json_out_close(&w);
    json_out_close(&w);
    if (json_out_end(&w) == 0) admin_event(u->call, buf_view(&b), NULL, 0);
}

static void ended(void *user, struct str image_id, const struct err *e) {
    struct pulling *u = user;
    bool failed = e && e->kind != ERR_NONE;
    admin_on_gone(u->call, NULL, NULL);
    u->request.then(u->call, u->request.user, image_id, failed ? e : NULL);
    free(u);
}

static void gone(void *user) { image_pull_cancel(((struct pulling *)user)->pull); }

void pulling_start(struct daemon *d, struct admin_call *c, const struct pulling_request *r) {
    struct pulling *u = xnew(struct pulling);
    u->call = c;
    u->request = *r;
    struct image_pull_request pull = {
        .ref = r->ref, .auth = r->auth, .user = u, .on_progress = progressed, .on_done = ended};
    u->pull = image_pull_start(d->puller, &pull);
    if (admin_gone(c))
        image_pull_cancel(u->pull);
    else
        admin_on_gone(c, gone, u);
}
