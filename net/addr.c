/* SPDX-License-Identifier: Apache-2.0 — addr.c: IP addresses and CIDR ranges. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>

int ip_parse(struct str text, struct ip_addr *out) {
    char copy[IP_TEXT_BYTES];
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n)) return -EINVAL;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    struct ip_addr a = {.family = str_find(text, ':') >= 0 ? IP_V6 : IP_V4};
    if (inet_pton(a.family == IP_V6 ? AF_INET6 : AF_INET, copy, a.bytes) != 1) return -EINVAL;
    *out = a;
    return 0;
}

void ip_format(const struct ip_addr *a, char *out) {
    out[0] = '\0';
    if (a->family == IP_NONE) return;
    const char *ok =
        inet_ntop(a->family == IP_V6 ? AF_INET6 : AF_INET, a->bytes, out, IP_TEXT_BYTES);
    assert(ok);
}

bool ip_eq(const struct ip_addr *a, const struct ip_addr *b) {
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool ip_is_any(const struct ip_addr *a) {
    static const uint8_t zero[16];
    return a->family != IP_NONE && memcmp(a->bytes, zero, sizeof zero) == 0;
}

unsigned cidr_host_bits(const struct cidr *c) {
    return (unsigned)ip_bytes(&c->base) * 8 - c->prefix_bits;
}

static bool host_bits_clear(const struct ip_addr *a, unsigned prefix_bits) {
    for (unsigned bit = prefix_bits; bit < ip_bytes(a) * 8; bit++)
        if (a->bytes[bit / 8] & (0x80U >> (bit % 8))) return false;
    return true;
}

int cidr_parse(struct str text, struct cidr *out) {
    struct cidr c = {.prefix_bits = 0};
    struct str rest = text;
    struct str ip;
    uint64_t prefix;
    ptrdiff_t slash = str_find(text, '/');
    if (slash < 0 || !str_next(&rest, '/', &ip) || ip_parse(ip, &c.base) < 0) return -EINVAL;
    if (rest.n == 0 || rest.n > 3 || str_u64(rest, &prefix) < 0) return -EINVAL;
    if (prefix > ip_bytes(&c.base) * 8) return -EINVAL;
    c.prefix_bits = (unsigned)prefix;
    if (!host_bits_clear(&c.base, c.prefix_bits)) return -EDOM;
    *out = c;
    return 0;
}

struct ip_addr cidr_at(const struct cidr *c, uint32_t offset) {
    unsigned host_bits = cidr_host_bits(c);
    assert(host_bits >= 32 || offset < (UINT64_C(1) << host_bits));
    struct ip_addr a = c->base;
    size_t end = ip_bytes(&a);
    for (size_t i = 1; i <= 4; i++) a.bytes[end - i] |= (uint8_t)(offset >> (8 * (i - 1)));
    return a;
}

bool cidr_offset(const struct cidr *c, const struct ip_addr *a, uint32_t *out) {
    if (a->family != c->base.family) return false;
    size_t end = ip_bytes(a);
    uint32_t offset = 0;
    for (size_t i = 0; i < end; i++) {
        uint8_t differs = a->bytes[i] ^ c->base.bytes[i];
        if (i + 4 < end && differs) return false;
        offset = offset << 8 | differs;
    }
    unsigned host_bits = cidr_host_bits(c);
    if (host_bits < 32 && offset >= (UINT64_C(1) << host_bits)) return false;
    *out = offset;
    return true;
}
