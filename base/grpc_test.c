/* SPDX-License-Identifier: Apache-2.0 — grpc_test.c: the server on a real socket. The loop runs in
 * a thread of its own; the test is a blocking client. */
#include "base/grpc.h"

#include "base/grpc_server.h"
#include "base/testdata/echo.pb-c.h"
#include "base/testdata/h2_client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#define WORKERS           4
#define DEADLINE_IN_TIME  "60S"
#define NEVER_MS          (3600 * 1000)
#define ITEMS_BOMB        (4U << 20)
#define LONG_REPLY_BYTES  ((size_t)16 << 20)
#define CLIENTS           8
#define CALLS_PER_CLIENT  200
#define SPARE_DESCRIPTORS 100

/* ---- the server's side ---- */

struct rig {
    char dir[32];
    char path[64];
    struct loop *loop;
    struct grpc_server *server;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    struct grpc_call *parked[GRPC_CALLS_MAX];
    size_t parked_count;
    size_t cancelled_count;
    bool drained;
};

static void lock(struct rig *r) { assert_int_equal(pthread_mutex_lock(&r->mutex), 0); }
static void unlock(struct rig *r) { assert_int_equal(pthread_mutex_unlock(&r->mutex), 0); }

static void wait_for(struct rig *r, const size_t *value, size_t wanted) {
    lock(r);
    while (*value < wanted) (void)pthread_cond_wait(&r->changed, &r->mutex);
    unlock(r);
}

static void reply_text(struct grpc_call *c, char *text) {
    Gridlet__Test__EchoReply reply = GRIDLET__TEST__ECHO_REPLY__INIT;
    reply.text = text;
    grpc_reply(c, &reply.base);
}

static void handle_say(struct grpc_call *c, void *user) {
    (void)user;
    const Gridlet__Test__EchoRequest *request = grpc_request(c);
    reply_text(c, request->text);
}

struct work {
    struct job job;
    struct grpc_call *call;
};

static void run_work(struct job *j) {
    struct work *w = CONTAINER_OF(j, struct work, job);
    const Gridlet__Test__EchoRequest *request = grpc_request(w->call);
    char *text = arena_fmt(grpc_arena(w->call), "%s from a worker", request->text);
    reply_text(w->call, text); /* the work lies in the call's arena: both are gone now */
}

static void handle_work(struct grpc_call *c, void *user) {
    struct rig *r = user;
    struct work *w = arena_new(grpc_arena(c), struct work);
    if (!w) abort();
    w->job.run = run_work;
    w->call = c;
    loop_work(r->loop, &w->job);
}

static void note_cancel(void *user) {
    struct rig *r = user;
    lock(r);
    r->cancelled_count++;
    (void)pthread_cond_broadcast(&r->changed);
    unlock(r);
}

static void handle_park(struct grpc_call *c, void *user) {
    struct rig *r = user;
    grpc_on_cancel(c, note_cancel, r);
    lock(r);
    r->parked[r->parked_count++] = c;
    (void)pthread_cond_broadcast(&r->changed);
    unlock(r);
}

static void handle_lose(struct grpc_call *c, void *user) {
    (void)user;
    struct err e;
    (void)err_set(&e, ERR_NOT_FOUND, "%s: it is lost", grpc_method_name(c));
    grpc_fail_err(c, &e);
}

static void handle_long(struct grpc_call *c, void *user) {
    (void)user;
    AUTO_FREE char *text = xmalloc(LONG_REPLY_BYTES + 1);
    memset(text, 'x', LONG_REPLY_BYTES);
    reply_text(c, text);
}

#define METHOD(n, h)                                                                               \
    { "Echo", n, &gridlet__test__echo_request__descriptor, h }
static const struct grpc_method methods[] = {
    METHOD("Say", handle_say),   METHOD("Work", handle_work), METHOD("Park", handle_park),
    METHOD("Lose", handle_lose), METHOD("Long", handle_long),
};
static const char *const packages[] = {"gridlet.test", "gridlet.old", NULL};

static void *run_loop(void *loop) {
    loop_run(loop);
    return NULL;
}

static struct grpc_server *listen_at(struct rig *r, const char *path, struct err *e) {
    struct grpc_options o = {
        .packages = packages, .methods = methods, .method_count = COUNT(methods), .user = r};
    return grpc_listen(r->loop, path, &o, e);
}

