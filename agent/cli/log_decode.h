/* SPDX-License-Identifier: Apache-2.0 — log_decode.h: lines of a CRI log become what the container
 * wrote. Without I/O.
 *
 * A line is "TIME STREAM TAG PAYLOAD\n"; TAG is F for a full line or P for a part of one, with
 * more tags behind ':'. Source: kubernetes design "CRI: dockershim logging", kubelet's log parser.
 */
#pragma once

#include "base/str.h"

enum log_source { LOG_OF_STDOUT, LOG_OF_STDERR };

struct log_entry {
    enum log_source source;
    struct str payload; /* a view into the line */
    bool full;          /* a newline belongs behind it */
};

/* line: without its newline. A line that is not of this form (cut by a power failure) is given as
 * it is, as a full line of stdout; false says so. */
bool log_decode(struct str line, struct log_entry *out);
