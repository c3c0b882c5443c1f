/* SPDX-License-Identifier: Apache-2.0 — gridletd_main.c: the node agent's daemon. */
#include "agent/daemon.h"

int main(int argc, char **argv) { return daemon_main(argc, argv); }
