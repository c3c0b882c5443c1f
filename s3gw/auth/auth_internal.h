/* SPDX-License-Identifier: Apache-2.0 — auth_internal.h: what the files of this folder share. */
#pragma once

#include "s3gw/auth/auth.h"
#include "s3gw/auth/key_cache.h"
#include "s3gw/uri.h"

struct s3_auth {
    char region[AUTH_REGION_MAX + 1];
    struct s3_auth_keys keys;
    struct key_cache *cache; /* owned */
};

/* One request while it is looked at. */
struct auth_job {
    struct s3_auth *au;
    struct arena *a;
    const struct s3_request *r;
    struct uri_query query;
    struct s3_error *x;
};

/* How an error of a V4 credential is told: in the header, in the query, in a form. */
enum auth_place { PLACE_HEADER, PLACE_QUERY, PLACE_POST };

/* The credential of V4, and what it is good for. */
struct v4_claim {
    enum auth_place place;
    struct str access_key, date, region, service; /* of the credential */
    struct str scope;                             /* "date/region/service/aws4_request" */
    struct str signed_headers;                    /* "a;b;c" */
    struct str signature;                         /* hex */
    struct str token;
    struct str payload; /* the last line of the canonical request */
    char timestamp[17];
    int64_t at_s;
};

/* Helpers; all that fail return -1 with job->x filled in. */
/* The value of a header that may come at most once: absent gives .p NULL. */
int auth_one_header(struct auth_job *job, const char *name, struct str *out) MUST_CHECK;
/* A parameter that may come at most once; absent gives .p NULL. */
int auth_parameter(struct auth_job *job, const char *name, struct str *out) MUST_CHECK;
/* A control character other than a tab. */
bool auth_has_control(struct str s);
int auth_no_memory(struct auth_job *job); /* the arena is full */
/* The key of that name, its session checked: not expired, the token is the right one. */
int auth_find_key(struct auth_job *job, struct str access_key, struct str token,
                  struct s3_auth_key *out) MUST_CHECK;
/* Reads x-amz-content-sha256. */
int auth_payload_of(struct auth_job *job, struct str value, struct s3_auth_result *out) MUST_CHECK;
/* The value of the form's field, any case; .p NULL when absent. */
struct str auth_field(const struct s3_form *form, const char *name);

int v4_header(struct auth_job *job, struct str authorization,
              struct s3_auth_result *out) MUST_CHECK;
int v4_query(struct auth_job *job, struct s3_auth_result *out) MUST_CHECK;
int v4_post(struct auth_job *job, struct str policy, struct s3_auth_result *out) MUST_CHECK;
/* "AKID/20130524/us-east-1/s3/aws4_request": form, region, service, and the date, which must be
 * that of claim->timestamp. Fills in the claim. */
int v4_credential(struct auth_job *job, struct str text, struct v4_claim *claim) MUST_CHECK;
/* "AuthorizationHeaderMalformed" or what it is called at another place; with what is wrong. */
int v4_malformed(struct auth_job *job, enum auth_place place, const char *what);
/* The canonical request, and how it is signed: in v4_canonical.c. */
int v4_canonical_hash(struct auth_job *job, const struct v4_claim *claim,
                      struct digest *out) MUST_CHECK;
int v4_check_headers(struct auth_job *job, const struct v4_claim *claim) MUST_CHECK;
/* Signs `text` with the claim's key and compares; fills in what the key says of *out. */
int v4_verify(struct auth_job *job, const struct v4_claim *claim, struct str text,
              struct s3_auth_result *out) MUST_CHECK;

int v2_header(struct auth_job *job, struct str authorization,
              struct s3_auth_result *out) MUST_CHECK;
int v2_query(struct auth_job *job, struct s3_auth_result *out) MUST_CHECK;
int v2_post(struct auth_job *job, struct str policy, struct s3_auth_result *out) MUST_CHECK;

/* The policy document of a form: expiry, conditions, and that no field is without one. */
int post_policy_check(struct auth_job *job, struct str policy_base64,
                      struct s3_auth_result *out) MUST_CHECK;
