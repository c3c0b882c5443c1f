/* SPDX-License-Identifier: Apache-2.0 — shim_test.c: pods made by the real gridlet-shim and
 * gridlet-init. */
#include "base/own.h"

#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "cri/shim/shim_rig.h"

static void a_container_sees_its_pod_and_nothing_of_the_host(void **state) {
    (void)state;
    rig_sandbox(0);
    assert_true(shim_fd_of(&rig.m, rig.fds, SHIM_ROLE_NET) >= 0);
    assert_true(shim_fd_of(&rig.m, rig.fds, SHIM_ROLE_NETLINK) >= 0);
    struct plan p = {.id = "a",
                     .argv = ARGV("guest", "pid", "", "cat", "/proc/sys/kernel/hostname", "cat",
                                  "/proc/sys/net/ipv4/ip_unprivileged_port_start", "cat",
                                  "/proc/self/mountinfo", "cwd", "", "cat", "/etc/name", "cat",
                                  "/etc/resolv.conf", "cat", "/masked-file", "cat", "/masked-dir/x",
                                  "write", "/fixed/x", "write", "/proc/sys/kernel/hostname",
                                  "write", "/dev/shm/x")};
    AUTO_FREE char *log = rig_run(&p);
    assert_int_equal(rig.m.number, 0);
    assert_has(log, "pid 1 parent 0\n");
    assert_has(log, "F testpod\n");
    assert_has(log, "F 7\n");
    assert_has(log, "cwd /work/deep\n");
    assert_has(log, "F lower\n");
    assert_has(log, "F two\n"); /* a dangling link of the image: the target was made inside */
    assert_has_not(log, "secret");
    assert_has(log, "/masked-dir/x: No such file");
    assert_has(log, "write /fixed/x: Read-only file system");
    assert_has(log, "write /proc/sys/kernel/hostname: Read-only file system");
    assert_has(log, "write /dev/shm/x: ok");
    assert_has_not(log, " / /sys/fs"); /* no mount of the host */
    AUTO_FREE char *end = rig_exit("a");
    assert_has(end, "{\"exit_code\":0,\"signal\":0,\"oom_killed\":false,");
    assert_has(end, "\"reason\":\"Completed\",\"message\":\"\"}");
}

static void as_a_user(struct launch_builder *b) {
    static const uint32_t groups[] = {5, 60000};
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    b->spec.uid = 1000;
    b->spec.gid = 2000;
    b->spec.groups = launch_build_table(b, groups, sizeof *groups, COUNT(groups));
    b->spec.seccomp = launch_build_table(b, allow, sizeof *allow, COUNT(allow));
    b->spec.flags |= LAUNCH_SECCOMP | LAUNCH_READONLY_ROOT;
    b->spec.caps_effective = b->spec.caps_permitted = 0;
}

static void users_groups_capabilities_and_seccomp_are_set(void **state) {
    (void)state;
    rig_sandbox(0);
    struct plan p = {
        .id = "u",
        .argv = ARGV("guest", "cat", "/proc/self/status", "write", "/x", "write", "/dev/stdout"),
        .adapt = as_a_user};
    AUTO_FREE char *log = rig_run(&p);
    assert_has(log, "Uid:\t1000\t1000\t1000\t1000\n");
    assert_has(log, "Gid:\t2000\t2000\t2000\t2000\n");
    assert_has(log, "Groups:\t5 60000 \n");
    assert_has(log, "CapPrm:\t0000000000000000\n");
    assert_has(log, "CapBnd:\t00000000a80425fb\n");
    assert_has(log, "NoNewPrivs:\t1\n");
    assert_has(log, "Seccomp:\t2\n");
    assert_has(log, "write /x: Read-only file system");
    assert_has(log, "write /dev/stdout: ok");
}

static void with_ambient(struct launch_builder *b) {
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    b->spec.uid = 1000;
    b->spec.flags &= ~(uint32_t)LAUNCH_NO_NEW_PRIVS;
    b->spec.flags |= LAUNCH_SECCOMP;
    b->spec.seccomp = launch_build_table(b, allow, sizeof *allow, COUNT(allow));
    b->spec.caps_inheritable = b->spec.caps_ambient = 1 << 10;
}

