/* SPDX-License-Identifier: Apache-2.0 — zdb_config.c */
#include "agent/zdb_config.h"

#include "agent/zdb_node.h"
#include "base/file.h"
#include "base/random.h"
#include "storage/zdb_client/zdb_address.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/file.h>

#define CONFIG_FILE      "gridlet-zdb.yaml"
#define INDEX_FOLDER     "index"
#define CONFIG_BYTES_MAX 8192

int zdb_config_listen(const char *listen, char *addr, unsigned *out_port, struct err *e) {
    struct zdb_address a;
    uint64_t port = 0;
    if (zdb_address_parse(str_of(listen), &a, e) < 0) return err_in(e, "'zdb-listen'");
    if (a.is_unix || strlen(a.host) > 63 || strpbrk(a.host, "\"\\\n"))
        return err_set(e, ERR_INVALID, "'zdb-listen' must be ADDR:PORT, not '%.60s'", listen);
    (void)snprintf(addr, 64, "%s", a.host);
    if (str_u64(str_of(a.port), &port) < 0) port = ZDB_PORT;
    *out_port = (unsigned)port;
    return 0;
}

static int load_password(struct zdb_config *c, int dir, struct err *e) {
    AUTO(buf_done) struct buf b = BUF(0);
    int r = file_read_all(dir, ZDB_NODE_ADMIN, 256, &b);
    struct str found = r < 0 ? STR_NONE : str_trim(buf_view(&b));
    if (found.n == ZDB_ADMIN_CHARS && str_is_hex(found)) {
        memcpy(c->admin_password, found.p, found.n);
        return 0;
    }
    if (r < 0 && r != -ENOENT)
        return err_sys(e, -r, "read '%s/" ZDB_NODE_FOLDER "/" ZDB_NODE_ADMIN "'", c->root);
    char line[ZDB_ADMIN_CHARS + 2];
    (void)random_hex(c->admin_password, ZDB_ADMIN_CHARS);
    int n = snprintf(line, sizeof line, "%s\n", c->admin_password);
    r = file_write_durable(dir, ZDB_NODE_ADMIN, str_make(line, (size_t)n), 0600);
    return r < 0 ? err_sys(e, -r, "write '%s/" ZDB_NODE_FOLDER "/" ZDB_NODE_ADMIN "'", c->root) : 0;
}

static int make_text(struct zdb_config *c, struct err *e) {
    char addr[64] = "";
    char tcp[128] = "";
    unsigned port = 0;
    if (c->listen && zdb_config_listen(c->listen, addr, &port, e) < 0) return -1;
    if (c->listen)
        (void)snprintf(tcp, sizeof tcp, "dualnet: true\nlisten: \"%s\"\nport: %u\n", addr, port);
    if (strpbrk(c->root, "\"\\\n") || strpbrk(c->run, "\"\\\n"))
        return err_set(e, ERR_INVALID,
                       "a node with 0-db namespaces has no quotes in 'root', 'run'");
    free(c->text);
    c->text = xasprintf("# Written by gridletd for its own 0-db server; changes are lost.\n"
                        "data: \"%s/" ZDB_NODE_FOLDER "/data\"\n"
                        "index: \"%s/" ZDB_NODE_FOLDER "/" INDEX_FOLDER "\"\n"
                        "socket: \"%s/" ZDB_NODE_SOCKET "\"\nadmin: \"%s\"\n"
                        "protect: true\n%s",
                        c->root, c->root, c->run, c->admin_password, tcp);
    return 0;
}

static int take_lock(struct zdb_config *c, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_LOCK, c->run);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(e, errno, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        c->lock_fd = STEAL_FD(fd);
        return 0;
    }
    return errno == EWOULDBLOCK ? 0 : err_sys(e, errno, "lock '%s'", path);
}

int zdb_config_prepare(struct zdb_config *c, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_FOLDER, c->root);
    AUTO_CLOSE int dir = file_mkdirs_open(AT_FDCWD, path, 0711);
    AUTO(buf_done) struct buf now = BUF(0);
    zdb_config_done(c);
    if (dir < 0) return err_sys(e, -dir, "make the folder '%s'", path);
    if (load_password(c, dir, e) < 0 || make_text(c, e) < 0 || take_lock(c, e) < 0) return -1;
    int r = file_read_all(dir, CONFIG_FILE, CONFIG_BYTES_MAX, &now);
    c->differs = r < 0 || !str_eq(buf_view(&now), str_of(c->text));
    if (c->lock_fd < 0 || !c->differs) return 0;
    r = file_write_durable(dir, CONFIG_FILE, str_of(c->text), 0600);
    return r < 0 ? err_sys(e, -r, "write '%s/" CONFIG_FILE "'", path) : 0;
}

void zdb_config_done(struct zdb_config *c) {
    free(STEAL(c->text));
    if (c->lock_fd >= 0) (void)close(STEAL_FD(c->lock_fd));
}

bool zdb_config_has_namespaces(const char *root) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_FOLDER "/" INDEX_FOLDER, root);
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    if (file_dir_open(&d, AT_FDCWD, path) < 0) return false;
    while (file_dir_next(&d, &entry) > 0) {
        bool folder = entry.type == DT_DIR || entry.type == DT_UNKNOWN;
        if (folder && entry.name[0] != '.' && strcmp(entry.name, "default") != 0) return true;
    }
    return false;
}
