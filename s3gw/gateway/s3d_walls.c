/* SPDX-License-Identifier: Apache-2.0 — s3d_walls.c: the walls of the engine's server fit: the
 * gateway makes the calls of the same engine, loop and sockets; SQLite's are among them. */
#include "s3gw/gateway/s3d_walls.h"

#include "storage/zdb_server/zdbd_privileges.h"

int s3d_walls_fence(const char *root, struct err *e) {
    zdbd_privileges_raise_files();
    const char *const folders[] = {root};
    return zdbd_privileges_fence(folders, COUNT(folders), e);
}

int s3d_walls_filter(struct err *e) { return zdbd_privileges_filter(e); }
