/* SPDX-License-Identifier: Apache-2.0 — auth_token.c: the answer of a token server. */
#include "base/json.h"
#include "storage/image/auth.h"

#define EXPIRES_DEFAULT_S 60U

/* RFC 6750 b64token; anything else could not stand in a header. */
static bool token_is_clean(struct str t) {
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] <= ' ' || t.p[i] > '~') return false;
    return t.n > 0 && t.n <= AUTH_TOKEN_BYTES_MAX;
}

int auth_token_parse(struct arena *a, struct str json, struct str *out_token,
                     uint64_t *out_expires_s, struct err *e) {
    const struct json *doc;
    struct str token = STR_NONE;
    uint64_t expires_s = EXPIRES_DEFAULT_S;
    if (json_parse(a, json, JSON_LIMITS, &doc, e) < 0 ||
        json_opt_str(doc, "access_token", &token, e) < 0 ||
        (token.n == 0 && json_opt_str(doc, "token", &token, e) < 0) ||
        json_opt_u64(doc, "expires_in", &expires_s, e) < 0)
        return err_in(e, "the token server's answer");
    if (!token_is_clean(token))
        return err_set(e, ERR_INVALID, "the token server's answer holds no usable token");
    *out_token = token;
    *out_expires_s = expires_s ? expires_s : EXPIRES_DEFAULT_S;
    return 0;
}
