/* SPDX-License-Identifier: Apache-2.0 — apparmor.h: AppArmor as this kernel has it, and the profile
 * of containers that ask for the runtime's default. */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define APPARMOR_DEFAULT "gridlet-default"

bool apparmor_enabled(void);

enum apparmor_loaded { APPARMOR_LOADED, APPARMOR_NOT_LOADED, APPARMOR_UNKNOWN /* no securityfs */ };
enum apparmor_loaded apparmor_profile(struct str name);

/* Loads the profile that lies in the file, with apparmor_parser, unless one named APPARMOR_DEFAULT
 * is loaded; waits for that, once per boot. *out_loaded: whether there is one now. It is false, and
 * no failure, where the kernel has no AppArmor, or neither parser nor file is installed: containers
 * run without, as they do under other runtimes. Any thread. */
int apparmor_load_default(const char *file, bool *out_loaded, struct err *e) MUST_CHECK;
