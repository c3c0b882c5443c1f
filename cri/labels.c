/* SPDX-License-Identifier: Apache-2.0 — labels.c: label selectors. */
#include "cri/labels.h"

#include "cri/proto/api.pb-c.h"

#include <string.h>

_Static_assert(sizeof(struct label) == sizeof(Runtime__V1__PodSandboxConfig__LabelsEntry) &&
                   offsetof(struct label, value) ==
                       offsetof(Runtime__V1__PodSandboxConfig__LabelsEntry, value),
               "generated map entries have another layout");

static bool has(const struct labels *have, const struct label *wanted) {
    for (size_t i = 0; i < have->count; i++)
        if (strcmp(have->entries[i]->key, wanted->key) == 0)
            return strcmp(have->entries[i]->value, wanted->value) == 0;
    return false;
}

bool labels_match(const struct labels *have, const struct labels *wanted) {
    for (size_t i = 0; i < wanted->count; i++)
        if (!has(have, wanted->entries[i])) return false;
    return true;
}
