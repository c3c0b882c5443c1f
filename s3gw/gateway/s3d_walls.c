/* SPDX-License-Identifier: Apache-2.0 — s3d_walls.c: the walls of the engine's server fit: the
 * gateway makes the calls of the same engine, loop and sockets. SQLite makes a few more: it asks
 * who it is, gives its log the owner of the database, and follows links. */
#include "s3gw/gateway/s3d_walls.h"

#include "base/confine.h"
#include "storage/zdb_server/zdbd_privileges.h"

#include <sys/syscall.h>

int s3d_walls_fence(const char *root, struct err *e) {
    zdbd_privileges_raise_files();
    const char *const folders[] = {root};
    return zdbd_privileges_fence(folders, COUNT(folders), e);
}

static const struct confine_call MORE[] = {
    {.number = SYS_getuid},   {.number = SYS_geteuid},    {.number = SYS_getpid},
    {.number = SYS_fchown},   {.number = SYS_readlinkat}, {.number = SYS_uname},
#ifdef SYS_readlink
    {.number = SYS_readlink},
#endif
};

int s3d_walls_filter(struct err *e) { return zdbd_privileges_filter_with(MORE, COUNT(MORE), e); }
