/* SPDX-License-Identifier: Apache-2.0 — data_internal.h: the data layer in memory. */
#pragma once

#include "s3gw/data/data.h"

#include <pthread.h>

struct data_get;

struct data {
    struct meta *meta;
    struct zdb_namespace *ns;
    pthread_mutex_t lock; /* of what follows; a leaf */
    pthread_cond_t changed;
    struct data_get *readers; /* those that are open */
    bool stopping;
    bool has_thread;
    pthread_t thread;
};

struct data_key {
    char bytes[DATA_KEY_BYTES];
};
static inline struct data_key data_key_of(uint64_t id) {
    struct data_key k;
    for (size_t i = 0; i < DATA_KEY_BYTES; i++)
        k.bytes[i] = (char)(id >> (8 * (DATA_KEY_BYTES - 1 - i)) & 0xff);
    return k;
}
static inline struct str data_key_str(const struct data_key *k) {
    return str_make(k->bytes, DATA_KEY_BYTES);
}
bool data_is_stopping(struct data *d);
bool data_is_read(struct data *d, uint64_t body); /* data_get.c */
