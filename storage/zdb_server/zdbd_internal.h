/* SPDX-License-Identifier: Apache-2.0 — zdbd_internal.h: what the files of storage/zdb_server
 * share. Nobody else includes it. Everything belongs to the loop thread, but what a zdbd_work's
 * run() touches while it runs. */
#pragma once

#include "storage/zdb_server/resp.h"
#include "storage/zdb_server/zdbd_hook.h"
#include "storage/zdb_server/zdbd_maintenance.h"
#include "storage/zdb_server/zdbd_server.h"

#include "base/digest.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- limits ---- */

#define ZDBD_INLINE_BYTES_MAX ((size_t)256 << 10) /* larger payloads are read by workers */
#define ZDBD_REPLY_BYTES_MAX  ((size_t)1 << 20)   /* of what a command answers inline */
#define ZDBD_OUT_BYTES_MAX    ((size_t)1 << 20)   /* unsent: then no more requests are executed */
#define ZDBD_BODY_BYTES_MAX   ((size_t)16 << 20)  /* the same for what workers read */
#define ZDBD_GATES_MAX        1024 /* replies that wait for the disk, per connection */
#define ZDBD_WRITE_BYTES      ((uint32_t)64 << 10) /* small writes of a namespace that wait */
#define ZDBD_READ_BYTES       ((size_t)64 << 10)   /* of one read */
#define ZDBD_NOT_OPEN         "Namespace is not open: its files could not be read, the log says why"
#define ZDBD_NONCE_CHARS      16

/* ---- lists: circular, with the head as a member ---- */

struct zdbd_link {
    struct zdbd_link *prev, *next;
};
static inline void zdbd_list_init(struct zdbd_link *head) { head->prev = head->next = head; }
static inline bool zdbd_list_empty(const struct zdbd_link *head) { return head->next == head; }
static inline void zdbd_list_add(struct zdbd_link *head, struct zdbd_link *l) {
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}
/* Idempotent; a link that was never added is zeroed. */
static inline void zdbd_list_remove(struct zdbd_link *l) {
    if (!l->next) return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->prev = l->next = NULL;
}

/* ---- work: what may block on the disk ---- */

/* One allocation; run() is called on a worker, done() and everything else on the loop. */
struct zdbd_work {
    void (*run)(struct zdbd_work *w);  /* fills reply, with whole replies */
    void (*done)(struct zdbd_work *w); /* before the reply leaves; may be NULL */
    struct zdbd_session *session;      /* who asked; NULL: nobody */
    struct zdbd_space *space;          /* counted as busy with it; NULL: none */
    struct buf reply;                  /* owned */
    size_t sent;                       /* of reply */
    size_t charged_bytes;              /* to session.body_bytes, until the reply is sent */
    bool is_done, is_barrier, is_exclusive, is_running;
    struct job job;
    struct task ended;
    /* What the commands need; run() may use all of it. */
    struct zdb_value value;
    struct zdb_cursor cursor;
    bool has_cursor;
    uint8_t key[ZDB_KEY_BYTES_MAX];
    size_t key_bytes;
    uint64_t number[2];
    void *more;       /* owned: free() */
    struct err error; /* run() tells done() */
    int result;
};

/* ---- namespaces ---- */

enum zdbd_lock { ZDBD_UNLOCKED, ZDBD_LOCKED, ZDBD_FROZEN };

/* Group commit for all connections: one job at a time syncs what was written until then. */
struct zdbd_commit {
    uint64_t wanted;  /* the last ticket that a reply waits for */
    uint64_t taken;   /* of the running job */
    uint64_t settled; /* zdb_commit() of it and those before does not block */
    bool is_running;
    atomic_uint_fast64_t offered; /* wanted, as the running job sees it */
    atomic_uint_fast64_t held;    /* replies that were ever held */
    uint64_t held_before;         /* of those, in the groups before */
    uint64_t group, sync_ns;      /* of the last job: its replies, its time */
    uint64_t started_ns;
    struct job job;
    struct task ended;
    struct zdbd_link waiters; /* sessions whose first gate is a ticket of this namespace */
};

