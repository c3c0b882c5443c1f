/* SPDX-License-Identifier: Apache-2.0 — zdbd.h: the running program gridlet-zdb, put together from
 * its parts. */
#pragma once

/* What its main does: settings, sockets, rights, namespaces, serving, orderly end. Returns the exit
 * status. */
int zdbd_main(int argc, char **argv);
