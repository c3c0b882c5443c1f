/* SPDX-License-Identifier: Apache-2.0 — limits.h: what the daemon's process takes and may take. */
#pragma once

/* The allocator keeps little of what was freed; open files are limited by the hard limit alone
 * (containers get limits of their own). At start-up, before there are threads. */
void limits_set(void);
