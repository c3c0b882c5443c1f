/* SPDX-License-Identifier: Apache-2.0 — hosts.c: from hosts.toml to a list of servers.
 *
 * A loader gathers into fixed arrays of the caller's arena. The table of a [host] and the root
 * table (which describes the registry itself) have the same keys, so one function reads both.
 * Relative file names are relative to the folder of the hosts.toml. */
#include "storage/image/hosts.h"

#include "base/file.h"
#include "storage/image/toml.h"

#include <errno.h>

struct loader {
    struct arena *a;
    const char *folder; /* of this registry's files, or NULL */
    struct registry_host *hosts;
    size_t count;
    struct err *e;
};

static int no_memory(struct err *e) {
    return err_set(e, ERR_LIMIT, "registry hosts: the files hold too much");
}

bool hosts_is_local(struct str authority) {
    struct str host = authority;
    ptrdiff_t colon = str_rfind(host, ':');
    if (colon > str_rfind(host, ']')) host = str_sub(host, 0, (size_t)colon);
    if (str_eq(host, STR("localhost")) || str_eq(host, STR("[::1]"))) return true;
    struct str rest = host;
    unsigned parts = 0;
    for (struct str part; str_next(&rest, '.', &part); parts++) {
        uint64_t n;
        if (part.n > 3 || str_u64(part, &n) < 0 || n > 255 || (parts == 0 && n != 127))
            return false;
    }
    return parts == 4;
}

static struct str port_of(struct str authority) {
    ptrdiff_t colon = str_rfind(authority, ':');
    if (colon <= str_rfind(authority, ']')) return STR_NONE;
    return str_sub(authority, (size_t)colon + 1, authority.n);
}

/* ---- certificates ---- */

static char *path_in(struct loader *l, struct str name) {
    if (name.n > 0 && name.p[0] == '/') return str_to_c(l->a, name);
    return arena_fmt(l->a, "%s/%.*s", l->folder, STR_ARG(name));
}

/* Puts the file's text behind the certificates that are there. */
static int ca_add(struct loader *l, struct registry_host *h, struct str name) {
    char *path = path_in(l, name);
    struct str pem;
    if (!path) return no_memory(l->e);
    int r = file_read_arena(l->a, AT_FDCWD, path, HOSTS_CA_BYTES_MAX, &pem);
    if (r < 0) return err_sys(l->e, -r, "read CA certificate '%s'", path);
    char *all = arena_fmt(l->a, "%.*s%.*s\n", (int)h->tls.ca_pem.n,
                          h->tls.ca_pem.n ? h->tls.ca_pem.p : "", STR_ARG(pem));
    if (!all) return no_memory(l->e);
    h->tls.ca_pem = str_of(all);
    return 0;
}

static int client_set(struct loader *l, struct registry_host *h, struct str cert, struct str key) {
    if (h->tls.client_cert)
        return err_set(l->e, ERR_UNSUPPORTED,
                       "host '%.*s': more than one client certificate is given; keep one",
                       STR_ARG(h->authority));
    h->tls.client_cert = path_in(l, cert);
    if (key.n > 0) h->tls.client_key = path_in(l, key);
    return h->tls.client_cert && (key.n == 0 || h->tls.client_key) ? 0 : no_memory(l->e);
}

/* NAME.cert and NAME.key of Docker's layout. */
static int client_file(struct loader *l, struct registry_host *h, struct str cert) {
    char *key = arena_fmt(l->a, "%.*s.key", (int)(cert.n - 5), cert.p);
    struct str kept = arena_str(l->a, cert);
    if (!key || !kept.p) return no_memory(l->e);
    return client_set(l, h, kept, str_of(key));
}

static int certificates_load(struct loader *l, struct registry_host *h) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int r = file_dir_open(&d, AT_FDCWD, l->folder);
    while (r >= 0 && (r = file_dir_next(&d, &entry)) > 0) {
        struct str name = str_of(entry.name);
        if (str_ends(name, STR(".crt")) && ca_add(l, h, name) < 0) return -1;
        if (str_ends(name, STR(".cert")) && client_file(l, h, name) < 0) return -1;
    }
    return r < 0 ? err_sys(l->e, -r, "read folder '%s'", l->folder) : 0;
}

