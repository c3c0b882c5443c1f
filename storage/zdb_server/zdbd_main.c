/* SPDX-License-Identifier: Apache-2.0 — zdbd_main.c: gridlet-zdb, the 0-db compatible server. */
#include "storage/zdb_server/zdbd.h"

#include <unistd.h>

/* A sanitizer's runtime asks here: leaks are looked for by cloning and tracing at the end, which
 * the filter of system calls forbids. (--unconfined with detect_leaks=1 looks for them.) */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }
const char *__lsan_default_options(void);
const char *__lsan_default_options(void) { return "detect_leaks=0"; }

int main(int argc, char **argv) { return zdbd_main(argc, argv); }
