/* SPDX-License-Identifier: Apache-2.0 — image_service.c: the CRI's image calls on the image store
 * and the puller.
 *
 * The store reads a database, so every query is an op on a worker. image_ref == Image.id == the
 * config's digest. */
#include "base/clock.h"
#include "cri/methods.h"
#include "cri/node.h"
#include "cri/op.h"

#include <string.h>

struct image_query {
    struct op op;
    struct call *call;
    const struct image *images; /* in the call's arena */
    size_t count;
    struct image_usage usage;
};

static struct image_query *query_new(struct call *c) {
    struct image_query *q = xnew(struct image_query);
    q->call = c;
    return q;
}

static void query_start(struct image_query *q, int (*work)(struct op *o, struct err *e),
                        void (*done)(struct op *o)) {
    op_start(&q->op, q->call->cri->loop, NULL, work, done);
}

static struct image_store *store_of(const struct image_query *q) {
    return q->call->cri->options.images;
}

static struct str asked_image(const Runtime__V1__ImageSpec *spec) {
    return str_of(spec ? text_of(spec->image) : "");
}

/* ---- messages ---- */

static char **string_list(struct arena *a, const struct str *items, size_t count) {
    char **list = arena_array(a, count ? count : 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        list[i] = str_to_c(a, items[i]);
        if (!list[i]) return NULL;
    }
    return list;
}

/* "1000", "1000:50", "www-data", ... : a number is a uid, anything else a user name; the group is
 * left out. */
static bool set_user(struct arena *a, struct str user, Runtime__V1__Image *out) {
    ptrdiff_t colon = str_find(user, ':');
    struct str name = colon < 0 ? user : str_sub(user, 0, (size_t)colon);
    int64_t uid = 0;
    if (name.n == 0) return true;
    if (str_i64(name, &uid) < 0) return (out->username = str_to_c(a, name)) != NULL;
    out->uid = arena_new(a, Runtime__V1__Int64Value);
    if (!out->uid) return false;
    runtime__v1__int64_value__init(out->uid);
    out->uid->value = uid;
    return true;
}

static Runtime__V1__Image *image_message(struct arena *a, const struct image *image) {
    Runtime__V1__Image *out = arena_new(a, Runtime__V1__Image);
    Runtime__V1__ImageSpec *spec = arena_new(a, Runtime__V1__ImageSpec);
    if (!out || !spec) return NULL;
    runtime__v1__image__init(out);
    runtime__v1__image_spec__init(spec);
    out->id = str_to_c(a, image->id);
    out->n_repo_tags = image->tag_count;
    out->repo_tags = string_list(a, image->tags, image->tag_count);
    out->n_repo_digests = image->digest_count;
    out->repo_digests = string_list(a, image->digests, image->digest_count);
    out->size = image->size_bytes;
    out->pinned = image->pinned;
    spec->image = out->id;
    out->spec = spec;
    bool whole =
        out->id && out->repo_tags && out->repo_digests && set_user(a, image->config.user, out);
    return whole ? out : NULL;
}

static void reply_too_large(struct call *c) {
    call_refuse(c, ERR_LIMIT, "%s: the answer is too large", c->method);
}

/* ---- ListImages ---- */

static int list_work(struct op *o, struct err *e) {
    struct image_query *q = CONTAINER_OF(o, struct image_query, op);
    return image_list(store_of(q), q->call->arena, &q->images, &q->count, e);
}

static bool in_filter(const Runtime__V1__ListImagesRequest *r, const struct image *image) {
    struct str wanted = asked_image(r->filter ? r->filter->image : NULL);
    if (wanted.n == 0 || str_eq(wanted, image->id)) return true;
    for (size_t i = 0; i < image->tag_count; i++)
        if (str_eq(wanted, image->tags[i])) return true;
    for (size_t i = 0; i < image->digest_count; i++)
        if (str_eq(wanted, image->digests[i])) return true;
    return false;
}

static void list_done(struct op *o) {
    struct image_query *q = CONTAINER_OF(o, struct image_query, op);
    struct call *c = q->call;
    Runtime__V1__ListImagesResponse reply = RUNTIME__V1__LIST_IMAGES_RESPONSE__INIT;
    if (o->failed) {
        call_fail(c, &o->e);
        free(q);
        return;
    }
    reply.images = arena_array(c->arena, q->count + 1, sizeof *reply.images);
    bool whole = reply.images != NULL;
    for (size_t i = 0; whole && i < q->count; i++) {
        if (!in_filter(c->request, &q->images[i])) continue;
        Runtime__V1__Image *image = image_message(c->arena, &q->images[i]);
        whole = image != NULL;
        if (whole) reply.images[reply.n_images++] = image;
    }
    if (whole)
        call_reply(c, &reply.base);
    else
        reply_too_large(c);
    free(q);
}

/* A filter by a short name or an id's prefix is resolved by the store itself. */
static int find_work(struct op *o, struct err *e) {
    struct image_query *q = CONTAINER_OF(o, struct image_query, op);
    const Runtime__V1__ImageStatusRequest *r = q->call->request;
    struct str ref = asked_image(r->image);
    struct image *found = arena_new(q->call->arena, struct image);
    if (!found) return err_set(e, ERR_LIMIT, "image '%.*s': too large", STR_ARG(ref));
    if (ref.n == 0) return err_set(e, ERR_INVALID, "ImageStatus: no image is named");
    int r2 = image_find(store_of(q), q->call->arena, ref, found, e);
    if (r2 < 0 && e->kind == ERR_NOT_FOUND) return 0; /* absent is an answer, not an error */
    if (r2 < 0) return -1;
    q->images = found;
    q->count = 1;
    return 0;
}

