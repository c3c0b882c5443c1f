/* SPDX-License-Identifier: Apache-2.0 — addr_fuzz.c: whatever parses is printed and parses again.
 */
#include "net/addr.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct ip_addr ip, again;
    char printed[IP_TEXT_BYTES];
    if (ip_parse(text, &ip) == 0) {
        ip_format(&ip, printed);
        assert(ip_parse(str_of(printed), &again) == 0 && ip_eq(&ip, &again));
    }
    struct cidr c;
    if (cidr_parse(text, &c) == 0) {
        uint32_t offset;
        struct ip_addr first = cidr_at(&c, 0);
        assert(ip_eq(&first, &c.base));
        assert(cidr_offset(&c, &first, &offset) && offset == 0);
    }
    return 0;
}
