/* SPDX-License-Identifier: Apache-2.0 — record_fuzz.c: whatever parses is printed and parses to the
 * same. */
#include "net/record.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err e = {.kind = ERR_NONE};
    AUTO(pod_record_done) struct pod_record r = {.port_count = 0};
    AUTO(pod_record_done) struct pod_record again = {.port_count = 0};
    AUTO(buf_done) struct buf text = BUF(2 * RECORD_BYTES_MAX);
    if (pod_record_parse(str_make((const char *)data, size), &r, &e) < 0) {
        assert(e.kind == ERR_CORRUPT);
        return 0;
    }
    int printed = pod_record_print(&r, &text);
    assert(printed == 0);
    int parsed = pod_record_parse(buf_view(&text), &again, &e);
    assert(parsed == 0 && again.port_count == r.port_count && ip_eq(&r.ip4, &again.ip4));
    return 0;
}
