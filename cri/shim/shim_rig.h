/* SPDX-License-Identifier: Apache-2.0 — shim_rig.h: plays gridletd for the shim's tests.
 *
 * Starts the real gridlet-shim with the real gridlet-init (programs from $GRIDLET_BIN) in its own
 * folder below /tmp and, where a test wants them, in its own cgroups. */
#pragma once

#include "base/clock.h"
#include "cri/launch/shim_wire.h"
#include "cri/launch_builder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define RIG_WAIT_MS    20000 /* a broken shim must not hang the tests */
#define RIG_PATH_BYTES 256
#define RIG_FILE_BYTES (64u << 20)
#define RIG_ALL_CAPS   UINT64_C(0xa80425fb) /* the fourteen that containers usually have */

struct rig {
    char dir[RIG_PATH_BYTES]; /* layers/1, containers/ID/{upper,work,rootfs}, logs/ */
    char cgroup[RIG_PATH_BYTES], memory[RIG_PATH_BYTES]; /* v2, v1; "" when not made */
    pid_t shim;
    int daemon, layers;
    struct shim_message m; /* the last one received */
    int fds[SHIM_FDS_MAX];
};

static struct rig rig;

__attribute__((unused)) static const char *rig_path(const char *fmt, ...) PRINTF_LIKE(1, 2);
static const char *rig_path(const char *fmt, ...) {
    static char path[4][PATH_MAX];
    static unsigned turn;
    char *out = path[turn++ % 4];
    int n = snprintf(out, PATH_MAX, "%s/", rig.dir);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(out + n, (size_t)(PATH_MAX - n), fmt, args);
    va_end(args);
    return out;
}

static int open_or_die(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0) print_error("open %s: %s\n", path, strerror(errno));
    assert_true(fd >= 0);
    return fd;
}

static void make_dir(const char *path) { assert_true(mkdir(path, 0755) == 0 || errno == EEXIST); }

static void write_file(const char *path, const char *text) {
    int fd = open_or_die(path, O_WRONLY | O_CREAT);
    ssize_t n = write(fd, text, strlen(text));
    if (n < 0) print_error("write %s: %s\n", path, strerror(errno));
    assert_int_equal(n, strlen(text));
    (void)close(fd);
}

/* The whole file, NUL-terminated; the caller frees it. */
static char *read_file(const char *path) {
    int fd = open_or_die(path, O_RDONLY);
    char *text = malloc(RIG_FILE_BYTES);
    size_t used = 0;
    for (ssize_t n; (n = read(fd, text + used, RIG_FILE_BYTES - 1 - used)) > 0;) used += (size_t)n;
    (void)close(fd);
    text[used] = '\0';
    return text;
}

static const char *program(const char *name) {
    static char path[PATH_MAX];
    const char *bin = getenv("GRIDLET_BIN");
    (void)snprintf(path, sizeof path, "%s/%s", bin ? bin : "build/bin", name);
    return path;
}

static void copy_file(const char *from, const char *to) {
    int in = open_or_die(from, O_RDONLY);
    int out = open_or_die(to, O_WRONLY | O_CREAT);
    char buffer[65536];
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        assert_int_equal(write(out, buffer, (size_t)n), n);
    (void)fchmod(out, 0755);
    (void)close(in);
    (void)close(out);
}