/* ---- URLs ---- */

/* Sets authority and base of h. url: "[scheme://]authority[/path]". */
static int url_set(struct loader *l, struct registry_host *h, struct str url, bool path_as_is) {
    struct str rest = url;
    const char *scheme = NULL;
    if (str_starts(url, STR("http://"))) scheme = "http";
    if (str_starts(url, STR("https://"))) scheme = "https";
    if (scheme) rest = str_sub(url, strlen(scheme) + 3, url.n);
    ptrdiff_t slash = str_find(rest, '/');
    h->authority = slash < 0 ? rest : str_sub(rest, 0, (size_t)slash);
    struct str path = slash < 0 ? STR_NONE : str_sub(rest, (size_t)slash, rest.n);
    while (path.n > 0 && path.p[path.n - 1] == '/') path.n--;
    if (h->authority.n == 0 || str_contains(rest, STR("://")) || str_find(rest, '@') >= 0 ||
        str_find(rest, '?') >= 0 || str_find(rest, '#') >= 0 || str_find(rest, ' ') >= 0)
        return err_set(l->e, ERR_INVALID, "'%.*s' is not the URL of a registry",
                       url.n > 200 ? 200 : (int)url.n, url.p);
    if (!scheme) {
        bool plain = hosts_is_local(h->authority) && !str_eq(port_of(h->authority), STR("443"));
        scheme = plain ? "http" : "https";
    }
    bool add = !path_as_is && !str_ends(path, STR("/v2"));
    char *base = arena_fmt(l->a, "%s://%.*s%.*s%s", scheme, STR_ARG(h->authority), (int)path.n,
                           path.n ? path.p : "", add ? "/v2" : "");
    if (!base) return no_memory(l->e);
    h->base = str_of(base);
    return 0;
}

static int host_add(struct loader *l, struct registry_host **out) {
    if (l->count == HOSTS_MAX)
        return err_set(l->e, ERR_LIMIT, "more than %d hosts are given", HOSTS_MAX);
    struct registry_host *h = &l->hosts[l->count++];
    *h = (struct registry_host){.can_pull = true, .can_resolve = true, .dial_ms = HOSTS_DIAL_MS};
    *out = h;
    return 0;
}

/* ---- the keys of a host ---- */

static int wrong_type(struct loader *l, const struct toml *n, const char *wanted) {
    return err_set(l->e, ERR_INVALID, "line %u: '%.*s' must be %s", n->line, STR_ARG(n->key),
                   wanted);
}

/* A string, or each string of an array: calls add for it. */
static int strings_each(struct loader *l, struct registry_host *h, const struct toml *n,
                        int (*add)(struct loader *, struct registry_host *, struct str)) {
    if (n->type == TOML_STRING) return add(l, h, n->string);
    if (n->type != TOML_ARRAY) return wrong_type(l, n, "a string or an array of strings");
    for (const struct toml *item = n->first; item; item = item->next) {
        if (item->type != TOML_STRING) return wrong_type(l, n, "a string or an array of strings");
        if (add(l, h, item->string) < 0) return -1;
    }
    return 0;
}

static int capability_add(struct loader *l, struct registry_host *h, struct str name) {
    if (str_eq(name, STR("pull")))
        h->can_pull = true;
    else if (str_eq(name, STR("resolve")))
        h->can_resolve = true;
    else if (!str_eq(name, STR("push")) && !str_eq(name, STR("referrers")))
        return err_set(l->e, ERR_INVALID, "unknown capability '%.*s'", STR_ARG(name));
    return 0;
}

static int read_capabilities(struct loader *l, struct registry_host *h, const struct toml *n) {
    h->can_pull = h->can_resolve = false;
    return strings_each(l, h, n, capability_add);
}

static int read_ca(struct loader *l, struct registry_host *h, const struct toml *n) {
    return strings_each(l, h, n, ca_add);
}

static int client_add(struct loader *l, struct registry_host *h, struct str name) {
    return client_set(l, h, name, STR_NONE);
}

