/* SPDX-License-Identifier: Apache-2.0 — identity.c: the root user and its key. */
#include "s3gw/gateway/identity.h"

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"

#include <errno.h>
#include <stdio.h>

#define ROOT_FILE           "root.json"
#define ROOT_FILE_BYTES_MAX 4096
#define MADE_ACCESS_CHARS   16
#define MADE_SECRET_CHARS   40

/* The canonical id of root is the same on every gateway of a store, whatever its key is. */
static void make_root(struct identities *i) {
    struct digest d = digest_of(STR("gridlet-s3 root"));
    (void)digest_hex(&d, i->root.canonical_id);
    i->root.display_name = "root";
    i->root.arn = "arn:aws:iam::" IDENTITY_ACCOUNT ":root";
    i->root.is_root = true;
}

static int set_key(struct identities *i, struct str access, struct str secret, struct err *e) {
    if (access.n < 3 || access.n > AUTH_ACCESS_KEY_MAX)
        return err_set(e, ERR_INVALID, "the root access key must have 3 to %d characters",
                       AUTH_ACCESS_KEY_MAX);
    if (secret.n < 8 || secret.n > AUTH_SECRET_MAX)
        return err_set(e, ERR_INVALID, "the root secret key must have 8 to %d characters",
                       AUTH_SECRET_MAX);
    (void)snprintf(i->access_key, sizeof i->access_key, "%.*s", STR_ARG(access));
    (void)snprintf(i->secret, sizeof i->secret, "%.*s", STR_ARG(secret));
    return 0;
}

static int read_file(struct identities *i, struct str text, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(16 * ROOT_FILE_BYTES_MAX);
    const struct json *doc = NULL;
    struct str access = STR_NONE;
    struct str secret = STR_NONE;
    if (json_parse(&a, text, JSON_LIMITS, &doc, e) < 0 ||
        json_need_str(doc, "accessKey", &access, e) < 0 ||
        json_need_str(doc, "secretKey", &secret, e) < 0 || set_key(i, access, secret, e) < 0)
        return err_in(e, "'" ROOT_FILE "' (remove it to have a new key made)");
    return 0;
}

/* 20 characters as AWS's keys have them, and 40 hex digits: 160 bits. */
static int make_file(int root_fd, struct identities *i, struct err *e) {
    char id[MADE_ACCESS_CHARS + 1];
    char secret[MADE_SECRET_CHARS + 1];
    random_hex(id, MADE_ACCESS_CHARS);
    random_hex(secret, MADE_SECRET_CHARS);
    for (char *p = id; *p; p++)
        if (*p >= 'a') *p = (char)(*p - 'a' + 'A');
    (void)snprintf(i->access_key, sizeof i->access_key, "GKIA%s", id);
    (void)snprintf(i->secret, sizeof i->secret, "%s", secret);
    secret_wipe(secret, sizeof secret);
    AUTO(buf_done) struct buf text = BUF(ROOT_FILE_BYTES_MAX);
    struct json_out w = JSON_OUT_PRETTY(&text);
    json_out_object(&w, NULL);
    json_out_c(&w, "accessKey", i->access_key);
    json_out_c(&w, "secretKey", i->secret);
    json_out_close(&w);
    int r = json_out_end(&w);
    if (r == 0) r = file_write_durable(root_fd, ROOT_FILE, buf_view(&text), 0600);
    secret_wipe(text.p, text.n);
    if (r < 0) return err_sys(e, -r, "keep the root key in '" ROOT_FILE "'");
    i->is_made = true;
    return 0;
}

int identities_open(int root_fd, const struct identity_given *given, struct identities *out,
                    struct err *e) {
    *out = (struct identities){.is_made = false};
    make_root(out);
    if (!given->access_key != !given->secret)
        return err_set(e, ERR_INVALID,
                       "the root key needs both GRIDLET_S3_ACCESS_KEY and "
                       "GRIDLET_S3_SECRET_KEY, or none");
    if (given->access_key) return set_key(out, str_of(given->access_key), str_of(given->secret), e);
    AUTO(buf_done) struct buf text = BUF(ROOT_FILE_BYTES_MAX);
    int r = file_read_all(root_fd, ROOT_FILE, ROOT_FILE_BYTES_MAX, &text);
    if (r == -ENOENT) return make_file(root_fd, out, e);
    if (r < 0) return err_sys(e, -r, "read '" ROOT_FILE "'");
    r = read_file(out, buf_view(&text), e);
    secret_wipe(text.p, text.n);
    return r;
}

void identities_done(struct identities *i) { secret_wipe(i->secret, sizeof i->secret); }

static int find(void *user, const struct s3_pair *key_and_token, struct arena *a,
                struct s3_auth_key *out, struct err *e) {
    (void)a;
    (void)e;
    struct identities *i = user;
    if (!str_eq(key_and_token->name, str_of(i->access_key))) return 0;
    *out = (struct s3_auth_key){.secret_bytes = strlen(i->secret), .identity = &i->root};
    memcpy(out->secret, i->secret, out->secret_bytes);
    return 1;
}

struct s3_auth_keys identities_keys(struct identities *i) {
    return (struct s3_auth_keys){.find = find, .user = i};
}