static void ambient_capabilities_survive_for_a_user(void **state) {
    (void)state;
    rig_sandbox(0);
    struct plan p = {
        .id = "amb", .argv = ARGV("guest", "cat", "/proc/self/status"), .adapt = with_ambient};
    AUTO_FREE char *log = rig_run(&p);
    assert_has(log, "CapEff:\t0000000000000400\n");
    assert_has(log, "CapAmb:\t0000000000000400\n");
    assert_has(log, "NoNewPrivs:\t0\n");
    assert_has(log, "Seccomp:\t2\n");
}

static void fails_with(const char *id, const char *const *argv,
                       void (*adapt)(struct launch_builder *), const char *message) {
    struct plan p = {.id = id, .argv = argv, .adapt = adapt};
    rig_start(&p);
    rig_expect(SHIM_START_FAILED);
    assert_has(rig.m.text, message);
    AUTO_FREE char *end = rig_exit(id);
    assert_has(end, "\"exit_code\":128,");
    assert_has(end, "\"reason\":\"StartError\"");
}

static void bad_bind(struct launch_builder *b) {
    struct launch_mount m = {LAUNCH_MOUNT_BIND, 0,  0, text(b, "/no/such/source"),
                             text(b, "/x"),     {0}};
    b->spec.mounts = launch_build_table(b, &m, sizeof m, 1);
}

static void proc_on_a_link(struct launch_builder *b) {
    struct launch_mount m = {LAUNCH_MOUNT_FS, 0, 0, text(b, "proc"), text(b, "/proclink"), {0}};
    assert_true(symlink("/etc", rig_path("layers/1/proclink")) == 0 || errno == EEXIST);
    b->spec.mounts = launch_build_table(b, &m, sizeof m, 1);
}

static void a_start_that_fails_says_what_was_wrong(void **state) {
    (void)state;
    rig_sandbox(0);
    fails_with("f1", ARGV("foo"), NULL, "exec \"foo\": executable file not found in PATH");
    fails_with("f2", ARGV("/x"), NULL, "exec \"/x\": no such file or directory");
    fails_with("f3", ARGV("/bin/plain"), NULL, "exec \"/bin/plain\": ");
    fails_with("f4", ARGV("/etc"), NULL, "exec \"/etc\": permission denied");
    fails_with("f5", ARGV("guest"), bad_bind,
               "mount /no/such/source on /x: open the source: No such file or directory");
    fails_with("f6", ARGV("guest"), proc_on_a_link, "symbolic link");
}

static void exit_codes_and_signals_are_recorded(void **state) {
    (void)state;
    rig_sandbox(0);
    struct plan p = {.id = "e", .argv = ARGV("guest", "exit", "37")};
    free(rig_run(&p));
    assert_int_equal(rig.m.number, 37);
    AUTO_FREE char *end = rig_exit("e");
    assert_has(end, "\"reason\":\"Error\"");
    struct plan w = {.id = "w", .argv = ARGV("guest", "wait", "")};
    rig_start(&w);
    rig_expect(SHIM_STARTED);
    rig_order(SHIM_SIGNAL, "w", SIGKILL);
    rig_expect(SHIM_EXITED);
    assert_int_equal(rig.m.number, 137);
    AUTO_FREE char *killed = rig_exit("w");
    assert_has(killed, "\"exit_code\":137,\"signal\":9,");
}

#define LOG_TAG_AT (sizeof "2026-11-21T09:30:00.123456789Z stdout " - 1)

/* Payload of a CRI log, in order; parts joined. (No str* functions: they are slow with ASan.) */
static char *payload(const char *log) {
    size_t bytes = strlen(log);
    char *out = malloc(bytes + 1);
    size_t n = 0;
    for (size_t at = 0; at < bytes;) {
        const char *tag = log + at + LOG_TAG_AT;
        const char *line = tag + 2;
        const char *end = memchr(line, '\n', bytes - (size_t)(line - log));
        assert_non_null(end);
        memcpy(out + n, line, (size_t)(end - line));
        n += (size_t)(end - line);
        if (*tag == 'F') out[n++] = '\n';
        at = (size_t)(end + 1 - log);
    }
    out[n] = '\0';
    return out;
}

