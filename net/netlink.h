/* SPDX-License-Identifier: Apache-2.0 — netlink.h: batches of netlink messages, sent with one
 * system call, and their acknowledgements.
 *
 * libmnl is wrapped here alone. A batch is filled in the caller's memory; what does not fit is
 * remembered and refused when the batch is sent, so that building needs no checks. The kernel works
 * a netlink request off inside sendmsg(2): when it returns, every answer is in the receive queue,
 * and nothing here ever waits. One thread at a time per socket and per batch. */
#pragma once

#include "base/own.h"
#include "base/str.h"

#include <linux/netlink.h>

#define NL_TEXT_BYTES_MAX 160

struct nl_batch {
    char *memory; /* borrowed */
    size_t used_bytes, bytes_max;
    struct nlmsghdr *message;  /* the open one, inside memory; NULL before the first */
    uint32_t first_seq, count; /* messages so far */
    bool full;                 /* something did not fit; nl_send() fails with -EMSGSIZE */
    uint64_t spill[8];         /* where the header of a message that did not fit goes */
};

/* memory: 8-byte aligned, borrowed for the life of the batch. */
void nl_batch_init(struct nl_batch *b, void *memory, size_t bytes);
/* Starts a message and returns its zeroed fixed header (at most 64 bytes) to be filled in.
 * NLM_F_REQUEST is added to flags. */
void *nl_message(struct nl_batch *b, unsigned type, unsigned flags, size_t header_bytes);
void nl_put(struct nl_batch *b, unsigned type, const void *bytes, size_t n);
void nl_put_u8(struct nl_batch *b, unsigned type, uint8_t v);
void nl_put_u16(struct nl_batch *b, unsigned type, uint16_t v); /* host order */
void nl_put_u32(struct nl_batch *b, unsigned type, uint32_t v);
void nl_put_u32_be(struct nl_batch *b, unsigned type, uint32_t v); /* turned into network order */
void nl_put_text(struct nl_batch *b, unsigned type, const char *text); /* with its NUL */
/* Zeroed bytes inside the open message, for a header that stands inside an attribute. */
void *nl_put_room(struct nl_batch *b, size_t n);
/* Opens and closes a nested attribute; the mark is an offset. */
size_t nl_nest(struct nl_batch *b, unsigned type);
void nl_nest_end(struct nl_batch *b, size_t mark);

/* What the kernel said to a batch. */
struct nl_answer {
    int error;   /* 0, or the first refused message's -errno */
    uint32_t at; /* its index in the batch; the batch's count when none was even sent */
    char text[NL_TEXT_BYTES_MAX]; /* the kernel's explanation, or "" */
    /* Called for each message that is no acknowledgement; may be NULL. */
    void (*on_message)(const struct nlmsghdr *m, void *user);
    void *user;
};

/* A socket of NETLINK_ROUTE, NETLINK_NETFILTER, ...: a descriptor or -errno. */
int nl_open(int bus) MUST_CHECK;
/* Asks for explanations on a socket that someone else opened. 0 or -errno. */
int nl_prepare(int fd) MUST_CHECK;
/* Sends the batch and reads all answers: 0 when nothing was refused, otherwise -errno, the same as
 * answer->error; -EMSGSIZE when the batch was full. answer: on_message and user are read, the rest
 * is written; NULL: nobody wants to know. */
int nl_send(int fd, struct nl_batch *b, struct nl_answer *answer) MUST_CHECK;

/* Calls visit for each attribute of a message behind its fixed header. Attributes that a lying
 * length would place outside are not visited. */
void nl_attributes(const struct nlmsghdr *m, size_t header_bytes,
                   void (*visit)(unsigned type, struct str payload, void *user), void *user);
/* The same for the attributes inside of an attribute. */
void nl_nested(struct str payload, void (*visit)(unsigned type, struct str payload, void *user),
               void *user);
