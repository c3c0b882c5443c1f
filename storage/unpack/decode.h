/* SPDX-License-Identifier: Apache-2.0 — decode.h: the two windows that a decoder works on. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct decode_io {
    const uint8_t *in; /* borrowed; moved on by what was used */
    size_t in_n;
    uint8_t *out; /* borrowed; moved on by what was made */
    size_t out_n;
};
