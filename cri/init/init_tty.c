/* SPDX-License-Identifier: Apache-2.0 — init_tty.c: the terminal of a container's process. */
#include "cri/init/init.h"
#include "cri/launch/kernel.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#define PTMX_MAJOR 5
#define PTMX_MINOR 2
#define TTY_MODE   0620

void init_tty(const struct launch_spec *spec) {
    AUTO_CLOSE int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (master < 0) init_fail(errno, "open a terminal (/dev/pts/ptmx)");
    /* the shim is going to read from it: it must be what we think it is */
    if (fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) ||
        st.st_rdev != makedev(PTMX_MAJOR, PTMX_MINOR))
        init_fail(ENOTTY, "open a terminal: /dev/pts/ptmx is something else");
    int unlocked = 0;
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) init_fail(errno, "unlock the terminal");
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    if (slave < 0) init_fail(errno, "open the terminal's other end");
    if (fchown(slave, spec->uid, (gid_t)-1) < 0 || fchmod(slave, TTY_MODE) < 0)
        init_fail(errno, "give the terminal to user %u", spec->uid);
    struct launch_report report = {.kind = LAUNCH_TTY_MASTER};
    init_report(&report, &master, 1);
    if (ioctl(slave, TIOCSCTTY, 0) < 0) init_fail(errno, "make the terminal the controlling one");
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(slave, fd) < 0) init_fail(errno, "terminal as descriptor %d", fd);
    if (slave > 2) (void)close(slave);
}
