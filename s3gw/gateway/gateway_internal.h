/* SPDX-License-Identifier: Apache-2.0 — gateway_internal.h: the gateway in memory. */
#pragma once

#include "s3gw/data/data.h"
#include "s3gw/gateway/call.h"
#include "s3gw/gateway/gateway.h"

#define GATEWAY_HOST_ID "gridlet"

struct gateway {
    struct loop *loop; /* borrowed */
    int root_fd;       /* owned */
    char *root;        /* owned */
    struct meta *meta;
    struct data *data;
    struct identities identities;
    struct s3_auth *auth;
    struct http_server *server;
    struct tls_config *tls;
    struct str domain, region;    /* owned */
    struct gateway_count *counts; /* one for each route; owned */
    /* Of the call that ends now: on_access comes right before its on_done. */
    struct gateway_access {
        unsigned status;
        uint64_t received_bytes, sent_bytes, took_ns;
        bool failed;
    } access;
};

void gateway_log_call(struct gateway *g, const struct call *c);
