/* SPDX-License-Identifier: Apache-2.0 — zdb_client_test.c: against a server that misbehaves. */
#include "storage/zdb_client/zdb_fake_rig.h"

#include "base/clock.h"
#include "base/digest.h"

#define NO_OPTIONS ((struct zdb_client_options){.window = 0})

/* ---- answers ---- */

static void well_behaved(struct rig *r) {
    char command[512];
    int fd = rig_accept(r);
    while (rig_hear(fd, command, sizeof command)) {
        if (strncmp(command, "SET same", 8) == 0)
            rig_say(fd, "$-1\r\n");
        else if (strncmp(command, "SET", 3) == 0)
            rig_say(fd, "$1\r\nk\r\n");
        else if (strcmp(command, "GET none") == 0)
            rig_say(fd, "$-1\r\n");
        else if (strncmp(command, "GET", 3) == 0)
            rig_say(fd, "$5\r\nhello\r\n");
        else if (strncmp(command, "DEL", 3) == 0)
            rig_say(fd, "-Key not found\r\n");
        else if (strncmp(command, "EXISTS", 6) == 0)
            rig_say(fd, ":1\r\n");
        else if (strncmp(command, "LENGTH", 6) == 0)
            rig_say(fd, ":77\r\n");
        else if (strcmp(command, "SCAN") == 0)
            rig_say(fd, "*2\r\n$4\r\ncurs\r\n*2\r\n*3\r\n$1\r\na\r\n:5\r\n:9\r\n*3\r\n$1\r\nb\r\n"
                        ":6\r\n:9\r\n");
        else if (strcmp(command, "SCAN curs") == 0)
            rig_say(fd, "-No more data\r\n");
        else if (strcmp(command, "HISTORY k") == 0)
            rig_say(fd, "*3\r\n$3\r\nold\r\n$3\r\n123\r\n$3\r\nnew\r\n");
        else if (strcmp(command, "HISTORY k old") == 0)
            rig_say(fd, "*3\r\n$-1\r\n$3\r\n122\r\n$5\r\nfirst\r\n");
        else
            rig_say(fd, "$25\r\nname: x\nentries: 2\nw: yes\r\n");
    }
    (void)close(fd);
}

static void every_verb_has_its_answer(void **state) {
    struct rig r;
    struct zdb_how how;
    (void)state;
    rig_begin(&r, well_behaved, NO_OPTIONS);
#define ASK(call)                                                                                  \
    do {                                                                                           \
        how = rig_how(&r);                                                                         \
        call;                                                                                      \
        assert_int_equal(r.waiting, 1); /* never from inside */                                    \
        rig_wait(&r);                                                                              \
    } while (0)
    ASK(zdb_set(&how, STR("k"), STR("v")));
    assert_string_equal(r.text, "k");
    ASK(zdb_set(&how, STR("same"), STR("v")));
    assert_string_equal(r.text, "");
    ASK(zdb_get(&how, STR("k")));
    assert_string_equal(r.text, "hello");
    ASK(zdb_get(&how, STR("none")));
    assert_int_equal(r.error.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(r.error.msg, "0-db server /tmp/"));
    ASK(zdb_del(&how, STR("k")));
    assert_int_equal(r.error.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(r.error.msg, "DEL: Key not found"));
    ASK(zdb_exists(&how, STR("k")));
    assert_int_equal(r.number, 1);
    ASK(zdb_length(&how, STR("k")));
    assert_int_equal(r.number, 77);
    ASK(zdb_scan_page(&how, STR_NONE));
    assert_int_equal(r.keys, 2);
    assert_string_equal(r.cursor, "curs");
    ASK(zdb_scan_page(&how, STR("curs")));
    assert_int_equal(r.error.kind, ERR_NOT_FOUND);
    ASK(zdb_versions(&how, STR("k"), STR_NONE));
    assert_string_equal(r.text, "new");
    ASK(zdb_versions(&how, STR("k"), STR("old")));
    assert_string_equal(r.text, "first");
    assert_string_equal(r.cursor, "");
    ASK(zdb_nsinfo(&how, STR("x")));
    assert_int_equal(zdb_info_u64(str_of(r.text), STR("entries")), 2);
    assert_true(zdb_info_yes(str_of(r.text), STR("w")));
    assert_true(str_eq(zdb_info_get(str_of(r.text), STR("name")), STR("x")));
    assert_int_equal(zdb_info_get(str_of(r.text), STR("nam")).n, 0);
    rig_end(&r);
}

