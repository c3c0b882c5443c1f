/* SPDX-License-Identifier: Apache-2.0 — zdb_load.c: load for a 0-db or redis server, and checks
 * that everything of it is there afterwards. tests/bench/zdb.py builds and runs it.
 *
 * Keys and payloads follow from a seed and a number: unique, random to the server, and made again
 * for the comparison. Connections are served by one thread with epoll. Closed loop: a connection
 * sends `pipe` requests, takes their replies, sends the next. With `rate` it is an open loop: every
 * request is due at its own time, and its latency counts from there, so that a stall of the server
 * is not hidden by requests that were never sent. Prints one line of JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX 256
#define PIPE_MAX  64
#define KEY_BYTES 16
#define HEAD_MAX  128
#define SAMPLES   4000000 /* latencies that are kept */
#define RAW_BYTES (1 << 20)

enum kind { SET, GET, VERIFY, DEL };

static struct {
    enum kind kind;
    uint64_t port, conns, pipe, count, size, seed, rate, step, first, seq, random;
} o = {.conns = 1, .pipe = 1, .count = 1, .size = 64, .seed = 1, .step = 1};

struct conn {
    int fd;
    char *out, *in;
    size_t out_n, sent, in_n;
    uint64_t asked[PIPE_MAX], began;
    unsigned waits, answered;
};
static struct conn conns[CONNS_MAX];
static size_t in_bytes, out_bytes;
static uint64_t given, done, started, *latencies;
static char *wanted;
static volatile sig_atomic_t stopped;

static void die(const char *what) {
    fprintf(stderr, "zdb_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void payload(uint64_t i, char *out) {
    uint64_t state = mix(o.seed * 0x100000001b3u + i);
    for (size_t at = 0; at < o.size; at += 8) {
        uint64_t word = state += 0x9e3779b97f4a7c15u;
        word = (word ^ (word >> 32)) * 0xd6e8feb86659fd93u;
        word ^= word >> 32;
        memcpy(out + at, &word, o.size - at < 8 ? o.size - at : 8);
    }
}

/* user: 16 digits. seq: the number that the server gave, when the namespace was empty before. */
static size_t key_of(uint64_t i, char *out) {
    if (o.seq) {
        memcpy(out, &i, 8);
        return 8;
    }
    uint64_t x = mix(o.seed << 40 ^ i);
    for (int k = 0; k < KEY_BYTES; k++, x >>= 4) out[k] = "0123456789abcdef"[x & 15];
    return KEY_BYTES;
}

static int dial(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o.port)};
    int on = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void add_request(struct conn *c, uint64_t i) {
    static const char *const names[] = {"SET", "GET", "GET", "DEL"};
    char key[KEY_BYTES];
    size_t n = o.seq && o.kind == SET ? 0 : key_of(i, key);
    c->out_n += (size_t)sprintf(c->out + c->out_n, "*%d\r\n$3\r\n%s\r\n$%zu\r\n",
                                o.kind == SET ? 3 : 2, names[o.kind], n);
    memcpy(c->out + c->out_n, key, n);
    c->out_n += n;
    if (o.kind == SET) {
        c->out_n += (size_t)sprintf(c->out + c->out_n, "\r\n$%llu\r\n", (unsigned long long)o.size);
        payload(i, c->out + c->out_n);
        c->out_n += o.size;
    }
    memcpy(c->out + c->out_n, "\r\n", 2);
    c->out_n += 2;
    c->asked[c->waits++] = i;
}

/* The number of the next request; false: there are no more. */
static bool next(uint64_t *out) {
    if (given == o.count || stopped) return false;
    uint64_t i = given++;
    *out = (o.random ? mix(i + 77) % o.count : i) * o.step + o.first;
    return true;
}

static void send_some(struct conn *c) {
    while (c->sent < c->out_n) {
        ssize_t n = write(c->fd, c->out + c->sent, c->out_n - c->sent);
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) die("write");
        c->sent += (size_t)n;
    }
}