static void ten_megabytes_of_output_are_logged_to_the_last_byte(void **state) {
    (void)state;
    rig_sandbox(0);
    struct plan p = {.id = "big", .argv = ARGV("guest", "spam", "10000000", "bare", "tail")};
    AUTO_FREE char *log = rig_run(&p);
    AUTO_FREE char *all = payload(log);
    char *at = all;
    long i = 0;
    char line[32];
    for (; *at == 'n'; i++) {
        int n = snprintf(line, sizeof line, "number %ld\n", i);
        if (memcmp(at, line, (size_t)n) != 0) break;
        at += n;
    }
    assert_true(at - all >= 10000000);
    assert_string_equal(at, "tail");
    assert_has(log, " stdout P tail\n");
}

static void both_streams_are_tagged_and_the_log_exists_from_the_start(void **state) {
    (void)state;
    rig_sandbox(0);
    struct plan w = {.id = "quiet", .argv = ARGV("guest", "wait", "")};
    rig_start(&w);
    rig_expect(SHIM_STARTED);
    AUTO_FREE char *empty = rig_log("quiet");
    assert_string_equal(empty, "");
    struct stat st;
    assert_int_equal(stat(rig_path("logs/quiet/0.log"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    rig_order(SHIM_KILL, "quiet", 0);
    rig_expect(SHIM_EXITED);
    struct plan p = {.id = "two", .argv = ARGV("guest", "say", "out", "err", "bad")};
    AUTO_FREE char *log = rig_run(&p);
    assert_has(log, " stdout F out\n");
    assert_has(log, " stderr F bad\n");
}

static void an_oom_kill_is_told_apart(void **state) {
    (void)state;
    char path[RIG_PATH_BYTES + 32];
    rig_cgroups();
    rig_sandbox(0);
    (void)snprintf(path, sizeof path, "%s/memory.limit_in_bytes", rig.memory);
    write_file(path, "16777216");
    struct plan p = {.id = "oom", .argv = ARGV("guest", "eat", "50000000"), .cgroups = true};
    free(rig_run(&p));
    assert_int_equal(rig.m.number, 137);
    assert_true(rig.m.flags & SHIM_OOM_KILLED);
    AUTO_FREE char *end = rig_exit("oom");
    assert_has(end, "\"oom_killed\":true,");
    assert_has(end, "\"reason\":\"OOMKilled\"");
}

static void what_is_left_in_the_cgroup_dies_with_the_first_process(void **state) {
    (void)state;
    rig_cgroups();
    rig_sandbox(SHIM_POD_PID);
    struct plan p = {.id = "orphan",
                     .argv = ARGV("guest", "orphan", "1000", "pid", ""),
                     .flags = SHIM_POD_PID,
                     .cgroups = true};
    AUTO_FREE char *log = rig_run(&p);
    assert_has(log, "pid ");
    assert_has_not(log, "pid 1 ");
    char path[RIG_PATH_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/cgroup.procs", rig.cgroup);
    for (int i = 0; i < 500; i++) { /* the kernel removes the dead when they were reaped */
        AUTO_FREE char *left = read_file(path);
        if (!*left) return;
        (void)poll(NULL, 0, 10);
    }
    fail();
}

/* ---- exec ---- */

struct exec_plan {
    const char *id;
    const char *const *argv;
    uint64_t number;
    int out, cgroup;
    uint32_t flags;
};

static void send_exec(const struct exec_plan *p) {
    AUTO(launch_build_done) struct launch_builder b;
    launch_build_init(&b, LAUNCH_EXEC);
    set_argv(&b, p->argv);
    b.spec.caps_bounding = b.spec.caps_permitted = b.spec.caps_effective = RIG_ALL_CAPS;
    if (p->flags & SHIM_TTY) b.spec.flags |= LAUNCH_TTY;
    struct err e = {0};
    AUTO_CLOSE int spec = -1;
    assert_int_equal(launch_build_seal(&b, &spec, &e), 0);
    struct shim_message m = {.op = SHIM_EXEC, .exec = p->number, .flags = p->flags};
    (void)snprintf(m.container, sizeof m.container, "%s", p->id);
    int fds[4];
    add_fd(&m, fds, SHIM_ROLE_SPEC, spec);
    if (p->out >= 0) add_fd(&m, fds, SHIM_ROLE_STDOUT, p->out);
    if (p->cgroup >= 0) add_fd(&m, fds, SHIM_ROLE_CGROUP, p->cgroup);
    rig_send(&m, fds);
}

static void start_waiting(const char *id, uint32_t flags, bool cgroups) {
    struct plan w = {
        .id = id, .argv = ARGV("guest", "wait", ""), .flags = flags, .cgroups = cgroups};
    rig_start(&w);
    rig_expect(SHIM_STARTED);
}

static void an_exec_runs_in_the_container(void **state) {
    (void)state;
    rig_sandbox(0);
    start_waiting("c", 0, false);
    int pair[2];
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    struct exec_plan x = {
        .id = "c",
        .argv = ARGV("guest", "pid", "", "cat", "/etc/name", "cat", "/proc/1/comm", "exit", "5"),
        .number = 77,
        .out = pair[1],
        .cgroup = -1};
    send_exec(&x);
    (void)close(pair[1]);
    rig_expect(SHIM_EXEC_STARTED);
    assert_int_equal(rig.m.exec, 77);
    rig_expect(SHIM_EXEC_EXITED);
    assert_int_equal(rig.m.number, 5);
    char out[256] = "";
    size_t used = 0;
    for (ssize_t n; (n = read(pair[0], out + used, sizeof out - 1 - used)) > 0;) used += (size_t)n;
    (void)close(pair[0]);
    assert_string_equal(out, "pid 2 parent 0\nlower\nguest\n");
    struct exec_plan bad = {.id = "c", .argv = ARGV("nope"), .number = 78, .out = -1, .cgroup = -1};
    send_exec(&bad);
    rig_expect(SHIM_EXEC_FAILED);
    assert_has(rig.m.text, "exec \"nope\": executable file not found in PATH");
}

static void killing_an_exec_spares_the_container(void **state) {
    (void)state;
    rig_cgroups();
    rig_sandbox(0);
    start_waiting("c", 0, true);
    char sub[RIG_PATH_BYTES + 8];
    (void)snprintf(sub, sizeof sub, "%s/exec", rig.cgroup);
    make_dir(sub);
    AUTO_CLOSE int cgroup = open_or_die(sub, O_RDONLY | O_DIRECTORY);
    struct exec_plan x = {.id = "c",
                          .argv = ARGV("guest", "orphan", "1000", "wait", ""),
                          .number = 1,
                          .out = -1,
                          .cgroup = cgroup};
    send_exec(&x);
    rig_expect(SHIM_EXEC_STARTED);
    struct shim_message kill = {.op = SHIM_EXEC_KILL, .exec = 1};
    rig_send(&kill, NULL);
    rig_expect(SHIM_EXEC_EXITED);
    assert_int_equal(rig.m.number, 137);
    rig_order(SHIM_SIGNAL, "c", SIGTERM); /* pid 1 without a handler: ignored, so it still runs */
    struct exec_plan again = {
        .id = "c", .argv = ARGV("guest", "say", "x"), .number = 2, .out = -1, .cgroup = -1};
    send_exec(&again);
    rig_expect(SHIM_EXEC_STARTED);
    rig_expect(SHIM_EXEC_EXITED);
    assert_int_equal(rig.m.number, 0);
}

static void an_exec_can_have_a_terminal(void **state) {
    (void)state;
    rig_sandbox(0);
    start_waiting("c", 0, false);
    struct exec_plan x = {.id = "c",
                          .argv = ARGV("guest", "tty", "", "echo", ""),
                          .number = 3,
                          .out = -1,
                          .cgroup = -1,
                          .flags = SHIM_TTY};
    send_exec(&x);
    rig_expect(SHIM_EXEC_STARTED);
    int master = dup(shim_fd_of(&rig.m, rig.fds, SHIM_ROLE_TTY));
    assert_true(master >= 0);
    assert_int_equal(write(master, "hi\n\4", 4), 4);
    rig_expect(SHIM_EXEC_EXITED);
    char out[512] = "";
    size_t used = 0;
    for (ssize_t n; (n = read(master, out + used, sizeof out - 1 - used)) > 0;) used += (size_t)n;
    (void)close(master);
    assert_has(out, "tty 1 1 1 /dev/pts/0\r\n");
    assert_has(out, "got hi\r\n");
}

static void a_container_with_a_terminal_logs_it_as_stdout(void **state) {
    (void)state;
    rig_sandbox(0);
    struct plan p = {.id = "t",
                     .argv = ARGV("guest", "tty", "", "err", "both", "mode", "/dev/pts/0"),
                     .flags = SHIM_TTY};
    AUTO_FREE char *log = rig_run(&p);
    assert_has(log, " stdout F tty 1 1 1 /dev/pts/0\r\n");
    assert_has(log, " stdout F both\r\n");
}

/* ---- a daemon that comes and goes ---- */

static void containers_outlive_the_daemon_and_are_listed_to_the_next(void **state) {
    (void)state;
    rig_sandbox(0);
    start_waiting("one", 0, false);
    int32_t pid = rig.m.pid;
    struct plan late = {.id = "two", .argv = ARGV("guest", "spam", "3000000", "exit", "3")};
    rig_start(&late);
    (void)close(rig.daemon); /* what kill -9 does to it */
    AUTO_FREE char *end = NULL;
    for (int i = 0; i < 1000 && access(rig_path("containers/two/exit.json"), F_OK) < 0; i++)
        (void)poll(NULL, 0, 10);
    end = rig_exit("two");
    assert_has(end, "{\"exit_code\":3,");
    AUTO_FREE char *log = rig_log("two");
    AUTO_FREE char *all = payload(log);
    assert_true(strlen(all) >= 3000000);
    rig_connect();
    struct shim_message hello = {.op = SHIM_HELLO};
    rig_send(&hello, NULL);
    rig_expect(SHIM_WELCOME);
    assert_true(shim_fd_of(&rig.m, rig.fds, SHIM_ROLE_NET) >= 0);
    rig_expect(SHIM_CONTAINER);
    assert_string_equal(rig.m.container, "one");
    assert_int_equal(rig.m.pid, pid);
    assert_true(rig.m.at_ns > 0);
    rig_expect(SHIM_LISTED);
    rig_order(SHIM_KILL, "one", 0);
    rig_expect(SHIM_EXITED);
}

/* exit.json of this container cannot be written until allow_exit(). */
static void forbid_exit(const char *id) {
    make_dir(rig_path("containers/%s", id));
    make_dir(rig_path("containers/%s/.exit.json.tmp", id));
}

static void allow_exit(const char *id) {
    assert_int_equal(rmdir(rig_path("containers/%s/.exit.json.tmp", id)), 0);
}

static void greet_again(void) {
    (void)close(rig.daemon);
    rig_connect();
    struct shim_message hello = {.op = SHIM_HELLO};
    rig_send(&hello, NULL);
    rig_expect(SHIM_WELCOME);
}

static void an_end_that_cannot_be_written_is_told_to_each_daemon(void **state) {
    (void)state;
    rig_sandbox(0);
    forbid_exit("ended");
    forbid_exit("failed");
    struct plan ended = {.id = "ended", .argv = ARGV("guest", "exit", "5")};
    AUTO_FREE char *log = rig_run(&ended);
    struct plan failed = {.id = "failed", .argv = ARGV("/no/such/program")};
    rig_start(&failed);
    rig_expect(SHIM_START_FAILED);
    for (int i = 0; i < 2; i++) {
        greet_again();
        rig_expect(SHIM_CONTAINER);
        assert_string_equal(rig.m.container, "ended");
        assert_true(rig.m.at_ns > 0);
        rig_expect(SHIM_EXITED);
        assert_string_equal(rig.m.container, "ended");
        assert_int_equal(rig.m.number, 5);
        rig_expect(SHIM_CONTAINER);
        rig_expect(SHIM_START_FAILED);
        assert_string_equal(rig.m.container, "failed");
        assert_has(rig.m.text, "/no/such/program");
        rig_expect(SHIM_LISTED);
    }
    allow_exit("ended");
    remove_tree(rig_path("containers/failed"));
    greet_again();
    rig_expect(SHIM_LISTED);
    AUTO_FREE char *end = rig_exit("ended");
    assert_has(end, "{\"exit_code\":5,");
}

static void ends_that_cannot_be_written_fill_the_slots_and_no_more(void **state) {
    (void)state;
    char id[16];
    rig_sandbox(0);
    for (int i = 0; i < SHIM_CONTAINERS_MAX; i++) {
        (void)snprintf(id, sizeof id, "c%d", i);
        forbid_exit(id);
        struct plan p = {.id = id, .argv = ARGV("guest", "exit", "1")};
        AUTO_FREE char *log = rig_run(&p);
    }
    struct plan more = {.id = "more", .argv = ARGV("guest", "exit", "0")};
    rig_start(&more);
    rig_expect(SHIM_START_FAILED);
    assert_int_equal(rig.m.sys, EBUSY);
    remove_tree(rig_path("containers/more"));
    allow_exit("c7");
    AUTO_FREE char *log = rig_run(&more);
    AUTO_FREE char *end = rig_exit("c7");
    assert_has(end, "{\"exit_code\":1,");
}

static void an_end_is_written_into_the_room_that_was_kept(void **state) {
    (void)state;
    struct stat before;
    struct stat after;
    rig_sandbox(0);
    make_dir(rig_path("containers/kept"));
    write_file(rig_path("containers/kept/.exit.json.tmp"), "");
    assert_int_equal(truncate(rig_path("containers/kept/.exit.json.tmp"), 4096), 0);
    assert_int_equal(stat(rig_path("containers/kept/.exit.json.tmp"), &before), 0);
    struct plan p = {.id = "kept", .argv = ARGV("guest", "exit", "6")};
    AUTO_FREE char *log = rig_run(&p);
    assert_int_equal(stat(rig_path("containers/kept/exit.json"), &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    AUTO_FREE char *end = rig_exit("kept");
    assert_int_equal(after.st_size, strlen(end));
    assert_has(end, "{\"exit_code\":6,");
}

static void a_daemon_that_does_not_read_loses_nothing(void **state) {
    (void)state;
    rig_sandbox(0);
    enum { ROUNDS = 600 };
    start_waiting("c", 0, false);
    int sent = 0;
    for (int i = 0; i < ROUNDS; i++) { /* answers fill our queue: the shim has to stop reading */
        struct shim_message m = {.op = SHIM_REOPEN_LOG};
        (void)snprintf(m.container, sizeof m.container, "c");
        if (shim_send(rig.daemon, &m, NULL) < 0) break;
        sent++;
    }
    assert_true(sent > 10);
    for (int i = 0; i < sent; i++) rig_expect(SHIM_LOG_REOPENED);
    rig_order(SHIM_KILL, "c", 0);
    rig_expect(SHIM_EXITED);
}

/* ---- log files ---- */

static void a_log_is_reopened_after_a_rename(void **state) {
    (void)state;
    rig_sandbox(0);
    start_waiting("c", 0, false);
    assert_int_equal(rename(rig_path("logs/c/0.log"), rig_path("logs/c/0.log.old")), 0);
    rig_order(SHIM_REOPEN_LOG, "c", 0);
    rig_expect(SHIM_LOG_REOPENED);
    assert_int_equal(rig.m.sys, 0);
    assert_int_equal(access(rig_path("logs/c/0.log"), F_OK), 0);
    rig_order(SHIM_REOPEN_LOG, "unknown", 0);
    rig_expect(SHIM_LOG_REOPENED);
    assert_int_equal(rig.m.sys, ENOENT);
}

static void a_log_without_a_kubelet_is_rotated(void **state) {
    (void)state;
    rig_sandbox(0);
    struct plan p = {.id = "r",
                     .argv = ARGV("guest", "spam", "2000000"),
                     .log_bytes_max = 300000,
                     .log_files_max = 2};
    AUTO_FREE char *log = rig_run(&p);
    struct stat st;
    for (int i = 0; i <= 2; i++) {
        const char *path = i ? rig_path("logs/r/0.log.%d", i) : rig_path("logs/r/0.log");
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size < 600000);
    }
    assert_int_equal(access(rig_path("logs/r/0.log.3"), F_OK), -1);
    AUTO_FREE char *older = read_file(rig_path("logs/r/0.log.1"));
    AUTO_FREE char *a = payload(older);
    AUTO_FREE char *b = payload(log);
    long last = strtol(strrchr(a, ' '), NULL, 10); /* lines go on where the older file ends */
    assert_int_equal(strtol(strchr(b, ' '), NULL, 10), last + 1);
}

/* ---- figures ---- */

static long private_kb(pid_t pid) {
    char path[64];
    long sum = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    AUTO_FREE char *text_ = read_file(path);
    static const char *const keys[] = {"Private_Clean:", "Private_Dirty:"};
    for (size_t i = 0; i < COUNT(keys); i++)
        sum += strtol(strstr(text_, keys[i]) + strlen(keys[i]), NULL, 10);
    return sum;
}

static void a_shim_stays_small_after_a_hundred_execs_and_while_it_logs(void **state) {
    (void)state;
    rig_sandbox(0);
    start_waiting("c", 0, false);
    for (uint64_t i = 0; i < 100; i++) {
        struct exec_plan x = {
            .id = "c", .argv = ARGV("guest", "say", "x"), .number = i, .out = -1, .cgroup = -1};
        send_exec(&x);
        rig_expect(SHIM_EXEC_STARTED);
        rig_expect(SHIM_EXEC_EXITED);
    }
    long quiet = private_kb(rig.shim);
    struct plan p = {.id = "spam", .argv = ARGV("guest", "spam", "5000000")};
    free(rig_run(&p));
    long busy = private_kb(rig.shim);
    print_message("private memory: %ld kB after 100 execs, %ld kB after 5 MB of log\n", quiet,
                  busy);
    assert_true(busy <= 150);
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "n%d", i);
        struct plan one = {.id = id, .argv = ARGV("guest", "exit", "0")};
        uint64_t from = clock_ns();
        rig_start(&one);
        rig_expect(SHIM_STARTED);
        uint64_t took = clock_ns() - from;
        if (took < best) best = took;
        rig_expect(SHIM_EXITED);
    }
    print_message("START to STARTED, best of 20: %llu us\n", (unsigned long long)best / 1000);
}

int main(int argc, char **argv) {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)
    const struct CMUnitTest tests[] = {
        T(a_container_sees_its_pod_and_nothing_of_the_host),
        T(users_groups_capabilities_and_seccomp_are_set),
        T(ambient_capabilities_survive_for_a_user),
        T(a_start_that_fails_says_what_was_wrong),
        T(exit_codes_and_signals_are_recorded),
        T(ten_megabytes_of_output_are_logged_to_the_last_byte),
        T(both_streams_are_tagged_and_the_log_exists_from_the_start),
        T(an_oom_kill_is_told_apart),
        T(what_is_left_in_the_cgroup_dies_with_the_first_process),
        T(an_exec_runs_in_the_container),
        T(killing_an_exec_spares_the_container),
        T(an_exec_can_have_a_terminal),
        T(a_container_with_a_terminal_logs_it_as_stdout),
        T(containers_outlive_the_daemon_and_are_listed_to_the_next),
        T(an_end_that_cannot_be_written_is_told_to_each_daemon),
        T(ends_that_cannot_be_written_fill_the_slots_and_no_more),
        T(an_end_is_written_into_the_room_that_was_kept),
        T(a_daemon_that_does_not_read_loses_nothing),
        T(a_log_is_reopened_after_a_rename),
        T(a_log_without_a_kubelet_is_rotated),
        T(a_shim_stays_small_after_a_hundred_execs_and_while_it_logs),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