static void wrong_shapes(struct rig *r) {
    int fd = rig_accept(r);
    rig_answer_all(fd, "*1\r\n:-1\r\n");
    (void)close(fd);
}

static void an_answer_of_a_wrong_shape_is_corrupt_and_no_crash(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, wrong_shapes, NO_OPTIONS);
    struct zdb_how how = rig_how(&r);
    r.waiting += 7;
    zdb_set(&how, STR("k"), STR("v"));
    zdb_get(&how, STR("k"));
    zdb_del(&how, STR("k"));
    zdb_exists(&how, STR("k"));
    zdb_length(&how, STR("k"));
    zdb_scan_page(&how, STR_NONE);
    zdb_versions(&how, STR("k"), STR_NONE);
    zdb_nsinfo(&how, STR("x"));
    rig_wait(&r);
    assert_int_equal(r.errors, 8);
    assert_int_equal(r.error.kind, ERR_CORRUPT);
    assert_non_null(strstr(r.error.msg, "NSINFO: the answer is an array of a wrong shape"));
    rig_end(&r);
}

/* ---- login ---- */

static void challenger(struct rig *r) {
    char command[512];
    char hex[DIGEST_SHA1_HEX_CHARS + 1];
    char want[512];
    int fd = rig_accept(r);
    assert_true(rig_hear(fd, command, sizeof command));
    assert_string_equal(command, "AUTH SECURE CHALLENGE");
    rig_say(fd, "+0123456789abcdef\r\n");
    assert_true(rig_hear(fd, command, sizeof command));
    (void)snprintf(want, sizeof want, "AUTH SECURE %s",
                   digest_sha1_hex(STR("0123456789abcdef:root"), hex));
    assert_string_equal(command, want);
    rig_say(fd, "+OK\r\n");
    assert_true(rig_hear(fd, command, sizeof command));
    assert_string_equal(command, "AUTH SECURE CHALLENGE");
    rig_say(fd, "+fedcba9876543210\r\n");
    assert_true(rig_hear(fd, command, sizeof command));
    (void)snprintf(want, sizeof want, "SELECT photos SECURE %s",
                   digest_sha1_hex(STR("fedcba9876543210:pw"), hex));
    assert_string_equal(command, want);
    rig_say(fd, "+OK\r\n");
    rig_answer_all(fd, "+PONG\r\n");
    (void)close(fd);
}

static const struct zdb_client_options with_passwords = {
    .space = {"photos", 6}, .password = {"pw", 2}, .admin_password = {"root", 4}};

static void passwords_are_proved_by_challenge(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, challenger, with_passwords);
    rig_send(&r, "PING", false, 0);
    rig_wait(&r);
    assert_string_equal(r.text, "PONG");
    struct zdb_client_state s;
    zdb_client_state(r.client, &s);
    assert_int_equal(s.connected, 1);
    assert_int_equal(s.answered, 1);
    rig_end(&r);
}

static void old_server(struct rig *r) {
    char command[512];
    int fd = rig_accept(r);
    while (rig_hear(fd, command, sizeof command)) {
        bool challenge = strcmp(command, "AUTH SECURE CHALLENGE") == 0;
        bool good = strcmp(command, "AUTH root") == 0 || strcmp(command, "SELECT photos pw") == 0;
        rig_say(fd, challenge ? "-Access denied\r\n" : good ? "+OK\r\n" : "$1\r\n.\r\n");
    }
    (void)close(fd);
}

static void a_server_without_challenges_gets_the_password(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, old_server, with_passwords);
    rig_send(&r, "X", false, 0);
    rig_wait(&r);
    assert_string_equal(r.text, ".");
    rig_end(&r);
}

static void refuser(struct rig *r) {
    for (int fd; (fd = rig_accept(r)) >= 0; (void)close(fd))
        rig_answer_all(fd, "-Access denied\r\n");
}

static void a_refused_login_is_told_to_everybody_who_waits(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, refuser, with_passwords);
    rig_send(&r, "GET", false, 0);
    rig_send(&r, "GET", true, 0);
    rig_wait(&r);
    assert_int_equal(r.errors, 2);
    assert_int_equal(r.error.kind, ERR_DENIED);
    assert_non_null(strstr(r.error.msg, "namespace 'photos': GET: log in as admin: Access denied"));
    rig_end(&r);
}

