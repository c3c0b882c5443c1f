/* SPDX-License-Identifier: Apache-2.0 — http_uri.h: request targets, hosts and percent-encoding.
 *
 * Nothing is normalised: "//", "/./" and ".." are bytes of a path, because S3 keys hold them and
 * signatures cover them. Pure functions over borrowed bytes; any thread. Source: RFC 3986, RFC 9112
 * section 3.2. */
#pragma once

#include "base/buf.h"

#include <sys/types.h>

enum http_form { HTTP_ORIGIN_FORM, HTTP_ABSOLUTE_FORM, HTTP_AUTHORITY_FORM, HTTP_ASTERISK_FORM };

struct http_uri { /* views into the target */
    enum http_form form;
    struct str authority; /* of the absolute and the authority form */
    struct str path;      /* begins with '/'; "*" for the asterisk form; still encoded */
    struct str query;     /* without '?'; still encoded */
    bool has_query;       /* "/a?" has an empty one */
};

struct http_host {
    struct str name; /* an IPv6 address keeps its brackets */
    int port;        /* 0 to 65535, or -1 when there is none */
};

/* Takes a target apart. -EINVAL: none of the four forms, a byte that no URI holds (blanks, control
 * bytes, bytes from 0x80 on, '"', '<', '>', '\', '#'), or a '%' without two hex digits. A few bytes
 * that RFC 3986 wants encoded and that browsers send are let through: ^ ` { | } [ ]. */
int http_uri_parse(struct str target, struct http_uri *out) MUST_CHECK;
/* "host", "host:port", "[v6]:port"; no user, no empty host. 0 or -EINVAL. */
int http_host_parse(struct str text, struct http_host *out) MUST_CHECK;

enum http_plus { HTTP_PLUS_LITERAL, HTTP_PLUS_IS_BLANK };
/* Decodes %XX into out, which has room for in.n bytes and may be in.p itself; returns the length or
 * -EINVAL. What comes out may hold any byte, NUL too. HTTP_PLUS_IS_BLANK: form data, where '+' is a
 * blank. */
ssize_t http_uri_decode(struct str in, enum http_plus plus, char *out) MUST_CHECK;

enum http_slash { HTTP_SLASH_ENCODED, HTTP_SLASH_KEPT };
/* Appends `in` with every byte but A-Z a-z 0-9 - . _ ~ as %XX (upper case): the encoding that AWS
 * signatures are made over. 0 or -ENOSPC. */
int http_uri_encode(struct buf *b, struct str in, enum http_slash slash) MUST_CHECK;

struct http_param {
    struct str name, value; /* still encoded */
    bool has_value;         /* "a=" has an empty one, "a" has none */
};
/* Takes the next parameter off *query; empty ones ("a&&b") are left out. False at the end. */
bool http_query_next(struct str *query, struct http_param *out);