/* Sends the next batch when the last one is answered. False: nothing to do (yet). */
static bool begin(struct conn *c) {
    uint64_t i;
    if (c->waits > 0) return false;
    c->began = now_ns();
    if (o.rate) {
        uint64_t due = started + given * 1000000000u / o.rate;
        if (due > c->began) return false;
        c->began = due;
    }
    c->out_n = c->sent = 0;
    c->answered = 0;
    while (c->waits < o.pipe && next(&i)) add_request(c, i);
    send_some(c);
    return c->waits > 0;
}

static void check(const struct conn *c, const char *body, long n) {
    uint64_t i = c->asked[c->answered];
    if (n != (long)o.size) {
        fprintf(stderr, "zdb_load: value %llu has %ld bytes\n", (unsigned long long)i, n);
        exit(2);
    }
    if (o.kind != VERIFY) return;
    payload(i, wanted);
    if (memcmp(wanted, body, o.size) == 0) return;
    fprintf(stderr, "zdb_load: value %llu is another one\n", (unsigned long long)i);
    exit(2);
}

/* Bytes of the reply at p; 0: it is not whole. */
static size_t take_reply(const struct conn *c, const char *p, size_t n) {
    const char *end = memchr(p, '\n', n);
    if (!end) return 0;
    size_t head = (size_t)(end - p) + 1;
    if (p[0] == '-') {
        fprintf(stderr, "zdb_load: refused: %.*s", (int)head, p);
        exit(2);
    }
    long body = p[0] == '$' ? strtol(p + 1, NULL, 10) : -1;
    size_t total = body < 0 ? head : head + (size_t)body + 2;
    if (n < total) return 0;
    if (o.kind == GET || o.kind == VERIFY) check(c, p + head, body);
    return total;
}

static void end(struct conn *c) {
    uint64_t took = now_ns() - c->began;
    for (unsigned k = 0; k < c->answered; k++, done++)
        if (done < SAMPLES) latencies[done] = took;
    c->waits = 0;
}

/* True when more may be there. */
static bool receive(struct conn *c) {
    size_t room = in_bytes - c->in_n;
    ssize_t n = read(c->fd, c->in + c->in_n, room);
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) die("the server closed a connection");
    c->in_n += (size_t)n;
    size_t at = 0;
    for (size_t took; at < c->in_n && c->answered < c->waits; at += took, c->answered++)
        if ((took = take_reply(c, c->in + at, c->in_n - at)) == 0) break;
    memmove(c->in, c->in + at, c->in_n - at);
    c->in_n -= at;
    if (c->waits > 0 && c->answered == c->waits) {
        end(c);
        (void)begin(c);
    }
    return (size_t)n == room;
}

static int wait_ms(void) {
    if (!o.rate) return 100;
    uint64_t due = started + given * 1000000000u / o.rate;
    uint64_t now = now_ns();
    return due <= now ? 0 : (due - now > 2000000 ? 1 : 0); /* spins at the end: precise enough */
}

static void open_all(int poll) {
    in_bytes = o.pipe * (o.size + HEAD_MAX) + 65536;
    out_bytes = o.pipe * (o.size + HEAD_MAX);
    for (size_t k = 0; k < o.conns; k++) {
        struct conn *c = &conns[k];
        c->fd = dial();
        c->in = malloc(in_bytes);
        c->out = malloc(out_bytes);
        if (!c->in || !c->out) die("malloc");
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &e) < 0) die("epoll_ctl");
    }
}

static void begin_all(void) {
    for (size_t k = 0; k < o.conns; k++) (void)begin(&conns[k]);
}

static void run(void) {
    struct epoll_event events[CONNS_MAX];
    int poll = epoll_create1(EPOLL_CLOEXEC);
    open_all(poll);
    started = now_ns();
    begin_all();
    while (done < given || (given < o.count && !stopped)) {
        int n = epoll_wait(poll, events, CONNS_MAX, wait_ms());
        for (int k = 0; k < n; k++) {
            struct conn *c = events[k].data.ptr;
            if (events[k].events & EPOLLOUT) send_some(c);
            bool is_more = events[k].events & EPOLLIN; /* the edge comes once: all there is */
            while (is_more) is_more = receive(c);
        }
        if (o.rate) begin_all();
    }
}

