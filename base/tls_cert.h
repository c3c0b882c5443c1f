/* SPDX-License-Identifier: Apache-2.0 — tls_cert.h: certificates that sign themselves, for a
 * server's first start. Any thread. Source: RFC 5280. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define TLS_CERT_NAMES_MAX      64
#define TLS_CERT_NAME_BYTES_MAX 253
#define TLS_CERT_DAYS_MAX       3650
#define TLS_CERT_PEM_BYTES_MAX  (64U << 10)

/* names: host names and IP addresses that the certificate is for; days from now: how long. A new
 * P-256 key, which signs in 15 us. out_cert and out_key become fresh buffers with PEM text that the
 * caller owns; wipe and free the key's. INVALID: a name that is none. */
int tls_cert_make(const struct str *names, size_t count, unsigned days, struct buf *out_cert,
                  struct buf *out_key, struct err *e) MUST_CHECK;
