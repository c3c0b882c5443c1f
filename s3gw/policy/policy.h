/* SPDX-License-Identifier: Apache-2.0 — policy.h: policies of buckets and of users: strict reading,
 * and what they say about one request.
 *
 * A document that is accepted has nothing in it that would be passed over: unknown members,
 * operators and condition keys are errors, since a Deny that is not understood would allow.
 * Whatever cannot be decided within the limits is POLICY_DENY. A policy is immutable; any thread.
 * Source: IAM user guide, "IAM JSON policy elements", "policy evaluation logic"; Amazon S3 user
 * guide, "Bucket policies"; semantics of the quantifiers: "Multivalued context keys". */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "s3gw/request.h"

#define POLICY_BYTES_MAX      (20 << 10)
#define POLICY_STATEMENTS_MAX 200
#define POLICY_TEXT_MAX       2048      /* of one string in a document */
#define POLICY_VALUE_MAX      2048      /* of a request's value that a condition looks at */
#define POLICY_STEPS_MAX      20000000  /* of matching, in one evaluation */
#define POLICY_ARENA_BYTES    (2 << 20) /* enough for every document of POLICY_BYTES_MAX */

/* bucket: the policy is this bucket's: it must name principals and only resources in it. Empty: it
 * is a user's or a session's: it must not name principals. */
struct policy;
/* Errors: INVALID (what, in which statement) and LIMIT; both are MalformedPolicy on the wire. *out
 * and all texts live in `a`. */
int policy_parse(struct arena *a, struct str document, struct str bucket, const struct policy **out,
                 struct err *e) MUST_CHECK;

struct policy_question {
    struct str action;   /* "s3:GetObject" */
    struct str resource; /* "arn:aws:s3:::bucket/key" */
    /* Who asks; all empty: anonymous. */
    struct str principal_arn; /* "arn:aws:iam::ACCOUNT:user/NAME" */
    struct str account;       /* "ACCOUNT" */
    struct str canonical_id;
    /* The condition keys that the request has, by any case: "aws:SourceIp"; a key with several
     * values comes several times. Dates as 2013-05-24T00:00:00Z, booleans as true and false. */
    const struct s3_pair *context;
    size_t context_count;
};
enum policy_verdict { POLICY_SILENT, POLICY_ALLOW, POLICY_DENY };
/* An explicit Deny wins; POLICY_SILENT: nothing in it applies. */
enum policy_verdict policy_evaluate(const struct policy *p, const struct policy_question *q);
/* True when some Allow applies to everybody without a condition that narrows it to addresses or
 * principals: what "block public policy" refuses. */
bool policy_is_public(const struct policy *p);