static int by_size(const void *a, const void *b) {
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static double percentile(double share) {
    uint64_t n = done < SAMPLES ? done : SAMPLES;
    return n ? (double)latencies[(uint64_t)(share * (double)(n - 1))] / 1e6 : 0;
}

static void report(void) {
    double seconds = (double)(now_ns() - started) / 1e9;
    qsort(latencies, done < SAMPLES ? done : SAMPLES, sizeof *latencies, by_size);
    printf("{\"ops\": %llu, \"seconds\": %.6f, \"per_s\": %.1f, \"p50_ms\": %.4f, "
           "\"p99_ms\": %.4f, \"max_ms\": %.4f}\n",
           (unsigned long long)done, seconds, (double)done / seconds, percentile(0.5),
           percentile(0.99), percentile(1));
}

/* GET one after the other into one reused buffer, as a program that passes bytes on would. */
static void run_raw(void) {
    static char buffer[RAW_BYTES];
    struct conn c = {.fd = dial(), .out = malloc(HEAD_MAX)};
    o.kind = GET;
    started = now_ns();
    for (done = 0; done < o.count; done++) {
        uint64_t began = now_ns();
        c.out_n = c.sent = c.waits = 0;
        add_request(&c, done % o.step);
        send_some(&c);
        size_t total = 0;
        for (size_t got = 0; total == 0 || got < total;) {
            ssize_t n = read(c.fd, buffer, sizeof buffer);
            if (n <= 0) die("read");
            if (got == 0 && strtol(buffer + 1, NULL, 10) != (long)o.size) die("another size");
            if (got == 0) total = o.size + (size_t)((char *)memchr(buffer, '\n', 64) - buffer) + 3;
            got += (size_t)n;
        }
        latencies[done] = now_ns() - began;
    }
}

/* What the disk can do: `pipe` pieces of `size` bytes appended, then fdatasync; again and again. */
static void run_bare(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char *piece = malloc(o.size + 8);
    if (fd < 0 || !piece) die(path);
    started = now_ns();
    for (done = 0; done < o.count; done++) {
        payload(done, piece);
        if (write(fd, piece, o.size) != (ssize_t)o.size) die("write");
        if ((done + 1) % o.pipe == 0 && fdatasync(fd) < 0) die("fdatasync");
    }
    close(fd);
    unlink(path);
    done = 0; /* no latencies */
    printf("{\"per_s\": %.1f}\n", (double)o.count * 1e9 / (double)(now_ns() - started));
}

static void set_option(const char *text) {
    struct {
        const char *name;
        uint64_t *at;
    } known[] = {{"port=", &o.port},     {"conns=", &o.conns}, {"pipe=", &o.pipe},
                 {"count=", &o.count},   {"size=", &o.size},   {"seed=", &o.seed},
                 {"rate=", &o.rate},     {"step=", &o.step},   {"seq=", &o.seq},
                 {"random=", &o.random}, {"first=", &o.first}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t n = strlen(known[i].name);
        if (strncmp(text, known[i].name, n) == 0) *known[i].at = strtoull(text + n, NULL, 10);
    }
}

static void stop(int signum) {
    (void)signum;
    stopped = 1;
}

int main(int argc, char **argv) {
    static const char usage[] =
        "usage: zdb_load set|get|verify|del|raw port=N [conns= pipe= count= size= seed= rate= "
        "step= first= seq=1 random=1], zdb_load bare FILE [count= size= pipe=]\n";
    if (argc < 3) return fputs(usage, stderr), 64;
    for (int i = 2; i < argc; i++) set_option(argv[i]);
    if (o.conns > CONNS_MAX || o.pipe > PIPE_MAX || o.pipe == 0) return fputs(usage, stderr), 64;
    latencies = malloc(SAMPLES * sizeof *latencies);
    wanted = malloc(o.size + 8);
    signal(SIGTERM, stop);
    if (strcmp(argv[1], "bare") == 0) return run_bare(argv[2]), 0;
    const char *const kinds[] = {"set", "get", "verify", "del"};
    bool is_raw = strcmp(argv[1], "raw") == 0;
    for (int i = 0; i < 4; i++)
        if (strcmp(argv[1], kinds[i]) == 0) o.kind = (enum kind)i;
    if (is_raw)
        run_raw();
    else
        run();
    report();
    return 0;
}
