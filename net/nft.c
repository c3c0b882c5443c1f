/* SPDX-License-Identifier: Apache-2.0 — nft.c: running nft, and map elements over nfnetlink.
 *
 * A transaction is one datagram: BATCH_BEGIN, the operations, BATCH_END. The kernel applies all or
 * nothing. Only the last operation asks for an acknowledgement; a refused one answers by itself.
 *
 * Kernel 6.1 has neither "destroy" (remove if there) nor "replace" for elements. So both are tried
 * the plain way first, which is right nearly always, and on ENOENT or EEXIST element by element.
 *
 * Source of the message layout: linux/netfilter/nf_tables.h; the key of a concatenation is its
 * fields in order, each padded with zeros to a multiple of four bytes (nft's own registers). */
#include "net/nft.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum {
    BATCH_BYTES = 512 * 1024, /* NFT_ELEMENTS_MAX of the largest elements */
    SMALL_BATCH_BYTES = 4096,
    SMALL_COUNT = 16,
    COMPLAINT_BYTES_MAX = 256
};

extern char **environ;

/* ---- the program ---- */

static int spawn_nft(int in, int complaints, pid_t *out) {
    char *const argv[] = {"nft", "-f", "-", NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    (void)sigemptyset(&none);
    int r = posix_spawn_file_actions_init(&files);
    if (r) return -r;
    r = posix_spawnattr_init(&attributes);
    if (r) {
        (void)posix_spawn_file_actions_destroy(&files);
        return -r;
    }
    if (!(r = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO)) &&
        !(r = posix_spawn_file_actions_adddup2(&files, complaints, STDOUT_FILENO)) &&
        !(r = posix_spawn_file_actions_adddup2(&files, complaints, STDERR_FILENO)) &&
        !(r = posix_spawnattr_setsigmask(&attributes, &none)) &&
        !(r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK))) {
        r = posix_spawnp(out, "nft", &files, &attributes, argv, environ);
        /* A service manager's PATH may lack the sbin folders. */
        if (r == ENOENT) r = posix_spawn(out, "/usr/sbin/nft", &files, &attributes, argv, environ);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&files);
    return -r;
}

