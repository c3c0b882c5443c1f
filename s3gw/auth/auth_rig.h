/* SPDX-License-Identifier: Apache-2.0 — auth_rig.h: for tests: AWS's example key and requests as a
 * test writes them down. */
#pragma once

#include "s3gw/auth/auth.h"

#define RIG_KEY       "AKIAIOSFODNN7EXAMPLE"
#define RIG_SECRET    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define RIG_HEADERS   24
#define RIG_MAY_24    1369353600 /* 2013-05-24 00:00:00 UTC, the examples' time */
#define RIG_SHA_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct rig {
    struct s3_auth *au;
    struct arena a;
    struct s3_request r;
    struct s3_pair headers[RIG_HEADERS];
    struct s3_auth_result out;
    struct s3_error x;
    /* What the key store says. */
    bool sigv2_denied, store_broken;
    const char *token;
    int64_t expires_s;
    unsigned lookups;
};

static inline int rig_find(void *user, const struct s3_pair *ask, struct arena *a,
                           struct s3_auth_key *out, struct err *e) {
    struct rig *rig = user;
    (void)a;
    rig->lookups++;
    if (rig->store_broken) return err_set(e, ERR_IO, "the store is away");
    if (!str_eq(ask->name, STR(RIG_KEY))) return 0;
    *out = (struct s3_auth_key){.secret_bytes = strlen(RIG_SECRET),
                                .session_token = str_of(rig->token),
                                .expires_s = rig->expires_s,
                                .sigv2_denied = rig->sigv2_denied,
                                .identity = rig};
    memcpy(out->secret, RIG_SECRET, out->secret_bytes);
    return 1;
}

static inline void rig_open(struct rig *rig) {
    *rig = (struct rig){.a = ARENA(AUTH_ARENA_BYTES)};
    rig->au = s3_auth_new(STR("eu-central-1"), (struct s3_auth_keys){rig_find, rig});
    rig->r = (struct s3_request){.method = STR("GET"),
                                 .path = STR("/"),
                                 .headers = rig->headers,
                                 .service = STR("s3"),
                                 .now_s = RIG_MAY_24};
}

static inline void rig_close(struct rig *rig) {
    s3_auth_result_done(&rig->out);
    s3_auth_free(rig->au);
    arena_done(&rig->a);
}

static inline void rig_header(struct rig *rig, const char *name, const char *value) {
    if (rig->r.header_count == RIG_HEADERS) abort();
    rig->headers[rig->r.header_count++] = (struct s3_pair){str_of(name), str_of(value)};
}

/* "Name: value" lines, each ended by '\n'. Replaces the headers that are there. */
static inline void rig_headers(struct rig *rig, const char *lines) {
    struct str rest = str_of(lines);
    struct str line;
    rig->r.header_count = 0;
    while (str_next(&rest, '\n', &line)) {
        ptrdiff_t colon = str_find(line, ':');
        if (colon < 0) continue;
        if (rig->r.header_count == RIG_HEADERS) abort();
        rig->headers[rig->r.header_count++] = (struct s3_pair){
            str_sub(line, 0, (size_t)colon), str_sub(line, (size_t)colon + 1, line.n)};
    }
}

/* S3_OK or the error's code. */
static inline enum s3_code rig_ask(struct rig *rig) {
    rig->x = (struct s3_error){0};
    arena_done(&rig->a);
    rig->a = ARENA(AUTH_ARENA_BYTES);
    return s3_auth_request(rig->au, &rig->a, &rig->r, &rig->out, &rig->x) == 0 ? S3_OK
                                                                               : rig->x.code;
}
