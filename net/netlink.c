/* SPDX-License-Identifier: Apache-2.0 — netlink.c: batches of netlink messages over libmnl.
 *
 * The kernel handles a request inside sendmsg(2), in the sender's context, for both families used
 * here (rtnetlink and nfnetlink, whose batches are one transaction). So the answers are read with
 * MSG_DONTWAIT until the queue is empty: no timeout, no wait, and nothing is left over that the
 * next request could take for its own. A dump is no exception: each read makes the kernel queue the
 * next part before it returns.
 *
 * The batch remembers that it overflowed instead of reporting each append; the only place where an
 * overflow is seen is nl_send(). Sequence numbers start at a moment of the clock, so that answers
 * to a former owner of the socket are told apart. */
#include "net/netlink.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <string.h>
#include <sys/socket.h>

enum {
    REPLY_BYTES_MAX = 32768,    /* the kernel's largest part of a dump (NLMSG_GOODSIZE and above) */
    REPLIES_MAX = 65536,        /* parts read for one request */
    SEND_BUFFER_BYTES = 1 << 20 /* a batch is one datagram; the default allows 208 KiB */
};

/* Everything in netlink starts at a multiple of four. */
static size_t padded(size_t n) { return (n + 3) / 4 * 4; }

void nl_batch_init(struct nl_batch *b, void *memory, size_t bytes) {
    assert((uintptr_t)memory % 8 == 0);
    *b = (struct nl_batch){.memory = memory, .bytes_max = bytes, .first_seq = (uint32_t)clock_ns()};
}

/* Room for n more bytes, padded to the alignment of netlink; false marks the batch as full. */
static bool fits(struct nl_batch *b, size_t n) {
    if (n > b->bytes_max || b->used_bytes + padded(n) > b->bytes_max) b->full = true;
    return !b->full;
}

static void advance(struct nl_batch *b) {
    size_t start = (size_t)((char *)b->message - b->memory);
    b->used_bytes = start + padded(b->message->nlmsg_len);
}

void *nl_message(struct nl_batch *b, unsigned type, unsigned flags, size_t header_bytes) {
    assert(header_bytes <= sizeof b->spill);
    memset(b->spill, 0, sizeof b->spill);
    if (!fits(b, sizeof(struct nlmsghdr) + header_bytes)) return b->spill;
    b->message = mnl_nlmsg_put_header(b->memory + b->used_bytes);
    b->message->nlmsg_type = (uint16_t)type;
    b->message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    b->message->nlmsg_seq = b->first_seq + b->count++;
    void *header = mnl_nlmsg_put_extra_header(b->message, header_bytes);
    advance(b);
    return header;
}

void nl_put(struct nl_batch *b, unsigned type, const void *bytes, size_t n) {
    if (n > UINT16_MAX - sizeof(struct nlattr)) b->full = true;
    if (!fits(b, sizeof(struct nlattr) + n)) return;
    mnl_attr_put(b->message, (uint16_t)type, n, bytes);
    /* libmnl leaves what was on our stack in the padding; the kernel need not see it */
    size_t padding = (MNL_ALIGNTO - n % MNL_ALIGNTO) % MNL_ALIGNTO;
    memset((char *)mnl_nlmsg_get_payload_tail(b->message) - padding, 0, padding);
    advance(b);
}

void nl_put_u8(struct nl_batch *b, unsigned type, uint8_t v) { nl_put(b, type, &v, sizeof v); }
void nl_put_u16(struct nl_batch *b, unsigned type, uint16_t v) { nl_put(b, type, &v, sizeof v); }
void nl_put_u32(struct nl_batch *b, unsigned type, uint32_t v) { nl_put(b, type, &v, sizeof v); }
void nl_put_u32_be(struct nl_batch *b, unsigned type, uint32_t v) { nl_put_u32(b, type, htonl(v)); }
void nl_put_text(struct nl_batch *b, unsigned type, const char *text) {
    nl_put(b, type, text, strlen(text) + 1);
}

void *nl_put_room(struct nl_batch *b, size_t n) {
    assert(n <= sizeof b->spill);
    memset(b->spill, 0, sizeof b->spill);
    if (!fits(b, n)) return b->spill;
    void *room = mnl_nlmsg_put_extra_header(b->message, n);
    advance(b);
    return room;
}

size_t nl_nest(struct nl_batch *b, unsigned type) {
    size_t mark = b->used_bytes;
    nl_put(b, type | NLA_F_NESTED, NULL, 0);
    return mark;
}

