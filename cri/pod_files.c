/* SPDX-License-Identifier: Apache-2.0 — pod_files.c: resolv.conf, hostname and hosts of a pod. */
#include "cri/pod_files.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>

#define HOST_RESOLV_CONF "/etc/resolv.conf"
#define HOST_HOSTS       "/etc/hosts"

/* A word of a line: nothing that could end it or begin another. */
static int check_word(const char *field, const char *text, struct err *e) {
    struct str word = str_of(text);
    if (word.n == 0 || word.n > POD_FILES_NAME_BYTES_MAX)
        return err_set(e, ERR_INVALID, "dns_config.%s: an entry of %zu bytes: must be 1 to %d",
                       field, word.n, POD_FILES_NAME_BYTES_MAX);
    for (size_t i = 0; i < word.n; i++)
        if ((unsigned char)word.p[i] <= ' ' || word.p[i] == 0x7f)
            return err_set(e, ERR_INVALID,
                           "dns_config.%s: an entry with a space or control character", field);
    return 0;
}

struct words {
    const char *field;
    char *const *items;
    size_t count, count_max;
};

static int check_words(const struct words *w, struct err *e) {
    if (w->count > w->count_max)
        return err_set(e, ERR_LIMIT, "dns_config.%s: more than %zu entries", w->field,
                       w->count_max);
    for (size_t i = 0; i < w->count; i++)
        if (check_word(w->field, w->items[i], e) < 0) return -1;
    return 0;
}

/* "KEYWORD a b c", nothing without words. */
static int write_line(struct buf *out, const char *keyword, const struct words *w) {
    int r = w->count ? buf_str(out, str_of(keyword)) : 0;
    for (size_t i = 0; i < w->count && r == 0; i++) r = buf_fmt(out, " %s", w->items[i]);
    return w->count && r == 0 ? buf_str(out, STR("\n")) : r;
}

int pod_files_resolv_conf(const Runtime__V1__DNSConfig *dns, struct buf *out, struct err *e) {
    struct words searches = {"searches", dns->searches, dns->n_searches,
                             POD_FILES_DNS_SEARCHES_MAX};
    struct words servers = {"servers", dns->servers, dns->n_servers, POD_FILES_DNS_SERVERS_MAX};
    struct words options = {"options", dns->options, dns->n_options, POD_FILES_DNS_OPTIONS_MAX};
    if (check_words(&searches, e) < 0 || check_words(&servers, e) < 0 ||
        check_words(&options, e) < 0)
        return -1;
    int r = write_line(out, "search", &searches);
    for (size_t i = 0; i < servers.count && r == 0; i++)
        r = buf_fmt(out, "nameserver %s\n", servers.items[i]);
    if (r == 0) r = write_line(out, "options", &options);
    if (r < 0) return err_set(e, ERR_LIMIT, "dns_config: resolv.conf would be too large");
    return 0;
}

static bool dns_is_empty(const Runtime__V1__DNSConfig *dns) {
    return !dns || (!dns->n_servers && !dns->n_searches && !dns->n_options);
}

/* A file of the node; none there is an empty one. */
static int copy_of_host(const char *path, struct buf *out, struct err *e) {
    int r = file_read_all(AT_FDCWD, path, POD_FILES_BYTES_MAX, out);
    if (r == -ENOENT) {
        *out = BUF(POD_FILES_BYTES_MAX);
        return 0;
    }
    return r < 0 ? err_sys(e, -r, "read '%s'", path) : 0;
}

static int check_hostname(struct str name, struct err *e) {
    if (name.n > POD_HOSTNAME_BYTES_MAX)
        return err_set(e, ERR_INVALID, "hostname is longer than %d bytes", POD_HOSTNAME_BYTES_MAX);
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == '#')
            return err_set(e, ERR_INVALID, "hostname has a byte that no name has");
    return 0;
}

static int hosts_text(const struct pod_files *f, struct buf *out, struct err *e) {
    if (f->host_network) return copy_of_host(HOST_HOSTS, out, e);
    const struct str addresses[] = {f->ip4, f->ip6};
    int r = buf_str(out, STR("127.0.0.1\tlocalhost\n"
                             "::1\tlocalhost ip6-localhost ip6-loopback\n"
                             "fe00::\tip6-localnet\n"
                             "ff00::\tip6-mcastprefix\n"
                             "ff02::1\tip6-allnodes\n"
                             "ff02::2\tip6-allrouters\n"));
    for (size_t i = 0; i < COUNT(addresses) && r == 0; i++)
        if (addresses[i].n && f->hostname.n)
            r = buf_fmt(out, "%.*s\t%.*s\n", STR_ARG(addresses[i]), STR_ARG(f->hostname));
    return r < 0 ? err_set(e, ERR_LIMIT, "hosts would be too large") : 0;
}

static int put(int dir, const char *name, const struct buf *text, struct err *e) {
    int r = file_write_atomic(dir, name, buf_view(text), 0644);
    return r < 0 ? err_sys(e, -r, "write the pod's %s", name) : 0;
}

int pod_files_write(int dir, const struct pod_files *f, struct err *e) {
    AUTO(buf_done) struct buf resolv = BUF(POD_FILES_BYTES_MAX);
    AUTO(buf_done) struct buf hostname = BUF(POD_HOSTNAME_BYTES_MAX + 2);
    AUTO(buf_done) struct buf hosts = BUF(POD_FILES_BYTES_MAX);
    if (check_hostname(f->hostname, e) < 0) return -1;
    if (dns_is_empty(f->dns) ? copy_of_host(HOST_RESOLV_CONF, &resolv, e) < 0
                             : pod_files_resolv_conf(f->dns, &resolv, e) < 0)
        return -1;
    if (hosts_text(f, &hosts, e) < 0) return -1;
    if (buf_fmt(&hostname, "%.*s\n", STR_ARG(f->hostname)) < 0)
        return err_set(e, ERR_LIMIT, "hostname would be too large");
    if (put(dir, POD_FILE_RESOLV_CONF, &resolv, e) < 0 ||
        put(dir, POD_FILE_HOSTNAME, &hostname, e) < 0 || put(dir, POD_FILE_HOSTS, &hosts, e) < 0)
        return -1;
    return 0;
}
