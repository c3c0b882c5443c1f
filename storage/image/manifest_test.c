/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/image/manifest.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HEX    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DIGEST "sha256:" HEX
#define CONFIG                                                                                     \
    "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" DIGEST             \
    "\",\"size\":7}"
#define LAYER_OF(type) "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":9}"
#define LAYER          LAYER_OF("application/vnd.oci.image.layer.v1.tar+gzip")

static const struct manifest_platform amd64 = {{"linux", 5}, {"amd64", 5}, {NULL, 0}};
static const struct manifest_platform arm64 = {{"linux", 5}, {"arm64", 5}, {"v8", 2}};

struct outcome {
    int rc;
    struct manifest m;
    struct err e;
};

static struct outcome parse_as(struct arena *a, const char *json, const char *type,
                               const struct manifest_platform *p) {
    struct outcome o = {0};
    o.rc = manifest_parse(a, str_of(json), str_of(type), p, &o.m, &o.e);
    return o;
}

static void refused(const char *json, enum err_kind kind, const char *text) {
    AUTO(arena_done) struct arena a = ARENA(16U << 20);
    struct outcome o = parse_as(&a, json, "", &amd64);
    if (o.rc == 0 || o.e.kind != kind || !strstr(o.e.msg, text))
        fail_msg("%.100s -> %d %s: %s", json, o.rc, err_kind_name(o.e.kind), o.e.msg);
}

static void a_manifest_gives_config_and_layers(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(16U << 20);
    struct outcome o =
        parse_as(&a,
                 "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" LAYER
                 "," LAYER_OF("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip") "]}",
                 "application/vnd.docker.distribution.manifest.v2+json", &amd64);
    assert_int_equal(o.rc, 0);
    assert_false(o.m.is_index);
    assert_true(str_eq(o.m.config.digest, STR(DIGEST)));
    assert_int_equal(o.m.config.size_bytes, 7);
    assert_int_equal(o.m.layer_count, 2);
    assert_int_equal(o.m.layers[1].size_bytes, 9);
}

#define ENTRY(n, platform) "{\"digest\":\"" DIGEST "\",\"size\":" n ",\"platform\":{" platform "}}"
#define LINUX(arch)        "\"os\":\"linux\",\"architecture\":\"" arch "\""

static void an_index_gives_the_best_entry(void **state) {
    (void)state;
    static const char *const entries[] = {
        ENTRY("1", "\"os\":\"windows\",\"architecture\":\"amd64\""),
        ENTRY("2", LINUX("amd64") ",\"variant\":\"v3\""),
        ENTRY("3", LINUX("amd64")),
        ENTRY("4", LINUX("arm64")),
        ENTRY("5", LINUX("arm64") ",\"variant\":\"v8\""),
        ENTRY("6", LINUX("arm64") ",\"variant\":\"v9\"")};
    AUTO(buf_done) struct buf index = BUF(1U << 16);
    assert_int_equal(buf_fmt(&index, "{\"schemaVersion\":2,\"manifests\":["), 0);
    for (size_t i = 0; i < COUNT(entries); i++)
        assert_int_equal(buf_fmt(&index, "%s%s", i ? "," : "", entries[i]), 0);
    assert_int_equal(buf_fmt(&index, "]}"), 0);
    AUTO(arena_done) struct arena a = ARENA(16U << 20);
    struct outcome o = parse_as(&a, buf_c(&index), "", &amd64);
    assert_int_equal(o.rc, 0);
    assert_true(o.m.is_index);
    assert_int_equal(o.m.chosen.size_bytes, 3);
    o = parse_as(&a, buf_c(&index), "", &arm64);
    assert_int_equal(o.m.chosen.size_bytes, 5);
    o = parse_as(&a, "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" DIGEST "\",\"size\":8}]}",
                 "", &amd64);
    assert_int_equal(o.rc, 0);
    assert_int_equal(o.m.chosen.size_bytes, 8);
}

