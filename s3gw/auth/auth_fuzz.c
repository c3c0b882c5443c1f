/* SPDX-License-Identifier: Apache-2.0 — auth_fuzz.c: any request: a line "METHOD PATH?QUERY", then
 * headers. An identity comes out only after a key was looked up; errors have a text without the
 * secret. Lines that begin with '=' are fields of a form. */
#include "s3gw/auth/auth_rig.h"

#define FIELDS_MAX 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

static void request_line(struct rig *rig, struct str line) {
    struct str part;
    (void)str_next(&line, ' ', &rig->r.method);
    (void)str_next(&line, '?', &part);
    rig->r.path = part;
    rig->r.query = line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct s3_pair fields[FIELDS_MAX];
    struct s3_form form = {STR("sigv4examplebucket"), fields, 0};
    struct str rest = str_make((const char *)data, size);
    struct str line;
    struct rig rig;
    rig_open(&rig);
    if (str_next(&rest, '\n', &line)) request_line(&rig, line);
    while (str_next(&rest, '\n', &line)) {
        ptrdiff_t colon = str_find(line, ':');
        if (colon < 0) continue;
        struct s3_pair pair = {str_sub(line, 0, (size_t)colon),
                               str_sub(line, (size_t)colon + 1, line.n)};
        if (str_starts(line, STR("="))) {
            pair.name = str_sub(pair.name, 1, pair.name.n);
            if (form.count < FIELDS_MAX) fields[form.count++] = pair;
        } else if (rig.r.header_count < RIG_HEADERS) {
            rig.headers[rig.r.header_count++] = pair;
        }
    }
    if (form.count) rig.r.form = &form;
    rig.r.now_s = RIG_MAY_24;
    if (rig_ask(&rig) == S3_OK) {
        if (rig.out.kind == AUTH_ANONYMOUS) must(rig.out.identity == NULL);
        if (rig.out.kind != AUTH_ANONYMOUS) must(rig.lookups > 0 && rig.out.identity == &rig);
    } else {
        must(rig.x.message[0] != '\0' && rig.x.code < S3_CODES);
        must(strstr(rig.x.message, RIG_SECRET) == NULL);
    }
    rig_close(&rig);
    return 0;
}