void image_list_call(struct call *c) { query_start(query_new(c), list_work, list_done); }

/* ---- ImageStatus ---- */

static void status_done(struct op *o) {
    struct image_query *q = CONTAINER_OF(o, struct image_query, op);
    struct call *c = q->call;
    const Runtime__V1__ImageStatusRequest *r = c->request;
    Runtime__V1__ImageStatusResponse reply = RUNTIME__V1__IMAGE_STATUS_RESPONSE__INIT;
    Runtime__V1__ImageStatusResponse__InfoEntry info =
        RUNTIME__V1__IMAGE_STATUS_RESPONSE__INFO_ENTRY__INIT;
    Runtime__V1__ImageStatusResponse__InfoEntry *infos[] = {&info};
    if (q->count) reply.image = image_message(c->arena, q->images);
    if (q->count && r->verbose) {
        info.key = (char *)(uintptr_t) "imageSpec";
        info.value = str_to_c(c->arena, q->images->config_json);
        reply.n_info = info.value ? 1 : 0;
        reply.info = infos;
    }
    if (o->failed)
        call_fail(c, &o->e);
    else if (q->count && !reply.image)
        reply_too_large(c);
    else
        call_reply(c, &reply.base);
    free(q);
}

void image_status_call(struct call *c) { query_start(query_new(c), find_work, status_done); }

/* ---- RemoveImage ---- */

static int remove_work(struct op *o, struct err *e) {
    struct image_query *q = CONTAINER_OF(o, struct image_query, op);
    const Runtime__V1__RemoveImageRequest *r = q->call->request;
    struct str ref = asked_image(r->image);
    if (ref.n == 0) return err_set(e, ERR_INVALID, "RemoveImage: no image is named");
    return image_remove(store_of(q), ref, e);
}

static void remove_done(struct op *o) {
    struct image_query *q = CONTAINER_OF(o, struct image_query, op);
    Runtime__V1__RemoveImageResponse reply = RUNTIME__V1__REMOVE_IMAGE_RESPONSE__INIT;
    if (o->failed)
        call_fail(q->call, &o->e);
    else
        call_reply(q->call, &reply.base);
    free(q);
}

void image_remove_call(struct call *c) { query_start(query_new(c), remove_work, remove_done); }

/* ---- ImageFsInfo ---- */

static int usage_work(struct op *o, struct err *e) {
    struct image_query *q = CONTAINER_OF(o, struct image_query, op);
    (void)e;
    image_store_usage(store_of(q), &q->usage);
    return 0;
}

static void usage_done(struct op *o) {
    struct image_query *q = CONTAINER_OF(o, struct image_query, op);
    struct image_store *store = store_of(q);
    Runtime__V1__FilesystemIdentifier id = RUNTIME__V1__FILESYSTEM_IDENTIFIER__INIT;
    id.mountpoint = (char *)(uintptr_t)image_layers_path(store);
    Runtime__V1__UInt64Value bytes = RUNTIME__V1__UINT64_VALUE__INIT;
    Runtime__V1__UInt64Value inodes = RUNTIME__V1__UINT64_VALUE__INIT;
    bytes.value = q->usage.bytes;
    inodes.value = q->usage.inodes;
    Runtime__V1__FilesystemUsage usage = RUNTIME__V1__FILESYSTEM_USAGE__INIT;
    usage.timestamp = clock_wall_ns();
    usage.fs_id = &id;
    usage.used_bytes = &bytes;
    usage.inodes_used = &inodes;
    Runtime__V1__FilesystemUsage *list[] = {&usage};
    Runtime__V1__ImageFsInfoResponse reply = RUNTIME__V1__IMAGE_FS_INFO_RESPONSE__INIT;
    reply.n_image_filesystems = reply.n_container_filesystems = 1;
    reply.image_filesystems = reply.container_filesystems = list;
    call_reply(q->call, &reply.base);
    free(q);
}

void image_fs_info_call(struct call *c) { query_start(query_new(c), usage_work, usage_done); }

/* ---- PullImage ---- */

struct pulling {
    struct call *call;
    struct image_pull *pull;
};

static void pull_done(void *user, struct str image_id, const struct err *e) {
    struct pulling *p = user;
    Runtime__V1__PullImageResponse reply = RUNTIME__V1__PULL_IMAGE_RESPONSE__INIT;
    if (e) {
        call_fail(p->call, e);
    } else {
        reply.image_ref = str_to_c(p->call->arena, image_id);
        call_reply(p->call, &reply.base);
    }
    free(p);
}

static void pull_cancelled(void *user) {
    struct pulling *p = user;
    image_pull_cancel(p->pull);
}

static struct image_auth auth_of(const Runtime__V1__AuthConfig *a) {
    if (!a) return (struct image_auth){0};
    return (struct image_auth){.username = str_of(a->username),
                               .password = str_of(a->password),
                               .auth = str_of(a->auth),
                               .server_address = str_of(a->server_address),
                               .identity_token = str_of(a->identity_token),
                               .registry_token = str_of(a->registry_token)};
}

void image_pull_call(struct call *c) {
    const Runtime__V1__PullImageRequest *r = c->request;
    struct pulling *p = xnew(struct pulling);
    p->call = c;
    struct image_pull_request request = {
        .ref = asked_image(r->image), .auth = auth_of(r->auth), .user = p, .on_done = pull_done};
    p->pull = image_pull_start(c->cri->options.puller, &request);
    /* No client deadline is usual: a client that goes away is the only sign that nobody wants the
     * image any more. */
    if (c->grpc) grpc_on_cancel(c->grpc, pull_cancelled, p);
}
