/* SPDX-License-Identifier: Apache-2.0 — grpc_timeout_fuzz.c: any header value. */
#include "base/grpc_timeout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t ns = 0;
    int r = grpc_timeout_parse(str_make((const char *)data, size), &ns);
    if (r == 0 && (size < 2 || size > 9)) abort();
    return 0;
}