void nl_nest_end(struct nl_batch *b, size_t mark) {
    if (b->full) return;
    struct nlattr *nest = (struct nlattr *)(void *)(b->memory + mark);
    size_t bytes = b->used_bytes - mark;
    if (bytes > UINT16_MAX) {
        b->full = true;
        return;
    }
    nest->nla_len = (uint16_t)bytes;
}

int nl_prepare(int fd) {
    int on = 1;
    if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0)
        return -errno;
    return 0;
}

int nl_open(int bus) {
    AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, bus);
    if (fd < 0) return -errno;
    int bytes = SEND_BUFFER_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        return -errno;
    int r = nl_prepare(fd);
    return r < 0 ? r : STEAL_FD(fd);
}

struct visit_call {
    void (*visit)(unsigned type, struct str payload, void *user);
    void *user;
};

static int visit_attribute(const struct nlattr *a, void *data) {
    const struct visit_call *call = data;
    call->visit(mnl_attr_get_type(a),
                str_make(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a)), call->user);
    return MNL_CB_OK;
}

void nl_attributes(const struct nlmsghdr *m, size_t header_bytes,
                   void (*visit)(unsigned type, struct str payload, void *user), void *user) {
    if (m->nlmsg_len < sizeof(struct nlmsghdr) + padded(header_bytes)) return;
    struct visit_call call = {visit, user};
    (void)mnl_attr_parse(m, (unsigned)header_bytes, visit_attribute, &call);
}

void nl_nested(struct str payload, void (*visit)(unsigned type, struct str payload, void *user),
               void *user) {
    struct visit_call call = {visit, user};
    (void)mnl_attr_parse_payload(payload.p, payload.n, visit_attribute, &call);
}

static void take_text(unsigned type, struct str payload, void *user) {
    struct nl_answer *answer = user;
    if (type != NLMSGERR_ATTR_MSG || payload.n == 0) return;
    size_t n = strnlen(payload.p, payload.n);
    if (n >= sizeof answer->text) n = sizeof answer->text - 1;
    memcpy(answer->text, payload.p, n);
    answer->text[n] = '\0';
}

static void take_error(const struct nl_batch *b, const struct nlmsghdr *m,
                       struct nl_answer *answer) {
    if (m->nlmsg_len < sizeof(struct nlmsghdr) + sizeof(struct nlmsgerr)) return;
    const struct nlmsgerr *error = mnl_nlmsg_get_payload(m);
    if (error->error == 0 || answer->error < 0) return;
    answer->error = error->error;
    answer->at = m->nlmsg_seq - b->first_seq;
    /* With NETLINK_CAP_ACK only the header of the refused message is repeated. */
    if (m->nlmsg_flags & NLM_F_ACK_TLVS)
        nl_attributes(m, sizeof(struct nlmsgerr), take_text, answer);
}

static void take_reply(const struct nl_batch *b, const char *bytes, size_t n,
                       struct nl_answer *answer) {
    int left = (int)n;
    for (const struct nlmsghdr *m = (const void *)bytes; mnl_nlmsg_ok(m, left);
         m = mnl_nlmsg_next(m, &left)) {
        if (m->nlmsg_seq - b->first_seq >= b->count) continue;
        if (m->nlmsg_type == NLMSG_ERROR)
            take_error(b, m, answer);
        else if (m->nlmsg_type >= NLMSG_MIN_TYPE && answer->on_message)
            answer->on_message(m, answer->user);
    }
}

int nl_send(int fd, struct nl_batch *b, struct nl_answer *answer) {
    struct nl_answer unread = {.error = 0};
    if (!answer) answer = &unread;
    answer->error = 0;
    answer->at = 0;
    answer->text[0] = '\0';
    if (b->full) return answer->error = -EMSGSIZE;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent;
    do {
        sent = sendto(fd, b->memory, b->used_bytes, 0, (struct sockaddr *)&kernel, sizeof kernel);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        answer->at = b->count;
        return answer->error = -errno;
    }
    AUTO_FREE char *reply = xmalloc(REPLY_BYTES_MAX);
    for (unsigned i = 0; i < REPLIES_MAX; i++) {
        ssize_t n = recv(fd, reply, REPLY_BYTES_MAX, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0 || n > REPLY_BYTES_MAX) {
            if (answer->error == 0) answer->error = n < 0 ? -errno : -EMSGSIZE;
            continue;
        }
        take_reply(b, reply, (size_t)n, answer);
    }
    return answer->error;
}
