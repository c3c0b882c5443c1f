/* SPDX-License-Identifier: Apache-2.0 — cgroup_test.c: names, limits and their order in imitated
 * hierarchies; life and death of groups in the machine's own. */
#include "cri/cgroup.h"

#include "base/file.h"
#include "cri/cgroup_tree.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- imitated hierarchies ---- */

struct fake {
    char root[64];
    int dir;
    struct cgroup_node *node;
};

static void put(const struct fake *f, const char *name, const char *text) {
    AUTO_CLOSE int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
}

static void assert_file(const struct fake *f, const char *name, const char *wanted) {
    AUTO(buf_done) struct buf text = BUF(0);
    assert_int_equal(file_read_all(f->dir, name, 4096, &text), 0);
    assert_string_equal(buf_c(&text), wanted);
}

static void fake_dir(struct fake *f) {
    (void)snprintf(f->root, sizeof f->root, "/tmp/cgroup_test.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    f->dir = file_open_dir(AT_FDCWD, f->root);
    assert_true(f->dir >= 0);
}

static void fake_open(struct fake *f, const char *mountinfo, enum cgroup_driver driver) {
    struct err e = {0};
    struct cgroup_source source = {.mountinfo = str_of(mountinfo), .imitation = true};
    assert_int_equal(cgroup_open_from(&source, "gridlet", driver, &f->node, &e), 0);
}

static void fake_v2_driver(struct fake *f, enum cgroup_driver driver) {
    char mountinfo[256];
    fake_dir(f);
    put(f, "cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n");
    (void)snprintf(mountinfo, sizeof mountinfo,
                   "30 24 0:26 / %s rw shared:4 - cgroup2 cgroup2 rw\n", f->root);
    fake_open(f, mountinfo, driver);
}
static void fake_v2(struct fake *f) { fake_v2_driver(f, CGROUP_DRIVER_CGROUPFS); }

static void fake_v1(struct fake *f) {
    static const char *const names[] = {"cpu,cpuacct", "memory", "pids", "cpuset", "devices"};
    AUTO(buf_done) struct buf mountinfo = BUF(4096);
    fake_dir(f);
    assert_int_equal(mkdirat(f->dir, "unified", 0755), 0);
    put(f, "unified/cgroup.controllers", "\n");
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(mkdirat(f->dir, names[i], 0755), 0);
        assert_int_equal(buf_fmt(&mountinfo, "3%zu 24 0:2%zu / %s/%s rw - cgroup cgroup rw,%s\n", i,
                                 i, f->root, names[i], names[i]),
                         0);
    }
    assert_int_equal(
        buf_fmt(&mountinfo, "40 24 0:30 / %s/unified rw - cgroup2 cgroup2 rw\n", f->root), 0);
    fake_open(f, buf_c(&mountinfo), CGROUP_DRIVER_CGROUPFS);
}

static void fake_done(struct fake *f) {
    cgroup_close(f->node);
    (void)close(f->dir);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->root), 0);
}

/* ---- names ---- */

static void a_pod_without_a_parent_lies_below_the_nodes_root(void **state) {
    (void)state;
    struct fake f;
    struct cgroup_path pod, leaf;
    struct err e = {0};
    fake_v2(&f);
    assert_int_equal(cgroup_pod_path(f.node, STR_NONE, STR("abc"), &pod, &e), 0);
    assert_string_equal(pod.c, "/gridlet/podabc");
    assert_int_equal(cgroup_leaf_path(f.node, &pod, STR("c1"), &leaf, &e), 0);
    assert_string_equal(leaf.c, "/gridlet/podabc/c1");
    fake_done(&f);
}

