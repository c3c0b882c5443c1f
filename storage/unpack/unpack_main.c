/* SPDX-License-Identifier: Apache-2.0 — unpack_main.c: gridlet-unpack. */
#include "storage/unpack/unpack.h"

#include <unistd.h>

/* Leaves without exit handlers: the decoding thread may still be reading, and nothing is buffered.
 */
int main(int argc, char **argv) { _exit(unpack_main(argc, argv)); }
