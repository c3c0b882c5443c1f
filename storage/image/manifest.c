/* SPDX-License-Identifier: Apache-2.0 — manifest.c: what a registry's documents say.
 *
 * The shape of a document decides what it is; its mediaType, and failing that the Content-Type,
 * must agree. One that can be read as both index and manifest is refused: two readers of the same
 * digest must see the same image (CVE-2021-41190). Unknown members are ignored, and so are the
 * `urls` of nondistributable layers: following them would let an image's author send this node's
 * requests anywhere. Such layers are asked for at the registry like all others. */
#include "storage/image/manifest.h"

#include "base/json.h"
#include "storage/image/reference.h"

#define VALUES_MAX 200000U

static int corrupt(struct err *e, const char *what) {
    return err_set(e, ERR_CORRUPT, "malformed image manifest: %s", what);
}
static int no_memory(struct err *e) {
    return err_set(e, ERR_LIMIT, "the image's manifest holds too much");
}

/* A JSON document of a stranger; INVALID there is CORRUPT here: the request was fine. */
static int document_parse(struct arena *a, struct str text, size_t bytes_max,
                          const struct json **out, struct err *e) {
    struct json_limits limits = {.bytes_max = bytes_max, .values_max = VALUES_MAX};
    if (json_parse(a, text, limits, out, e) < 0) {
        if (e->kind == ERR_INVALID) e->kind = ERR_CORRUPT;
        return -1;
    }
    return (*out)->type == JSON_OBJECT ? 0 : corrupt(e, "it is no object");
}

/* ---- platforms ---- */

struct manifest_platform manifest_platform_host(void) {
#if defined(__x86_64__)
    return (struct manifest_platform){STR("linux"), STR("amd64"), STR_NONE};
#elif defined(__aarch64__)
    return (struct manifest_platform){STR("linux"), STR("arm64"), STR("v8")};
#else
#error "images of this architecture have no name here"
#endif
}

static struct str text_of(const struct json *object, const char *key) {
    struct str s = STR_NONE;
    return json_str(json_get(object, key), &s) == 0 ? s : STR_NONE;
}

/* 0: not ours; 1: ours; 2: ours, with the very variant. */
static int platform_match(const struct json *given, const struct manifest_platform *want) {
    if (!str_eq(text_of(given, "os"), want->os) ||
        !str_eq(text_of(given, "architecture"), want->architecture))
        return 0;
    struct str variant = text_of(given, "variant");
    if (str_eq(variant, want->variant)) return 2;
    /* amd64 has micro-architecture levels; only the baseline runs everywhere. */
    if (want->variant.n == 0) return str_eq(variant, STR("v1")) ? 2 : 0;
    return variant.n == 0 ? 1 : 0;
}

/* ---- descriptors ---- */

static int blob_read(const struct json *d, struct manifest_blob *out, struct err *e) {
    struct manifest_blob b = {0};
    if (json_str(json_get(d, "digest"), &b.digest) < 0 || !reference_is_digest(b.digest))
        return corrupt(e, "a descriptor's digest is not sha256: and 64 hex digits");
    if (json_u64(json_get(d, "size"), &b.size_bytes) < 0 || b.size_bytes == 0)
        return corrupt(e, "a descriptor's size is not a positive number");
    *out = b;
    return 0;
}

static int blob_limit(const struct manifest_blob *b, uint64_t bytes_max, const char *what,
                      struct err *e) {
    if (b->size_bytes <= bytes_max) return 0;
    return err_set(e, ERR_LIMIT, "%s %.*s has %llu bytes, more than the %llu that are allowed",
                   what, STR_ARG(b->digest), (unsigned long long)b->size_bytes,
                   (unsigned long long)bytes_max);
}

static bool is_one_of(struct str s, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (str_eq(s, str_of(list[i]))) return true;
    return false;
}