static int write_all(int fd, struct str s) {
    while (s.n > 0) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        s = str_sub(s, (size_t)n, s.n);
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static int nft_failed(int complaints, int status, struct err *e) {
    char text[COMPLAINT_BYTES_MAX];
    ssize_t n = pread(complaints, text, sizeof text, 0);
    struct str rest = str_make(text, n > 0 ? (size_t)n : 0);
    struct str line = STR_NONE;
    while (str_next(&rest, '\n', &line) && str_trim(line).n == 0) continue;
    return err_set(e, ERR_IO, "load the node's nftables rules: nft ended with status %d: %.*s",
                   status, STR_ARG(line));
}

int nft_run(struct str ruleset, struct err *e) {
    AUTO_CLOSE int in = memfd_create("ruleset", MFD_CLOEXEC);
    AUTO_CLOSE int complaints = memfd_create("complaints", MFD_CLOEXEC);
    if (in < 0 || complaints < 0) return err_sys(e, errno, "make files for nft");
    int r = write_all(in, ruleset);
    if (r < 0) return err_sys(e, -r, "write the ruleset for nft");
    pid_t pid;
    r = spawn_nft(in, complaints, &pid);
    if (r == -ENOENT) return err_set(e, ERR_NOT_FOUND, "nft: no such program; install nftables");
    if (r < 0) return err_sys(e, -r, "execute nft");
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return err_sys(e, errno, "wait for nft");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    return nft_failed(complaints, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                      e);
}

/* ---- transactions ---- */

static void put_header(struct nl_batch *b, unsigned type, unsigned flags) {
    struct nfgenmsg *header =
        nl_message(b, NFNL_SUBSYS_NFTABLES << 8 | type, flags, sizeof *header);
    header->nfgen_family = NFPROTO_INET;
    header->version = NFNETLINK_V0;
}

static void put_fence(struct nl_batch *b, unsigned type) {
    struct nfgenmsg *header = nl_message(b, type, 0, sizeof *header);
    header->nfgen_family = AF_UNSPEC;
    header->version = NFNETLINK_V0;
    header->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

static void put_value(struct nl_batch *b, unsigned type, const uint8_t *bytes, size_t n) {
    size_t data = nl_nest(b, type);
    nl_put(b, NFTA_DATA_VALUE, bytes, n);
    nl_nest_end(b, data);
}

/* A message names one map, and its list holds at most 64 KiB: a run of elements of the same map. */
enum { ELEMENTS_PER_MESSAGE = 256 };

static size_t put_elements(struct nl_batch *b, const char *table, enum nft_change change,
                           const struct nft_element *elements, size_t count) {
    unsigned type = change == NFT_ADD ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM;
    put_header(b, type, change == NFT_ADD ? NLM_F_CREATE : 0U);
    nl_put_text(b, NFTA_SET_ELEM_LIST_TABLE, table);
    nl_put_text(b, NFTA_SET_ELEM_LIST_SET, elements[0].map);
    size_t list = nl_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
    size_t done = 0;
    while (done < count && done < ELEMENTS_PER_MESSAGE &&
           strcmp(elements[done].map, elements[0].map) == 0) {
        const struct nft_element *element = &elements[done++];
        size_t item = nl_nest(b, NFTA_LIST_ELEM);
        put_value(b, NFTA_SET_ELEM_KEY, element->key, element->key_bytes);
        if (change == NFT_ADD)
            put_value(b, NFTA_SET_ELEM_DATA, element->value, element->value_bytes);
        nl_nest_end(b, item);
    }
    nl_nest_end(b, list);
    return done;
}

static int commit(int nf, struct nl_batch *b, struct nl_answer *answer) {
    if (!b->full) b->message->nlmsg_flags |= NLM_F_ACK;
    put_fence(b, NFNL_MSG_BATCH_END);
    return nl_send(nf, b, answer);
}

static int refused(struct err *e, const struct nl_answer *a, const char *what, const char *table) {
    if (a->text[0]) return err_sys(e, -a->error, "%s '%s' (kernel: %s)", what, table, a->text);
    return err_sys(e, -a->error, "%s '%s'", what, table);
}

struct transaction {
    const char *table;
    const char *const *flush; /* NULL-ended names of maps, or NULL */
    enum nft_change change;
    const struct nft_element *elements;
    size_t count; /* at most NFT_ELEMENTS_MAX */
};

static int run_transaction(int nf, const struct transaction *t, struct nl_answer *answer) {
    assert(t->count <= NFT_ELEMENTS_MAX);
    size_t bytes = t->count <= SMALL_COUNT ? SMALL_BATCH_BYTES : BATCH_BYTES;
    AUTO_FREE char *memory = xmalloc(bytes);
    struct nl_batch b;
    nl_batch_init(&b, memory, bytes);
    put_fence(&b, NFNL_MSG_BATCH_BEGIN);
    for (const char *const *map = t->flush; map && *map; map++) {
        put_header(&b, NFT_MSG_DELSETELEM, 0);
        nl_put_text(&b, NFTA_SET_ELEM_LIST_TABLE, t->table);
        nl_put_text(&b, NFTA_SET_ELEM_LIST_SET, *map);
    }
    for (size_t done = 0; done < t->count;)
        done += put_elements(&b, t->table, t->change, t->elements + done, t->count - done);
    return commit(nf, &b, answer);
}

/* Element by element: what is absent counts as removed, what is there with another value is removed
 * before it is added. */
static int change_singly(int nf, const struct transaction *t, struct nl_answer *answer) {
    for (size_t i = 0; i < t->count; i++) {
        struct transaction one = {.table = t->table, .elements = &t->elements[i], .count = 1};
        one.change = NFT_REMOVE;
        int r = run_transaction(nf, &one, answer);
        if (r < 0 && r != -ENOENT) return r;
        one.change = NFT_ADD;
        if (t->change == NFT_ADD && (r = run_transaction(nf, &one, answer)) < 0) return r;
    }
    return 0;
}

int nft_change(const struct nft_table *t, enum nft_change change,
               const struct nft_element *elements, size_t count, struct err *e) {
    for (size_t done = 0; done < count;) {
        size_t n = count - done < NFT_ELEMENTS_MAX ? count - done : NFT_ELEMENTS_MAX;
        struct transaction one = {
            .table = t->name, .change = change, .elements = elements + done, .count = n};
        struct nl_answer answer = {.error = 0};
        int r = run_transaction(t->nf, &one, &answer);
        if (r == -ENOENT || r == -EEXIST || r == -EBUSY) r = change_singly(t->nf, &one, &answer);
        if (r < 0)
            return refused(e, &answer,
                           change == NFT_ADD ? "add host ports to nftables table"
                                             : "remove host ports from nftables table",
                           t->name);
        done += n;
    }
    return 0;
}

int nft_replace_all(const struct nft_table *t, const char *const *maps,
                    const struct nft_element *elements, size_t count, struct err *e) {
    size_t first = count < NFT_ELEMENTS_MAX ? count : NFT_ELEMENTS_MAX;
    struct transaction one = {
        .table = t->name, .flush = maps, .change = NFT_ADD, .elements = elements, .count = first};
    struct nl_answer answer = {.error = 0};
    if (run_transaction(t->nf, &one, &answer) < 0)
        return refused(e, &answer, "renew the host ports of nftables table", t->name);
    return nft_change(t, NFT_ADD, elements + first, count - first, e);
}

int nft_delete_table(const struct nft_table *t, struct err *e) {
    uint64_t memory[SMALL_BATCH_BYTES / sizeof(uint64_t)];
    struct nl_batch b;
    nl_batch_init(&b, memory, sizeof memory);
    put_fence(&b, NFNL_MSG_BATCH_BEGIN);
    put_header(&b, NFT_MSG_DELTABLE, 0);
    nl_put_text(&b, NFTA_TABLE_NAME, t->name);
    struct nl_answer answer = {.error = 0};
    int r = commit(t->nf, &b, &answer);
    return r < 0 && r != -ENOENT ? refused(e, &answer, "remove nftables table", t->name) : 0;
}

int nft_has_table(const struct nft_table *t, struct err *e) {
    uint64_t memory[SMALL_BATCH_BYTES / sizeof(uint64_t)];
    struct nl_batch b;
    nl_batch_init(&b, memory, sizeof memory);
    put_header(&b, NFT_MSG_GETTABLE, NLM_F_ACK);
    nl_put_text(&b, NFTA_TABLE_NAME, t->name);
    struct nl_answer answer = {.error = 0};
    int r = nl_send(t->nf, &b, &answer);
    if (r == -ENOENT) return 0;
    return r < 0 ? refused(e, &answer, "look up nftables table", t->name) : 1;
}
