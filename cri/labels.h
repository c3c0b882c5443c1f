/* SPDX-License-Identifier: Apache-2.0 — labels.h: maps of strings in CRI messages, whatever message
 * they are in.
 *
 * Each map field has a generated entry type of its own, all with the same layout (key, value) and
 * the same wire form, so entries are lent from one message to another without a copy. */
#pragma once

#include "base/grpc.h"

#include <stdbool.h>
#include <stddef.h>

struct label {
    ProtobufCMessage base;
    char *key, *value;
};
struct labels {
    struct label **entries; /* borrowed: any generated __LabelsEntry ** and the like */
    size_t count;
};

/* Every wanted entry is among those there, with the same value. */
bool labels_match(const struct labels *have, const struct labels *wanted);
