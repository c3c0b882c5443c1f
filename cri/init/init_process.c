/* SPDX-License-Identifier: Apache-2.0 — init_process.c: the last steps, from set-up program to the
 * container's process.
 *
 * The order is the point:
 *   - descriptors of the host are closed before anything of the spec (cwd, argv[0]) is looked up,
 * so /proc/self/fd/N cannot name a folder of the host (CVE-2024-21626);
 *   - capabilities leave the bounding set while we still may; then groups and user; then the sets;
 *   - without no_new_privs a seccomp filter needs CAP_SYS_ADMIN and is loaded before they go; with
 *     it, it is loaded last, so that the filter has to allow next to nothing of this file. */
#include "cri/init/init.h"
#include "cri/launch/kernel.h"

#include <grp.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define CAPS_MAX     64
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void set_limits(const struct launch_spec *spec) {
    const struct launch_rlimit *limits = launch_table(spec, spec->rlimits);
    for (uint32_t i = 0; i < spec->rlimits.n; i++) {
        struct rlimit limit = {limits[i].soft, limits[i].hard};
        if (setrlimit((int)limits[i].resource, &limit) < 0)
            init_fail(errno, "set resource limit %u to %llu:%llu", limits[i].resource,
                      (unsigned long long)limits[i].soft, (unsigned long long)limits[i].hard);
    }
}

static void set_oom_score(const struct init *in) {
    char text[16];
    if (in->spec->oom_score_adj == INT32_MIN) return;
    AUTO_CLOSE int fd = openat(in->proc_self, "oom_score_adj", O_WRONLY | O_CLOEXEC);
    int n = snprintf(text, sizeof text, "%d", in->spec->oom_score_adj);
    if (fd < 0) init_fail(errno, "open oom_score_adj");
    /* lower than the daemon's own needs CAP_SYS_RESOURCE, which not every machine grants */
    if (write(fd, text, (size_t)n) < 0 && errno != EACCES && errno != EPERM)
        init_fail(errno, "set oom_score_adj to %s", text);
}

/* Written last; opened while the host's /proc can be reached. */
static void open_apparmor(struct init *in) {
    if (in->spec->apparmor.n == 0) return;
    in->apparmor = openat(in->proc_self, "attr/apparmor/exec", O_WRONLY | O_CLOEXEC);
    if (in->apparmor < 0 && errno == ENOENT)
        in->apparmor = openat(in->proc_self, "attr/exec", O_WRONLY | O_CLOEXEC);
    if (in->apparmor < 0)
        init_fail(errno, "AppArmor profile '%s': the kernel has no AppArmor",
                  launch_str(in->spec, in->spec->apparmor));
}

static void set_apparmor(const struct init *in) {
    char text[PATH_MAX];
    if (in->apparmor < 0) return;
    const char *profile = launch_str(in->spec, in->spec->apparmor);
    int n = snprintf(text, sizeof text, "exec %s", profile);
    if (n < 0 || (size_t)n >= sizeof text || write(in->apparmor, text, (size_t)n) < 0)
        init_fail(errno, "AppArmor profile '%s'", profile);
    (void)close(in->apparmor);
}

/* From here on only 0-2, the report socket and the AppArmor file are open. */
static void close_host(struct init *in) {
    (void)kernel_close_range(LAUNCH_FD_SPEC, LAUNCH_FD_SPEC, 0);
    unsigned from = LAUNCH_FD_REPORT + 1;
    if (in->apparmor >= 0) {
        int kept = dup3(in->apparmor, LAUNCH_FD_REPORT + 1, O_CLOEXEC);
        if (kept < 0) init_fail(errno, "keep the AppArmor file");
        in->apparmor = kept;
        from++;
    }
    (void)kernel_close_range(from, ~0U, 0);
    in->root = in->proc_self = -1;
}

/* False: this user may not enter; perhaps the container's may. */
static bool enter_cwd(const struct launch_spec *spec) {
    char real[PATH_MAX];
    const char *path = spec->cwd.n ? launch_str(spec, spec->cwd) : "/";
    if (path[0] != '/') init_fail(EINVAL, "working folder %s: not an absolute path", path);
    if (chdir(path) < 0) {
        if (errno == EACCES) return false;
        init_fail(errno, "enter the working folder %s", path);
    }
    if (syscall(SYS_getcwd, real, sizeof real) < 0 || real[0] != '/')
        init_fail(0, "working folder %s: lies outside of the container", path);
    return true;
}

/* So that /dev/stdout can be opened by a user who is not root. */
static void own_stdio(uid_t uid) {
    for (int fd = 0; fd <= 2; fd++) {
        struct stat st;
        if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || st.st_uid == uid) continue;
        (void)!fchown(fd, uid, (gid_t)-1); /* then it opens it no more: not worth a failed start */
    }
}

static void limit_bounding(uint64_t keep) {
    for (unsigned cap = 0; cap < CAPS_MAX; cap++) {
        if (keep >> cap & 1) continue;
        if (prctl(PR_CAPBSET_READ, cap) < 1) continue; /* unknown to the kernel, or gone already */
        if (prctl(PR_CAPBSET_DROP, cap) < 0)
            init_fail(errno, "drop capability %u from the bounding set", cap);
    }
}