/* "both.pem", ["both.pem"] or [["cert.pem", "key.pem"]] */
static int read_client(struct loader *l, struct registry_host *h, const struct toml *n) {
    const struct toml *pair = n->type == TOML_ARRAY ? n->first : NULL;
    if (!pair || pair->type != TOML_ARRAY) return strings_each(l, h, n, client_add);
    const struct toml *cert = pair->first;
    const struct toml *key = cert ? cert->next : NULL;
    if (pair->next || !key || key->next || cert->type != TOML_STRING || key->type != TOML_STRING)
        return wrong_type(l, n, "one certificate: a string, or [[\"cert\", \"key\"]]");
    return client_set(l, h, cert->string, key->string);
}

static int read_skip_verify(struct loader *l, struct registry_host *h, const struct toml *n) {
    if (n->type != TOML_BOOL) return wrong_type(l, n, "true or false");
    h->tls.skip_verify = n->boolean;
    return 0;
}

static int header_add(struct loader *l, struct registry_host *h, const struct toml *name,
                      struct str value) {
    if (h->header_count == HOSTS_HEADERS_MAX)
        return err_set(l->e, ERR_LIMIT, "line %u: more than %d headers", name->line,
                       HOSTS_HEADERS_MAX);
    struct http_header *all = arena_array(l->a, HOSTS_HEADERS_MAX, sizeof(*all));
    if (!all) return no_memory(l->e);
    for (size_t i = 0; i < h->header_count; i++) all[i] = h->headers[i];
    all[h->header_count++] = (struct http_header){.name = name->key, .value = value};
    h->headers = all;
    return 0;
}

static int read_header(struct loader *l, struct registry_host *h, const struct toml *n) {
    if (n->type != TOML_TABLE) return wrong_type(l, n, "a table");
    for (const struct toml *m = n->first; m; m = m->next) {
        const struct toml *values = m->type == TOML_ARRAY ? m->first : m;
        for (const struct toml *v = values; v; v = m->type == TOML_ARRAY ? v->next : NULL) {
            if (v->type != TOML_STRING) return wrong_type(l, m, "a string or an array of strings");
            if (header_add(l, h, m, v->string) < 0) return -1;
        }
    }
    return 0;
}

/* A Go duration of h, m, s and ms without fractions: "1m30s". 0 on failure. */
static uint64_t duration_ms(struct str s) {
    static const struct {
        struct str name;
        uint64_t ms;
    } units[] = {{{"ms", 2}, 1}, {{"s", 1}, 1000}, {{"m", 1}, 60000}, {{"h", 1}, 3600000}};
    uint64_t total = 0;
    while (s.n > 0) {
        size_t digits = 0;
        while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9') digits++;
        uint64_t n, unit_ms = 0;
        if (digits > 6 || str_u64(str_sub(s, 0, digits), &n) < 0) return 0;
        s = str_sub(s, digits, s.n);
        for (size_t i = 0; i < COUNT(units) && !unit_ms; i++)
            if (str_starts(s, units[i].name)) {
                unit_ms = units[i].ms;
                s = str_sub(s, units[i].name.n, s.n);
            }
        if (!unit_ms) return 0;
        total += n * unit_ms;
    }
    return total;
}

static int read_dial_timeout(struct loader *l, struct registry_host *h, const struct toml *n) {
    uint64_t ms = n->type == TOML_STRING ? duration_ms(n->string) : 0;
    if (ms == 0 || ms > 3600000) return wrong_type(l, n, "a duration such as \"10s\"");
    h->dial_ms = ms;
    return 0;
}

static int host_read(struct loader *l, struct registry_host *h, const struct toml *table) {
    static const struct {
        struct str key;
        int (*read)(struct loader *, struct registry_host *, const struct toml *);
    } keys[] = {{{"capabilities", 12}, read_capabilities},
                {{"ca", 2}, read_ca},
                {{"client", 6}, read_client},
                {{"skip_verify", 11}, read_skip_verify},
                {{"header", 6}, read_header},
                {{"dial_timeout", 12}, read_dial_timeout}};
    for (size_t i = 0; i < COUNT(keys); i++) {
        const struct toml *n = toml_get(table, keys[i].key);
        if (n && keys[i].read(l, h, n) < 0) return -1;
    }
    return 0;
}

