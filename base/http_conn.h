/* SPDX-License-Identifier: Apache-2.0 — http_conn.h: what the files of the HTTP server share; for
 * them alone.
 *
 *   http_server.c    the server: limits, clock, buffers of calls, wake-ups, its end
 *   http_listener.c  addresses and accepting
 *   http_conn.c      one connection: what it does next (http_conn_pump), its watch and its deadline
 *   http_call.c      the functions that handlers call
 *   http_intake.c    receiving heads and bodies;  http_output.c  sending
 *
 * Owners: the server owns connections and spare calls; a connection owns its call. Handlers'
 * functions never do I/O: they note what is wanted and wake the connection, whose pump runs from
 * the loop, or goes on when it was the pump that called the handler. A connection is freed at the
 * end of its pump or by http_server_free(), nowhere else. */
#pragma once

#include "base/http_date.h"
#include "base/http_link.h"
#include "base/http_server.h"
#include "base/http_source.h"

#include <netinet/in.h>

/* Room for a head, and for what is read of a body while the head must stay where it is. */
#define HTTP_INPUT_BYTES     (HTTP_HEAD_BYTES_MAX + (16U << 10))
#define HTTP_SPARE_CALLS_MAX 64 /* kept for the next requests */
/* Steps of TLS handshakes (100 us each) before the other connections have their turn. */
#define HTTP_HANDSHAKES_PER_TURN 8

/* A node of a ring; the head is a node too. */
struct http_ring {
    struct http_ring *prev, *next;
};
static inline void http_ring_init(struct http_ring *r) { r->prev = r->next = r; }
static inline bool http_ring_alone(const struct http_ring *r) { return r->next == r; }
static inline void http_ring_leave(struct http_ring *r) {
    r->prev->next = r->next;
    r->next->prev = r->prev;
    http_ring_init(r);
}
static inline void http_ring_join(struct http_ring *head, struct http_ring *r) {
    r->prev = head->prev;
    r->next = head;
    head->prev->next = r;
    head->prev = r;
}

enum http_phase {
    HTTP_PHASE_HEAD,    /* the head is not complete */
    HTTP_PHASE_HANDLER, /* its turn, or about to be called (due) */
    HTTP_PHASE_READ,    /* into the handler's buffer */
    HTTP_PHASE_SEND,    /* the reply, or a piece of it */
    HTTP_PHASE_DRAIN,   /* the reply is out; the rest of the body is dropped */
};
/* What the slots of a queue are for, in the order of sending. */
enum { HTTP_QUEUE_HEAD, HTTP_QUEUE_CHUNK, HTTP_QUEUE_BYTES, HTTP_QUEUE_CHUNK_END, HTTP_QUEUE };
enum http_due { HTTP_DUE_NOTHING, HTTP_DUE_REQUEST, HTTP_DUE_BODY, HTTP_DUE_MORE };

struct http_call {
    struct http_conn *conn; /* its owner; NULL: spare */
    struct http_call *next_spare;
    const struct http_handler *handler;
    void *user;
    enum http_phase phase;
    enum http_due due;
    bool refused;   /* the head was: there is no request to show */
    struct err err; /* kind ERR_NONE: none */

    /* reading */
    char *read_out; /* the handler's */
    size_t read_min, read_max, read_n;
    uint64_t read_since_ms, read_waited_ms, read_window_bytes; /* of the present window */
    bool continued; /* 100 was sent, or the body came without */

    /* the reply */
    bool replied, pieces, last;
    bool close; /* the connection ends with this call */
    enum http_framing framing;
    uint64_t pieces_left;         /* of a known length */
    struct str queue[HTTP_QUEUE]; /* to be sent */
    struct http_range file;       /* what is left of it, after the queue */
    char chunk_line[24];
    char refusal_text[HTTP_REFUSAL_BYTES_MAX];
    unsigned status;

    /* facts */
    char id[HTTP_CALL_ID_CHARS + 1];
    char peer[HTTP_PEER_CHARS]; /* written when first asked for */
    int64_t at_wall_ns;
    uint64_t at_ns, first_byte_ns;
    uint64_t sent_bytes;

    struct http_body body;
    struct http_trailer_room room;
    struct http_head head;
    size_t head_n, in_at, in_n; /* in: the head, then [in_at, in_n) not looked at */
    char reply_head[HTTP_REPLY_HEAD_BYTES_MAX];
    char in[HTTP_INPUT_BYTES];
};

struct http_conn {
    struct http_server *server; /* borrowed */
    struct http_ring all, wake;
    struct http_link link;
    struct watch watch;
    struct http_call *call; /* owned; NULL between requests */
    struct http_source *source;
    uint64_t deadline_ms; /* 0: none */
    uint64_t linger_bytes;
    uint64_t acknowledged_bytes; /* when the present window of a blocked reply began */
    bool readable;               /* the socket said so and was not emptied since */
    bool blocked;                /* the socket takes no more */
    bool ended;                  /* the peer sends no more */
    bool broken;                 /* no more can be sent or received */
    bool lingering; /* all was sent and shut; input is dropped until the end or the deadline */
    bool closing;   /* to be freed at the end of the pump */
    bool pumping;
    struct sockaddr_in6 address; /* IPv4 is mapped; family AF_UNIX: none */
};

