/* SPDX-License-Identifier: Apache-2.0 — unpack_main.c: gridlet-unpack. */
#include "storage/unpack/unpack.h"

#include <unistd.h>

/* A sanitizer's runtime asks here. LeakSanitizer would clone and ptrace at the end, which the
 * filter of system calls forbids; and the threads and memory that are left are the kernel's to
 * free. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }
const char *__lsan_default_options(void);
const char *__lsan_default_options(void) { return "detect_leaks=0"; }
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "report_thread_leaks=0"; }

/* Leaves without exit handlers: the decoding thread may still be reading, and nothing is buffered.
 */
int main(int argc, char **argv) { _exit(unpack_main(argc, argv)); }
