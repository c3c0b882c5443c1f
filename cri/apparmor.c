/* SPDX-License-Identifier: Apache-2.0 — apparmor.c: reading what is loaded, and loading what is
 * ours. Source: apparmor.d(5), apparmor_parser(8). */
#include "cri/apparmor.h"

#include "base/file.h"
#include "base/proc.h"

#include <errno.h>
#include <sys/mman.h>

#define ENABLED_PATH        "/sys/module/apparmor/parameters/enabled"
#define PROFILES_PATH       "/sys/kernel/security/apparmor/profiles"
#define PROFILES_BYTES_MAX  (4u << 20)
#define COMPLAINT_BYTES_MAX (64u << 10)

bool apparmor_enabled(void) {
    AUTO(buf_done) struct buf text = BUF(16);
    return file_read_all(AT_FDCWD, ENABLED_PATH, 16, &text) == 0 && text.n && text.p[0] == 'Y';
}

/* "name (enforce)" per line. */
enum apparmor_loaded apparmor_profile(struct str name) {
    AUTO(buf_done) struct buf text = BUF(PROFILES_BYTES_MAX);
    if (file_read_all(AT_FDCWD, PROFILES_PATH, PROFILES_BYTES_MAX, &text) < 0)
        return APPARMOR_UNKNOWN;
    struct str rest = buf_view(&text), line;
    while (str_next(&rest, '\n', &line)) {
        ptrdiff_t end = str_rfind(line, '(');
        if (end > 1 && str_eq(str_sub(line, 0, (size_t)end - 1), name)) return APPARMOR_LOADED;
    }
    return APPARMOR_NOT_LOADED;
}

static const char *find_parser(void) {
    static const char *const places[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"};
    for (size_t i = 0; i < COUNT(places); i++)
        if (access(places[i], X_OK) == 0) return places[i];
    return NULL;
}

static int parser_failed(int complaints, const char *file, int status, struct err *e) {
    AUTO(buf_done) struct buf text = BUF(COMPLAINT_BYTES_MAX);
    struct str line = STR_NONE;
    if (lseek(complaints, 0, SEEK_SET) == 0 &&
        file_read_fd(complaints, COMPLAINT_BYTES_MAX, &text) == 0)
        line = str_trim(buf_view(&text));
    return err_set(e, ERR_IO,
                   "load AppArmor profile '%s': apparmor_parser ended with status %d: %.*s", file,
                   status, STR_ARG(str_sub(line, 0, 120)));
}

static int run_parser(const char *parser, const char *file, struct err *e) {
    AUTO_CLOSE int complaints = memfd_create("complaints", MFD_CLOEXEC);
    if (complaints < 0) return err_sys(e, errno, "make a file for apparmor_parser");
    const char *const argv[] = {"apparmor_parser", "--add", "--skip-cache", file, NULL};
    const struct proc_fd fds[] = {{complaints, 1}, {complaints, 2}};
    struct proc_spec spec = PROC_SPEC;
    spec.path = parser;
    spec.argv = argv;
    spec.fds = fds;
    spec.fd_count = COUNT(fds);
    AUTO(proc_done) struct proc p = PROC_NONE;
    struct proc_exit x;
    if (proc_spawn(&spec, &p, e) < 0) return err_in(e, "start %s", parser);
    int r = proc_wait(&p, &x);
    if (r < 0) return err_sys(e, -r, "wait for %s", parser);
    return proc_exit_code(x) ? parser_failed(complaints, file, proc_exit_code(x), e) : 0;
}

int apparmor_load_default(const char *file, bool *out_loaded, struct err *e) {
    enum apparmor_loaded now =
        apparmor_enabled() ? apparmor_profile(STR(APPARMOR_DEFAULT)) : APPARMOR_UNKNOWN;
    const char *parser = find_parser();
    *out_loaded = now == APPARMOR_LOADED;
    if (now != APPARMOR_NOT_LOADED || !parser || access(file, F_OK) < 0) return 0;
    if (run_parser(parser, file, e) < 0) return -1;
    *out_loaded = true;
    return 0;
}