static int memfd_of(const char *path) {
    int fd = memfd_create("gridlet-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int in = open_or_die(path, O_RDONLY);
    char buffer[65536];
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        assert_int_equal(write(fd, buffer, (size_t)n), n);
    (void)close(in);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
    return fd;
}

/* ---- the wire ---- */

static void rig_close_fds(void) {
    for (int i = 0; i < SHIM_FDS_MAX; i++)
        if (rig.fds[i] >= 0) (void)close(rig.fds[i]);
    for (int i = 0; i < SHIM_FDS_MAX; i++) rig.fds[i] = -1;
}

/* Waits for the next message; false at the end of the connection. */
static bool rig_next(void) {
    struct pollfd p = {.fd = rig.daemon, .events = POLLIN};
    rig_close_fds();
    assert_int_equal(poll(&p, 1, RIG_WAIT_MS), 1);
    int r = shim_receive(rig.daemon, &rig.m, rig.fds);
    assert_true(r >= 0 || r == -ECONNRESET);
    return r == 1;
}

static void rig_expect(enum shim_op op) {
    assert_true(rig_next());
    if (rig.m.op != op)
        print_error("got %u (sys %d, number %ld, text '%s')\n", rig.m.op, rig.m.sys,
                    (long)rig.m.number, rig.m.text);
    assert_int_equal(rig.m.op, op);
}

static void rig_send(struct shim_message *m, const int *fds) {
    assert_int_equal(shim_send(rig.daemon, m, fds), 0);
}

static void add_fd(struct shim_message *m, int *fds, enum shim_role role, int fd) {
    m->roles[m->fd_count] = (uint8_t)role;
    fds[m->fd_count++] = fd;
}

/* ---- the shim ---- */

static void exec_shim(int listen_fd, int daemon_fd, int init_fd) {
    int fds[] = {listen_fd, daemon_fd, init_fd};
    int high[3];
    for (int i = 0; i < 3; i++) high[i] = fcntl(fds[i], F_DUPFD, 100);
    for (int i = 0; i < 3; i++) (void)dup2(high[i], 3 + i);
    (void)close_range(6, ~0U, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that crashes leaves nothing behind */
    char *argv[] = {(char *)"gridlet-shim", (char *)"--pod", (char *)"test", NULL};
    (void)execv(program("gridlet-shim"), argv);
    _exit(126);
}

static void rig_connect(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", rig_path("s"));
    rig.daemon = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(rig.daemon, (struct sockaddr *)&address, sizeof address), 0);
}

static void rig_shim_start(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", rig_path("s"));
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 4), 0);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    int init = memfd_of(program("gridlet-init"));
    rig.shim = fork();
    if (rig.shim == 0) exec_shim(listener, pair[1], init);
    rig.daemon = pair[0];
    (void)close(pair[1]);
    (void)close(listener);
    (void)close(init);
    struct shim_message hello = {.op = SHIM_HELLO};
    rig_send(&hello, NULL);
    rig_expect(SHIM_WELCOME);
    rig_expect(SHIM_LISTED);
}

static int rig_up(void **state) {
    (void)state;
    memset(&rig, 0, sizeof rig);
    for (int i = 0; i < SHIM_FDS_MAX; i++) rig.fds[i] = -1;
    (void)snprintf(rig.dir, sizeof rig.dir, "/tmp/shim-test-XXXXXX");
    assert_non_null(mkdtemp(rig.dir));
    static const char *const folders[] = {
        "layers",        "layers/1",   "layers/1/bin", "layers/1/etc",        "layers/2",
        "layers/2/data", "containers", "logs",         "layers/1/masked-dir", "layers/1/fixed"};
    for (size_t i = 0; i < COUNT(folders); i++) make_dir(rig_path("%s", folders[i]));
    copy_file(program("shim-guest"), rig_path("layers/1/bin/guest"));
    write_file(rig_path("layers/1/etc/name"), "lower\n");
    write_file(rig_path("layers/2/etc-from-2"), "two\n");
    write_file(rig_path("layers/1/masked-file"), "secret\n");
    write_file(rig_path("layers/1/masked-dir/x"), "secret\n");
    write_file(rig_path("layers/1/bin/plain"), "not executable\n");
    assert_int_equal(symlink("/run/far/resolv.conf", rig_path("layers/1/etc/resolv.conf")), 0);
    rig.layers = open_or_die(rig_path("layers"), O_PATH | O_DIRECTORY);
    rig_shim_start();
    return 0;
}

static void remove_tree(const char *path) {
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-rf", "--one-file-system", path, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(pid, NULL, 0);
}

/* Removes a cgroup and those below it, which hold only dead processes. */
static void remove_cgroup(const char *path) {
    char sub[RIG_PATH_BYTES + 8];
    (void)snprintf(sub, sizeof sub, "%s/exec", path);
    (void)rmdir(sub);
    for (int i = 0; i < 500 && rmdir(path) < 0 && errno == EBUSY; i++) (void)poll(NULL, 0, 10);
}

