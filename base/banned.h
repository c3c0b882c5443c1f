/* SPDX-License-Identifier: Apache-2.0 — banned.h: functions that this project does not call; forced
 * into every file. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Fortification makes macros of these two under clang, which will not poison a macro. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok atoi atol atoll gets      \
    gmtime localtime popen
