/* SPDX-License-Identifier: Apache-2.0 — images.c: images, pull, rmi. */
#include "agent/commands/commands.h"

#include "agent/commands/pulling.h"
#include "base/log.h"
#include "cri/call.h"

static void write_list(struct json_out *w, const char *key, size_t count, char *const *items) {
    json_out_array(w, key);
    for (size_t i = 0; i < count; i++) json_out_c(w, NULL, items[i]);
    json_out_close(w);
}

static void images_known(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct admin_call *c = user;
    AUTO(buf_done) struct buf b = BUF(ADMIN_FRAME_BYTES_MAX);
    struct json_out w = JSON_OUT(&b);
    if (!reply) {
        admin_fail(c, e);
        return;
    }
    const Runtime__V1__ListImagesResponse *r = (const Runtime__V1__ListImagesResponse *)reply;
    json_out_array(&w, NULL);
    for (size_t i = 0; i < r->n_images; i++) {
        const Runtime__V1__Image *image = r->images[i];
        json_out_object(&w, NULL);
        json_out_c(&w, "id", image->id);
        write_list(&w, "tags", image->n_repo_tags, image->repo_tags);
        write_list(&w, "digests", image->n_repo_digests, image->repo_digests);
        json_out_u64(&w, "size_bytes", image->size);
        json_out_bool(&w, "pinned", image->pinned);
        json_out_close(&w);
    }
    json_out_close(&w);
    command_answer(c, &w, &b);
}

/* {} -> [{"id", "tags", "digests", "size_bytes", "pinned"}...] */
void command_images(struct admin_call *c, void *user) {
    struct daemon *d = user;
    Runtime__V1__ListImagesRequest r = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    cri_call(d->cri, "ListImages", &r.base, images_known, c);
}

/* ---- pull ---- */

static void pulled(struct admin_call *c, void *user, struct str image_id, const struct err *e) {
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out w = JSON_OUT(&b);
    (void)user;
    if (e) {
        admin_fail(c, e);
        return;
    }
    json_out_object(&w, NULL);
    json_out_str(&w, "id", image_id);
    json_out_close(&w);
    command_answer(c, &w, &b);
}

/* {"image", "username", "password"} -> events of pulling.h, {"id"} */
void command_pull(struct admin_call *c, void *user) {
    struct pulling_request r = {.then = pulled};
    struct err e;
    if (json_need_str(admin_args(c), "image", &r.ref, &e) < 0 ||
        json_opt_str(admin_args(c), "username", &r.auth.username, &e) < 0 ||
        json_opt_str(admin_args(c), "password", &r.auth.password, &e) < 0)
        admin_fail(c, &e);
    else
        pulling_start(user, c, &r);
}

/* ---- rmi ---- */

struct removal {
    struct daemon *daemon;
    struct admin_call *call;
    char *image; /* in the call's arena */
};

static void removed(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct admin_call *c = user;
    if (reply)
        admin_result(c, STR(""));
    else
        admin_fail(c, e);
}

static void removal_looked_up(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct removal *m = user;
    const Runtime__V1__ImageStatusResponse *found = (const Runtime__V1__ImageStatusResponse *)reply;
    if (!found) {
        admin_fail(m->call, e);
    } else if (!found->image) {
        command_refuse(m->call, ERR_NOT_FOUND,
                       "no image is called '%s' (gridlet images lists them)", m->image);
    } else {
        Runtime__V1__RemoveImageRequest r = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
        Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
        spec.image = m->image;
        r.image = &spec;
        cri_call(m->daemon->cri, "RemoveImage", &r.base, removed, m->call);
    }
    free(m);
}

/* {"image"} -> {}; layers that a container still uses stay until it is gone */
void command_rmi(struct admin_call *c, void *user) {
    struct str image;
    struct err e;
    if (json_need_str(admin_args(c), "image", &image, &e) < 0) {
        admin_fail(c, &e);
        return;
    }
    struct removal *m = xnew(struct removal);
    m->daemon = user;
    m->call = c;
    m->image = (char *)(uintptr_t)image.p; /* NUL-terminated by the JSON reader */
    Runtime__V1__ImageStatusRequest r = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    spec.image = m->image;
    r.image = &spec;
    cri_call(m->daemon->cri, "ImageStatus", &r.base, removal_looked_up, m);
}
