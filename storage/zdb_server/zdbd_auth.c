/* SPDX-License-Identifier: Apache-2.0 — zdbd_auth.c: AUTH and SELECT.
 *
 * SECURE: the client asks for a challenge, 16 hex digits, and answers with the SHA-1 of
 * "challenge:password" instead of the password. Secrets are compared in constant time.
 * Source: 0-db 2.0.7 (zdbd/commands_auth.c, commands_namespace.c, libzdb/security.c). */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/random.h"

#include <stdio.h>

#define PASSWORD_ARG_MAX 128
#define SELECT_ARG_MAX   255
#define SALTED_BYTES     (ZDBD_NONCE_CHARS + 1 + 4096)

/* Whether the answer is the hash of the connection's challenge and the password. */
static bool answers_challenge(const struct zdbd_session *s, struct str answer,
                              struct str password) {
    char hex[DIGEST_SHA1_HEX_CHARS + 1];
    AUTO(buf_done) struct buf salted = BUF(SALTED_BYTES);
    int r = buf_fmt(&salted, "%s:", s->nonce);
    if (r == 0) r = buf_str(&salted, password);
    if (r < 0) return false;
    (void)digest_sha1_hex(buf_view(&salted), hex);
    return digest_eq_secret(str_of(hex), answer);
}

/* What both SECURE forms check; false when it was answered. */
static bool has_challenge(struct zdbd_session *s, struct str answer) {
    if (!s->nonce[0])
        zdbd_error(s, "No CHALLENGE requested, secure authentication not available");
    else if (answer.n != DIGEST_SHA1_HEX_CHARS)
        zdbd_error(s, "Invalid hash length");
    else
        return true;
    return false;
}

static void become_admin(struct zdbd_session *s, bool is_right) {
    if (!is_right) {
        s->server->counts.denied++;
        zdbd_error(s, "Access denied");
        return;
    }
    s->is_admin = true;
    zdbd_ok(s);
}

static void auth_regular(struct zdbd_session *s, const struct resp_request *r) {
    struct str password = s->server->options.admin_password;
    if (password.n == 0)
        zdbd_error(s, "Authentication disabled");
    else if (!zdbd_check_args(s, r, 2))
        return;
    else if (r->args[1].n > PASSWORD_ARG_MAX)
        zdbd_error(s, "Password too long");
    else
        become_admin(s, digest_eq_secret(r->args[1], password));
}

static void auth_secure(struct zdbd_session *s, const struct resp_request *r) {
    struct str password = s->server->options.admin_password;
    if (!zdbd_check_args(s, r, 3)) return;
    if (!str_eq_nocase(r->args[1], STR("SECURE"))) {
        zdbd_error(s, "Only SECURE extra method supported");
        return;
    }
    if (str_eq_nocase(r->args[2], STR("CHALLENGE"))) { /* SELECT needs one, too */
        resp_simple(&s->out, str_of(random_hex(s->nonce, ZDBD_NONCE_CHARS)));
        return;
    }
    if (password.n == 0) {
        zdbd_error(s, "Authentication disabled");
        return;
    }
    if (!has_challenge(s, r->args[2])) return;
    become_admin(s, answers_challenge(s, r->args[2], password));
    s->nonce[0] = '\0';
}

void zdbd_auth(struct zdbd_session *s, const struct resp_request *r) {
    if (r->count == 2)
        auth_regular(s, r);
    else if (r->count == 3)
        auth_secure(s, r);
    else
        zdbd_error(s, "Unexpected arguments");
}

/* ---- SELECT ---- */

/* Whether the password in the request is right; answers when not. */
static bool opens(struct zdbd_session *s, const struct resp_request *r, struct str password) {
    bool is_right = false;
    if (r->count > 4) {
        zdbd_error(s, "Too many arguments");
        return false;
    }
    if (r->count == 3) {
        if (r->args[2].n > SELECT_ARG_MAX) {
            zdbd_error(s, "Password too long");
            return false;
        }
        is_right = digest_eq_secret(r->args[2], password);
    } else {
        if (!str_eq_nocase(r->args[2], STR("SECURE"))) {
            zdbd_error(s, "Only SECURE extra method supported");
            return false;
        }
        if (!has_challenge(s, r->args[3])) return false;
        is_right = answers_challenge(s, r->args[3], password);
    }
    if (is_right) return true;
    s->server->counts.denied++;
    zdbd_error(s, "Access denied");
    return false;
}

void zdbd_select(struct zdbd_session *s, const struct resp_request *r) {
    bool is_writable = true;
    if (r->count < 2) {
        zdbd_error(s, "Invalid argument");
        return;
    }
    if (r->args[1].n > ZDB_NAME_BYTES_MAX) {
        zdbd_error(s, "Namespace too long");
        return;
    }
    struct zdbd_space *p = zdbd_space_find(s->server, r->args[1]);
    if (!p) {
        zdbd_error(s, "Namespace not found");
        return;
    }
    if (!p->exclusive && !p->ns) { /* nor is its password known */
        zdbd_error(s, ZDBD_NOT_OPEN);
        return;
    }
    struct str password = zdbd_space_password(p);
    if (password.n > 0 && r->count < 3) {
        if (!p->settings.is_public) {
            zdbd_error(s, "Namespace protected and private");
            return;
        }
        is_writable = false;
    } else if (password.n > 0 && !opens(s, r, password)) {
        return;
    }
    s->space = p;
    s->is_writable = is_writable;
    zdbd_ok(s);
}
