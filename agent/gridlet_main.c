/* SPDX-License-Identifier: Apache-2.0 — gridlet_main.c: the command line. */
#include "agent/cli/cli.h"

int main(int argc, char **argv) { return cli_main(argc, argv); }