static void what_is_no_image_is_refused_by_name(void **state) {
    (void)state;
    refused("", ERR_CORRUPT, "");
    refused("null", ERR_CORRUPT, "no object");
    refused("{}", ERR_CORRUPT, "schemaVersion");
    refused("{\"schemaVersion\":3}", ERR_CORRUPT, "schemaVersion");
    refused("{\"schemaVersion\":1,\"fsLayers\":[]}", ERR_UNSUPPORTED, "schema 1");
    refused("{\"schemaVersion\":2}", ERR_CORRUPT, "'config'");
    refused("{\"schemaVersion\":2,\"config\":" CONFIG "}", ERR_CORRUPT, "'layers'");
    refused("{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}", ERR_UNSUPPORTED,
            "no layers");
    refused("{\"schemaVersion\":2,\"manifests\":{}}", ERR_CORRUPT, "no array");
    refused("{\"schemaVersion\":2,\"manifests\":[" ENTRY("1", LINUX("s390x")) "]}", ERR_NOT_FOUND,
            "linux/amd64");
    refused("{\"schemaVersion\":2,\"manifests\":[" ENTRY("5000000", LINUX("amd64")) "]}", ERR_LIMIT,
            "manifest sha256:");
    refused("{\"schemaVersion\":2,\"manifests\":[],\"config\":" CONFIG "}", ERR_CORRUPT, "at once");
    refused("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
            "\"config\":" CONFIG ",\"layers\":[" LAYER "]}",
            ERR_CORRUPT, "contradicts");
    refused("{\"schemaVersion\":2,\"config\":" CONFIG
            ",\"layers\":[" LAYER_OF("application/vnd.cncf.helm.chart") "]}",
            ERR_UNSUPPORTED, "helm");
    refused("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\"},\"layers\":[" LAYER "]}",
            ERR_UNSUPPORTED, "x/y");
    refused("{\"schemaVersion\":2,\"config\":" CONFIG
            ",\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":"
            "\"sha256:00\",\"size\":1}]}",
            ERR_CORRUPT, "digest");
    static const char *const sizes[] = {"0", "-1", "1.5", "\"1\"", "99999999999999999999999"};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        AUTO_FREE char *json = xasprintf(
            "{\"schemaVersion\":2,\"config\":" CONFIG
            ",\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":"
            "\"" DIGEST "\",\"size\":%s}]}",
            sizes[i]);
        refused(json, ERR_CORRUPT, "size");
    }
}

static void limits_hold(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(1U << 20);
    assert_int_equal(buf_fmt(&b, "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":["), 0);
    for (int i = 0; i <= IMAGE_PULLED_LAYERS_MAX; i++)
        assert_int_equal(buf_fmt(&b, "%s" LAYER, i ? "," : ""), 0);
    assert_int_equal(buf_fmt(&b, "]}"), 0);
    refused(buf_c(&b), ERR_LIMIT, "129 layers");
    buf_clear(&b);
    assert_int_equal(buf_fmt(&b, "{\"schemaVersion\":2,\"manifests\":["), 0);
    for (int i = 0; i <= MANIFEST_PLATFORMS_MAX; i++)
        assert_int_equal(buf_fmt(&b, "%s{}", i ? "," : ""), 0);
    assert_int_equal(buf_fmt(&b, "]}"), 0);
    refused(buf_c(&b), ERR_LIMIT, "1024 entries");
    AUTO_FREE char *huge = xmalloc(MANIFEST_BYTES_MAX + 2);
    (void)memset(huge, ' ', MANIFEST_BYTES_MAX + 1);
    refused(huge, ERR_LIMIT, "");
    AUTO_FREE char *deep = xmalloc(101);
    (void)memset(deep, '[', 100);
    refused(deep, ERR_LIMIT, "");
    refused("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/octet-stream\","
            "\"digest\":\"" DIGEST "\",\"size\":1048577},\"layers\":[" LAYER "]}",
            ERR_LIMIT, "image config");
}

static void config_refused(const char *json, size_t layers, enum err_kind kind, const char *text) {
    AUTO(arena_done) struct arena a = ARENA(16U << 20);
    struct err e = {0};
    const struct str *ids;
    assert_int_equal(manifest_config_parse(&a, str_of(json), &amd64, layers, &ids, &e), -1);
    if (e.kind != kind || !strstr(e.msg, text)) fail_msg("%s", e.msg);
}

static void a_config_gives_one_diff_id_for_each_layer(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(16U << 20);
    struct err e = {0};
    const struct str *ids;
    const char *json = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":"
                       "[\"" DIGEST "\",\"" DIGEST "\"]}}";
    assert_int_equal(manifest_config_parse(&a, str_of(json), &amd64, 2, &ids, &e), 0);
    assert_true(str_eq(ids[1], STR(DIGEST)));
    config_refused(json, 1, ERR_CORRUPT, "names 2 layers, its manifest 1");
    config_refused("{", 1, ERR_CORRUPT, "image config");
    config_refused("{}", 1, ERR_CORRUPT, "diff_ids");
    config_refused("{\"rootfs\":{\"diff_ids\":[1]}}", 1, ERR_CORRUPT, "diff_id is not");
    config_refused("{\"os\":\"windows\",\"rootfs\":{}}", 1, ERR_UNSUPPORTED, "windows/");
    config_refused("{\"architecture\":\"arm64\"}", 1, ERR_UNSUPPORTED, "not for linux/amd64");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_gives_config_and_layers),
        cmocka_unit_test(an_index_gives_the_best_entry),
        cmocka_unit_test(what_is_no_image_is_refused_by_name),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_config_gives_one_diff_id_for_each_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