struct zdbd_space {
    struct zdbd_server *server;
    struct zdb_namespace *ns; /* owned; NULL while it is made, made anew or removed */
    struct zdbd_link link;    /* in server.spaces, in the order of NSLIST */
    char name[ZDB_NAME_BYTES_MAX + 1];
    char password[ZDB_PASSWORD_BYTES_MAX + 1];
    size_t password_bytes;
    struct zdb_settings settings; /* as ns has them; its password is the field above */
    bool is_protected;            /* its password is the admin's, whatever is set */
    bool is_new;                  /* being made: nobody sees it yet */
    enum zdb_mode mode;
    enum zdbd_lock lock;
    unsigned busy;               /* works that use ns, commits included */
    struct zdbd_work *exclusive; /* waits for busy to be 0, or runs alone */
    struct zdbd_commit commit;
    uint32_t jumped_id;  /* file number that hooks were told of */
    uint64_t written_ms; /* of the first write since the last jump; 0: none (--rotate) */
    struct zdbd_upkeep_state upkeep[ZDBD_UPKEEPS];
    struct zdbd_dirty *dirty; /* owned; see zdbd_dirty.c */
};

/* ---- connections ---- */

enum zdbd_gate_kind { ZDBD_GATE_PASSED, ZDBD_GATE_WRITTEN, ZDBD_GATE_COMMIT, ZDBD_GATE_WORK };

/* A place in a connection's replies that nothing behind may pass yet. */
struct zdbd_gate {
    uint64_t at; /* in the stream of everything that was ever put into session.out */
    enum zdbd_gate_kind kind;
    uint32_t bytes;           /* COMMIT, WRITTEN: of the reply that starts here */
    struct zdbd_space *space; /* the same */
    uint64_t ticket;
    struct zdbd_work *work; /* WORK: owned; its reply belongs here */
};

struct zdbd_command;

struct zdbd_session {
    struct zdbd_server *server;
    struct zdbd_link link; /* in server.sessions */
    struct watch watch;
    struct task freeing, waking;
    int fd;         /* owned */
    unsigned works; /* that name it, and a waking under way */
    bool is_waking;
    uint64_t id;

    struct buf in; /* bytes of requests that are not executed yet */
    size_t need;   /* in is worth a look from so many bytes on */
    struct buf out;
    size_t sent;             /* of out */
    uint64_t base;           /* place of out's first byte in the stream */
    struct zdbd_gate *gates; /* owned ring of ZDBD_GATES_MAX, or NULL */
    size_t gate_head, gate_count;
    size_t body_bytes;          /* that works hold for it */
    struct zdbd_link turn_link; /* in server.turn: its replies leave at the turn's end */
    struct zdbd_link wait_link; /* in the commit.waiters of the first gate's namespace */

    bool is_admin, is_writable, is_master, is_mirror;
    bool is_closed;           /* the descriptor is gone; freed soon */
    bool is_closing;          /* no more requests; closes when everything is sent */
    bool is_lingering;        /* everything is sent; reads to the end so that the peer sees it */
    bool has_ended;           /* the peer sends no more */
    bool is_barred;           /* a work must end before the next request */
    struct zdbd_space *space; /* NULL: it was removed */
    char nonce[ZDBD_NONCE_CHARS + 1]; /* empty: none */

    const struct zdbd_command *watching; /* WAIT: for this one's next call */
    struct timer watch_timeout;
    struct zdbd_link watch_link; /* in server.watchers; of mirrors in server.mirrors */
    uint64_t active_ms;          /* last byte in either direction */
    uint64_t stalled_ms;         /* since when nothing can be written; 0: it can */
};

/* ---- the server ---- */

#define ZDBD_SPARES_MAX       64
#define ZDBD_SPARES_LARGE_MAX 4
#define ZDBD_COMMANDS_MAX     64

struct zdbd_listener {
    struct zdbd_server *server;
    struct watch watch;
    int fd;
};

/* Buckets of commit latencies; the last one has no bound. */
#define ZDBD_LATENCY_BUCKETS 14

struct zdbd_counts {
    uint64_t calls[ZDBD_COMMANDS_MAX], errors[ZDBD_COMMANDS_MAX]; /* by place in the table */
    uint64_t unknown, refused, denied;
    uint64_t connections, rejected; /* ever */
    uint64_t bytes_in, bytes_out;
    uint64_t commits, commit_failures, commit_ns;
    uint64_t commit_latency[ZDBD_LATENCY_BUCKETS];
};

