/* SPDX-License-Identifier: Apache-2.0 — tagging.h: tags of objects and buckets: the Tagging
 * document and the form of the header x-amz-tagging, "k1=v1&k2=v2", which is also how they are
 * kept with an object.
 *
 * Lengths count characters, not bytes. Allowed are letters, digits, blanks and "+-=._:/@";
 * everything above ASCII counts as a letter. Any thread. Source: Amazon S3 API reference,
 * PutObjectTagging, PutBucketTagging; user guide, "Categorizing your storage using tags". */
#pragma once

#include "s3gw/config/element.h"

#define TAGS_OF_OBJECT_MAX  10
#define TAGS_OF_BUCKET_MAX  50
#define TAG_KEY_CHARS_MAX   128
#define TAG_VALUE_CHARS_MAX 256

struct tag {
    struct str key, value;
};
struct tagging { /* keys are unique */
    const struct tag *at;
    size_t count;
};

/* tags_max: TAGS_OF_OBJECT_MAX or TAGS_OF_BUCKET_MAX. Errors: MalformedXML, InvalidTag (rules of
 * keys and values, the same key twice, "aws:"), BadRequest (too many). */
int tagging_parse(struct arena *a, struct str document, size_t tags_max, struct tagging *out,
                  struct s3_error *x) MUST_CHECK;
/* The same for Tag children of any element, each a Key and a Value. */
int tagging_of_element(struct arena *a, const struct element *e, size_t tags_max,
                       struct tagging *out, struct s3_error *x) MUST_CHECK;
int tagging_write(const struct tagging *t, struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */

/* x-amz-tagging, for objects. Errors: InvalidArgument (not of this form, the same key twice),
 * InvalidTag, BadRequest. */
int tagging_of_header(struct arena *a, struct str value, struct tagging *out,
                      struct s3_error *x) MUST_CHECK;
int tagging_header(const struct tagging *t, struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */

/* The value of a key; .p NULL: no such tag. */
struct str tagging_get(const struct tagging *t, struct str key);
