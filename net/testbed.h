/* SPDX-License-Identifier: Apache-2.0 — testbed.h: a machine of its own for tests: a node in a
 * private network namespace, pods and other hosts in further ones, and sockets inside of them.
 *
 * One thread: a socket is made by entering a namespace for the moment, and belongs to it for ever.
 * Waits end after TESTBED_WAIT_MS with a failure. */
#pragma once

#include "net/link.h"
#include "net/netlink.h"
#include "net/pod_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <cmocka.h>

#define TESTBED_WAIT_MS 20000

struct testbed_ns {
    int net; /* the namespace */
    int nl;  /* a NETLINK_ROUTE socket inside */
};

UNUSED static int testbed_node = -1; /* the node's namespace */

UNUSED static void testbed_up(const char *name) {
    AUTO_CLOSE int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_flags = 0};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    assert_int_equal(ioctl(s, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    assert_int_equal(ioctl(s, SIOCSIFFLAGS, &request), 0);
}

/* Group setup: from here on this process is a machine with nothing but a loopback and an empty
 * /tmp. */
UNUSED static int testbed_start(void **state) {
    (void)state;
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) return -1;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -1;
    /* Folders of tests are in memory, and go with the process. */
    if (mount("testbed", "/tmp", "tmpfs", 0, "mode=1777") < 0) return -1;
    testbed_node = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    testbed_up("lo");
    return testbed_node < 0 ? -1 : 0;
}

UNUSED static void testbed_enter(int net) { assert_int_equal(setns(net, CLONE_NEWNET), 0); }

UNUSED static struct testbed_ns testbed_ns_new(void) {
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    struct testbed_ns ns = {open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
                            socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
    assert_true(ns.net >= 0 && ns.nl >= 0);
    testbed_enter(testbed_node);
    return ns;
}

UNUSED static void testbed_ns_close(struct testbed_ns *ns) {
    if (ns->net >= 0) (void)close(STEAL_FD(ns->net));
    if (ns->nl >= 0) (void)close(STEAL_FD(ns->nl));
}

/* ---- sockets ---- */

UNUSED static socklen_t testbed_address(const char *ip, uint16_t port,
                                        struct sockaddr_storage *out) {
    *out = (struct sockaddr_storage){.ss_family = AF_INET};
    if (strchr(ip, ':')) {
        struct sockaddr_in6 *a = (void *)out;
        a->sin6_family = AF_INET6;
        a->sin6_port = htons(port);
        assert_int_equal(inet_pton(AF_INET6, ip, &a->sin6_addr), 1);
        return sizeof *a;
    }
    struct sockaddr_in *a = (void *)out;
    a->sin_port = htons(port);
    assert_int_equal(inet_pton(AF_INET, ip, &a->sin_addr), 1);
    return sizeof *a;
}

/* A socket inside the namespace, bound when port is not 0, listening when it is a stream. */
UNUSED static int testbed_socket(int net, int type, const char *ip, uint16_t port) {
    struct sockaddr_storage address;
    socklen_t n = testbed_address(ip, port, &address);
    testbed_enter(net);
    int s = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
    testbed_enter(testbed_node);
    assert_true(s >= 0);
    int on = 1;
    struct timeval wait = {.tv_sec = TESTBED_WAIT_MS / 1000};
    assert_int_equal(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    assert_int_equal(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait), 0);
    if (port) {
        assert_int_equal(bind(s, (void *)&address, n), 0);
        if (type == SOCK_STREAM) assert_int_equal(listen(s, 8), 0);
    }
    return s;
}

/* Text of the source address that the listener sees for a connection from `from` to ip:port, after
 * bytes went both ways. Empty, when it cannot be made. */
UNUSED static const char *testbed_tcp(int from, const char *ip, uint16_t port, int listener) {
    static char peer[INET6_ADDRSTRLEN];
    struct sockaddr_storage to, source;
    socklen_t n = testbed_address(ip, port, &to);
    AUTO_CLOSE int s = testbed_socket(from, SOCK_STREAM, ip, 0);
    peer[0] = '\0';
    if (connect(s, (void *)&to, n) < 0) {
        print_message("connect to %s port %u: %s\n", ip, port, strerror(errno));
        return peer;
    }
    socklen_t source_n = sizeof source;
    AUTO_CLOSE int accepted = accept4(listener, (void *)&source, &source_n, SOCK_CLOEXEC);
    char byte = 'x';
    if (accepted < 0 || write(s, &byte, 1) != 1 || read(accepted, &byte, 1) != 1 ||
        write(accepted, &byte, 1) != 1 || read(s, &byte, 1) != 1)
        return peer;
    const void *bytes = source.ss_family == AF_INET6
                            ? (const void *)&((struct sockaddr_in6 *)&source)->sin6_addr
                            : (const void *)&((struct sockaddr_in *)&source)->sin_addr;
    return inet_ntop(source.ss_family, bytes, peer, sizeof peer);
}

/* The same for datagrams. */
UNUSED static bool testbed_udp(int from, const char *ip, uint16_t port, int receiver) {
    struct sockaddr_storage to, source;
    socklen_t n = testbed_address(ip, port, &to);
    socklen_t source_n = sizeof source;
    AUTO_CLOSE int s = testbed_socket(from, SOCK_DGRAM, ip, 0);
    char byte = 'x';
    /* Connected: only an answer that comes from where the question went is taken. */
    return connect(s, (void *)&to, n) == 0 && write(s, &byte, 1) == 1 &&
           recvfrom(receiver, &byte, 1, 0, (void *)&source, &source_n) == 1 &&
           sendto(receiver, &byte, 1, 0, (void *)&source, source_n) == 1 && read(s, &byte, 1) == 1;
}

/* ---- folders ---- */

UNUSED static int testbed_unlink(const char *path, const struct stat *st, int flag,
                                 struct FTW *at) {
    (void)st, (void)flag, (void)at;
    return remove(path);
}

UNUSED static void testbed_remove(char *root) {
    assert_int_equal(nftw(root, testbed_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(root);
}

UNUSED static char *testbed_root(void) {
    char *root = xstrdup("/tmp/gridlet-net-XXXXXX");
    assert_non_null(mkdtemp(root));
    return root;
}
