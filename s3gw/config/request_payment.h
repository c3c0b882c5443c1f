/* SPDX-License-Identifier: Apache-2.0 — request_payment.h: the RequestPaymentConfiguration of a
 * bucket: stored and given back; nobody pays anybody here.
 *
 * Any thread. Source: Amazon S3 API reference, PutBucketRequestPayment. */
#pragma once

#include "s3gw/config/element.h"

enum request_payer { PAYER_BUCKET_OWNER, PAYER_REQUESTER };

/* Errors: MalformedXML. */
int request_payment_parse(struct arena *a, struct str document, enum request_payer *out,
                          struct s3_error *x) MUST_CHECK;
int request_payment_write(enum request_payer payer, struct buf *to) MUST_CHECK; /* or -ENOSPC */