static int rig_down(void **state) {
    (void)state;
    struct shim_message bye = {.op = SHIM_SHUTDOWN};
    int status = 0;
    if (rig.shim > 0) {
        (void)shim_send(rig.daemon, &bye, NULL);
        while (rig_next()) continue;
        assert_int_equal(waitpid(rig.shim, &status, 0), rig.shim);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    rig_close_fds();
    (void)close(rig.daemon);
    (void)close(rig.layers);
    if (rig.cgroup[0]) remove_cgroup(rig.cgroup);
    if (rig.memory[0]) remove_cgroup(rig.memory);
    remove_tree(rig.dir);
    return 0;
}

/* ---- containers ---- */

struct plan {
    const char *id;
    const char *const *argv; /* NULL-terminated */
    uint32_t flags;          /* enum shim_flag of START */
    uint64_t log_bytes_max;
    uint32_t log_files_max;
    bool cgroups;
    void (*adapt)(struct launch_builder *b); /* changes the spec, or NULL */
};

static struct launch_ref text(struct launch_builder *b, const char *s) {
    return launch_build_str(b, str_of(s));
}

static void set_argv(struct launch_builder *b, const char *const *argv) {
    struct str strs[32];
    size_t n = 0;
    for (; argv[n]; n++) strs[n] = str_of(argv[n]);
    b->spec.argv = launch_build_strs(b, strs, n);
    const struct str env[] = {STR("PATH=/nowhere:/bin"), STR("HOME=/")};
    b->spec.envp = launch_build_strs(b, env, COUNT(env));
}

#define STANDARD_MOUNTS 7
static void standard_mounts(struct launch_builder *b, struct launch_mount *m) {
    const uint32_t safe = LAUNCH_MOUNT_NOSUID | LAUNCH_MOUNT_NODEV | LAUNCH_MOUNT_NOEXEC;
    m[0] = (struct launch_mount){LAUNCH_MOUNT_FS, safe, 0, text(b, "proc"), text(b, "/proc"), {0}};
    m[1] = (struct launch_mount){
        LAUNCH_MOUNT_FS,  LAUNCH_MOUNT_NOSUID, 0,
        text(b, "tmpfs"), text(b, "/dev"),     text(b, "size=65536k,mode=755")};
    m[2] = (struct launch_mount){LAUNCH_MOUNT_FS,
                                 LAUNCH_MOUNT_NOSUID | LAUNCH_MOUNT_NOEXEC,
                                 0,
                                 text(b, "devpts"),
                                 text(b, "/dev/pts"),
                                 text(b, "newinstance,ptmxmode=0666,mode=0620,gid=5")};
    m[3] = (struct launch_mount){LAUNCH_MOUNT_SHM, 0, 0, {0}, text(b, "/dev/shm"), {0}};
    m[4] = (struct launch_mount){LAUNCH_MOUNT_FS,        safe, 0, text(b, "mqueue"),
                                 text(b, "/dev/mqueue"), {0}};
    m[5] = (struct launch_mount){
        LAUNCH_MOUNT_FS, safe | LAUNCH_MOUNT_READONLY, 0, text(b, "sysfs"), text(b, "/sys"), {0}};
    m[6] = (struct launch_mount){LAUNCH_MOUNT_BIND,
                                 LAUNCH_MOUNT_READONLY,
                                 0,
                                 text(b, rig_path("layers/2/etc-from-2")),
                                 text(b, "/etc/resolv.conf"),
                                 {0}};
}

static void standard_spec(struct launch_builder *b) {
    struct launch_mount mounts[STANDARD_MOUNTS];
    standard_mounts(b, mounts);
    b->spec.mounts = launch_build_table(b, mounts, sizeof *mounts, STANDARD_MOUNTS);
    struct launch_device devices[] = {
        {.path = text(b, "/dev/null"), .type = S_IFCHR, .major = 1, .minor = 3, .mode = 0666},
        {.path = text(b, "/dev/zero"), .type = S_IFCHR, .major = 1, .minor = 5, .mode = 0666}};
    b->spec.devices = launch_build_table(b, devices, sizeof *devices, COUNT(devices));
    const struct str masked[] = {STR("/masked-file"), STR("/masked-dir"), STR("/proc/kcore"),
                                 STR("/absent")};
    const struct str readonly[] = {STR("/proc/sys"), STR("/fixed"), STR("/absent")};
    b->spec.masked = launch_build_strs(b, masked, COUNT(masked));
    b->spec.readonly = launch_build_strs(b, readonly, COUNT(readonly));
    b->spec.lowers = text(b, "2:1");
    b->spec.cwd = text(b, "/work/deep");
    b->spec.flags = LAUNCH_NEW_NET | LAUNCH_NEW_IPC | LAUNCH_NEW_UTS | LAUNCH_NO_NEW_PRIVS;
    b->spec.caps_bounding = b->spec.caps_permitted = b->spec.caps_effective = RIG_ALL_CAPS;
}

/* The pod's namespaces; flags: of enum shim_flag. */
static void rig_sandbox(uint32_t flags) {
    AUTO(launch_build_done) struct launch_builder b;
    launch_build_init(&b, LAUNCH_SANDBOX);
    b.spec.flags = LAUNCH_NEW_NET | LAUNCH_NEW_IPC | LAUNCH_NEW_UTS;
    b.spec.hostname = text(&b, "testpod");
    b.spec.shm_bytes = 1 << 20;
    struct launch_pair sysctls[] = {
        {text(&b, "net.ipv4.ip_unprivileged_port_start"), text(&b, "7")},
        {text(&b, "kernel.shm_rmid_forced"), text(&b, "1")}};
    b.spec.sysctls = launch_build_table(&b, sysctls, sizeof *sysctls, COUNT(sysctls));
    struct err e = {0};
    AUTO_CLOSE int spec = -1;
    assert_int_equal(launch_build_seal(&b, &spec, &e), 0);
    struct shim_message m = {.op = SHIM_SANDBOX, .flags = flags};
    int fds[1];
    add_fd(&m, fds, SHIM_ROLE_SPEC, spec);
    rig_send(&m, fds);
    rig_expect(SHIM_SANDBOX_READY);
}

static void rig_cgroups(void) {
    (void)snprintf(rig.cgroup, sizeof rig.cgroup, "/sys/fs/cgroup/unified/gridlet-test-%d",
                   getpid());
    (void)snprintf(rig.memory, sizeof rig.memory, "/sys/fs/cgroup/memory/gridlet-test-%d",
                   getpid());
    make_dir(rig.cgroup);
    make_dir(rig.memory);
}

static void add_cgroups(struct shim_message *m, int *fds, const struct plan *p) {
    char path[RIG_PATH_BYTES + 32];
    if (!p->cgroups) return;
    add_fd(m, fds, SHIM_ROLE_CGROUP, open_or_die(rig.cgroup, O_RDONLY | O_DIRECTORY));
    (void)snprintf(path, sizeof path, "%s/memory.oom_control", rig.memory);
    add_fd(m, fds, SHIM_ROLE_OOM, open_or_die(path, O_RDONLY));
    (void)snprintf(path, sizeof path, "%s/tasks", rig.memory);
    add_fd(m, fds, SHIM_ROLE_TASKS, open_or_die(path, O_WRONLY));
}

static void rig_start(const struct plan *p) {
    AUTO(launch_build_done) struct launch_builder b;
    launch_build_init(&b, LAUNCH_CONTAINER);
    standard_spec(&b);
    set_argv(&b, p->argv);
    if (p->flags & SHIM_TTY) b.spec.flags |= LAUNCH_TTY;
    if (p->adapt) p->adapt(&b);
    struct err e = {0};
    int spec = -1;
    assert_int_equal(launch_build_seal(&b, &spec, &e), 0);
    make_dir(rig_path("containers/%s", p->id));
    make_dir(rig_path("containers/%s/upper", p->id));
    make_dir(rig_path("containers/%s/work", p->id));
    make_dir(rig_path("containers/%s/rootfs", p->id));
    struct shim_message m = {.op = SHIM_START,
                             .flags = p->flags,
                             .log_bytes_max = p->log_bytes_max,
                             .log_files_max = p->log_files_max};
    (void)snprintf(m.container, sizeof m.container, "%s", p->id);
    (void)snprintf(m.path, sizeof m.path, "%s", rig_path("logs/%s/0.log", p->id));
    int fds[SHIM_FDS_MAX];
    add_fd(&m, fds, SHIM_ROLE_SPEC, spec);
    add_fd(&m, fds, SHIM_ROLE_DIR, open_or_die(rig_path("containers/%s", p->id), O_PATH));
    add_fd(&m, fds, SHIM_ROLE_LAYERS, rig.layers);
    add_cgroups(&m, fds, p);
    rig_send(&m, fds);
    for (uint32_t i = 0; i < m.fd_count; i++)
        if (fds[i] != rig.layers) (void)close(fds[i]);
}

static void rig_order(enum shim_op op, const char *id, int64_t number) {
    struct shim_message m = {.op = op, .number = number};
    (void)snprintf(m.container, sizeof m.container, "%s", id);
    rig_send(&m, NULL);
}

static char *rig_log(const char *id) { return read_file(rig_path("logs/%s/0.log", id)); }
static char *rig_exit(const char *id) { return read_file(rig_path("containers/%s/exit.json", id)); }

/* Runs it to its end; the caller frees the log. */
static char *rig_run(const struct plan *p) {
    rig_start(p);
    rig_expect(SHIM_STARTED);
    rig_expect(SHIM_EXITED);
    return rig_log(p->id);
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
static void assert_has(const char *log, const char *part) {
    if (!strstr(log, part)) print_error("'%s' is not in:\n%.4000s\n", part, log);
    assert_non_null(strstr(log, part));
}
static void assert_has_not(const char *log, const char *part) {
    if (strstr(log, part)) print_error("'%s' is in:\n%.4000s\n", part, log);
    assert_null(strstr(log, part));
}
