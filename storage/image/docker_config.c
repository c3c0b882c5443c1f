/* SPDX-License-Identifier: Apache-2.0 — docker_config.c */
#include "storage/image/docker_config.h"

#include "base/json.h"

/* Members of "auths" are hosts or URLs; the first that names the registry counts. */
static const struct json *entry_find(const struct json *auths, struct str registry) {
    for (const struct json *entry = json_first(auths); entry; entry = entry->next)
        if (auth_address_is(entry->key, registry)) return entry;
    return NULL;
}

int docker_config_find(struct arena *a, struct str json, struct str registry,
                       struct auth_credential *out, struct err *e) {
    const struct json *doc, *auths;
    struct image_auth given = {0};
    struct json_limits limits = {.bytes_max = DOCKER_CONFIG_BYTES_MAX, .values_max = 100000};
    if (json_parse(a, json, limits, &doc, e) < 0 ||
        json_opt_tree(doc, "auths", JSON_OBJECT, &auths, e) < 0)
        return -1;
    const struct json *entry = entry_find(auths, registry);
    if (json_opt_str(entry, "auth", &given.auth, e) < 0 ||
        json_opt_str(entry, "username", &given.username, e) < 0 ||
        json_opt_str(entry, "password", &given.password, e) < 0 ||
        json_opt_str(entry, "identitytoken", &given.identity_token, e) < 0 ||
        json_opt_str(entry, "registrytoken", &given.registry_token, e) < 0)
        return err_in(e, "credential of '%.*s'", STR_ARG(registry));
    return auth_credential_make(a, &given, out, e);
}
