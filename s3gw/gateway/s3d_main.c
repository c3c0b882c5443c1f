/* SPDX-License-Identifier: Apache-2.0 — s3d_main.c: gridlet-s3, the S3 gateway. */
#include "s3gw/gateway/s3d.h"

/* A sanitizer's runtime asks here: leaks are looked for by cloning and tracing at the end, which
 * the filter of system calls forbids. (--unconfined with detect_leaks=1 looks for them.) */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }
const char *__lsan_default_options(void);
const char *__lsan_default_options(void) { return "detect_leaks=0"; }

int main(int argc, char **argv) { return s3d_main(argc, argv); }