struct http_listener {
    struct http_server *server; /* borrowed */
    int fd;                     /* owned */
    struct tls_config *tls;     /* borrowed; NULL: not encrypted */
    struct watch watch;
    struct timer again;
};

struct http_server {
    struct loop *loop; /* borrowed */
    struct http_options options;
    struct http_listener listeners[HTTP_LISTENERS_MAX];
    size_t listener_count;
    struct http_sources sources;
    struct http_ring all;   /* of connections */
    struct http_ring wakes; /* connections to be pumped by wake_task */
    struct task wake_task;
    bool wake_posted, tick_armed, stopping, freed;
    struct timer tick, grace;
    uint32_t tick_ms;
    unsigned pump_depth;      /* functions up the stack that still need the server */
    struct http_call *spares; /* owned */
    size_t spare_count;
    struct http_blocks blocks;
    unsigned handshakes_left;
    struct http_counts counts;
    uint64_t id_base;
    int64_t date_s;
    char date[HTTP_DATE_CHARS + 1];
    struct task stop_task;
    bool stop_posted;
    void (*stop_done)(void *user); /* NULL: nobody waits */
    void *stop_user;
};

/* ---- http_server.c ---- */

/* A call for the connection, from the spares if there is one. */
struct http_call *http_server_take_call(struct http_server *s);
void http_server_give_call(struct http_server *s, struct http_call *c);
/* The Date header, made once per second. wall_ns: now. */
struct str http_server_date(struct http_server *s, int64_t wall_ns);
/* The connection is pumped soon, from the loop. */
void http_server_wake(struct http_server *s, struct http_conn *conn);
/* A connection came: the clock that ends those that are late must run. */
void http_server_start_clock(struct http_server *s);
/* A connection is gone: the server may have come to its end; s may be freed by this. */
void http_server_settle(struct http_server *s);

/* ---- http_listener.c ---- */

void http_listener_close(struct http_listener *l);

/* ---- http_conn.c ---- */

/* Notes that nothing more can be sent or received, and why, unless that is known already. */
void http_conn_broke(struct http_conn *conn, enum err_kind kind, const char *why);

/* Serves fd, which it owns from here on. */
void http_conn_new(struct http_listener *l, int fd, const struct sockaddr_in6 *address,
                   struct http_source *source);
void http_conn_pump(struct http_conn *conn);
/* The deadline has passed. */
void http_conn_late(struct http_conn *conn);
/* No call ends on it any more than must: idle ones are closed. For http_server_stop(). */
void http_conn_stop(struct http_conn *conn);
/* Breaks it off; it is freed unless its call is in the handler's turn. */
void http_conn_break(struct http_conn *conn);
void http_conn_deadline(struct http_conn *conn, uint32_t delay_ms);

/* ---- http_intake.c: 1 it went on, 0 more input is needed; what failed is noted in conn ---- */

int http_intake_head(struct http_conn *conn);
int http_intake_body(struct http_conn *conn);
int http_intake_linger(struct http_conn *conn);
/* Input for the present request is at its end; what was received of the next one stays. */
int http_intake_drain(struct http_conn *conn, bool *out_over);
/* The wait for a body begins; its end, false when the present window brought too little. */
void http_intake_wait(struct http_conn *conn);
bool http_intake_waited(struct http_conn *conn);

/* ---- http_output.c ---- */

/* 1: the queue and the file range are sent, or the connection broke; 0: the socket is full, or it
 * is the others' turn and the connection will be woken. */
int http_output_flush(struct http_conn *conn);
/* A window of waiting for the client to take a reply begins; its end, false when too little was
 * taken. */
void http_output_wait(struct http_conn *conn);
bool http_output_waited(struct http_conn *conn);
/* The reply that the server itself gives: text, then the end of the connection. kind: of the error
 * that the call ends with. */
void http_output_refuse(struct http_call *c, enum err_kind kind, struct http_refusal r);
/* Encodes the head and queues it with the body. */
void http_output_begin(struct http_call *c, const struct http_answer *a, uint64_t length);
void http_output_piece(struct http_call *c, struct str bytes, enum http_piece which);

/* ---- http_call.c ---- */

/* Makes a call that was just taken ready for a request's first byte; what `in` holds stays. */
void http_call_init(struct http_call *c);
/* The head is complete, or refused. */
void http_call_begin(struct http_call *c);
/* Runs the callback that is due. */
void http_call_run(struct http_call *c);
/* Tells whom it may concern that it is over, well or with c->err. */
void http_call_end(struct http_call *c);