static int set_up(void **state) {
    struct rig *r = xnew(struct rig);
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/grpc-test-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->path, sizeof r->path, "%s/sock", r->dir);
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_cond_init(&r->changed, NULL);
    r->loop = loop_new(WORKERS);
    struct err e;
    r->server = listen_at(r, r->path, &e);
    if (!r->server) fail_msg("%s", e.msg);
    assert_int_equal(pthread_create(&r->thread, NULL, run_loop, r->loop), 0);
    *state = r;
    return 0;
}

static void stop_server(struct rig *r) {
    loop_stop(r->loop);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    grpc_server_free(r->server);
    r->server = NULL;
}

static void release(struct rig *r) {
    for (size_t i = 0; i < r->parked_count; i++) reply_text(r->parked[i], (char[]){"late"});
    r->parked_count = 0;
}

/* A parked call is answered after its server is gone: nothing may leak or break. */
static int tear_down(void **state) {
    struct rig *r = *state;
    if (r->server) stop_server(r);
    release(r);
    loop_free(r->loop);
    (void)unlink(r->path);
    assert_int_equal(rmdir(r->dir), 0);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
    return 0;
}

/* ---- the client's side ---- */

struct client {
    int fd;
    struct h2_client *h2;
};

static int dial(const struct rig *r) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", r->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0) return fd;
    (void)close(fd);
    return -1;
}

static struct client client_new(const struct rig *r) {
    struct client c = {.fd = dial(r), .h2 = h2_client_new()};
    assert_true(c.fd >= 0);
    return c;
}

static void client_done(struct client *c) {
    if (c->fd >= 0) (void)close(c->fd);
    h2_client_free(c->h2);
}