struct zdbd_server {
    struct loop *loop; /* borrowed */
    struct zdbd_options options;
    char *data_path, *index_path, *admin_password, *instance; /* owned */
    struct zdbd_link spaces, sessions;
    size_t space_count, session_count;
    struct zdbd_space *standard; /* "default" */
    struct zdbd_link watchers, mirrors;
    struct zdbd_space *uncommitted; /* a commit for it is due at the end of the batch */
    struct zdbd_link turn;          /* sessions that executed something in this turn of the loop */
    struct task turn_end;
    bool is_turn_ending; /* it is due */
    struct zdbd_listener listeners[ZDBD_LISTENERS_MAX];
    size_t listener_count;
    struct timer accept_again, sweep, grace;
    bool is_sweeping, is_stopping, has_stopped;
    void (*stopped)(void *user);
    void *stopped_user;
    struct task stopped_task;
    struct resp_request request; /* of the batch that is executed */
    struct buf spares[ZDBD_SPARES_MAX], spares_large[ZDBD_SPARES_LARGE_MAX];
    size_t spare_count, spare_large_count;
    struct zdbd_counts counts;
    uint64_t started_ms;
    int64_t started_wall_ns;
    uint64_t session_ids;
    uint32_t instance_id;
    struct zdbd_maintenance *maintenance; /* owned */
    pthread_mutex_t dirty_lock;           /* of every space's `dirty` */
    pthread_mutex_t config_lock;          /* from reading settings to writing them: NSSET */
};

/* Buffers of connections: an idle one has none. large: room for a payload. */
struct buf zdbd_buf_take(struct zdbd_server *s, bool large);
void zdbd_buf_give(struct zdbd_server *s, struct buf *b);
/* After the last session has gone. */
void zdbd_server_settle(struct zdbd_server *s);

/* ---- zdbd_session.c ---- */

void zdbd_session_new(struct zdbd_server *s, int fd);
/* Executes, sends, closes: whatever is possible now. May close the session. */
void zdbd_session_run(struct zdbd_session *s);
/* zdbd_session_run() in the loop's next turn. */
void zdbd_session_wake(struct zdbd_session *s);
/* Room in out for one command's reply. */
void zdbd_session_prepare(struct zdbd_session *s);
/* At once; its memory lives until the loop's next turn. */
void zdbd_session_close(struct zdbd_session *s);
/* For the sweep: closes it when it is idle or stuck. */
void zdbd_session_sweep(struct zdbd_session *s, uint64_t now_ms);
/* Asks for the tickets of this namespace that are settled, wherever their gates are. */
void zdbd_session_settle(struct zdbd_session *s, const struct zdbd_space *space);
/* No more requests; closes when the replies are out. */
void zdbd_session_stop(struct zdbd_session *s);
/* The reply from `start` on in out leaves when the ticket is durable. */
void zdbd_session_hold(struct zdbd_session *s, size_t start, struct zdbd_space *space,
                       uint64_t ticket);

/* ---- zdbd_work.c ---- */

/* A work for the session's present namespace; answer it with zdbd_work_start(). */
struct zdbd_work *zdbd_work_new(struct zdbd_session *s, void (*run)(struct zdbd_work *w));
/* Its reply belongs at the end of session.out, as it is now. */
void zdbd_work_start(struct zdbd_work *w);
/* The session executes nothing more until it is done. */
void zdbd_work_start_barrier(struct zdbd_work *w);
/* The same, alone on the namespace w->space: nobody uses its ns meanwhile, and others are told
 * that it is busy. */
void zdbd_work_start_exclusive(struct zdbd_work *w);
/* Frees it; not while it runs. NULL-safe. */
void zdbd_work_free(struct zdbd_server *s, struct zdbd_work *w);
/* For run(): the reply is this error. */
void zdbd_work_error(struct zdbd_work *w, const struct err *e);

/* ---- zdbd_space.c ---- */

/* NULL: there is none, or it is not made yet. */
struct zdbd_space *zdbd_space_find(struct zdbd_server *s, struct str name);
/* Is the name taken, be it by one that is being made or removed? */
bool zdbd_space_exists(struct zdbd_server *s, struct str name);
struct zdbd_space *zdbd_space_new(struct zdbd_server *s, struct str name);
/* Off the list and freed; nobody uses it. */
void zdbd_space_free(struct zdbd_space *p);
/* Opens p->ns and takes its settings over. Blocks; any thread that owns p. */
int zdbd_space_open(struct zdbd_space *p, struct err *e) MUST_CHECK;
int zdbd_space_close(struct zdbd_space *p, struct err *e) MUST_CHECK;
/* Removes the folders, so that a crash half way is finished by the next start. ns is closed. */
int zdbd_space_remove(struct zdbd_space *p, struct err *e) MUST_CHECK;
/* Opens every namespace that is on the disk; "default" first. */
int zdbd_spaces_open(struct zdbd_server *s, struct err *e) MUST_CHECK;
/* May a namespace have it? Neither empty nor hidden nor a path. */
bool zdbd_space_name_ok(struct str name);
void zdbd_space_path(const struct zdbd_server *s, const struct zdbd_space *p, bool of_data,
                     char *out, size_t n);