static int layer_type_check(struct str type, struct err *e) {
    static const char *const known[] = {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"};
    if (is_one_of(type, known, COUNT(known))) return 0;
    return err_set(e, ERR_UNSUPPORTED, "layers of type '%.*s' cannot be unpacked; is it an image?",
                   type.n > 100 ? 100 : (int)type.n, type.n ? type.p : "");
}

static int config_type_check(struct str type, struct err *e) {
    static const char *const known[] = {"application/vnd.oci.image.config.v1+json",
                                        "application/vnd.docker.container.image.v1+json",
                                        "application/octet-stream"};
    if (is_one_of(type, known, COUNT(known))) return 0;
    return err_set(e, ERR_UNSUPPORTED, "a config of type '%.*s' is not that of a container image",
                   type.n > 100 ? 100 : (int)type.n, type.n ? type.p : "");
}

/* ---- the two documents ---- */

static int index_read(const struct json *manifests, const struct manifest_platform *platform,
                      struct manifest *out, struct err *e) {
    const struct json *best = NULL;
    int best_match = 0;
    if (manifests->type != JSON_ARRAY) return corrupt(e, "'manifests' is no array");
    if (manifests->count > MANIFEST_PLATFORMS_MAX)
        return err_set(e, ERR_LIMIT, "the image's index has more than %d entries",
                       MANIFEST_PLATFORMS_MAX);
    for (const struct json *d = manifests->first; d; d = d->next) {
        const struct json *given = json_get(d, "platform");
        int match = platform_match(given, platform);
        if (!given && manifests->count == 1) match = 1;
        if (match <= best_match) continue;
        best = d;
        best_match = match;
    }
    if (!best)
        return err_set(e, ERR_NOT_FOUND, "the image is not made for %.*s/%.*s",
                       STR_ARG(platform->os), STR_ARG(platform->architecture));
    out->is_index = true;
    if (blob_read(best, &out->chosen, e) < 0) return -1;
    return blob_limit(&out->chosen, MANIFEST_BYTES_MAX, "manifest", e);
}

static int manifest_read(struct arena *a, const struct json *config, const struct json *layers,
                         struct manifest *out, struct err *e) {
    if (!config || config->type != JSON_OBJECT) return corrupt(e, "'config' is no object");
    if (!layers || layers->type != JSON_ARRAY) return corrupt(e, "'layers' is no array");
    if (layers->count > IMAGE_PULLED_LAYERS_MAX)
        return err_set(e, ERR_LIMIT, "the image has %zu layers, more than the %d that are allowed",
                       layers->count, IMAGE_PULLED_LAYERS_MAX);
    if (layers->count == 0)
        return err_set(e, ERR_UNSUPPORTED, "the image has no layers, so there is nothing to run");
    if (config_type_check(text_of(config, "mediaType"), e) < 0 ||
        blob_read(config, &out->config, e) < 0 ||
        blob_limit(&out->config, MANIFEST_CONFIG_BYTES_MAX, "image config", e) < 0)
        return -1;
    struct manifest_blob *blobs = arena_array(a, layers->count, sizeof(*blobs));
    if (!blobs) return no_memory(e);
    size_t n = 0;
    for (const struct json *l = layers->first; l; l = l->next, n++)
        if (layer_type_check(text_of(l, "mediaType"), e) < 0 || blob_read(l, &blobs[n], e) < 0 ||
            blob_limit(&blobs[n], MANIFEST_LAYER_BYTES_MAX, "layer", e) < 0)
            return -1;
    out->layers = blobs;
    out->layer_count = n;
    return 0;
}

static int type_check(struct str type, bool is_index, struct err *e) {
    static const char *const indexes[] = {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json"};
    static const char *const manifests[] = {"application/vnd.oci.image.manifest.v1+json",
                                            "application/vnd.docker.distribution.manifest.v2+json"};
    bool known_index = is_one_of(type, indexes, COUNT(indexes));
    bool known_manifest = is_one_of(type, manifests, COUNT(manifests));
    if ((is_index && known_manifest) || (!is_index && known_index))
        return corrupt(e, "its media type contradicts its content");
    return 0;
}

int manifest_parse(struct arena *a, struct str json, struct str media_type,
                   const struct manifest_platform *platform, struct manifest *out, struct err *e) {
    const struct json *doc;
    struct manifest m = {0};
    uint64_t version = 0;
    if (document_parse(a, json, MANIFEST_BYTES_MAX, &doc, e) < 0) return -1;
    if (json_u64(json_get(doc, "schemaVersion"), &version) < 0 || (version != 1 && version != 2))
        return corrupt(e, "'schemaVersion' is neither 1 nor 2");
    if (version == 1)
        return err_set(e, ERR_UNSUPPORTED,
                       "the image has Docker's manifest schema 1, which no current tool makes; "
                       "push it again with one that does");
    struct str type = text_of(doc, "mediaType");
    const struct json *manifests = json_get(doc, "manifests");
    const struct json *config = json_get(doc, "config");
    const struct json *layers = json_get(doc, "layers");
    if (manifests && (config || layers)) return corrupt(e, "it is an index and a manifest at once");
    if (type_check(type.n ? type : media_type, manifests != NULL, e) < 0) return -1;
    int r = manifests ? index_read(manifests, platform, &m, e)
                      : manifest_read(a, config, layers, &m, e);
    if (r == 0) *out = m;
    return r;
}

/* ---- the config ---- */

int manifest_config_parse(struct arena *a, struct str json,
                          const struct manifest_platform *platform, size_t layer_count,
                          const struct str **out_diff_ids, struct err *e) {
    const struct json *doc;
    if (document_parse(a, json, MANIFEST_CONFIG_BYTES_MAX, &doc, e) < 0)
        return err_in(e, "image config");
    struct str os = text_of(doc, "os");
    struct str architecture = text_of(doc, "architecture");
    if ((os.n && !str_eq(os, platform->os)) ||
        (architecture.n && !str_eq(architecture, platform->architecture)))
        return err_set(e, ERR_UNSUPPORTED, "the image is made for %.*s/%.*s, not for %.*s/%.*s",
                       os.n > 40 ? 40 : (int)os.n, os.n ? os.p : "",
                       architecture.n > 40 ? 40 : (int)architecture.n,
                       architecture.n ? architecture.p : "", STR_ARG(platform->os),
                       STR_ARG(platform->architecture));
    const struct json *ids = json_get(json_get(doc, "rootfs"), "diff_ids");
    if (!ids || ids->type != JSON_ARRAY)
        return err_set(e, ERR_CORRUPT, "malformed image config: 'rootfs.diff_ids' is no array");
    if (ids->count != layer_count)
        return err_set(e, ERR_CORRUPT,
                       "malformed image: its config names %zu layers, its manifest %zu", ids->count,
                       layer_count);
    struct str *out = arena_array(a, layer_count, sizeof(*out));
    if (!out) return no_memory(e);
    size_t n = 0;
    for (const struct json *id = ids->first; id; id = id->next, n++)
        if (json_str(id, &out[n]) < 0 || !reference_is_digest(out[n]))
            return err_set(e, ERR_CORRUPT,
                           "malformed image config: a diff_id is not sha256: and 64 hex digits");
    *out_diff_ids = out;
    return 0;
}
