/* SPDX-License-Identifier: Apache-2.0 — key_cache.h: the signing keys of SigV4, derived once a day.
 *
 * Deriving one takes four HMACs; requests of a client share it for a day. Bounded: a slot per hash,
 * the newest stays. An entry counts for its secret only, so a changed secret needs no invalidation.
 * Only keys of verified signatures are put in, so that strangers cannot push others out. One thread
 * at a time. Source: Amazon S3 API reference, "Calculate signature". */
#pragma once

#include "base/digest.h"

#define KEY_CACHE_SLOTS 512

struct signing_scope {
    struct str secret, date, region, service;
};

struct key_cache;
struct key_cache *key_cache_new(void); /* never NULL */
void key_cache_free(struct key_cache *c);
/* Gives the cached key, or derives it. True when it was there. */
bool key_cache_get(const struct key_cache *c, const struct signing_scope *s,
                   uint8_t out[DIGEST_BYTES]);
void key_cache_put(struct key_cache *c, const struct signing_scope *s,
                   const uint8_t key[DIGEST_BYTES]);
