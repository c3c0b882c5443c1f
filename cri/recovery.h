/* SPDX-License-Identifier: Apache-2.0 — recovery.h: what a daemon does with what its predecessor
 * left. */
#pragma once

#include "cri/node.h"

/* Reads all records, adopts the pods whose shims live, marks the others stopped, undoes what was
 * half made, and gives back whatever belongs to nobody. Loop thread, before the loop runs; blocks.
 */
int recover(struct cri *c, struct err *e) MUST_CHECK;