static void mute(struct rig *r) {
    for (int fd; (fd = rig_accept(r)) >= 0; (void)close(fd)) {
        char byte;
        while (rig_byte(fd, &byte)) {
        }
    }
}

static void a_login_that_is_not_answered_ends_in_time(void **state) {
    struct rig r;
    struct zdb_client_options o = with_passwords;
    (void)state;
    o.timeout_ms = 30;
    rig_begin(&r, mute, o);
    rig_send(&r, "GET", false, 10000);
    rig_wait(&r);
    assert_int_equal(r.error.kind, ERR_TIMEOUT);
    assert_non_null(strstr(r.error.msg, "log in: no answer in 30 ms"));
    rig_end(&r);
}

/* ---- servers that break ---- */

/* Each connection hears one command and does what `value` says. */
enum fault {
    CLOSES,
    HALF_REPLY,
    GARBAGE,
    TOO_MANY,
    TOO_LONG,
    TOO_DEEP,
    TWO_REPLIES,
    TALKS_FIRST,
};

static void say_too_long(int fd) {
    static char block[64 << 10];
    memset(block, 'x', sizeof block);
    rig_say(fd, "$100000000\r\n");
    for (int i = 0; i < 200; i++)
        if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0) return;
}

static void faulty(struct rig *r) {
    static const char *const words[] = {
        [CLOSES] = "",
        [HALF_REPLY] = "$10\r\nabc",
        [GARBAGE] = "HTTP/1.1 400 Bad Request\r\n\r\n",
        [TOO_MANY] = "*2147483647\r\n",
        [TOO_LONG] = "",
        [TOO_DEEP] = "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        [TWO_REPLIES] = "+A\r\n+B\r\n",
        [TALKS_FIRST] = "+HELLO\r\n"};
    char command[512];
    for (int fd; (fd = rig_accept(r)) >= 0; (void)close(fd)) {
        int fault = __atomic_load_n(&r->value, __ATOMIC_SEQ_CST);
        if (fault != TALKS_FIRST && !rig_hear(fd, command, sizeof command)) continue;
        rig_say(fd, words[fault]);
        if (fault == TOO_LONG) say_too_long(fd);
        (void)shutdown(fd, SHUT_WR);
        rig_answer_all(fd, "+late\r\n");
    }
}

static void fault_gives(enum fault fault, enum err_kind kind, const char *text) {
    struct rig r;
    rig_begin(&r, NULL, NO_OPTIONS);
    r.script = faulty;
    r.value = (int)fault;
    assert_int_equal(pthread_create(&r.server, NULL, rig_thread, &r), 0);
    rig_send(&r, "SET", false, 0);
    rig_wait(&r);
    if (r.error.kind != kind || !strstr(r.error.msg, text))
        fail_msg("fault %d gave kind %d: %s", (int)fault, (int)r.error.kind, r.error.msg);
    assert_non_null(strstr(r.error.msg, "it may have taken effect"));
    struct zdb_client_state s;
    zdb_client_state(r.client, &s);
    assert_int_equal(s.breaks, 1);
    assert_true(s.last_error.kind != ERR_NONE);
    rig_end(&r);
}

static void a_server_that_closes_is_an_io_error(void **state) {
    (void)state;
    fault_gives(CLOSES, ERR_IO, "the server closed the connection");
}

static void half_a_reply_is_no_reply(void **state) {
    (void)state;
    fault_gives(HALF_REPLY, ERR_IO, "the server closed the connection");
}

static void garbage_is_corrupt(void **state) {
    (void)state;
    fault_gives(GARBAGE, ERR_CORRUPT, "the reply is no RESP");
}

static void huge_replies_are_refused_before_they_are_kept(void **state) {
    (void)state;
    fault_gives(TOO_MANY, ERR_LIMIT, "more than 262144 values");
    fault_gives(TOO_LONG, ERR_LIMIT, "longer than 8454144 bytes");
    fault_gives(TOO_DEEP, ERR_CORRUPT, "the reply is no RESP");
}

static void a_reply_that_nobody_asked_for_breaks_the_connection(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, NULL, NO_OPTIONS);
    r.script = faulty;
    r.value = TWO_REPLIES;
    assert_int_equal(pthread_create(&r.server, NULL, rig_thread, &r), 0);
    rig_send(&r, "A", false, 0);
    rig_wait(&r);
    assert_string_equal(r.text, "A");
    struct zdb_client_state s;
    zdb_client_state(r.client, &s);
    assert_int_equal(s.breaks, 1);
    assert_int_equal(s.last_error.kind, ERR_CORRUPT);
    assert_non_null(strstr(s.last_error.msg, "nobody asked for"));
    rig_end(&r);
}

