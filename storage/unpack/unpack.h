/* SPDX-License-Identifier: Apache-2.0 — unpack.h: the program gridlet-unpack.
 *
 * One layer's stream on descriptor 0 becomes a tree below a folder. gridletd starts it with
 * `--report`; a person may run it by hand. */
#pragma once

/* What main() returns: 0 unpacked, 1 failed (the reason is in the report or on stderr), 2 wrong
 * arguments. */
int unpack_main(int argc, char **argv);
