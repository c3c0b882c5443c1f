/* SPDX-License-Identifier: Apache-2.0 — hosts.h: which servers answer for a registry, and how to
 * talk to them.
 *
 * Reads containerd's layout below one folder: <dir>/<host>_<port>_/, <dir>/<host>:<port>/ or
 * <dir>/_default/, holding hosts.toml or, without it, Docker's certificate files (*.crt are CAs,
 * NAME.cert and NAME.key a client's). Without any of it a registry answers for itself, by https or,
 * when it is this machine, by http. Blocks on the disk; any thread. Source: containerd
 * docs/hosts.md. Not obeyed: push capabilities (nothing is pushed) and more than one client
 * certificate for a host (an error). */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/http_client.h"

#define HOSTS_MAX          16 /* servers for one registry */
#define HOSTS_HEADERS_MAX  32 /* for one server */
#define HOSTS_CA_BYTES_MAX (1U << 20)
#define HOSTS_DIAL_MS      30000U

struct registry_host {
    struct str base;      /* "https://mirror:5000/v2", no '/' at the end */
    struct str authority; /* "mirror:5000": what messages and credentials go by */
    struct str ns;        /* value of the query parameter ns for a mirror, else empty */
    bool can_pull, can_resolve;
    bool is_upstream; /* the registry itself: credentials are meant for it */
    struct http_tls tls;
    const struct http_header *headers;
    size_t header_count;
    uint64_t dial_ms;
};

/* registry: a reference's host ("docker.io"). dir: may be NULL, need not exist. *out: at least one,
 * in the order to try them, the registry itself last; all lives in a. INVALID: a file is
 * malformed (its name and line are in the text); IO: it cannot be read. */
int hosts_load(struct arena *a, const char *dir, struct str registry,
               const struct registry_host **out, size_t *out_count, struct err *e) MUST_CHECK;
/* localhost, 127.0.0.0/8 and [::1], with any port. */
bool hosts_is_local(struct str authority);
