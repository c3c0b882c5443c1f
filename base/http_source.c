/* SPDX-License-Identifier: Apache-2.0 — http_source.c: a hash table with chains. */
#include "base/http_source.h"

#include "base/random.h"

#include <assert.h>
#include <netinet/in.h>

void http_sources_init(struct http_sources *t) {
    *t = (struct http_sources){0};
    random_bytes(&t->salt, sizeof t->salt);
}

/* The bytes that stand for the address; false for a Unix socket's. An IPv4 address that came
 * through an IPv6 socket is the same address. */
static bool key_of(const struct sockaddr *a, uint8_t *key) {
    memset(key, 0, HTTP_SOURCE_BYTES);
    if (a->sa_family == AF_INET) {
        memcpy(key, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
        return true;
    }
    if (a->sa_family != AF_INET6) return false;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6))
        memcpy(key, v6->s6_addr + 12, 4);
    else
        memcpy(key, v6->s6_addr, 8);
    return true;
}

static struct http_source **bucket_of(struct http_sources *t, const uint8_t *key) {
    uint64_t hash = t->salt;
    for (size_t i = 0; i < HTTP_SOURCE_BYTES; i++)
        hash = (hash ^ key[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return &t->buckets[(hash >> 32) % HTTP_SOURCE_BUCKETS];
}

struct http_source *http_source_take(struct http_sources *t, const struct sockaddr *a,
                                     uint32_t count_max, bool *out_counts) {
    uint8_t key[HTTP_SOURCE_BYTES];
    *out_counts = key_of(a, key);
    if (!*out_counts) return NULL;
    struct http_source **bucket = bucket_of(t, key);
    struct http_source *source = *bucket;
    while (source && memcmp(source->key, key, sizeof key) != 0) source = source->next;
    if (source) {
        if (source->count >= count_max) return NULL;
        source->count++;
        return source;
    }
    if (count_max == 0) return NULL;
    source = xnew(struct http_source);
    memcpy(source->key, key, sizeof key);
    source->count = 1;
    source->next = *bucket;
    *bucket = source;
    return source;
}

void http_source_give(struct http_sources *t, struct http_source *source) {
    if (!source) return;
    assert(source->count > 0);
    if (--source->count > 0) return;
    struct http_source **at = bucket_of(t, source->key);
    while (*at != source) at = &(*at)->next;
    *at = source->next;
    free(source);
}