static void breaks_once(struct rig *r) {
    char command[512];
    int fd = rig_accept(r);
    (void)rig_hear(fd, command, sizeof command);
    (void)rig_hear(fd, command, sizeof command);
    (void)close(fd);
    fd = rig_accept(r);
    while (rig_hear(fd, command, sizeof command)) {
        __atomic_add_fetch(&r->value, 1, __ATOMIC_SEQ_CST);
        rig_say(fd, strcmp(command, "READ") == 0 ? "+again\r\n" : "-wrong\r\n");
    }
    (void)close(fd);
}

static void only_an_idempotent_request_is_sent_again(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, breaks_once, NO_OPTIONS);
    rig_send(&r, "WRITE", false, 0);
    rig_send(&r, "READ", true, 0);
    rig_wait(&r);
    assert_int_equal(r.errors, 1);
    assert_int_equal(r.answers, 1);
    assert_string_equal(r.text, "again");
    assert_int_equal(__atomic_load_n(&r.value, __ATOMIC_SEQ_CST), 1);
    rig_end(&r);
}

static void always_closes(struct rig *r) {
    char command[512];
    for (int fd; (fd = rig_accept(r)) >= 0; (void)close(fd)) {
        (void)rig_hear(fd, command, sizeof command);
        __atomic_add_fetch(&r->value, 1, __ATOMIC_SEQ_CST);
    }
}

static void repeating_has_an_end(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, always_closes, NO_OPTIONS);
    rig_send(&r, "READ", true, 10000);
    rig_wait(&r);
    assert_int_equal(r.error.kind, ERR_IO);
    assert_int_equal(__atomic_load_n(&r.value, __ATOMIC_SEQ_CST), ZDB_CLIENT_ATTEMPTS_MAX);
    rig_end(&r);
}

static void nobody_there_is_an_error_that_names_the_server(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, NULL, (struct zdb_client_options){.address = STR("/nonexistent/zdb.sock")});
    rig_send(&r, "GET", true, 10000);
    rig_wait(&r);
    assert_int_equal(r.error.kind, ERR_NOT_FOUND);
    assert_string_equal(r.error.msg,
                        "0-db server /nonexistent/zdb.sock: GET: connect: No such file "
                        "or directory");
    rig_end(&r);
}

/* ---- time ---- */

static void stalls_then_serves(struct rig *r) {
    char byte;
    int fd = rig_accept(r);
    while (rig_byte(fd, &byte)) { /* until it is given up */
    }
    (void)close(fd);
    fd = rig_accept(r);
    rig_answer_all(fd, "+OK\r\n");
    (void)close(fd);
}

static void a_server_that_stalls_is_given_up_and_tried_anew(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, stalls_then_serves, NO_OPTIONS);
    rig_send(&r, "SET", false, 30);
    rig_wait(&r);
    assert_int_equal(r.error.kind, ERR_TIMEOUT);
    assert_non_null(strstr(r.error.msg, "SET: no answer in time"));
    rig_send(&r, "SET", false, 10000);
    rig_wait(&r);
    assert_string_equal(r.text, "OK");
    rig_end(&r);
}

static void slow_but_alive(struct rig *r) {
    char command[512];
    int fd = rig_accept(r);
    assert_true(rig_hear(fd, command, sizeof command));
    assert_true(rig_hear(fd, command, sizeof command));
    rig_say(fd, "+"); /* it lives: a byte after the commands came */
    assert_true(rig_hear(fd, command, sizeof command)); /* sent after the timeout was told */
    rig_say(fd, "late\r\n+second\r\n+third\r\n");
    rig_answer_all(fd, "+?\r\n");
    (void)close(fd);
}

static void a_late_reply_is_dropped_and_the_next_ones_stay_in_step(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, slow_but_alive, NO_OPTIONS);
    r.each = true;
    rig_send(&r, "FIRST", false, 300);
    rig_send(&r, "SECOND", false, 10000);
    rig_wait(&r);
    assert_int_equal(r.error.kind, ERR_TIMEOUT);
    rig_send(&r, "THIRD", false, 10000);
    rig_wait(&r);
    if (r.waiting) assert_string_equal(r.text, "second"); /* else both came in one turn */
    rig_wait(&r);
    assert_string_equal(r.text, "third");
    struct zdb_client_state s;
    zdb_client_state(r.client, &s);
    assert_int_equal(s.breaks, 0);
    rig_end(&r);
}

