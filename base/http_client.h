/* SPDX-License-Identifier: Apache-2.0 — http_client.h: streaming HTTP requests on the event loop.
 *
 * libcurl (multi interface) is wrapped here alone. HTTP/1.1 and 2, http and https only; a proxy
 * comes from the environment as curl's documentation says. Redirects of GET and HEAD are followed
 * here and not by curl, so that what must not leave an origin does not: when scheme, host or port
 * changes, every header but Accept, Range and User-Agent is dropped, and so is the client
 * certificate; from https to http is refused. Everything is called from and calls back on the loop
 * thread. A callback may call any function of this file, and is never called from inside the
 * function that started or cancelled its request. */
#pragma once

#include "base/loop.h"

#define HTTP_REDIRECTS_MAX        5
#define HTTP_HEADER_BYTES_MAX     (64U << 10) /* of one response, all lines */
#define HTTP_BACKLOG_BYTES_MAX    (4U << 20)  /* received, not yet consumed; then curl holds back */
#define HTTP_ERROR_BODY_BYTES_MAX (64U << 10) /* of a reply that is not 2xx; the rest is not read  \
                                               */

struct http_client;
struct http_exchange;
struct http_response;

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST };

struct http_header {
    struct str name, value;
};

struct http_tls {
    struct str ca_pem;       /* certificates trusted beside the system's; may be empty */
    const char *client_cert; /* path of a PEM file, or NULL */
    const char *client_key;  /* path of a PEM file; NULL: it is in client_cert */
    bool skip_verify;
};

struct http_request { /* everything is copied by http_start() */
    enum http_method method;
    const char *url;
    const struct http_header *headers;
    size_t header_count;
    struct str body; /* of a POST */
    struct http_tls tls;
    uint64_t connect_ms;     /* 0: 30,000 */
    uint64_t stall_ms;       /* no byte for so long while the consumer is not pausing; 0: 30,000 */
    uint64_t total_ms;       /* 0: no limit */
    uint64_t body_bytes_max; /* of a 2xx reply; more is LIMIT */
    bool bulk; /* a large body: HTTP/1.1 on its own connection, large receive buffer */

    void *user;
    /* Once per exchange that gets an answer (redirects that are followed are not shown), before any
     * on_body. r is borrowed for the call. */
    void (*on_headers)(void *user, const struct http_response *r);
    /* Returns how many bytes were consumed. Less than all pauses the transfer until http_resume();
     * the rest is then offered again. */
    size_t (*on_body)(void *user, struct str bytes);
    /* Exactly once, last. e is NULL when the reply was received whole, whatever its status; else
     * IO (no connection, broken off), TIMEOUT, LIMIT, DENIED (certificate not trusted, redirect
     * refused) or CANCELLED. */
    void (*on_done)(void *user, const struct err *e);
};

struct http_client *http_client_new(struct loop *l);
/* Requests that still run end with CANCELLED before it returns, and none can be started meanwhile.
 * SIGPIPE is ignored in the whole process from http_client_new() on, as OpenSSL needs it. */
void http_client_free(struct http_client *c);

/* INVALID: no http(s) URL, or a header that holds a line end or NUL. Valid until on_done. */
struct http_exchange *http_start(struct http_client *c, const struct http_request *r,
                                 struct err *e) MUST_CHECK;
void http_resume(struct http_exchange *x);
/* on_done follows with CANCELLED, no other callback does. */
void http_cancel(struct http_exchange *x);

unsigned http_status(const struct http_response *r);
/* The nth (from 0) value of a header, name in any case; .p is NULL when there is none. */
struct str http_response_header(const struct http_response *r, struct str name, size_t nth);
