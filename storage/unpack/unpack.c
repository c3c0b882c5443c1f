/* SPDX-License-Identifier: Apache-2.0 — unpack.c: options, confinement and the run of
 * gridlet-unpack.
 *
 * Order matters: the folder is opened while the process may still open things, privileges are
 * dropped before the first thread exists, and no byte of the stream is looked at before the last
 * confinement is in place. */
#include "storage/unpack/unpack.h"

#include "base/file.h"
#include "storage/unpack/report.h"
#include "storage/unpack/stream.h"
#include "storage/unpack/tar.h"
#include "storage/unpack/unpack_confine.h"

#include <errno.h>
#include <getopt.h>

struct options {
    enum stream_kind kind;
    bool report; /* the binary report on descriptor 1 instead of text */
    uint64_t bytes_max;
    const char *folder;
};

static const char USAGE[] =
    "usage: gridlet-unpack [--plain|--gzip|--zstd] [--bytes-max N] [--report] FOLDER < LAYER\n"
    "Unpacks a container image's layer (a tar stream) into an empty FOLDER, as an overlayfs\n"
    "layer. Needs root; drops nearly all of it before it reads the first byte.\n"
    "  --plain | --gzip | --zstd   how LAYER is compressed (default: --plain)\n"
    "  --bytes-max N               most bytes of file content (default: 64 GiB)\n"
    "  --report                    write gridletd's binary report to descriptor 1, a file\n"
    "  --help, --version\n";

enum { OPTION_PLAIN = 1000, OPTION_GZIP, OPTION_ZSTD, OPTION_BYTES, OPTION_REPORT };
static const struct option LONG_OPTIONS[] = {
    {"plain", no_argument, NULL, OPTION_PLAIN},
    {"gzip", no_argument, NULL, OPTION_GZIP},
    {"zstd", no_argument, NULL, OPTION_ZSTD},
    {"bytes-max", required_argument, NULL, OPTION_BYTES},
    {"report", no_argument, NULL, OPTION_REPORT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static int complain(const char *what) {
    (void)fprintf(stderr, "gridlet-unpack: %s\n%s", what, USAGE);
    return 2;
}

/* -1: go on and unpack; else the exit code. */
static int parse(int argc, char **argv, struct options *o) {
    for (int c; (c = getopt_long(argc, argv, "h", LONG_OPTIONS, NULL)) != -1;) {
        switch (c) {
        case OPTION_PLAIN: o->kind = STREAM_PLAIN; break;
        case OPTION_GZIP: o->kind = STREAM_GZIP; break;
        case OPTION_ZSTD: o->kind = STREAM_ZSTD; break;
        case OPTION_REPORT: o->report = true; break;
        case OPTION_BYTES:
            if (str_u64(str_of(optarg), &o->bytes_max) < 0)
                return complain("--bytes-max wants a number of bytes");
            break;
        case 'h': (void)fputs(USAGE, stdout); return fflush(stdout) == 0 ? 0 : 1;
        case 'V': (void)puts("gridlet-unpack " GRIDLET_VERSION); return fflush(stdout) == 0 ? 0 : 1;
        default: return complain("unknown option");
        }
    }
    if (optind + 1 != argc) return complain("exactly one FOLDER is needed");
    o->folder = argv[optind];
    return -1;
}

static ssize_t next_bytes(void *user, const void **out, struct err *e) {
    return stream_next(user, out, e);
}

/* A folder with something in it could hold links or devices that the stream did not bring. */
static int open_empty(const char *folder, int *out, struct err *e) {
    AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return err_sys(e, errno, "open the folder '%s'", folder);
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int r = file_dir_open(&d, fd, ".");
    if (r >= 0) r = file_dir_next(&d, &entry);
    if (r < 0) return err_sys(e, -r, "read the folder '%s'", folder);
    if (r > 0) return err_set(e, ERR_INVALID, "the folder '%s' is not empty", folder);
    *out = STEAL_FD(fd);
    return 0;
}

static int report_done(struct stream *s, const struct tree *t, struct report *done,
                       struct buf *binary, struct err *e) {
    struct str opaques = tree_opaques(t, &done->opaque_count);
    struct str implied = tree_implied(t, &done->implied_count);
    AUTO(buf_done) struct buf paths = BUF(REPORT_BYTES_MAX);
    done->diff_id = stream_digest(s);
    done->bytes = tree_bytes(t);
    done->inodes = tree_inodes(t);
    if (buf_str(&paths, opaques) < 0 || buf_str(&paths, implied) < 0 ||
        report_encode(done, buf_view(&paths), binary) < 0)
        return err_set(e, ERR_LIMIT, "the report is too long");
    return 0;
}

static int run(const struct options *o, struct report *done, struct buf *binary, struct err *e) {
    AUTO_CLOSE int root = -1;
    if (tar_setup(e) < 0 || open_empty(o->folder, &root, e) < 0) return -1;
    if (unpack_confine_privileges(root, e) < 0) return -1;
    struct stream *s = stream_new(STDIN_FILENO, o->kind, e);
    if (!s || unpack_confine_syscalls(e) < 0) return -1;
    stream_start(s);
    struct tree *t = tree_new(root, o->bytes_max);
    const struct tar_source source = {next_bytes, s};
    int r = tar_unpack(&source, t, e);
    if (r == 0) r = report_done(s, t, done, binary, e);
    tree_free(t);
    return r; /* the stream goes with the process: its thread may be waiting for bytes */
}

static int tell_gridletd(int result, const struct err *e, struct buf *binary) {
    if (result < 0) {
        buf_clear(binary);
        if (report_encode_error(e, binary) < 0) return 1;
    }
    return file_pwrite_all(STDOUT_FILENO, binary->p, binary->n, 0) < 0 || result < 0;
}

/* Not stdio: it asks what kind of file the descriptor is, which the filter does not know. */
static int say(int fd, const char *text) { return file_write_all(fd, text, strlen(text)) < 0; }

static int tell_person(int result, const struct err *e, const struct report *done) {
    char text[ERR_MSG_BYTES_MAX + 64];
    if (result < 0) {
        (void)snprintf(text, sizeof text, "gridlet-unpack: %s\n", e->msg);
        (void)say(STDERR_FILENO, text);
        return 1;
    }
    char diff_id[DIGEST_TEXT_CHARS + 1];
    (void)snprintf(text, sizeof text, "diff_id %s\nbytes %llu\ninodes %llu\nopaque %zu\n",
                   digest_text(&done->diff_id, diff_id), (unsigned long long)done->bytes,
                   (unsigned long long)done->inodes, done->opaque_count);
    return say(STDOUT_FILENO, text);
}

int unpack_main(int argc, char **argv) {
    struct options o = {.kind = STREAM_PLAIN, .bytes_max = TREE_BYTES_DEFAULT_MAX};
    int code = parse(argc, argv, &o);
    if (code >= 0) return code;
    struct err e = {0};
    struct report done = {.opaques = NULL};
    AUTO(buf_done) struct buf binary = BUF(REPORT_BYTES_MAX + 4);
    int result = run(&o, &done, &binary, &e);
    return o.report ? tell_gridletd(result, &e, &binary) : tell_person(result, &e, &done);
}