static void become_user(const struct launch_spec *spec) {
    const uint32_t *groups = launch_table(spec, spec->groups);
    _Static_assert(sizeof(gid_t) == sizeof(uint32_t), "the table is a gid_t array");
    if (setgroups(spec->groups.n, groups) < 0) init_fail(errno, "set supplementary groups");
    if (prctl(PR_SET_KEEPCAPS, 1) < 0) init_fail(errno, "keep capabilities over setuid");
    if (setresgid(spec->gid, spec->gid, spec->gid) < 0)
        init_fail(errno, "become group %u", spec->gid);
    if (setresuid(spec->uid, spec->uid, spec->uid) < 0)
        init_fail(errno, "become user %u", spec->uid);
}

static void set_capabilities(const struct launch_spec *spec) {
    int r = kernel_capset(spec->caps_effective, spec->caps_permitted, spec->caps_inheritable);
    if (r < 0) init_fail(-r, "set capabilities");
    (void)prctl(PR_SET_KEEPCAPS, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned cap = 0; cap < CAPS_MAX; cap++) {
        if (!(spec->caps_ambient >> cap & 1)) continue;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            init_fail(errno, "raise ambient capability %u", cap);
    }
}

static void load_seccomp(const struct launch_spec *spec) {
    if (!(spec->flags & LAUNCH_SECCOMP)) return;
    struct sock_fprog program = {
        .len = (unsigned short)spec->seccomp.n,
        .filter = (struct sock_filter *)(uintptr_t)launch_table(spec, spec->seccomp)};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, spec->seccomp_flags, &program) < 0)
        init_fail(errno, "load the seccomp filter");
}

/* NULL-terminated pointers to a table's strings; the spec stays mapped until execve. */
static char **pointers(const struct launch_spec *spec, struct launch_ref table) {
    char **list = mmap(NULL, (table.n + 1) * sizeof *list, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (list == MAP_FAILED) init_fail(errno, "memory for %u arguments", table.n);
    const struct launch_ref *refs = launch_table(spec, table);
    for (uint32_t i = 0; i < table.n; i++) list[i] = (char *)(uintptr_t)launch_str(spec, refs[i]);
    return list;
}

static void exec_failed(const char *name, int sys) __attribute__((noreturn));
static void exec_failed(const char *name, int sys) {
    struct launch_report report = {.kind = LAUNCH_FAILED, .sys = sys};
    const char *why = strerror(sys);
    if (sys == ENOENT && !strchr(name, '/'))
        why = "executable file not found in PATH";
    else if (sys == ENOENT && access(name, F_OK) == 0)
        why = "no such file or directory (the file is there, its interpreter is not)";
    else if (sys == ENOENT)
        why = "no such file or directory";
    if (sys == EACCES) why = "permission denied";
    if (sys == ENOEXEC) why = "exec format error";
    (void)snprintf(report.text, sizeof report.text, "exec \"%.300s\": %s", name, why);
    init_report(&report, NULL, 0);
    _exit(127);
}

static const char *path_of(char *const *envp) {
    for (; *envp; envp++)
        if (strncmp(*envp, "PATH=", 5) == 0) return *envp + 5;
    return PATH_DEFAULT;
}

/* Tries argv[0] in every folder of PATH; returns the errno to report. */
static int exec_in_path(char **argv, char **envp) {
    char file[PATH_MAX];
    int denied = 0;
    const char *path = path_of(envp);
    for (;;) {
        size_t n = strcspn(path, ":");
        int len = snprintf(file, sizeof file, "%.*s/%s", (int)n, n ? path : ".", argv[0]);
        if (len > 0 && (size_t)len < sizeof file) {
            (void)execve(file, argv, envp);
            if (errno == EACCES && access(file, F_OK) == 0)
                denied = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                return errno;
        }
        if (path[n] == '\0') return denied ? denied : ENOENT;
        path += n + 1;
    }
}

static void run(const struct launch_spec *spec) __attribute__((noreturn));
static void run(const struct launch_spec *spec) {
    char **argv = pointers(spec, spec->argv);
    char **envp = pointers(spec, spec->envp);
    if (spec->flags & LAUNCH_NO_NEW_PRIVS) load_seccomp(spec);
    if (strchr(argv[0], '/')) {
        (void)execve(argv[0], argv, envp);
        exec_failed(argv[0], errno);
    }
    int sys = exec_in_path(argv, envp);
    if (sys == ENOENT) init_fail(0, "exec \"%.300s\": executable file not found in PATH", argv[0]);
    exec_failed(argv[0], sys);
}

void init_process(struct init *in) {
    const struct launch_spec *spec = in->spec;
    set_limits(spec);
    set_oom_score(in);
    open_apparmor(in);
    close_host(in);
    (void)umask(spec->umask);
    (void)setsid(); /* always: kill(0) must not reach the shim */
    if (spec->flags & LAUNCH_TTY) init_tty(spec);
    bool inside = enter_cwd(spec);
    own_stdio(spec->uid);
    if (!(spec->flags & LAUNCH_NO_NEW_PRIVS)) load_seccomp(spec);
    limit_bounding(spec->caps_bounding);
    become_user(spec);
    if (!inside && !enter_cwd(spec))
        init_fail(EACCES, "enter the working folder %s", launch_str(spec, spec->cwd));
    set_apparmor(in);
    set_capabilities(spec);
    if ((spec->flags & LAUNCH_NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        init_fail(errno, "set no_new_privs");
    run(spec);
}
