/* SPDX-License-Identifier: Apache-2.0 — reference.c: the grammar of image names, and their
 * completion.
 *
 *   reference = [host "/"] path [":" tag] ["@" digest]
 * The first component is a host when it holds a '.' or ':', is "localhost", or has an upper-case
 * letter (no path component may); everything else belongs to docker.io, and a path of one component
 * there to library/. */
#include "storage/image/reference.h"

#define ID_HEX_MIN 12

static bool is_lower(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_word(char c) { return is_lower(c) || is_upper(c); }

bool reference_is_digest(struct str s) {
    return s.n == REFERENCE_DIGEST_BYTES && str_starts(s, STR("sha256:")) &&
           str_is_hex(str_sub(s, 7, s.n));
}

bool reference_is_id(struct str s, struct str *out_hex) {
    bool has_prefix = str_starts(s, STR("sha256:"));
    struct str hex = has_prefix ? str_sub(s, 7, s.n) : s;
    if (hex.n < ID_HEX_MIN || hex.n > 64 || !str_is_hex(hex)) return false;
    *out_hex = hex;
    return true;
}

/* Length of the separator at s: ".", "_", "__" or any number of "-"; 0 when there is none. */
static size_t separator_length(struct str s) {
    if (s.n == 0) return 0;
    if (s.p[0] == '.') return 1;
    if (s.p[0] == '_') return s.n > 1 && s.p[1] == '_' ? 2 : 1;
    size_t n = 0;
    while (n < s.n && s.p[n] == '-') n++;
    return n;
}

/* component = alphanumeric runs joined by separators */
static bool component_valid(struct str s) {
    size_t at = 0;
    for (;;) {
        size_t run = at;
        while (at < s.n && is_lower(s.p[at])) at++;
        if (at == run) return false;
        if (at == s.n) return true;
        size_t separator = separator_length(str_sub(s, at, s.n));
        if (separator == 0) return false;
        at += separator;
    }
}

static bool path_valid(struct str path) {
    if (path.n == 0 || path.p[path.n - 1] == '/') return false;
    struct str rest = path;
    for (struct str part; str_next(&rest, '/', &part);)
        if (!component_valid(part)) return false;
    return true;
}

static bool port_valid(struct str port) {
    uint64_t number;
    return port.n > 0 && port.n <= 5 && str_u64(port, &number) == 0 && number > 0 &&
           number <= 65535;
}

/* Labels of letters, digits and inner '-', joined by '.'. */
static bool domain_valid(struct str s) {
    if (s.n == 0 || s.p[s.n - 1] == '.') return false;
    struct str rest = s;
    for (struct str label; str_next(&rest, '.', &label);) {
        if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-') return false;
        for (size_t i = 0; i < label.n; i++)
            if (!is_word(label.p[i]) && label.p[i] != '-') return false;
    }
    return true;
}

/* "[::1]": hex digits, ':' and '.' (an embedded IPv4 address). */
static bool ip6_valid(struct str s) {
    if (s.n < 4 || s.p[0] != '[' || s.p[s.n - 1] != ']') return false;
    bool colon = false;
    for (size_t i = 1; i + 1 < s.n; i++) {
        char c = s.p[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!hex && c != ':' && c != '.') return false;
        colon = colon || c == ':';
    }
    return colon;
}

static bool host_valid(struct str host) {
    struct str name = host;
    ptrdiff_t bracket = str_rfind(host, ']');
    ptrdiff_t colon = str_rfind(host, ':');
    if (colon > bracket) {
        name = str_sub(host, 0, (size_t)colon);
        if (!port_valid(str_sub(host, (size_t)colon + 1, host.n))) return false;
    }
    return host.p[0] == '[' ? ip6_valid(name) : domain_valid(name);
}

static bool tag_valid(struct str tag) {
    if (tag.n == 0 || tag.n > REFERENCE_TAG_BYTES_MAX) return false;
    for (size_t i = 0; i < tag.n; i++) {
        char c = tag.p[i];
        if (!is_word(c) && c != '_' && (i == 0 || (c != '.' && c != '-'))) return false;
    }
    return true;
}

static bool is_host(struct str first) {
    if (str_eq(first, STR("localhost"))) return true;
    for (size_t i = 0; i < first.n; i++)
        if (first.p[i] == '.' || first.p[i] == ':' || is_upper(first.p[i])) return true;
    return false;
}

static int invalid(struct err *e, struct str s, const char *why) {
    return err_set(e, ERR_INVALID, "image reference '%.*s': %s", s.n > 200 ? 200 : (int)s.n,
                   s.n ? s.p : "", why);
}

/* Cuts s into name, tag and digest. */
static int parts_split(struct str s, struct reference *r, struct str *out_name, struct err *e) {
    struct str rest = s;
    ptrdiff_t at = str_find(s, '@');
    if (at >= 0) {
        r->digest = str_sub(s, (size_t)at + 1, s.n);
        rest = str_sub(s, 0, (size_t)at);
        if (!reference_is_digest(r->digest))
            return invalid(e, s, "the digest is not sha256: and 64 lower-case hex digits");
    }
    ptrdiff_t colon = str_rfind(rest, ':');
    ptrdiff_t slash = str_rfind(rest, '/');
    if (colon > slash && !(slash < 0 && rest.n > 0 && rest.p[0] == '[')) {
        r->tag = str_sub(rest, (size_t)colon + 1, rest.n);
        rest = str_sub(rest, 0, (size_t)colon);
        if (!tag_valid(r->tag))
            return invalid(e, s,
                           "the tag must be 1 to 128 letters, digits, '_', '.' or '-', and "
                           "begin with none of the last two");
    }
    *out_name = rest;
    return 0;
}

static int name_split(struct str s, struct str name, struct reference *r, struct err *e) {
    ptrdiff_t slash = str_find(name, '/');
    struct str first = slash > 0 ? str_sub(name, 0, (size_t)slash) : STR_NONE;
    r->host = STR("docker.io");
    r->path = name;
    if (first.n > 0 && is_host(first)) {
        r->host = first;
        r->path = str_sub(name, (size_t)slash + 1, name.n);
        if (!host_valid(first)) return invalid(e, s, "the registry's host name is malformed");
        if (str_eq(first, STR("index.docker.io"))) r->host = STR("docker.io");
    }
    for (size_t i = 0; i < r->path.n; i++)
        if (is_upper(r->path.p[i])) return invalid(e, s, "the repository must be in lower case");
    if (!path_valid(r->path))
        return invalid(e, s,
                       "the repository must be lower-case letters and digits, joined by '/', '.', "
                       "'-', '_' or '__'");
    return 0;
}

int reference_parse(struct arena *a, struct str s, struct reference *out, struct err *e) {
    struct reference r = {0};
    struct str name = STR_NONE;
    if (s.n == 0) return invalid(e, s, "it is empty");
    if (s.n > REFERENCE_BYTES_MAX) return invalid(e, s, "it is longer than 512 bytes");
    if (memchr(s.p, '\0', s.n)) return invalid(e, STR("?"), "it holds a NUL byte");
    if (s.n == 64 && str_is_hex(s)) return invalid(e, s, "it is an image id, not a name");
    if (parts_split(s, &r, &name, e) < 0 || name_split(s, name, &r, e) < 0) return -1;
    bool official = str_eq(r.host, STR("docker.io")) && str_find(r.path, '/') < 0;
    const char *library = official ? "library/" : "";
    if (r.digest.n > 0) r.tag = STR_NONE;
    if (r.digest.n == 0 && r.tag.n == 0) r.tag = STR("latest");
    char mark = r.digest.n ? '@' : ':';
    struct str version = r.digest.n ? r.digest : r.tag;
    char *full = arena_fmt(a, "%.*s/%s%.*s%c%.*s", STR_ARG(r.host), library, STR_ARG(r.path), mark,
                           STR_ARG(version));
    if (!full) return err_set(e, ERR_LIMIT, "image reference: out of request memory");
    size_t host_n = r.host.n;
    r.full = str_of(full);
    r.name = str_sub(r.full, 0, r.full.n - version.n - 1);
    r.host = str_sub(r.name, 0, host_n);
    r.path = str_sub(r.name, host_n + 1, r.name.n);
    if (r.digest.n) r.digest = str_sub(r.full, r.name.n + 1, r.full.n);
    if (r.tag.n) r.tag = str_sub(r.full, r.name.n + 1, r.full.n);
    if (r.name.n > REFERENCE_NAME_BYTES_MAX)
        return invalid(e, s, "the name is longer than 255 bytes");
    *out = r;
    return 0;
}