static void a_parent_path_is_cleaned_and_may_not_climb(void **state) {
    (void)state;
    struct fake f;
    struct cgroup_path pod;
    struct err e = {0};
    fake_v2(&f);
    assert_int_equal(
        cgroup_pod_path(f.node, STR("kubepods//burstable/podX/"), STR("abc"), &pod, &e), 0);
    assert_string_equal(pod.c, "/kubepods/burstable/podX");
    assert_int_equal(cgroup_pod_path(f.node, STR("/kubepods/../x"), STR("a"), &pod, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(cgroup_pod_path(f.node, STR("/a\nb"), STR("a"), &pod, &e), -1);
    assert_int_equal(cgroup_pod_path(f.node, STR_NONE, STR("a/b"), &pod, &e), -1);
    assert_int_equal(cgroup_leaf_path(f.node, &pod, STR(".."), &pod, &e), -1);
    fake_done(&f);
}

static void a_path_over_the_limits_is_refused(void **state) {
    (void)state;
    struct fake f;
    struct cgroup_path pod;
    struct err e = {0};
    char long_name[300], deep[2 * CGROUP_DEPTH_MAX + 1];
    fake_v2(&f);
    memset(long_name, 'x', sizeof long_name);
    assert_int_equal(
        cgroup_pod_path(f.node, str_make(long_name, sizeof long_name), STR("a"), &pod, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    for (size_t i = 0; i < CGROUP_DEPTH_MAX; i++) memcpy(deep + 2 * i, "/x", 2);
    assert_int_equal(
        cgroup_pod_path(f.node, str_make(deep, 2 * CGROUP_DEPTH_MAX), STR("a"), &pod, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    fake_done(&f);
}

static void a_slice_expands_to_its_whole_way(void **state) {
    (void)state;
    struct fake f;
    struct cgroup_path pod, leaf;
    struct err e = {0};
    fake_v2_driver(&f, CGROUP_DRIVER_SYSTEMD);
    struct str parent =
        STR("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podX.slice");
    assert_int_equal(cgroup_pod_path(f.node, parent, STR("abc"), &pod, &e), 0);
    assert_string_equal(pod.c,
                        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podX.slice");
    assert_int_equal(cgroup_leaf_path(f.node, &pod, STR("c1"), &leaf, &e), 0);
    assert_true(str_ends(str_of(leaf.c), STR("/gridlet-c1.scope")));
    assert_int_equal(cgroup_pod_path(f.node, STR("/kubepods/x"), STR("abc"), &pod, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(cgroup_pod_path(f.node, STR("a--b.slice"), STR("abc"), &pod, &e), -1);
    fake_done(&f);
}

static void the_systemd_driver_is_refused_where_systemd_takes_limits_away(void **state) {
    (void)state;
    struct fake f;
    struct err e = {0};
    struct cgroup_node *node = NULL;
    fake_v2(&f);
    char text[256];
    (void)snprintf(text, sizeof text, "30 1 0:26 / %s rw - cgroup2 cgroup2 rw\n", f.root);
    struct cgroup_source source = {str_of(text), true, true};
    assert_int_equal(cgroup_open_from(&source, "new", CGROUP_DRIVER_SYSTEMD, &node, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "cgroupfs"));
    assert_int_equal(file_exists(f.dir, "new"), 0);
    assert_int_equal(cgroup_open_from(&source, "new", CGROUP_DRIVER_CGROUPFS, &node, &e), 0);
    cgroup_close(node);
    source.systemd_runs = false;
    assert_int_equal(cgroup_open_from(&source, "new", CGROUP_DRIVER_SYSTEMD, &node, &e), 0);
    cgroup_close(node);
    fake_done(&f);
}

/* ---- limits ---- */

static void shares_become_the_weights_that_kubelet_computes(void **state) {
    (void)state;
    assert_int_equal(cgroup_weight_of_shares(0), 1);
    assert_int_equal(cgroup_weight_of_shares(2), 1);
    assert_int_equal(cgroup_weight_of_shares(1024), 100);
    assert_int_equal(cgroup_weight_of_shares(262144), 10000);
    assert_int_equal(cgroup_weight_of_shares(UINT64_MAX), 10000);
    for (uint64_t s = 2; s < 262144; s += 7)
        assert_true(cgroup_weight_of_shares(s) <= cgroup_weight_of_shares(s + 7));
}

static void limits_are_written_to_v2_files(void **state) {
    (void)state;
    struct fake f;
    struct err e = {0};
    struct cgroup_hugepage huge = {STR("2MB"), 4096};
    struct cgroup_setting unified = {STR("memory.high"), STR("123")};
    struct cgroup_limits l = {.cpu_period_us = 50000,
                              .cpu_quota_us = 20000,
                              .cpu_shares = 1024,
                              .memory_bytes = 1 << 20,
                              .memory_swap_bytes = 3 << 20,
                              .pids = 7,
                              .cpuset_cpus = STR("0-1"),
                              .hugepages = &huge,
                              .hugepage_count = 1,
                              .unified = &unified,
                              .unified_count = 1};
    fake_v2(&f);
    assert_int_equal(cgroup_make(f.node, "/gridlet/podX/c", &l, &e), 0);
    assert_file(&f, "gridlet/podX/c/cpu.max", "20000 50000");
    assert_file(&f, "gridlet/podX/c/cpu.weight", "100");
    assert_file(&f, "gridlet/podX/c/memory.max", "1048576");
    assert_file(&f, "gridlet/podX/c/memory.swap.max", "2097152");
    assert_file(&f, "gridlet/podX/c/memory.high", "123");
    assert_file(&f, "gridlet/podX/c/pids.max", "7");
    assert_file(&f, "gridlet/podX/c/cpuset.cpus", "0-1");
    assert_file(&f, "gridlet/podX/c/hugetlb.2MB.max", "4096");
    assert_file(&f, "gridlet/podX/cgroup.subtree_control",
                "+cpu +cpuset +memory +io +pids +hugetlb");
    struct cgroup_limits period = {.cpu_period_us = 10000}, quota = {.cpu_quota_us = -1};
    assert_int_equal(cgroup_update(f.node, "/gridlet/podX/c", &period, &e), 0);
    assert_file(&f, "gridlet/podX/c/cpu.max", "20000 10000");
    assert_int_equal(cgroup_update(f.node, "/gridlet/podX/c", &quota, &e), 0);
    assert_file(&f, "gridlet/podX/c/cpu.max", "max 10000");
    assert_int_equal(cgroup_remove(f.node, "/gridlet/podX", &e), 0);
    assert_int_equal(file_exists(f.dir, "gridlet/podX"), 0);
    assert_int_equal(cgroup_remove(f.node, "/gridlet/podX", &e), 0);
    fake_done(&f);
}

static void a_failed_update_leaves_the_old_values(void **state) {
    (void)state;
    struct fake f;
    struct err e = {0};
    struct cgroup_limits first = {.cpu_shares = 1024, .pids = 5};
    struct cgroup_setting bad = {STR("memory.nosuchdir/x"), STR("1")};
    struct cgroup_limits second = {
        .cpu_shares = 2048, .pids = 9, .unified = &bad, .unified_count = 1};
    fake_v2(&f);
    assert_int_equal(cgroup_make(f.node, "/gridlet/c", &first, &e), 0);
    assert_int_equal(cgroup_update(f.node, "/gridlet/c", &second, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    assert_file(&f, "gridlet/c/cpu.weight", "100");
    assert_file(&f, "gridlet/c/pids.max", "5");
    fake_done(&f);
}

static void a_failed_make_leaves_no_group(void **state) {
    (void)state;
    struct fake f;
    struct err e = {0};
    struct cgroup_setting bad = {STR("memory.nosuchdir/x"), STR("1")};
    struct cgroup_limits l = {.unified = &bad, .unified_count = 1};
    fake_v2(&f);
    assert_int_equal(cgroup_make(f.node, "/gridlet/p/c", &l, &e), -1);
    assert_int_equal(file_exists(f.dir, "gridlet/p"), 0);
    fake_done(&f);
}

static void more_memory_than_the_limit_in_use_is_busy(void **state) {
    (void)state;
    struct fake f;
    struct err e = {0};
    struct cgroup_limits l = {.memory_bytes = 1000};
    fake_v2(&f);
    assert_int_equal(cgroup_make(f.node, "/gridlet/c", NULL, &e), 0);
    put(&f, "gridlet/c/memory.current", "5000\n");
    put(&f, "gridlet/c/memory.stat", "anon 3000\ninactive_file 3000\n");
    assert_int_equal(cgroup_update(f.node, "/gridlet/c", &l, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    put(&f, "gridlet/c/memory.stat", "anon 3000\ninactive_file 4500\n");
    assert_int_equal(cgroup_update(f.node, "/gridlet/c", &l, &e), 0);
    fake_done(&f);
}

static void a_controller_that_is_not_there_is_unsupported(void **state) {
    (void)state;
    struct fake f;
    struct err e = {0};
    struct cgroup_hugepage huge = {STR("2MB"), 4096};
    struct cgroup_limits l = {.hugepages = &huge, .hugepage_count = 1};
    fake_v1(&f);
    assert_int_equal(cgroup_make(f.node, "/gridlet/c", &l, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    huge.limit_bytes = 0; /* kubelet says 0 for every size there is */
    assert_int_equal(cgroup_make(f.node, "/gridlet/c", &l, &e), 0);
    fake_done(&f);
}

static void limits_are_written_to_v1_files(void **state) {
    (void)state;
    struct fake f;
    struct err e = {0};
    struct cgroup_limits l = {.cpu_period_us = 50000,
                              .cpu_quota_us = 20000,
                              .cpu_shares = 512,
                              .memory_bytes = 1 << 20,
                              .memory_swap_bytes = 1 << 20,
                              .pids = 7};
    fake_v1(&f);
    assert_false(cgroup_is_v2(f.node));
    assert_int_equal(cgroup_make(f.node, "/gridlet/c", &l, &e), 0);
    assert_file(&f, "cpu,cpuacct/gridlet/c/cpu.cfs_quota_us", "20000");
    assert_file(&f, "cpu,cpuacct/gridlet/c/cpu.cfs_period_us", "50000");
    assert_file(&f, "cpu,cpuacct/gridlet/c/cpu.shares", "512");
    assert_file(&f, "memory/gridlet/c/memory.limit_in_bytes", "1048576");
    assert_file(&f, "memory/gridlet/c/memory.memsw.limit_in_bytes", "1048576");
    assert_file(&f, "pids/gridlet/c/pids.max", "7");
    fake_done(&f);
}

static void without_a_unified_mount_the_machine_is_refused(void **state) {
    (void)state;
    struct cgroup_node *n = NULL;
    struct err e = {0};
    struct cgroup_source source = {.mountinfo =
                                       STR("1 2 0:1 / /tmp rw - tmpfs tmpfs rw\ngarbage\n")};
    assert_int_equal(cgroup_open_from(&source, "gridlet", CGROUP_DRIVER_CGROUPFS, &n, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

/* ---- from CRI ---- */

static void absurd_numbers_are_named(void **state) {
    (void)state;
    static const struct {
        int64_t period, quota, shares, memory, swap;
        const char *field;
    } cases[] = {{999, 0, 0, 0, 0, "cpu_period"},      {1000001, 0, 0, 0, 0, "cpu_period"},
                 {0, 999, 0, 0, 0, "cpu_quota"},       {0, -2, 0, 0, 0, "cpu_quota"},
                 {0, 0, -1, 0, 0, "cpu_shares"},       {0, 0, 0, -2, 0, "memory_limit_in_bytes"},
                 {0, 0, 0, 0, 5, "memory_swap_limit"}, {0, 0, 0, 9, 5, "memory_swap_limit"},
                 {0, 0, 0, 9, -2, "memory_swap_limit"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(arena_done) struct arena a = ARENA(65536);
        struct err e = {0};
        struct cgroup_limits l;
        Runtime__V1__LinuxContainerResources r = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
        r.cpu_period = cases[i].period;
        r.cpu_quota = cases[i].quota;
        r.cpu_shares = cases[i].shares;
        r.memory_limit_in_bytes = cases[i].memory;
        r.memory_swap_limit_in_bytes = cases[i].swap;
        assert_int_equal(cgroup_limits_of(&r, &a, &l, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_non_null(strstr(e.msg, cases[i].field));
    }
}

static void unified_keys_and_lists_are_checked(void **state) {
    (void)state;
    static const char *const bad[] = {"", "cgroup.procs", "../x.y", "a/b.c", "memory", ".high"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(arena_done) struct arena a = ARENA(65536);
        struct err e = {0};
        struct cgroup_limits l;
        Runtime__V1__LinuxContainerResources r = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
        Runtime__V1__LinuxContainerResources__UnifiedEntry entry =
            RUNTIME__V1__LINUX_CONTAINER_RESOURCES__UNIFIED_ENTRY__INIT;
        Runtime__V1__LinuxContainerResources__UnifiedEntry *entries[] = {&entry};
        entry.key = (char *)(uintptr_t)bad[i];
        r.unified = entries;
        r.n_unified = 1;
        assert_int_equal(cgroup_limits_of(&r, &a, &l, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        r.n_unified = CGROUP_UNIFIED_MAX + 1;
        assert_int_equal(cgroup_limits_of(&r, &a, &l, &e), -1);
        assert_int_equal(e.kind, ERR_LIMIT);
        r.n_unified = 0;
        r.cpuset_cpus = (char *)(uintptr_t) "0-3;x";
        assert_int_equal(cgroup_limits_of(&r, &a, &l, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

/* ---- stats ---- */

static void v2_stats_are_read_from_the_files(void **state) {
    (void)state;
    struct fake f;
    struct err e = {0};
    struct cgroup_stats s;
    fake_v2(&f);
    assert_int_equal(cgroup_make(f.node, "/gridlet/c", NULL, &e), 0);
    put(&f, "gridlet/c/cpu.stat", "user_usec 3\nusage_usec 5\n");
    put(&f, "gridlet/c/memory.current", "1000\n");
    put(&f, "gridlet/c/memory.max", "1500\n");
    put(&f, "gridlet/c/memory.stat", "anon 300\ninactive_file 400\npgfault 9\npgmajfault 1\n");
    put(&f, "gridlet/c/memory.events", "oom 3\noom_kill 2\noom_group_kill 1\n");
    put(&f, "gridlet/c/pids.current", "3\n");
    put(&f, "gridlet/c/memory.pressure",
        "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
        "total=5\n");
    assert_int_equal(cgroup_stats(f.node, "/gridlet/c", &s, &e), 0);
    assert_int_equal(s.cpu_usage_ns, 5000);
    assert_int_equal(s.memory_working_set_bytes, 600);
    assert_int_equal(s.memory_available_bytes, 900);
    assert_int_equal(s.memory_rss_bytes, 300);
    assert_int_equal(s.page_faults, 9);
    assert_int_equal(cgroup_pids(f.node, "/gridlet/c"), 3);
    assert_true(s.has_pressure);
    assert_int_equal(s.memory_pressure.some.total_us, 77);
    assert_int_equal(s.memory_pressure.full.total_us, 5);
    assert_true(s.memory_pressure.some.avg10 > 1.4 && s.memory_pressure.some.avg10 < 1.6);
    fake_done(&f);
}

/* ---- the machine's own hierarchies ---- */

struct real {
    char root[64];
    struct cgroup_node *node;
};

static int real_open(void **state) {
    struct real *r = xnew(struct real);
    struct err e = {0};
    (void)snprintf(r->root, sizeof r->root, "gridlet-test-%d", (int)getpid());
    if (geteuid() == 0 && cgroup_open(r->root, CGROUP_DRIVER_CGROUPFS, &r->node, &e) < 0)
        print_message("no cgroups here: %s\n", e.msg);
    *state = r;
    return 0;
}

static int real_close(void **state) {
    struct real *r = *state;
    struct err e = {0};
    int failed = 0;
    if (r->node) {
        failed = cgroup_remove(r->node, cgroup_root_path(r->node), &e);
        if (failed) print_message("%s\n", e.msg);
    }
    cgroup_close(r->node);
    free(r);
    return failed;
}

/* A child inside of the group (every hierarchy) that waits for a signal, or runs `work` first. */
static pid_t child_in(struct cgroup_node *n, const char *path, int (*work)(void)) {
    struct err e = {0};
    int fds[CGROUP_HIERARCHIES_MAX];
    size_t count = 0;
    AUTO_CLOSE int dir = cgroup_dir_fd(n, path, &e);
    assert_true(dir >= 0);
    AUTO_CLOSE int unified = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    assert_true(unified >= 0);
    assert_int_equal(cgroup_tasks_fds(n, path, fds, &count, &e), 0);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool ok = write(unified, "0", 1) == 1;
        for (size_t i = 0; i < count; i++) ok = ok && write(fds[i], "0", 1) == 1;
        if (!ok || write(ready[1], "x", 1) != 1) _exit(99);
        if (work) _exit(work());
        for (;;) (void)pause();
    }
    for (size_t i = 0; i < count; i++) (void)close(fds[i]);
    (void)close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return pid;
}

static int exit_of(pid_t pid) {
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void removing_a_group_kills_what_runs_in_it(void **state) {
    const struct real *r = *state;
    if (!r->node) skip();
    struct err e = {0};
    char path[128];
    (void)snprintf(path, sizeof path, "/%s/pod/c", r->root);
    assert_int_equal(cgroup_make(r->node, path, NULL, &e), 0);
    struct cgroup_path sub;
    assert_int_equal(cgroup_sub(r->node, path, "exec-1", &sub, &e), 0);
    pid_t pid = child_in(r->node, path, NULL);
    struct cgroup_stats s;
    assert_int_equal(cgroup_pids(r->node, path), 1);
    AUTO(arena_done) struct arena a = ARENA(65536);
    const struct str *names;
    size_t count;
    (void)snprintf(path, sizeof path, "/%s", r->root);
    assert_int_equal(cgroup_list(r->node, path, &a, &names, &count, &e), 0);
    assert_int_equal(count, 1);
    assert_true(str_eq(names[0], STR("pod")));
    (void)snprintf(path, sizeof path, "/%s/pod", r->root);
    if (cgroup_remove(r->node, path, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(exit_of(pid), 128 + SIGKILL);
    assert_int_equal(cgroup_remove(r->node, path, &e), 0);
    assert_int_equal(cgroup_stats(r->node, path, &s, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(cgroup_kill(r->node, path, &e), 0);
}

static int eat_memory(void) {
    size_t bytes = 64u << 20;
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return 1;
    memset(p, 1, bytes);
    return 0;
}

/* Reads what a shim reads: the file that it is given on v1, else the group's own. */
static uint64_t oom_kills(struct cgroup_node *n, const char *path) {
    struct err e = {0};
    int oom = -1;
    AUTO_CLOSE int dir = cgroup_dir_fd(n, path, &e);
    if (cgroup_oom_fd(n, path, &oom, &e) < 0) fail_msg("%s", e.msg);
    AUTO_CLOSE int fd = oom >= 0 ? oom : openat(dir, "memory.events", O_RDONLY | O_CLOEXEC);
    AUTO(buf_done) struct buf text = BUF(4096);
    assert_int_equal(file_read_fd(fd, 4000, &text), 0);
    static const char key[] = "oom_kill ";
    const char *at = strstr(buf_c(&text), key);
    return at ? strtoull(at + sizeof key - 1, NULL, 10) : 0;
}

static void memory_over_the_limit_is_an_oom_kill(void **state) {
    const struct real *r = *state;
    if (!r->node) skip();
    struct err e = {0};
    char path[128];
    struct cgroup_limits l = {.memory_bytes = 16 << 20, .memory_swap_bytes = 16 << 20};
    (void)snprintf(path, sizeof path, "/%s/oom", r->root);
    if (cgroup_make(r->node, path, &l, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(exit_of(child_in(r->node, path, eat_memory)), 128 + SIGKILL);
    assert_true(oom_kills(r->node, path) >= 1);
    struct cgroup_limits more = {.memory_bytes = 256 << 20, .memory_swap_bytes = 256 << 20};
    if (cgroup_update(r->node, path, &more, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(exit_of(child_in(r->node, path, eat_memory)), 0);
    if (cgroup_update(r->node, path, &l, &e) < 0) fail_msg("%s", e.msg);
    struct cgroup_stats s;
    assert_int_equal(cgroup_stats(r->node, path, &s, &e), 0);
    assert_int_equal(s.memory_limit_bytes, 16 << 20);
    assert_int_equal(cgroup_remove(r->node, path, &e), 0);
}

static uint64_t pids_max(const struct cgroup_node *n, const char *path) {
    uint64_t value = 0;
    assert_int_equal(cgroup_file_number(n, n->at[CGROUP_PIDS], path, "pids.max", &value), 0);
    return value;
}

static void an_update_of_a_running_group_is_all_or_nothing(void **state) {
    const struct real *r = *state;
    if (!r->node) skip();
    struct err e = {0};
    char path[128];
    struct cgroup_limits l = {.cpu_period_us = 100000, .cpu_quota_us = 50000, .pids = 10};
    (void)snprintf(path, sizeof path, "/%s/update", r->root);
    if (cgroup_make(r->node, path, &l, &e) < 0) fail_msg("%s", e.msg);
    struct cgroup_setting bad = {STR("nosuch.file"), STR("1")};
    struct cgroup_limits wrong = {.pids = 20, .unified = &bad, .unified_count = 1};
    assert_int_equal(cgroup_update(r->node, path, &wrong, &e), -1);
    assert_int_equal(pids_max(r->node, path), 10);
    struct cgroup_limits cpus = {.cpuset_cpus = STR("4096")};
    assert_int_equal(cgroup_update(r->node, path, &cpus, &e), -1);
    struct cgroup_limits right = {.cpu_period_us = 20000,
                                  .cpu_quota_us = 10000,
                                  .pids = 20,
                                  .cpuset_cpus = STR("0"),
                                  .cpu_shares = 2};
    if (cgroup_update(r->node, path, &right, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(pids_max(r->node, path), 20);
    (void)snprintf(path, sizeof path, "/%s/nothing", r->root);
    assert_int_equal(cgroup_update(r->node, path, &right, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

/* 0: /dev/null can be opened, /dev/zero cannot. */
static int try_devices(void) {
    AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    AUTO_CLOSE int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    return (null >= 0 ? 0 : 1) + (zero < 0 && errno == EPERM ? 0 : 2);
}

static int try_zero(void) {
    AUTO_CLOSE int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    return zero >= 0 ? 0 : 1;
}

static void only_named_devices_can_be_used(void **state) {
    const struct real *r = *state;
    if (!r->node) skip();
    struct err e = {0};
    char path[128];
    static const struct cgroup_device rules[] = {{'c', -1, -1, CGROUP_DEVICE_MKNOD},
                                                 {'c', 1, 3, CGROUP_DEVICE_ALL}};
    static const struct cgroup_device all[] = {{'a', -1, -1, CGROUP_DEVICE_ALL}};
    (void)snprintf(path, sizeof path, "/%s/dev", r->root);
    assert_int_equal(cgroup_make(r->node, path, NULL, &e), 0);
    if (cgroup_devices_set(r->node, path, rules, COUNT(rules), &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(exit_of(child_in(r->node, path, try_devices)), 0);
    if (cgroup_devices_set(r->node, path, all, COUNT(all), &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(exit_of(child_in(r->node, path, try_zero)), 0);
}

static void a_device_program_can_be_replaced(void **state) {
    const struct real *r = *state;
    if (!r->node) skip();
    struct err e = {0};
    char path[128];
    static const struct cgroup_device rules[] = {
        {'b', 8, 0, CGROUP_DEVICE_READ}, {'c', 1, 3, CGROUP_DEVICE_READ | CGROUP_DEVICE_WRITE}};
    static const struct cgroup_device all[] = {{'a', -1, -1, CGROUP_DEVICE_ALL}};
    (void)snprintf(path, sizeof path, "/%s/bpf", r->root);
    assert_int_equal(cgroup_make(r->node, path, NULL, &e), 0);
    for (int round = 0; round < 2; round++) { /* the second time from the cache */
        if (cgroup_devices_attach(r->node, path, rules, COUNT(rules), &e) < 0)
            fail_msg("%s", e.msg);
        assert_int_equal(exit_of(child_in(r->node, path, try_devices)), 0);
        if (cgroup_devices_attach(r->node, path, all, COUNT(all), &e) < 0) fail_msg("%s", e.msg);
        assert_int_equal(exit_of(child_in(r->node, path, try_zero)), 0);
    }
    if (cgroup_devices_attach(r->node, path, NULL, 0, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(exit_of(child_in(r->node, path, try_zero)), 1);
}

static void wrong_device_rules_are_refused(void **state) {
    const struct real *r = *state;
    if (!r->node) skip();
    struct err e = {0};
    struct cgroup_device bad = {'x', 1, 1, CGROUP_DEVICE_ALL};
    assert_int_equal(cgroup_devices_set(r->node, "/x", &bad, 1, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(cgroup_devices_set(r->node, "/x", &bad, CGROUP_DEVICES_MAX + 1, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_without_a_parent_lies_below_the_nodes_root),
        cmocka_unit_test(a_parent_path_is_cleaned_and_may_not_climb),
        cmocka_unit_test(a_path_over_the_limits_is_refused),
        cmocka_unit_test(a_slice_expands_to_its_whole_way),
        cmocka_unit_test(the_systemd_driver_is_refused_where_systemd_takes_limits_away),
        cmocka_unit_test(shares_become_the_weights_that_kubelet_computes),
        cmocka_unit_test(limits_are_written_to_v2_files),
        cmocka_unit_test(a_failed_update_leaves_the_old_values),
        cmocka_unit_test(a_failed_make_leaves_no_group),
        cmocka_unit_test(more_memory_than_the_limit_in_use_is_busy),
        cmocka_unit_test(a_controller_that_is_not_there_is_unsupported),
        cmocka_unit_test(limits_are_written_to_v1_files),
        cmocka_unit_test(without_a_unified_mount_the_machine_is_refused),
        cmocka_unit_test(absurd_numbers_are_named),
        cmocka_unit_test(unified_keys_and_lists_are_checked),
        cmocka_unit_test(v2_stats_are_read_from_the_files),
        cmocka_unit_test_setup_teardown(removing_a_group_kills_what_runs_in_it, real_open,
                                        real_close),
        cmocka_unit_test_setup_teardown(memory_over_the_limit_is_an_oom_kill, real_open,
                                        real_close),
        cmocka_unit_test_setup_teardown(an_update_of_a_running_group_is_all_or_nothing, real_open,
                                        real_close),
        cmocka_unit_test_setup_teardown(only_named_devices_can_be_used, real_open, real_close),
        cmocka_unit_test_setup_teardown(a_device_program_can_be_replaced, real_open, real_close),
        cmocka_unit_test_setup_teardown(wrong_device_rules_are_refused, real_open, real_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
