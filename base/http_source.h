/* SPDX-License-Identifier: Apache-2.0 — http_source.h: how many connections each address has.
 *
 * One thread at a time. An IPv4 address counts by itself, an IPv6 address as its /64 network, which
 * is what one customer has. */
#pragma once

#include "base/own.h"
#include "base/str.h"

#include <sys/socket.h>

#define HTTP_SOURCE_BUCKETS 1024
#define HTTP_SOURCE_BYTES   8

struct http_source { /* one address with connections */
    uint8_t key[HTTP_SOURCE_BYTES];
    uint32_t count;
    struct http_source *next; /* in its bucket */
};

struct http_sources {
    struct http_source *buckets[HTTP_SOURCE_BUCKETS]; /* owned */
    uint64_t salt; /* so that nobody can fill one bucket on purpose */
};

void http_sources_init(struct http_sources *t);
/* Counts one more of this address; NULL when it would be more than count_max, or when the address
 * is that of a Unix socket, which is not counted (then *out_counts is false). */
struct http_source *http_source_take(struct http_sources *t, const struct sockaddr *a,
                                     uint32_t count_max, bool *out_counts);
/* Gives back what take returned; NULL-safe. */
void http_source_give(struct http_sources *t, struct http_source *source);
