/* SPDX-License-Identifier: Apache-2.0 — layer.c: one unpacker, from its start to a recorded layer.
 *
 * The report comes in a memfd of a fixed, sealed size, so the unpacker can neither block on it nor
 * fill memory with it, and is believed only after it was parsed strictly. Opaque marks are set here
 * because trusted.* needs CAP_SYS_ADMIN; their paths are resolved below the layer's root.
 *
 * Commit: rename to the final name, syncfs (content and name in one go), then the record. Two
 * commits of one diff_id may run at once; the second to take the lock finds the first one's record,
 * throws its own folder away and uses the other. */
#include "storage/image/layer.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/proc.h"
#include "storage/image/implied.h"
#include "storage/image/store.h"
#include "storage/unpack/report.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#define LAYER_PIPE_BYTES (1 << 20)

struct layer_writer {
    struct image_store *store; /* borrowed */
    struct proc proc;          /* owned */
    bool running;              /* not collected yet */
    int report_fd;             /* owned memfd */
    char tmp[STORE_TMP_BYTES]; /* name of the folder; "" when it is gone */
};

/* 1 when recorded; the number in *out. Under the lock. */
static int find_layer(struct image_store *s, struct str diff_id, uint64_t *out, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(s->db, &rows, e, "SELECT dir FROM layers WHERE diff_id = ?1",
                   SQL_TEXT(diff_id)) < 0)
        return -1;
    int r = sqlite_next(&rows, e);
    if (r > 0) *out = sqlite_number(&rows, 0);
    return r;
}

bool layer_exists(struct image_store *s, struct str diff_id, char out_dir[16]) {
    struct err ignored; /* then it is unpacked again, and the commit tells what is wrong */
    uint64_t dir;
    store_lock(s);
    bool found = find_layer(s, diff_id, &dir, &ignored) > 0;
    if (found) store_hold(s, dir);
    store_unlock(s);
    if (found) store_name_of(dir, out_dir);
    return found;
}

/* ---- starting ---- */

