/* SPDX-License-Identifier: Apache-2.0 — zdb_disk.h: a small ext4 of a test's own, that can lose its
 * power. Only tests include it; they run as root.
 *
 * Image and mount lie in a mount namespace of the test (scratch.h), and the loop device is cleared
 * when its last user goes: a test that is killed leaves nothing. */
#pragma once

#include "storage/zdb/zdb_sample.h"

#include "base/proc.h"

#include <linux/loop.h>
#include <sys/ioctl.h>

/* Linux 4.14 and newer, fs/ext4/ext4.h; not in the headers of user space. NOLOGFLUSH: the journal
 * is not written, so that what was not synced is gone. */
#define EXT4_IOC_SHUTDOWN           _IOR('X', 125, __u32)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 0x2

#define DISK_PATH     SCRATCH "/disk"
#define DISK_TRIES    100 /* for a free loop device: others take them, too */
#define DISK_LOOP_MAX 32

struct disk {
    char device[DISK_LOOP_MAX];
    int loop; /* owned; keeps the device while nothing is mounted */
};

static inline void disk_fail(const char *what) {
    fail_msg("%s: %s (it needs root and loop devices)", what, strerror(errno));
}

static inline void disk_format(const char *image) {
    const char *argv[] = {"mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=4", image, NULL};
    struct proc_spec spec = PROC_SPEC;
    struct proc p = PROC_NONE;
    struct proc_exit x = {0};
    struct err e = {0};
    spec.path = "/usr/sbin/mkfs.ext4";
    spec.argv = argv;
    if (proc_spawn(&spec, &p, &e) < 0) fail_msg("mkfs.ext4: %s", e.msg);
    assert_int_equal(proc_wait(&p, &x), 0);
    proc_done(&p);
    assert_int_equal(proc_exit_code(x), 0);
}

static inline void disk_attach(struct disk *d, const char *image) {
    AUTO_CLOSE int file = open(image, O_RDWR | O_CLOEXEC);
    AUTO_CLOSE int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (file < 0 || control < 0) disk_fail("open the image and /dev/loop-control");
    struct loop_config config = {.fd = (__u32)file, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    for (int i = 0; i < DISK_TRIES; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) disk_fail("find a loop device");
        (void)snprintf(d->device, sizeof d->device, "/dev/loop%d", number);
        d->loop = open(d->device, O_RDWR | O_CLOEXEC);
        if (d->loop >= 0 && ioctl(d->loop, LOOP_CONFIGURE, &config) == 0) return;
        if (d->loop >= 0) (void)close(d->loop);
    }
    disk_fail("attach a loop device");
}

static inline void disk_mount(const struct disk *d) {
    if (mount(d->device, DISK_PATH, "ext4", 0, "") < 0) disk_fail("mount the image");
}

/* Call after scratch_mount(), whose size it must fit into. */
static inline void disk_make(struct disk *d, uint64_t bytes) {
    const char *image = SCRATCH "/image";
    AUTO_CLOSE int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0) disk_fail("make the image");
    if (mkdir(DISK_PATH, 0755) < 0 && errno != EEXIST) disk_fail("make the mount point");
    disk_format(image);
    disk_attach(d, image);
    disk_mount(d);
}

static inline void disk_done(struct disk *d) {
    if (umount(DISK_PATH) < 0) disk_fail("unmount the image");
    (void)close(d->loop);
    assert_int_equal(unlink(SCRATCH "/image"), 0);
}

/* The power goes: every call on the file system fails from now on. Any thread. */
static inline void disk_cut(void) {
    __u32 how = EXT4_GOING_FLAGS_NOLOGFLUSH;
    AUTO_CLOSE int dir = open(DISK_PATH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || ioctl(dir, EXT4_IOC_SHUTDOWN, &how) < 0) disk_fail("cut the power");
}

/* And comes back; nothing on it may be open. */
static inline void disk_restart(const struct disk *d) {
    if (umount(DISK_PATH) < 0) disk_fail("unmount the image");
    disk_mount(d);
}

/* A sample whose folders are on the disk. */
static inline void disk_sample(struct sample *s, enum zdb_mode mode) {
    sample_init(s, mode);
    (void)snprintf(s->data, sizeof s->data, DISK_PATH "/data");
    (void)snprintf(s->index, sizeof s->index, DISK_PATH "/index");
}
