/* SPDX-License-Identifier: Apache-2.0 — conntrack.c: forgetting tracked UDP flows. */
#include "net/conntrack.h"
#include "net/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

enum { BATCH_BYTES = 512 };

/* Which parts of a tuple a filter compares. The numbers are ABI without a header: CTA_FILTER_F_* in
 * the kernel's net/netfilter/nf_internals.h, used by conntrack(8). */
enum {
    COMPARE_SOURCE_ADDRESS = 1 << 0,
    COMPARE_PROTOCOL = 1 << 3,
    COMPARE_DESTINATION_PORT = 1 << 5
};

static size_t put_filter(struct nl_batch *b, uint8_t family, unsigned flags_type, uint32_t flags) {
    struct nfgenmsg *header =
        nl_message(b, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_ACK, sizeof *header);
    header->nfgen_family = family;
    header->version = NFNETLINK_V0;
    size_t filter = nl_nest(b, CTA_FILTER);
    nl_put_u32(b, CTA_FILTER_ORIG_FLAGS, flags_type == CTA_FILTER_ORIG_FLAGS ? flags : 0);
    nl_put_u32(b, CTA_FILTER_REPLY_FLAGS, flags_type == CTA_FILTER_REPLY_FLAGS ? flags : 0);
    nl_nest_end(b, filter);
    return nl_nest(b, flags_type == CTA_FILTER_ORIG_FLAGS ? CTA_TUPLE_ORIG : CTA_TUPLE_REPLY);
}

static void put_udp(struct nl_batch *b, uint16_t destination_port) {
    size_t protocol = nl_nest(b, CTA_TUPLE_PROTO);
    nl_put_u8(b, CTA_PROTO_NUM, IPPROTO_UDP);
    if (destination_port) nl_put_u16(b, CTA_PROTO_DST_PORT, htons(destination_port));
    nl_nest_end(b, protocol);
}

/* No such flow is what one hopes for. */
static int forget(int nf, struct nl_batch *b) {
    int r = nl_send(nf, b, NULL);
    return r == -ENOENT ? 0 : r;
}

int conntrack_forget_port(int nf, uint16_t port) {
    static const uint8_t families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < COUNT(families); i++) {
        uint64_t memory[BATCH_BYTES / sizeof(uint64_t)];
        struct nl_batch b;
        nl_batch_init(&b, memory, sizeof memory);
        size_t tuple = put_filter(&b, families[i], CTA_FILTER_ORIG_FLAGS,
                                  COMPARE_PROTOCOL | COMPARE_DESTINATION_PORT);
        put_udp(&b, port);
        nl_nest_end(&b, tuple);
        int r = forget(nf, &b);
        if (r < 0) return r;
    }
    return 0;
}

int conntrack_forget_pod(int nf, const struct ip_addr *pod) {
    uint64_t memory[BATCH_BYTES / sizeof(uint64_t)];
    struct nl_batch b;
    nl_batch_init(&b, memory, sizeof memory);
    bool v6 = pod->family == IP_V6;
    size_t tuple = put_filter(&b, v6 ? AF_INET6 : AF_INET, CTA_FILTER_REPLY_FLAGS,
                              COMPARE_PROTOCOL | COMPARE_SOURCE_ADDRESS);
    size_t ip = nl_nest(&b, CTA_TUPLE_IP);
    nl_put(&b, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, pod->bytes, ip_bytes(pod));
    nl_nest_end(&b, ip);
    put_udp(&b, 0);
    nl_nest_end(&b, tuple);
    return forget(nf, &b);
}