static void counts_pings(struct rig *r) {
    char command[512];
    int fd = rig_accept(r);
    while (rig_hear(fd, command, sizeof command)) {
        bool ping = strcmp(command, "PING") == 0;
        if (ping && __atomic_add_fetch(&r->value, 1, __ATOMIC_SEQ_CST) == 2) loop_stop(r->loop);
        rig_say(fd, "+PONG\r\n");
    }
    (void)close(fd);
}

static void an_idle_connection_is_asked_whether_it_lives(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, counts_pings, (struct zdb_client_options){.ping_ms = 5});
    loop_run(r.loop);
    assert_true(__atomic_load_n(&r.value, __ATOMIC_SEQ_CST) >= 2);
    struct zdb_client_state s;
    zdb_client_state(r.client, &s);
    assert_int_equal(s.connected, 1);
    assert_int_equal(s.answered + s.failed, 0);
    rig_end(&r);
}

/* ---- limits ---- */

static void the_queue_is_bounded_by_number_and_by_bytes(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, mute, (struct zdb_client_options){.window = 2, .queue_max = 3});
    for (int i = 0; i < 4; i++) rig_send(&r, "X", false, 50);
    rig_wait(&r);
    assert_int_equal(r.errors, 4);
    rig_end(&r);

    rig_begin(&r, mute, NO_OPTIONS);
    AUTO_FREE char *big = xmalloc(ZDB_REPLY_PAYLOAD_MAX);
    struct zdb_how how = rig_how(&r);
    r.waiting = 8;
    for (int i = 0; i < 8; i++) zdb_set(&how, STR("k"), str_make(big, ZDB_REPLY_PAYLOAD_MAX));
    struct zdb_client_state s;
    zdb_client_state(r.client, &s);
    assert_int_equal(s.queued, 7); /* 64 MiB hold seven of them */
    zdb_client_close(STEAL(r.client), rig_closed, &r);
    loop_run(r.loop); /* both ends come in one turn */
    assert_int_equal(r.errors, 8);
    r.client = NULL;
    struct zdb_client_options o = {.address = str_of(r.address)};
    struct err e;
    assert_int_equal(zdb_client_new(r.loop, &o, &r.client, &e), 0);
    rig_end(&r);
}

static void a_command_has_limits_too(void **state) {
    static struct str args[ZDB_COMMAND_ARGS_MAX + 1];
    struct rig r;
    (void)state;
    for (size_t i = 0; i < COUNT(args); i++) args[i] = STR("a");
    rig_begin(&r, mute, NO_OPTIONS);
    struct zdb_request q = {.args = args, .count = COUNT(args), .done = rig_got_raw, .user = &r};
    r.waiting = 1;
    zdb_client_send(r.client, &q);
    rig_wait(&r);
    assert_int_equal(r.error.kind, ERR_INVALID);
    AUTO_FREE char *big = xmalloc(ZDB_CLIENT_REQUEST_MAX);
    struct zdb_how how = rig_how(&r);
    zdb_set(&how, STR("k"), str_make(big, ZDB_CLIENT_REQUEST_MAX));
    rig_wait(&r);
    assert_int_equal(r.error.kind, ERR_LIMIT);
    rig_end(&r);
}

static void echo_window(struct rig *r) {
    char command[512];
    int fd = rig_accept(r);
    for (;;) { /* answers only when the window is full, and then all at once */
        for (int i = 0; i < 4; i++) {
            if (!rig_hear(fd, command, sizeof command)) {
                (void)close(fd);
                return;
            }
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 20) > 0) __atomic_store_n(&r->value, 1, __ATOMIC_SEQ_CST);
        rig_say(fd, "+1\r\n+2\r\n+3\r\n+4\r\n");
    }
}

static void no_more_than_the_window_is_in_flight(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, echo_window, (struct zdb_client_options){.window = 4});
    for (int i = 0; i < 40; i++) rig_send(&r, "X", false, 0);
    rig_wait(&r);
    assert_int_equal(r.answers, 40);
    assert_string_equal(r.text, "4");
    assert_int_equal(__atomic_load_n(&r.value, __ATOMIC_SEQ_CST), 0);
    rig_end(&r);
}