static bool overrides_path(const struct toml *table) {
    const struct toml *n = toml_get(table, STR("override_path"));
    return n && n->type == TOML_BOOL && n->boolean;
}

/* ---- the registry ---- */

static int upstream_add(struct loader *l, struct str registry, const struct toml *root) {
    struct registry_host *h;
    const struct toml *server = toml_get(root, STR("server"));
    if (host_add(l, &h) < 0) return -1;
    if (server && server->type != TOML_STRING) return wrong_type(l, server, "a URL");
    struct str url = server ? server->string : registry;
    if (!server && str_eq(registry, STR("docker.io"))) url = STR("registry-1.docker.io");
    if (url_set(l, h, url, overrides_path(root)) < 0) return -1;
    h->is_upstream = true;
    if (root) return host_read(l, h, root);
    return l->folder ? certificates_load(l, h) : 0;
}

static int mirrors_add(struct loader *l, const struct toml *root) {
    const struct toml *hosts = toml_get(root, STR("host"));
    if (!hosts) return 0;
    if (hosts->type != TOML_TABLE) return wrong_type(l, hosts, "a table");
    for (const struct toml *n = hosts->first; n; n = n->next) {
        struct registry_host *h;
        if (n->type != TOML_TABLE) return wrong_type(l, n, "a table");
        if (host_add(l, &h) < 0 || url_set(l, h, n->key, overrides_path(n)) < 0 ||
            host_read(l, h, n) < 0)
            return -1;
    }
    return 0;
}

/* The folder of a registry's files below dir, or NULL. */
static const char *folder_find(struct loader *l, const char *dir, struct str registry) {
    ptrdiff_t colon = str_rfind(registry, ':');
    const char *names[3] = {NULL, arena_fmt(l->a, "%s/%.*s", dir, STR_ARG(registry)),
                            arena_fmt(l->a, "%s/_default", dir)};
    if (colon > str_rfind(registry, ']'))
        names[0] = arena_fmt(l->a, "%s/%.*s_%.*s_", dir, (int)colon, registry.p,
                             (int)(registry.n - (size_t)colon - 1), registry.p + colon + 1);
    for (size_t i = 0; i < COUNT(names); i++)
        if (names[i] && file_exists(AT_FDCWD, names[i]) > 0) return names[i];
    return NULL;
}

static int toml_load(struct loader *l, const struct toml **out) {
    char *path = arena_fmt(l->a, "%s/hosts.toml", l->folder);
    struct str text;
    if (!path) return no_memory(l->e);
    int r = file_read_arena(l->a, AT_FDCWD, path, TOML_BYTES_MAX, &text);
    if (r == -ENOENT) return 0;
    if (r < 0) return err_sys(l->e, -r, "read '%s'", path);
    return toml_parse(l->a, text, out, l->e);
}

static void ns_set(struct loader *l, struct str registry) {
    bool docker = str_eq(registry, STR("docker.io"));
    for (size_t i = 0; i < l->count; i++) {
        struct registry_host *h = &l->hosts[i];
        bool own = str_eq(h->authority, registry) ||
                   (docker && str_eq(h->authority, STR("registry-1.docker.io")));
        if (!own) h->ns = registry;
    }
}

int hosts_load(struct arena *a, const char *dir, struct str registry,
               const struct registry_host **out, size_t *out_count, struct err *e) {
    struct loader l = {.a = a, .e = e};
    const struct toml *root = NULL;
    l.hosts = arena_array(a, HOSTS_MAX, sizeof(*l.hosts));
    if (!l.hosts) return no_memory(e);
    if (dir) l.folder = folder_find(&l, dir, registry);
    if ((l.folder && toml_load(&l, &root) < 0) || mirrors_add(&l, root) < 0 ||
        upstream_add(&l, registry, root) < 0)
        return err_in(e, "registry hosts of '%.*s' in '%s'", STR_ARG(registry),
                      l.folder ? l.folder : "");
    ns_set(&l, registry);
    *out = l.hosts;
    *out_count = l.count;
    return 0;
}