static void client_send(struct client *c) {
    AUTO(buf_done) struct buf out = BUF(H2_BYTES_MAX);
    h2_output(c->h2, &out);
    for (size_t at = 0; at < out.n;) {
        ssize_t n = send(c->fd, out.p + at, out.n - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
}

/* False at the end of the connection. */
static bool client_receive(struct client *c) {
    char bytes[16384];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    assert_int_equal(h2_feed(c->h2, bytes, (size_t)n), 0);
    return true;
}

static void client_wait(struct client *c, const struct h2_call *call) {
    for (client_send(c); !call->closed; client_send(c)) assert_true(client_receive(c));
}

static struct str wire_of(struct buf *b, const ProtobufCMessage *message) {
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t prefix[GRPC_FRAME_PREFIX_BYTES];
    grpc_frame_prefix((uint32_t)n, prefix);
    assert_int_equal(buf_append(b, prefix, sizeof prefix), 0);
    assert_int_equal(buf_reserve(b, n), 0);
    b->n += protobuf_c_message_pack(message, (uint8_t *)b->p + b->n);
    return buf_view(b);
}

static struct h2_call *begin(struct client *c, const char *path, const char *timeout) {
    AUTO(buf_done) struct buf b = BUF(H2_BYTES_MAX);
    Gridlet__Test__EchoRequest request = GRIDLET__TEST__ECHO_REQUEST__INIT;
    request.text = (char[]){"hello"};
    struct str body = wire_of(&b, &request.base);
    struct h2_call *call =
        h2_send(c->h2, &(struct h2_request){.path = path, .timeout = timeout, .body = body});
    client_send(c);
    return call;
}

static void assert_text(const struct h2_call *call, const char *text) {
    assert_int_equal(call->code, GRPC_OK);
    assert_true(call->reply.n >= GRPC_FRAME_PREFIX_BYTES);
    Gridlet__Test__EchoReply *reply =
        gridlet__test__echo_reply__unpack(NULL, call->reply.n - GRPC_FRAME_PREFIX_BYTES,
                                          (const uint8_t *)call->reply.p + GRPC_FRAME_PREFIX_BYTES);
    assert_non_null(reply);
    assert_string_equal(reply->text, text);
    gridlet__test__echo_reply__free_unpacked(reply, NULL);
}

static void assert_failed(const struct h2_call *call, enum grpc_code code, const char *part) {
    assert_int_equal(call->code, code);
    if (!strstr(call->message, part)) fail_msg("'%s' is not in '%s'", part, call->message);
}

/* ---- calls ---- */

static void a_call_is_answered_in_every_package(void **state) {
    AUTO(client_done) struct client c = client_new(*state);
    struct h2_call *first = begin(&c, "/gridlet.test.Echo/Say", DEADLINE_IN_TIME);
    client_wait(&c, first);
    assert_text(first, "hello");
    struct h2_call *second = begin(&c, "/gridlet.old.Echo/Say", NULL);
    client_wait(&c, second);
    assert_text(second, "hello");
}

static void unknown_methods_are_unimplemented_and_named(void **state) {
    AUTO(client_done) struct client c = client_new(*state);
    const char *paths[] = {"/gridlet.test.Echo/Nope", "/gridlet.new.Echo/Say",
                           "/gridlet.test.Echo/SayMore", "/gridlet.test.Echo/Sa", "/"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct h2_call *call = begin(&c, paths[i], NULL);
        client_wait(&c, call);
        assert_failed(call, GRPC_UNIMPLEMENTED, paths[i]);
    }
}

static void an_error_carries_its_code_and_text(void **state) {
    AUTO(client_done) struct client c = client_new(*state);
    struct h2_call *call = begin(&c, "/gridlet.test.Echo/Lose", NULL);
    client_wait(&c, call);
    assert_failed(call, GRPC_NOT_FOUND, "Lose: it is lost");
}

static void bytes_that_are_no_protobuf_are_refused_by_name(void **state) {
    AUTO(client_done) struct client c = client_new(*state);
    struct h2_call *call = h2_send(c.h2, &(struct h2_request){.path = "/gridlet.test.Echo/Say",
                                                              .body = {"\0\0\0\0\3\x0a\x7fx", 8}});
    client_wait(&c, call);
    assert_failed(call, GRPC_INVALID_ARGUMENT, "Say: the request is not a valid protobuf");
}

static void a_request_that_unpacks_to_too_much_is_refused(void **state) {
    AUTO(client_done) struct client c = client_new(*state);
    AUTO(buf_done) struct buf b = BUF(H2_BYTES_MAX);
    uint8_t prefix[GRPC_FRAME_PREFIX_BYTES];
    grpc_frame_prefix(2 * ITEMS_BOMB, prefix);
    assert_int_equal(buf_append(&b, prefix, sizeof prefix), 0);
    for (unsigned i = 0; i < ITEMS_BOMB; i++) /* two bytes of wire, tens of memory */
        assert_int_equal(buf_append(&b, "\x12\x00", 2), 0);
    struct h2_call *call =
        h2_send(c.h2, &(struct h2_request){.path = "/gridlet.test.Echo/Say", .body = buf_view(&b)});
    client_wait(&c, call);
    assert_failed(call, GRPC_RESOURCE_EXHAUSTED, "Say: the unpacked request");
}

static void a_long_reply_arrives_through_a_full_socket(void **state) {
    AUTO(client_done) struct client c = client_new(*state);
    struct h2_call *call = begin(&c, "/gridlet.test.Echo/Long", NULL);
    struct h2_call *beside = begin(&c, "/gridlet.test.Echo/Work", NULL);
    client_wait(&c, call);
    assert_int_equal(call->code, GRPC_OK);
    assert_true(call->reply.n > LONG_REPLY_BYTES);
    client_wait(&c, beside);
    assert_text(beside, "hello from a worker");
}

static void *many_calls(void *rig) {
    struct client c = client_new(rig);
    struct h2_call *calls[CALLS_PER_CLIENT];
    for (size_t i = 0; i < CALLS_PER_CLIENT; i++)
        calls[i] = begin(&c, i % 2 ? "/gridlet.test.Echo/Work" : "/gridlet.test.Echo/Say", "60S");
    for (size_t i = 0; i < CALLS_PER_CLIENT; i++) {
        client_wait(&c, calls[i]);
        if (calls[i]->code != GRPC_OK) abort();
    }
    client_done(&c);
    return NULL;
}

static void many_clients_call_at_once(void **state) {
    pthread_t threads[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_calls, *state), 0);
    for (size_t i = 0; i < CLIENTS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* ---- cancellation ---- */

static void a_deadline_is_answered_and_cancels_the_call(void **state) {
    struct rig *r = *state;
    AUTO(client_done) struct client c = client_new(r);
    struct h2_call *call = begin(&c, "/gridlet.test.Echo/Park", "2m");
    client_wait(&c, call);
    assert_failed(call, GRPC_DEADLINE_EXCEEDED, "Park");
    wait_for(r, &r->cancelled_count, 1);
    assert_true(grpc_cancelled(r->parked[0]));
    assert_true(grpc_deadline_ns(r->parked[0]) < UINT64_MAX);
    release(r); /* dropped without harm */
    struct h2_call *next = begin(&c, "/gridlet.test.Echo/Say", NULL);
    client_wait(&c, next);
    assert_text(next, "hello");
}

static void a_deadline_of_nothing_has_passed(void **state) {
    AUTO(client_done) struct client c = client_new(*state);
    struct h2_call *call = begin(&c, "/gridlet.test.Echo/Park", "0n");
    client_wait(&c, call);
    assert_failed(call, GRPC_DEADLINE_EXCEEDED, "Park");
}

static void a_reset_cancels_the_call(void **state) {
    struct rig *r = *state;
    AUTO(client_done) struct client c = client_new(r);
    struct h2_call *call = begin(&c, "/gridlet.test.Echo/Park", DEADLINE_IN_TIME);
    wait_for(r, &r->parked_count, 1);
    assert_false(grpc_cancelled(r->parked[0]));
    h2_cancel(c.h2, call);
    client_send(&c);
    wait_for(r, &r->cancelled_count, 1);
    assert_true(grpc_cancelled(r->parked[0]));
}

static void a_client_that_leaves_cancels_its_calls(void **state) {
    struct rig *r = *state;
    struct client c = client_new(r);
    (void)begin(&c, "/gridlet.test.Echo/Park", NULL);
    (void)begin(&c, "/gridlet.test.Echo/Park", DEADLINE_IN_TIME);
    wait_for(r, &r->parked_count, 2);
    client_done(&c);
    wait_for(r, &r->cancelled_count, 2);
}

static void a_call_may_be_answered_after_its_server_is_gone(void **state) {
    struct rig *r = *state;
    AUTO(client_done) struct client c = client_new(r);
    (void)begin(&c, "/gridlet.test.Echo/Park", DEADLINE_IN_TIME);
    wait_for(r, &r->parked_count, 1);
    stop_server(r); /* the rest is in tear_down */
    assert_int_equal(r->cancelled_count, 1);
}

/* ---- limits ---- */

static void calls_over_the_limit_are_refused(void **state) {
    struct rig *r = *state;
    struct client clients[GRPC_CALLS_MAX / GRPC_STREAMS_MAX + 1];
    for (size_t i = 0; i < COUNT(clients); i++) clients[i] = client_new(r);
    for (size_t i = 0; i < GRPC_CALLS_MAX; i++)
        (void)begin(&clients[i / GRPC_STREAMS_MAX], "/gridlet.test.Echo/Park", NULL);
    wait_for(r, &r->parked_count, GRPC_CALLS_MAX);
    struct client *last = &clients[COUNT(clients) - 1];
    struct h2_call *call = begin(last, "/gridlet.test.Echo/Say", NULL);
    client_wait(last, call);
    assert_failed(call, GRPC_RESOURCE_EXHAUSTED, "Say: too many calls");
    for (size_t i = 0; i < COUNT(clients); i++) client_done(&clients[i]);
}

static void connections_over_the_limit_are_closed(void **state) {
    struct rlimit before, wanted;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    wanted = before;
    wanted.rlim_cur = 2 * GRPC_CONNECTIONS_MAX + SPARE_DESCRIPTORS; /* both ends are ours */
    if (wanted.rlim_cur > wanted.rlim_max) skip();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &wanted), 0);
    int fds[GRPC_CONNECTIONS_MAX];
    for (size_t i = 0; i < COUNT(fds); i++) assert_true((fds[i] = dial(*state)) >= 0);
    int extra = dial(*state);
    char c;
    assert_true(recv(extra, &c, 1, 0) <= 0);     /* closed without a word */
    assert_int_equal(recv(fds[0], &c, 1, 0), 1); /* this one is served */
    (void)close(extra);
    for (size_t i = 0; i < COUNT(fds); i++) (void)close(fds[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void garbage_ends_its_own_connection_only(void **state) {
    AUTO(client_done) struct client c = client_new(*state);
    int fd = dial(*state);
    assert_true(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL) == 18);
    char bytes[512];
    while (recv(fd, bytes, sizeof bytes, 0) > 0) continue; /* up to the end */
    (void)close(fd);
    struct h2_call *call = begin(&c, "/gridlet.test.Echo/Say", NULL);
    client_wait(&c, call);
    assert_text(call, "hello");
}

/* ---- listening and draining ---- */

static void a_socket_is_private_and_an_old_one_is_replaced(void **state) {
    struct rig *r = *state;
    struct stat st;
    assert_int_equal(stat(r->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    stop_server(r); /* as after a crash: the file stays */
    assert_int_equal(stat(r->path, &st), 0);
    struct err e;
    r->server = listen_at(r, r->path, &e);
    assert_non_null(r->server);
    grpc_server_free(STEAL(r->server));
}

static void a_path_that_is_taken_or_too_long_is_refused(void **state) {
    struct rig *r = *state;
    struct err e;
    assert_null(listen_at(r, r->path, &e));
    assert_int_equal(e.kind, ERR_BUSY);
    assert_non_null(strstr(e.msg, r->path));
    assert_null(listen_at(r, r->dir, &e));
    assert_int_equal(e.kind, ERR_EXISTS);
    assert_null(listen_at(r, "/tmp/no-such-directory/sock", &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    char long_path[200] = {0};
    memset(long_path, 'x', sizeof long_path - 1);
    assert_null(listen_at(r, long_path, &e));
    assert_int_equal(e.kind, ERR_INVALID);
    assert_null(listen_at(r, "", &e));
    assert_int_equal(e.kind, ERR_INVALID);
}

struct drain_task {
    struct task task;
    struct rig *rig;
    uint64_t grace_ms;
};

static void note_drained(void *user) {
    struct rig *r = user;
    lock(r);
    r->drained = true;
    (void)pthread_cond_broadcast(&r->changed);
    unlock(r);
}

static void run_drain(struct task *t) {
    struct drain_task *d = CONTAINER_OF(t, struct drain_task, task);
    grpc_drain(d->rig->server, d->grace_ms, note_drained, d->rig);
}

static void wait_drained(struct rig *r) {
    lock(r);
    while (!r->drained) (void)pthread_cond_wait(&r->changed, &r->mutex);
    unlock(r);
}

static void a_drain_waits_for_running_calls(void **state) {
    struct rig *r = *state;
    AUTO(client_done) struct client c = client_new(r);
    AUTO(client_done) struct client idle = client_new(r);
    struct h2_call *call = begin(&c, "/gridlet.test.Echo/Park", NULL);
    struct h2_call *first = begin(&idle, "/gridlet.test.Echo/Say", NULL);
    client_wait(&idle, first);
    wait_for(r, &r->parked_count, 1);
    struct drain_task d = {.task = {.run = run_drain}, .rig = r, .grace_ms = NEVER_MS};
    loop_post(r->loop, &d.task);
    while (client_receive(&idle)) continue; /* an idle connection is closed */
    assert_true(idle.h2->goaway);
    while (!c.h2->goaway) assert_true(client_receive(&c));
    assert_int_equal(dial(r), -1);
    assert_false(r->drained);
    release(r);
    client_wait(&c, call);
    assert_text(call, "late");
    wait_drained(r);
}

static void a_drain_ends_when_its_grace_does(void **state) {
    struct rig *r = *state;
    AUTO(client_done) struct client c = client_new(r);
    (void)begin(&c, "/gridlet.test.Echo/Park", NULL);
    wait_for(r, &r->parked_count, 1);
    struct drain_task d = {.task = {.run = run_drain}, .rig = r, .grace_ms = 1};
    loop_post(r->loop, &d.task);
    wait_drained(r);
    assert_int_equal(r->cancelled_count, 1);
    while (client_receive(&c)) continue;
}

static void a_drain_of_an_idle_server_ends_at_once(void **state) {
    struct rig *r = *state;
    struct drain_task d = {.task = {.run = run_drain}, .rig = r, .grace_ms = NEVER_MS};
    loop_post(r->loop, &d.task);
    wait_drained(r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_answered_in_every_package),
        TEST(unknown_methods_are_unimplemented_and_named),
        TEST(an_error_carries_its_code_and_text),
        TEST(bytes_that_are_no_protobuf_are_refused_by_name),
        TEST(a_request_that_unpacks_to_too_much_is_refused),
        TEST(a_long_reply_arrives_through_a_full_socket),
        TEST(many_clients_call_at_once),
        TEST(a_deadline_is_answered_and_cancels_the_call),
        TEST(a_deadline_of_nothing_has_passed),
        TEST(a_reset_cancels_the_call),
        TEST(a_client_that_leaves_cancels_its_calls),
        TEST(a_call_may_be_answered_after_its_server_is_gone),
        TEST(calls_over_the_limit_are_refused),
        TEST(connections_over_the_limit_are_closed),
        TEST(garbage_ends_its_own_connection_only),
        TEST(a_socket_is_private_and_an_old_one_is_replaced),
        TEST(a_path_that_is_taken_or_too_long_is_refused),
        TEST(a_drain_waits_for_running_calls),
        TEST(a_drain_ends_when_its_grace_does),
        TEST(a_drain_of_an_idle_server_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
