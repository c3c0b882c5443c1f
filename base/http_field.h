/* SPDX-License-Identifier: Apache-2.0 — http_field.h: header fields of HTTP/1.1, as the server
 * reads and writes them.
 *
 * Pure functions over borrowed bytes; any thread. Source: RFC 9110 section 5 (fields), RFC 9112
 * section 5 (field syntax in HTTP/1.1). */
#pragma once

#include "base/own.h"
#include "base/str.h"

struct http_field {
    struct str name, value;
};

/* A token of RFC 9110 section 5.6.2: a method, a field's name. */
bool http_is_token(struct str s);
/* Bytes that may stand in a value: no control byte but HTAB. Bytes from 0x80 on are let through, as
 * RFC 9110 section 5.5 says ("obs-text"): S3 clients send metadata as UTF-8. */
bool http_is_value(struct str s);
/* Takes a line without its CRLF apart: the name is a token that the colon follows at once, white
 * space around the value is not part of it. A folded line (RFC 9112 section 5.2) is refused,
 * because it begins with white space. Returns NULL, or what is wrong with it (static text). */
const char *http_field_parse(struct str line, struct http_field *out) MUST_CHECK;
/* True when the comma-separated list `value` has this element, in any case. */
bool http_list_has(struct str value, struct str element);