static void closing_ends_every_request_once(void **state) {
    struct rig r;
    (void)state;
    rig_begin(&r, mute, (struct zdb_client_options){.window = 2});
    for (int i = 0; i < 10; i++) rig_send(&r, "X", true, 10000);
    rig_end(&r);
    assert_int_equal(r.errors, 10);
    assert_int_equal(r.waiting, 0);
    assert_int_equal(r.error.kind, ERR_CANCELLED);
}

static void undo(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct rig *r = user;
    struct str args = STR("UNDO");
    struct zdb_request q = {.args = &args, .count = 1, .done = rig_got_raw, .user = r};
    assert_null(reply);
    assert_int_equal(e->kind, ERR_CANCELLED);
    r->waiting++;
    zdb_client_send(r->client, &q);
}

static void what_is_sent_while_it_closes_ends_likewise(void **state) {
    struct rig r;
    struct str args = STR("DO");
    (void)state;
    rig_begin(&r, mute, NO_OPTIONS);
    struct zdb_request q = {.args = &args, .count = 1, .done = undo, .user = &r};
    zdb_client_send(r.client, &q);
    zdb_client_close(r.client, NULL, NULL);
    r.waiting = 0;
    loop_run(r.loop);
    assert_int_equal(r.errors, 1);
    assert_int_equal(r.error.kind, ERR_CANCELLED);
    struct zdb_client_options o = {.address = str_of(r.address)};
    struct err e;
    assert_int_equal(zdb_client_new(r.loop, &o, &r.client, &e), 0);
    rig_end(&r);
}

static void options_are_checked(void **state) {
    static char name[ZDB_NAMESPACE_BYTES_MAX + 1];
    struct loop *l = loop_new(1);
    struct zdb_client *c = NULL;
    struct err e = {0};
    struct str where = STR("/x");
    (void)state;
    memset(name, 'n', sizeof name);
    const struct zdb_client_options bad[] = {
        {.address = STR("")},
        {.address = STR("host:0")},
        {.address = where, .space = {name, sizeof name}},
        {.address = where, .space = STR("a\0b")},
        {.address = where, .password = {name, sizeof name}},
        {.address = where, .admin_password = {name, sizeof name}},
        {.address = where, .connections = ZDB_CLIENT_CONNECTIONS_MAX + 1},
        {.address = where, .window = ZDB_CLIENT_WINDOW_MAX + 1},
        {.address = where, .queue_max = ZDB_CLIENT_QUEUE_MAX + 1},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(zdb_client_new(l, &bad[i], &c, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    zdb_client_close(NULL, NULL, NULL);
    loop_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_has_its_answer),
        cmocka_unit_test(an_answer_of_a_wrong_shape_is_corrupt_and_no_crash),
        cmocka_unit_test(passwords_are_proved_by_challenge),
        cmocka_unit_test(a_server_without_challenges_gets_the_password),
        cmocka_unit_test(a_refused_login_is_told_to_everybody_who_waits),
        cmocka_unit_test(a_login_that_is_not_answered_ends_in_time),
        cmocka_unit_test(a_server_that_closes_is_an_io_error),
        cmocka_unit_test(half_a_reply_is_no_reply),
        cmocka_unit_test(garbage_is_corrupt),
        cmocka_unit_test(huge_replies_are_refused_before_they_are_kept),
        cmocka_unit_test(a_reply_that_nobody_asked_for_breaks_the_connection),
        cmocka_unit_test(only_an_idempotent_request_is_sent_again),
        cmocka_unit_test(repeating_has_an_end),
        cmocka_unit_test(nobody_there_is_an_error_that_names_the_server),
        cmocka_unit_test(a_server_that_stalls_is_given_up_and_tried_anew),
        cmocka_unit_test(a_late_reply_is_dropped_and_the_next_ones_stay_in_step),
        cmocka_unit_test(an_idle_connection_is_asked_whether_it_lives),
        cmocka_unit_test(the_queue_is_bounded_by_number_and_by_bytes),
        cmocka_unit_test(a_command_has_limits_too),
        cmocka_unit_test(no_more_than_the_window_is_in_flight),
        cmocka_unit_test(closing_ends_every_request_once),
        cmocka_unit_test(what_is_sent_while_it_closes_ends_likewise),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