static int make_report(int *out, struct err *e) {
    AUTO_CLOSE int fd = memfd_create("layer-report", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return err_sys(e, errno, "make a memfd for the unpacker's report");
    if (ftruncate(fd, REPORT_BYTES_MAX + 4) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return err_sys(e, errno, "seal the unpacker's report");
    *out = STEAL_FD(fd);
    return 0;
}

static int make_pipe(int *out_read, int *out_write, struct err *e) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) return err_sys(e, errno, "make a pipe to the unpacker");
    (void)fcntl(fds[1], F_SETPIPE_SZ, LAYER_PIPE_BYTES); /* a smaller one is slower, not wrong */
    (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
    *out_read = fds[0];
    *out_write = fds[1];
    return 0;
}

static const char *option_of(enum layer_compression c) {
    switch (c) {
    case LAYER_PLAIN: return "--plain";
    case LAYER_GZIP: return "--gzip";
    case LAYER_ZSTD: return "--zstd";
    }
    abort();
}

static int start(struct layer_writer *w, enum layer_compression c, int in, struct err *e) {
    AUTO_CLOSE int folder = file_open_dir(w->store->layers_fd, w->tmp);
    if (folder < 0) return err_sys(e, -folder, "open the folder '%s'", w->tmp);
    const char *const argv[] = {"gridlet-unpack", "--report", option_of(c), ".", NULL};
    const struct proc_fd fds[] = {{in, 0}, {w->report_fd, 1}, {STDERR_FILENO, 2}};
    struct proc_spec spec = PROC_SPEC;
    spec.path = w->store->unpack_path;
    spec.argv = argv;
    spec.fds = fds;
    spec.fd_count = COUNT(fds);
    spec.cwd_fd = folder;
    if (proc_spawn(&spec, &w->proc, e) < 0) return err_in(e, "start the unpacker");
    w->running = true;
    return 0;
}

struct layer_writer *layer_write(struct image_store *s, enum layer_compression c, int *out_fd,
                                 int *out_pidfd, struct err *e) {
    struct layer_writer *w = xnew(struct layer_writer);
    w->store = s;
    w->proc = PROC_NONE;
    w->report_fd = -1;
    AUTO_CLOSE int in = -1;
    AUTO_CLOSE int out = -1;
    if (store_tmp_make(s, w->tmp, e) < 0 || make_report(&w->report_fd, e) < 0 ||
        make_pipe(&in, &out, e) < 0 || start(w, c, in, e) < 0) {
        layer_abort(w);
        return NULL;
    }
    *out_fd = STEAL_FD(out);
    *out_pidfd = w->proc.pidfd;
    return w;
}

void layer_abort(struct layer_writer *w) {
    if (!w) return;
    struct proc_exit ignored;
    if (w->running) {
        (void)!proc_kill(&w->proc, SIGKILL);
        (void)!proc_wait(&w->proc, &ignored);
    }
    proc_done(&w->proc);
    if (w->report_fd >= 0) (void)close(w->report_fd);
    if (w->tmp[0]) (void)!trash_put(w->store->trash, w->tmp);
    free(w);
}

/* ---- committing ---- */

static int read_report(struct layer_writer *w, struct arena *a, struct report *out, struct err *e) {
    unsigned char head[4];
    if (file_pread_full(w->report_fd, head, sizeof head, 0) != sizeof head)
        return err_set(e, ERR_INTERNAL, "read the unpacker's report");
    size_t n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    if (n > REPORT_BYTES_MAX) n = 0; /* report_decode() says so */
    char *bytes = arena_alloc(a, n + sizeof head);
    if (!bytes || file_pread_full(w->report_fd, bytes, n + sizeof head, 0) < 0)
        return err_set(e, ERR_INTERNAL, "read the unpacker's report");
    return report_decode(str_make(bytes, n + sizeof head), a, out, e);
}

static int died(struct proc_exit x, struct err *e) {
    if (x.signal == SIGSYS)
        return err_set(e, ERR_DENIED, "the unpacker made a system call that it must not make");
    if (x.signal == SIGKILL)
        return err_set(e, ERR_IO, "the unpacker was killed (is memory short?)");
    return err_set(e, ERR_IO, "the unpacker died of signal %d", x.signal);
}

/* What the unpacker said, when it ended in order. */
static int collect_report(struct layer_writer *w, struct arena *a, struct report *out,
                          struct err *e) {
    struct proc_exit x;
    int r = proc_wait(&w->proc, &x);
    if (r < 0) return err_sys(e, -r, "wait for the unpacker");
    w->running = false;
    if (x.signal != 0) return died(x, e);
    if (read_report(w, a, out, e) < 0) return -1;
    if (x.status != 0)
        return err_set(e, ERR_INTERNAL, "the unpacker ended with %d after a good report", x.status);
    return 0;
}

static int check_diff_id(const struct report *r, struct str promised, struct err *e) {
    struct digest want;
    char got[DIGEST_TEXT_CHARS + 1];
    if (digest_parse(promised, &want) < 0)
        return err_set(e, ERR_CORRUPT, "the image's config names '%.*s', which is no sha256 digest",
                       STR_ARG(str_sub(promised, 0, 100)));
    if (digest_eq(&want, &r->diff_id)) return 0;
    return err_set(e, ERR_CORRUPT, "the unpacked layer is %s, the image's config promises %.*s",
                   digest_text(&r->diff_id, got), STR_ARG(promised));
}

/* *bottom: the root itself is opaque, so nothing below this layer is seen. overlayfs does not look
 * for the mark on a root; image_commit() leaves the lower layers out instead. */
static int mark_opaques(struct layer_writer *w, const struct report *r, bool *bottom,
                        struct err *e) {
    AUTO_CLOSE int root = file_open_dir(w->store->layers_fd, w->tmp);
    if (root < 0) return err_sys(e, -root, "open the folder '%s'", w->tmp);
    for (size_t i = 0; i < r->opaque_count; i++) {
        if (r->opaques[i].n == 0) {
            *bottom = true;
            continue;
        }
        char path[4096];
        (void)snprintf(path, sizeof path, "%.*s", STR_ARG(r->opaques[i]));
        AUTO_CLOSE int fd = file_open_in_root(root, path, O_RDONLY | O_DIRECTORY, 0);
        if (fd == -ENOENT || fd == -ENOTDIR) continue; /* a later entry took its place */
        if (fd < 0) return err_sys(e, -fd, "open the opaque folder '%.200s'", path);
        if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
            return err_sys(e, errno, "mark the folder '%.200s' opaque", path);
    }
    return 0;
}

struct committed {
    struct str diff_id;
    uint64_t dir;
    bool bottom;
    struct layer_result result;
};

/* The layer and the folders that it implies, or nothing. */
static int insert(struct image_store *s, const struct committed *c, const struct report *r,
                  struct err *e) {
    const struct layer_row row = {c->diff_id, c->dir, r->bytes, r->inodes, c->bottom};
    if (sqlite_begin(s->db, e) < 0) return -1;
    if (store_layer_add(s, &row, e) < 0 || implied_record(s, c->dir, r, e) < 0) {
        sqlite_rollback(s->db);
        return -1;
    }
    return sqlite_commit(s->db, e);
}

/* Writes the record, or finds that of a concurrent winner (*dir is its number then). Under the
 * lock: 1 recorded, 0 there was one, -1. */
static int record(struct image_store *s, struct committed *c, const struct report *r,
                  struct err *e) {
    uint64_t winner;
    int found = find_layer(s, c->diff_id, &winner, e);
    if (found < 0) return -1;
    if (found > 0) {
        c->dir = winner;
        store_hold(s, winner);
        return 0;
    }
    if (insert(s, c, r, e) < 0) return -1;
    s->usage.bytes += r->bytes;
    s->usage.inodes += r->inodes;
    store_hold(s, c->dir);
    return 1;
}

static int commit(struct layer_writer *w, struct committed *c, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
    struct report report;
    if (collect_report(w, &a, &report, e) < 0 || check_diff_id(&report, c->diff_id, e) < 0)
        return -1;
    c->result = (struct layer_result){.bytes = report.bytes, .inodes = report.inodes};
    (void)digest_text(&report.diff_id, c->result.diff_id);
    if (mark_opaques(w, &report, &c->bottom, e) < 0) return -1;
    if (store_tmp_keep(w->store, w->tmp, &c->dir, e) < 0) return -1;
    store_lock(w->store);
    int r = record(w->store, c, &report, e);
    store_unlock(w->store);
    if (r > 0) w->tmp[0] = '\0'; /* the folder is the store's now */
    return r < 0 ? -1 : 0;
}

int layer_commit(struct layer_writer *w, struct str diff_id, char out_dir[16],
                 struct layer_result *out, struct err *e) {
    struct committed c = {.diff_id = diff_id};
    int r = commit(w, &c, e);
    layer_abort(w); /* frees it, with what has not become the store's */
    if (r < 0) return -1;
    store_name_of(c.dir, out_dir);
    *out = c.result;
    return 0;
}
