/* SPDX-License-Identifier: Apache-2.0 — guest_main.c: what the tests run inside of containers.
 *
 * Usage: guest WORD ARGUMENT [WORD ARGUMENT]..., see the table below. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK_BYTES 4096

static int cat(const char *path) {
    char buffer[CHUNK_BYTES];
    int fd = open(path, O_RDONLY);
    if (fd < 0) return printf("%s: %s\n", path, strerror(errno)), 1;
    (void)fflush(stdout);
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
        if (write(1, buffer, (size_t)n) < 0) return 1;
    (void)close(fd);
    return 0;
}

static int can_write(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    int why = errno;
    if (fd >= 0) (void)close(fd);
    return printf("write %s: %s\n", path, fd >= 0 ? "ok" : strerror(why)), 0;
}

static int link_of(const char *path) {
    char target[CHUNK_BYTES];
    ssize_t n = readlink(path, target, sizeof target - 1);
    return printf("link %s: %.*s\n", path, n < 0 ? 4 : (int)n, n < 0 ? "none" : target), 0;
}

/* "number 12345\n" lines, `bytes` in all at least. */
static int spam(const char *bytes) {
    long left = strtol(bytes, NULL, 10);
    for (long i = 0; left > 0; i++) left -= printf("number %ld\n", i);
    return fflush(stdout);
}

static int eat(const char *bytes) {
    size_t n = strtoul(bytes, NULL, 10);
    char *p = malloc(n);
    if (!p) return 1;
    memset(p, 'x', n);
    return p[n / 2] == 'x' ? 0 : 1;
}

/* A child that outlives us with our output open. */
static int orphan(const char *seconds) {
    if (fork() > 0) return 0;
    (void)setsid();
    (void)sleep((unsigned)strtoul(seconds, NULL, 10));
    _exit(0);
}

static int wait_for_ever(const char *unused) {
    (void)unused;
    while (pause() < 0) continue; /* it never returns anything else */
    return 0;
}
static int say(const char *text) { return printf("%s\n", text), 0; }
static int say_bare(const char *text) { return printf("%s", text), 0; }
static int complain(const char *text) { return fprintf(stderr, "%s\n", text), 0; }
static int leave(const char *code) { exit((int)strtol(code, NULL, 10)); }
static int raise_signal(const char *number) { return raise((int)strtol(number, NULL, 10)); }
static int where(const char *unused) {
    char path[CHUNK_BYTES];
    (void)unused;
    return printf("cwd %s\n", getcwd(path, sizeof path) ? path : "none"), 0;
}
static int terminal(const char *unused) {
    (void)unused;
    return printf("tty %d %d %d %s\n", isatty(0), isatty(1), isatty(2), ttyname(0)), 0;
}
static int mode(const char *path) {
    struct stat st;
    if (stat(path, &st) < 0) return printf("mode %s: %s\n", path, strerror(errno)), 0;
    return printf("mode %s: %o %u\n", path, st.st_mode, st.st_uid), 0;
}
static int pid(const char *unused) {
    (void)unused;
    return printf("pid %d parent %d\n", getpid(), getppid()), 0;
}
/* Lines of stdin come back until its end. */
static int echo(const char *unused) {
    char line[CHUNK_BYTES];
    (void)unused;
    while (fgets(line, sizeof line, stdin)) (void)printf("got %s", line);
    return 0;
}

static const struct {
    const char *word;
    int (*run)(const char *argument);
} words[] = {
    {"cat", cat},       {"write", can_write}, {"link", link_of},       {"spam", spam},
    {"eat", eat},       {"orphan", orphan},   {"wait", wait_for_ever}, {"say", say},
    {"bare", say_bare}, {"err", complain},    {"exit", leave},         {"raise", raise_signal},
    {"cwd", where},     {"tty", terminal},    {"mode", mode},          {"pid", pid},
    {"echo", echo}};

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        size_t w = 0;
        while (w < sizeof words / sizeof *words && strcmp(words[w].word, argv[i]) != 0) w++;
        if (w == sizeof words / sizeof *words) return 99;
        (void)words[w].run(argv[i + 1]);
        (void)fflush(stdout);
    }
    return 0;
}
