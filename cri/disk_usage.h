/* SPDX-License-Identifier: Apache-2.0 — disk_usage.h: what a folder takes on its file system. */
#pragma once

#include "storage/image/image.h"

/* Blocks and inodes of the tree behind dir_fd (borrowed), links not followed, other file systems
 * left out, a file with several names counted once for each. What disappears meanwhile is left out.
 * Any thread; walks the disk. 0 or -errno. */
int disk_usage(int dir_fd, struct image_usage *out) MUST_CHECK;
