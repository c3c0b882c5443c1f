/* SPDX-License-Identifier: Apache-2.0 — zdb_address.c */
#include "storage/zdb_client/zdb_address.h"

#include <stdio.h>
#include <sys/un.h>

#define UNIX_BYTES_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define PORT_MAX       65535

/* Splits "HOST:PORT" and "[HOST]:PORT"; port is empty when there is none. */
static bool split(struct str text, struct str *host, struct str *port) {
    ptrdiff_t close = str_find(text, ']');
    *port = STR_NONE;
    if (text.p[0] == '[') {
        if (close < 2) return false;
        *host = str_sub(text, 1, (size_t)close);
        struct str rest = str_sub(text, (size_t)close + 1, text.n);
        if (rest.n && (rest.p[0] != ':' || rest.n == 1)) return false;
        *port = str_sub(rest, 1, rest.n);
        return true;
    }
    ptrdiff_t colon = str_find(text, ':');
    if (colon != str_rfind(text, ':')) return false; /* IPv6 without brackets */
    *host = colon < 0 ? text : str_sub(text, 0, (size_t)colon);
    if (colon >= 0) *port = str_sub(text, (size_t)colon + 1, text.n);
    return host->n > 0 && (colon < 0 || port->n > 0);
}

int zdb_address_parse(struct str text, struct zdb_address *out, struct err *e) {
    struct zdb_address a = {.is_unix = text.n && str_find(text, '/') >= 0};
    size_t max = a.is_unix ? UNIX_BYTES_MAX : sizeof a.host - 1;
    struct str host = text;
    struct str port = STR_NONE;
    uint64_t number = ZDB_PORT;
    if (text.n == 0 || text.n > max || memchr(text.p, '\0', text.n))
        return err_set(e, ERR_INVALID, "the address of a 0-db server has 1 to %zu bytes", max);
    bool good = a.is_unix || split(text, &host, &port);
    if (good && port.n) good = str_u64(port, &number) == 0 && number >= 1 && number <= PORT_MAX;
    if (!good)
        return err_set(e, ERR_INVALID,
                       "'%.*s' is no address of a 0-db server: give HOST:PORT, [IPV6]:PORT or the "
                       "path of a unix socket",
                       STR_ARG(text));
    memcpy(a.host, host.p, host.n);
    memcpy(a.text, text.p, text.n);
    (void)snprintf(a.port, sizeof a.port, "%u", (unsigned)number);
    *out = a;
    return 0;
}
