/* SPDX-License-Identifier: Apache-2.0 — power_cut_test.c: a file system that stops without writing
 * anything more, as when the power goes; then an image is whole or absent. */
#include "storage/image/layer_sample.h"
#include "storage/image/store.h"

#include "base/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#define ID     "sha256:aaaaaaaaaaaa0000000000000000000000000000000000000000000000000000"
#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"

/* ext4's ioctl to stop a file system, losing its log: fs/ext4/ext4.h */
#define IOC_SHUTDOWN      _IOR('X', 125, uint32_t)
#define SHUTDOWN_NO_FLUSH 2u

static void shell(const char *script) {
    const char *const argv[] = {"sh", "-ec", script, NULL};
    const char *const envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    const struct proc_fd fds[] = {{2, 2}};
    struct proc_spec spec = PROC_SPEC;
    spec.path = "/bin/sh";
    spec.argv = argv;
    spec.envp = envp;
    spec.fds = fds;
    spec.fd_count = COUNT(fds);
    AUTO(proc_done) struct proc p = PROC_NONE;
    struct proc_exit x;
    struct err e = {0};
    if (proc_spawn(&spec, &p, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(proc_wait(&p, &x), 0);
    if (proc_exit_code(x) != 0) fail_msg("'%s' gave %d", script, proc_exit_code(x));
}

#define DISK  SCRATCH "/disk"
#define MOUNT SCRATCH "/m"

static void cut_power(void) {
    uint32_t how = SHUTDOWN_NO_FLUSH;
    AUTO_CLOSE int fd = open(MOUNT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(ioctl(fd, IOC_SHUTDOWN, &how), 0);
}

static struct image_store *open_store(void) {
    struct err e = {0};
    struct image_store *s = image_store_open(MOUNT "/root", sample_unpacker(), &e);
    if (!s) fail_msg("%s", e.msg);
    return s;
}

static void commit_layer(struct image_store *s, char dir[16]) {
    struct err e = {0};
    AUTO(buf_done) struct buf tar = BUF(SAMPLE_BYTES_MAX);
    for (char name[] = "a"; name[0] <= 'z'; name[0]++)
        sample_add(&tar, (struct sample_entry){.name = name, .data = STR("whole")});
    if (sample_plain(s, &tar, dir, &e) < 0) fail_msg("%s", e.msg);
}

static void commit_image(struct image_store *s, const char *dir) {
    struct err e = {0};
    struct str dirs[] = {str_of(dir)};
    struct image_record r = {.id = STR(ID),
                             .config_json = STR("{}"),
                             .name = STR("r.io/x"),
                             .tag = STR("1"),
                             .digest = STR(DIGEST),
                             .dirs = dirs,
                             .dir_count = 1};
    if (image_commit(s, &r, &e) < 0) fail_msg("%s", e.msg);
}

static void what_was_committed_survives_a_power_cut_whole(void **state) {
    (void)state;
    char dir[16];
    struct err e = {0};
    struct image im;
    struct str text;
    shell("truncate -s 64M " DISK "; mkfs.ext4 -q -F " DISK "; mkdir -p " MOUNT
          "; mount -o loop " DISK " " MOUNT);
    struct image_store *s = open_store();
    commit_layer(s, dir);
    commit_image(s, dir);
    cut_power();
    image_store_close(s);
    shell("umount " MOUNT "; mount -o loop " DISK " " MOUNT);

    s = open_store();
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    if (image_find(s, &a, STR("r.io/x:1"), &im, &e) < 0) fail_msg("%s", e.msg);
    for (char name[] = "a"; name[0] <= 'z'; name[0]++) {
        if (image_read_file(s, &im, str_of(name), &a, &text, &e) < 0) fail_msg("%s", e.msg);
        assert_true(str_eq(text, STR("whole")));
    }

    /* A removal that returned is not undone either. */
    assert_int_equal(image_remove(s, STR("r.io/x:1"), &e), 0);
    cut_power();
    image_store_close(s);
    shell("umount " MOUNT "; mount -o loop " DISK " " MOUNT);
    s = open_store();
    assert_int_equal(image_find(s, &a, STR("r.io/x:1"), &im, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    image_store_close(s);
    shell("umount " MOUNT "; rm " DISK);
}

static int setup(void **state) {
    (void)state;
    scratch_mount("128m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_committed_survives_a_power_cut_whole),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
