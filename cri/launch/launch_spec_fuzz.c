/* SPDX-License-Identifier: Apache-2.0 — launch_spec_fuzz.c: whatever passes the check can be read
 * whole. */
#include "cri/launch/launch_spec.h"

#include "base/own.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t sum;

static void read_table(const struct launch_spec *s, struct launch_ref r, size_t item) {
    const unsigned char *p = launch_table(s, r);
    for (size_t i = 0; i < r.n * item; i++) sum += p[i];
}

static void read_strings(const struct launch_spec *s, struct launch_ref r) {
    const struct launch_ref *refs = launch_table(s, r);
    for (uint32_t i = 0; i < r.n; i++) sum += strlen(launch_str(s, refs[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    AUTO_FREE void *block = xmalloc(size); /* aligned, and its end is guarded by ASan */
    memcpy(block, data, size);
    const char *field = NULL;
    if (launch_spec_check(block, size, &field) < 0) return 0;
    const struct launch_spec *s = block;
    sum += strlen(launch_str(s, s->hostname)) + strlen(launch_str(s, s->lowers)) +
           strlen(launch_str(s, s->cwd)) + strlen(launch_str(s, s->apparmor));
    read_strings(s, s->argv);
    read_strings(s, s->envp);
    read_strings(s, s->masked);
    read_strings(s, s->readonly);
    const struct launch_mount *m = launch_table(s, s->mounts);
    for (uint32_t i = 0; i < s->mounts.n; i++)
        sum += strlen(launch_str(s, m[i].source)) + strlen(launch_str(s, m[i].target)) +
               strlen(launch_str(s, m[i].options));
    const struct launch_pair *pairs = launch_table(s, s->sysctls);
    for (uint32_t i = 0; i < s->sysctls.n; i++)
        sum += strlen(launch_str(s, pairs[i].key)) + strlen(launch_str(s, pairs[i].value));
    read_table(s, s->devices, sizeof(struct launch_device));
    read_table(s, s->groups, sizeof(uint32_t));
    read_table(s, s->rlimits, sizeof(struct launch_rlimit));
    read_table(s, s->seccomp, 8);
    return 0;
}
