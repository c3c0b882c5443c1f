/* SPDX-License-Identifier: Apache-2.0 — image_config.c: reading an image's config.
 *
 * The document's tree lives in an arena of its own that ends here; the caller's arena gets the few
 * strings that matter. */
#include "storage/image/image_config.h"

#include "base/json.h"

#define SCRATCH_BYTES_MAX ((size_t)24 << 20)

static int full(struct err *e) {
    return err_set(e, ERR_LIMIT, "the image's config needs too much memory");
}

static int copy_str(struct arena *a, const struct json *config, const char *key, struct str *out,
                    struct err *e) {
    struct str value = STR("");
    if (json_opt_str(config, key, &value, e) < 0) return -1;
    *out = arena_str(a, value);
    return out->p ? 0 : full(e);
}

struct list {
    const struct str *items;
    size_t count;
};

/* Strings of an array, or the names of an object's members (how encoders of Go write a set). */
static int copy_list(struct arena *a, const struct json *tree, const char *key, struct list *out,
                     struct err *e) {
    size_t count = tree ? tree->count : 0;
    if (count > IMAGE_CONFIG_ITEMS_MAX)
        return err_set(e, ERR_LIMIT, "'%s' has more than %u items", key, IMAGE_CONFIG_ITEMS_MAX);
    struct str *items = arena_array(a, count + 1, sizeof *items);
    if (!items) return full(e);
    size_t n = 0;
    for (const struct json *item = json_first(tree); item; item = item->next) {
        struct str text = item->key;
        if (tree->type == JSON_ARRAY && json_str(item, &text) < 0)
            return err_set(e, ERR_INVALID, "'%s' has an item that is no string", key);
        items[n] = arena_str(a, text);
        if (!items[n++].p) return full(e);
    }
    *out = (struct list){items, n};
    return 0;
}

/* The lists that a config has, in one table. */
enum { LIST_ENV, LIST_ENTRYPOINT, LIST_CMD, LIST_VOLUMES, LIST_COUNT };
static const struct {
    const char *key;
    enum json_type type;
} LISTS[LIST_COUNT] = {
    [LIST_ENV] = {"Env", JSON_ARRAY},
    [LIST_ENTRYPOINT] = {"Entrypoint", JSON_ARRAY},
    [LIST_CMD] = {"Cmd", JSON_ARRAY},
    [LIST_VOLUMES] = {"Volumes", JSON_OBJECT},
};

static int parse(struct arena *a, const struct json *document, struct image_config *out,
                 struct err *e) {
    const struct json *config = NULL;
    struct list lists[LIST_COUNT];
    if (document->type != JSON_OBJECT) return err_set(e, ERR_INVALID, "not a JSON object");
    if (json_opt_tree(document, "config", JSON_OBJECT, &config, e) < 0) return -1;
    for (int i = 0; i < LIST_COUNT; i++) {
        const struct json *tree = NULL;
        if (json_opt_tree(config, LISTS[i].key, LISTS[i].type, &tree, e) < 0 ||
            copy_list(a, tree, LISTS[i].key, &lists[i], e) < 0)
            return -1;
    }
    struct image_config c = {
        .env = lists[LIST_ENV].items,
        .env_count = lists[LIST_ENV].count,
        .entrypoint = lists[LIST_ENTRYPOINT].items,
        .entrypoint_count = lists[LIST_ENTRYPOINT].count,
        .cmd = lists[LIST_CMD].items,
        .cmd_count = lists[LIST_CMD].count,
        .volumes = lists[LIST_VOLUMES].items,
        .volume_count = lists[LIST_VOLUMES].count,
    };
    if (copy_str(a, config, "User", &c.user, e) < 0 ||
        copy_str(a, config, "WorkingDir", &c.working_dir, e) < 0 ||
        copy_str(a, config, "StopSignal", &c.stop_signal, e) < 0)
        return -1;
    *out = c;
    return 0;
}

int image_config_parse(struct arena *a, struct str json, struct image_config *out, struct err *e) {
    AUTO(arena_done) struct arena scratch = ARENA(SCRATCH_BYTES_MAX);
    const struct json_limits limits = {.bytes_max = IMAGE_CONFIG_BYTES_MAX, .values_max = 100000};
    const struct json *document;
    if (json_parse(&scratch, json, limits, &document, e) < 0 || parse(a, document, out, e) < 0)
        return err_in(e, "the image's config");
    return 0;
}
