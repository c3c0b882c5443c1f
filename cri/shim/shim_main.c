/* SPDX-License-Identifier: Apache-2.0 — shim_main.c: gridlet-shim, the parent of one pod's
 * containers.
 *
 * gridletd starts it with the descriptors of enum shim_fd; see cri/launch/shim_wire.h. */
#include "cri/shim/keeper.h"

#include <stdio.h>
#include <string.h>

static struct keeper keeper;

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("gridlet-shim %s\n", GRIDLET_VERSION);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--pod") == 0) return keeper_run(&keeper, argv[2]);
    (void)printf("gridlet-shim: keeps the containers of one pod; gridletd starts it.\n"
                 "usage: gridlet-shim --pod ID | --version | --help\n");
    return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
}