#define ZDBD_PATH_BYTES 4096
/* Takes over what ns has. */
void zdbd_space_load(struct zdbd_space *p);
struct str zdbd_space_password(const struct zdbd_space *p);
/* A reply waits for the ticket: the commit starts when the batch is over. */
void zdbd_space_want(struct zdbd_space *p, uint64_t ticket);
void zdbd_space_commit(struct zdbd_space *p);
/* One user of ns less; starts what waits for it to be alone. */
void zdbd_space_leave(struct zdbd_space *p);

/* Tells hooks when the namespace has started new files since the last call; after writes. */
void zdbd_jump_note(struct zdbd_space *p);

/* Into out, as zdbd_durability_parse() takes it. */
#define ZDBD_DURABILITY_BYTES 32
const char *zdbd_durability_text(enum zdb_durability d, uint32_t interval_ms, char *out);

extern const uint32_t zdbd_latency_us[ZDBD_LATENCY_BUCKETS - 1];

/* ---- zdbd_dirty.c: which index files were changed since the last INDEX DIRTY RESET ---- */

/* Remembers all index files, as they are on the disk, as clean. Blocks; tier (a). */
int zdbd_dirty_reset(struct zdbd_space *p) MUST_CHECK;
/* Puts the numbers of the changed ones into *out, in order; the caller frees. Returns the count.
 * Blocks; tier (a). */
ssize_t zdbd_dirty_list(struct zdbd_space *p, uint32_t **out) MUST_CHECK;
void zdbd_dirty_free(struct zdbd_dirty *d);

/* ---- zdbd_command.c ---- */

struct zdbd_command {
    const char *name;
    void (*run)(struct zdbd_session *s, const struct resp_request *r);
};
extern const struct zdbd_command zdbd_commands[];
extern const size_t zdbd_command_count;
const struct zdbd_command *zdbd_command_find(struct str name); /* NULL: there is none */
void zdbd_command_execute(struct zdbd_session *s, struct resp_request *r);
/* Whoever waits for the command in this namespace is told. */
void zdbd_command_unwatch(struct zdbd_session *s); /* it waits no more */

/* Checks that commands share: false when they answered with an error. */
bool zdbd_check_admin(struct zdbd_session *s);
bool zdbd_check_args(struct zdbd_session *s, const struct resp_request *r, size_t count);
bool zdbd_check_args_min(struct zdbd_session *s, const struct resp_request *r, size_t count);
/* The namespace may be read; written. */
bool zdbd_check_readable(struct zdbd_session *s);
bool zdbd_check_writable(struct zdbd_session *s);
void zdbd_error(struct zdbd_session *s, const char *text);
void zdbd_error_of(struct zdbd_session *s, const struct err *e);
static inline void zdbd_ok(struct zdbd_session *s) { resp_simple(&s->out, STR("OK")); }

/* The commands themselves, by file. */
typedef void zdbd_run(struct zdbd_session *s, const struct resp_request *r);
/* zdbd_data.c */
zdbd_run zdbd_set, zdbd_get, zdbd_mget, zdbd_del, zdbd_exists, zdbd_check, zdbd_length,
    zdbd_keytime, zdbd_keycur, zdbd_history;
/* zdbd_scan.c */
zdbd_run zdbd_scan, zdbd_rscan, zdbd_kscan;
/* zdbd_auth.c */
zdbd_run zdbd_auth, zdbd_select;
/* zdbd_admin.c */
zdbd_run zdbd_nsnew, zdbd_nsdel, zdbd_nsset, zdbd_nsjump, zdbd_reload, zdbd_flush;
/* zdbd_info.c */
zdbd_run zdbd_info, zdbd_nsinfo, zdbd_nslist, zdbd_dbsize;
/* zdbd_system.c */
zdbd_run zdbd_ping, zdbd_time, zdbd_wait, zdbd_asterisk, zdbd_mirror, zdbd_master, zdbd_hooks,
    zdbd_stop;
/* zdbd_maintenance.c */
zdbd_run zdbd_scrub, zdbd_compact;
/* zdbd_raw.c */
zdbd_run zdbd_index, zdbd_data_raw;
