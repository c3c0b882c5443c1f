/* SPDX-License-Identifier: Apache-2.0 — recovery_test.c: what a daemon makes of the records, shims
 * and folders that its predecessor left. */
#include "cri/node_rig.h"

#include "cri/launch/shim_wire.h"

#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A shim that answers HELLO with this list, or hangs up. */
struct fake_shim {
    pthread_t thread;
    int listener, daemon;
    const struct shim_message *live;
    size_t live_count;
    bool silent;
    void *(*play)(void *fake_shim); /* NULL: answers HELLO */
};

static void answer(struct fake_shim *s, enum shim_op op) {
    struct shim_message m = shim_message_make(op, "");
    m.number = SHIM_WIRE_VERSION;
    assert_int_equal(shim_send(s->daemon, &m, NULL), 0);
}

static void *play(void *arg) {
    struct fake_shim *s = arg;
    struct shim_message m;
    int fds[SHIM_FDS_MAX];
    s->daemon = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(s->daemon >= 0);
    struct pollfd hello = {.fd = s->daemon, .events = POLLIN};
    assert_int_equal(poll(&hello, 1, TESTBED_WAIT_MS), 1);
    assert_int_equal(shim_receive(s->daemon, &m, fds), 1);
    assert_int_equal(m.op, SHIM_HELLO);
    if (s->silent) {
        (void)shutdown(s->daemon, SHUT_RDWR);
        return NULL;
    }
    answer(s, SHIM_WELCOME);
    for (size_t i = 0; i < s->live_count; i++)
        assert_int_equal(shim_send(s->daemon, &s->live[i], NULL), 0);
    answer(s, SHIM_LISTED);
    return NULL;
}

static void shim_listen(struct fake_shim *s, const struct pod *p) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct err e = {0};
    AUTO_CLOSE int run = pod_open_folder(p, p->cri->run_fd, &e);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", run,
                   SHIM_SOCKET_FILE);
    s->daemon = -1;
    s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s->listener, 4), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, s->play ? s->play : play, s), 0);
}

static void shim_end(struct fake_shim *s) {
    (void)pthread_join(s->thread, NULL);
    (void)close(s->listener);
    if (s->daemon >= 0) (void)close(s->daemon);
}

static void restart(void) {
    rig_down();
    rig_up();
}

static struct pod *pod_named(const char *name) { return idmap_find(&rig.cri->pods, str_of(name)); }
static struct container *container_named(const char *name) {
    return idmap_find(&rig.cri->containers, str_of(name));
}

static bool exists(const char *folder, const char *name) {
    AUTO_FREE char *path = xasprintf("%s/%s", folder, name);
    struct stat st;
    return stat(path, &st) == 0;
}

static struct shim_message live(const struct container *k, int pid, int64_t at_ns) {
    struct shim_message m = shim_message_make(SHIM_CONTAINER, k->record->id);
    m.pid = pid;
    m.at_ns = at_ns;
    return m;
}

/* ---- a living shim ---- */

static void what_a_shim_lists_is_running_and_what_it_does_not_was_never_started(void **state) {
    (void)state;
    struct fake_shim s = {0};
    struct pod *p = rig_pod("podaaa", POD_READY);
    const struct shim_message list[] = {live(rig_container(p, "running"), 7, 99)};
    (void)rig_container(p, "created");
    s.live = list;
    s.live_count = COUNT(list);
    shim_listen(&s, p);
    restart();
    assert_int_equal(pod_named("podaaa")->state, POD_READY);
    assert_int_equal(container_named("running")->state, CONTAINER_RUNNING);
    assert_int_equal(container_named("running")->pid, 7);
    assert_int_equal(container_named("running")->started_at_ns, 99);
    assert_int_equal(container_named("created")->state, CONTAINER_CREATED);
    assert_int_equal(rig.admitted, 3); /* grants are taken again */
    shim_end(&s);
}

static void a_container_under_way_is_starting_until_its_shim_says_more(void **state) {
    (void)state;
    struct fake_shim s = {0};
    struct pod *p = rig_pod("podbbb", POD_READY);
    const struct shim_message list[] = {live(rig_container(p, "halfway"), 7, 0)};
    s.live = list;
    s.live_count = COUNT(list);
    shim_listen(&s, p);
    restart();
    struct container *k = container_named("halfway");
    assert_int_equal(k->state, CONTAINER_STARTING);
    struct shim_message failed = shim_message_make(SHIM_START_FAILED, k->record->id);
    pod_on_shim_message(k->pod, &failed, NULL);
    assert_int_equal(k->state, CONTAINER_EXITED);
    assert_int_equal(k->exit.code, START_FAILED_CODE);
    shim_end(&s);
}

static void an_exit_file_counts_more_than_the_list(void **state) {
    (void)state;
    struct fake_shim s = {0};
    struct err e = {0};
    struct pod *p = rig_pod("podccc", POD_READY);
    struct container *k = rig_container(p, "ended");
    struct container_exit x = {
        .code = 9, .started_at_ns = 1, .finished_at_ns = 2, .reason = "Error"};
    assert_int_equal(container_exit_save(k->dir_fd, &x, &e), 0);
    const struct shim_message list[] = {live(k, 7, 1)};
    s.live = list;
    s.live_count = COUNT(list);
    shim_listen(&s, p);
    restart();
    assert_int_equal(container_named("ended")->state, CONTAINER_EXITED);
    assert_int_equal(container_named("ended")->exit.code, 9);
    shim_end(&s);
}

/* The disk was full or broken when it ended, so only the shim knows. */
static void an_end_without_a_file_is_told_by_the_shim_and_written_down(void **state) {
    (void)state;
    struct fake_shim s = {0};
    struct err e = {0};
    struct pod *p = rig_pod("podmmm", POD_READY);
    struct container *ended = rig_container(p, "ended");
    struct container *failed = rig_container(p, "failed");
    struct shim_message list[] = {live(failed, 0, 0), live(failed, 0, 0), live(ended, 0, 99),
                                  live(ended, 0, 100)};
    list[1].op = SHIM_START_FAILED;
    (void)snprintf(list[1].text, sizeof list[1].text, "no such program");
    list[3].op = SHIM_EXITED;
    list[3].number = 137;
    list[3].flags = SHIM_OOM_KILLED;
    s.live = list;
    s.live_count = COUNT(list);
    shim_listen(&s, p);
    restart();
    struct container *k = container_named("ended");
    struct container_exit x;
    assert_int_equal(k->state, CONTAINER_EXITED);
    assert_int_equal(k->exit.code, 137);
    assert_string_equal(k->exit.reason, "OOMKilled");
    assert_int_equal(k->exit.started_at_ns, 99);
    assert_int_equal(k->exit.finished_at_ns, 100);
    assert_int_equal(container_exit_load(k->dir_fd, &x, &e), 0);
    assert_int_equal(x.code, 137);
    k = container_named("failed");
    assert_int_equal(k->state, CONTAINER_EXITED);
    assert_int_equal(k->exit.code, START_FAILED_CODE);
    assert_string_equal(k->exit.message, "no such program");
    shim_end(&s);
}

static void an_end_that_cannot_be_read_is_one_with_a_reason(void **state) {
    (void)state;
    struct fake_shim s = {0};
    struct pod *p = rig_pod("podnnn", POD_READY);
    AUTO_FREE char *folder =
        xasprintf("%s/containers/%s", rig.root, rig_container(p, "odd")->record->id);
    rig_write(folder, EXIT_FILE, STR("{"));
    shim_listen(&s, p);
    restart();
    const struct container *k = container_named("odd");
    assert_int_equal(k->state, CONTAINER_EXITED);
    assert_int_equal(k->exit.code, LOST_CODE);
    assert_non_null(strstr(k->exit.message, EXIT_FILE));
    shim_end(&s);
}

static void groups_of_a_predecessors_execs_and_of_ended_containers_go(void **state) {
    (void)state;
    struct fake_shim s = {0};
    struct err e = {0};
    struct pod *p = rig_pod("poddddd", POD_READY);
    struct container *k = rig_container(p, "running");
    struct container *ended = rig_container(p, "ended");
    struct container_exit x = {.code = 1};
    struct cgroup_path sub;
    assert_int_equal(container_exit_save(ended->dir_fd, &x, &e), 0);
    assert_int_equal(cgroup_make(rig.cri->cgroups, k->cgroup.c, NULL, &e), 0);
    assert_int_equal(cgroup_make(rig.cri->cgroups, ended->cgroup.c, NULL, &e), 0);
    assert_int_equal(cgroup_sub(rig.cri->cgroups, k->cgroup.c, "exec-5", &sub, &e), 0);
    assert_int_equal(cgroup_sub(rig.cri->cgroups, k->cgroup.c, "own", &sub, &e), 0);
    const struct shim_message list[] = {live(k, 7, 1)};
    s.live = list;
    s.live_count = COUNT(list);
    shim_listen(&s, p);
    restart();
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    const struct str *names = NULL;
    size_t count = 0;
    k = container_named("running");
    assert_int_equal(cgroup_list(rig.cri->cgroups, k->cgroup.c, &a, &names, &count, &e), 0);
    assert_int_equal(count, 1); /* a group that the container made itself stays */
    assert_true(str_eq(names[0], STR("own")));
    assert_int_equal(cgroup_list(rig.cri->cgroups, k->pod->cgroup, &a, &names, &count, &e), 0);
    assert_int_equal(count, 1);
    assert_true(str_eq(names[0], str_of(k->record->id)));
    shim_end(&s);
}

/* ---- a dead one ---- */

static void without_a_shim_a_pod_is_not_ready_and_its_containers_are_lost(void **state) {
    (void)state;
    struct pod *p = rig_pod("podeee", POD_READY);
    struct err e = {0};
    (void)rig_container(p, "gone");
    assert_int_equal(cgroup_make(rig.cri->cgroups, p->cgroup, NULL, &e), 0);
    for (int i = 0; i < 2; i++) { /* and stays so */
        restart();
        assert_int_equal(pod_named("podeee")->state, POD_NOTREADY);
        const struct container *k = container_named("gone");
        assert_int_equal(k->state, CONTAINER_EXITED);
        assert_int_equal(k->exit.code, LOST_CODE);
        assert_string_equal(k->exit.reason, "Lost");
        assert_false(exists(rig.run, "pods/podeee"));
        assert_int_equal(cgroup_dir_fd(rig.cri->cgroups, k->pod->cgroup, &e), -1);
    }
}

static void a_shim_that_hangs_up_is_a_dead_one(void **state) {
    (void)state;
    struct fake_shim s = {.silent = true};
    shim_listen(&s, rig_pod("podfff", POD_READY));
    restart();
    assert_int_equal(pod_named("podfff")->state, POD_NOTREADY);
    shim_end(&s);
}

static void a_pod_of_an_earlier_boot_is_not_ready_whoever_listens(void **state) {
    (void)state;
    (void)snprintf(rig.cri->boot_id, sizeof rig.cri->boot_id, "another");
    (void)rig_pod("podggg", POD_READY);
    restart();
    assert_int_equal(pod_named("podggg")->state, POD_NOTREADY);
}

/* ---- half-made things ---- */

static void an_intent_is_undone_whole(void **state) {
    (void)state;
    struct err e = {0};
    struct pod *p = rig_pod("podhhh", POD_MAKING);
    struct pod_addresses none = {0};
    AUTO_FREE char *folder = xasprintf("pods/%s", p->id);
    AUTO_FREE char *group = xstrdup(p->cgroup);
    assert_int_equal(pod_write_files(p, &none, &e), 0);
    assert_int_equal(cgroup_make(rig.cri->cgroups, p->cgroup, NULL, &e), 0);
    restart();
    assert_null(pod_named("podhhh"));
    assert_false(exists(rig.run, folder));
    assert_false(exists(rig.root, folder));
    assert_int_equal(cgroup_dir_fd(rig.cri->cgroups, group, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void folders_without_records_and_groups_without_pods_go(void **state) {
    (void)state;
    struct err e = {0};
    AUTO_FREE char *group = xasprintf("/%s/podstray", rig.cgroup);
    AUTO_FREE char *kept = xasprintf("/%s/other", rig.cgroup);
    assert_int_equal(file_mkdirs(rig.cri->root_fd, "pods/stray", 0755), 0);
    assert_int_equal(file_mkdirs(rig.cri->root_fd, "containers/stray/upper", 0755), 0);
    assert_int_equal(file_mkdirs(rig.cri->run_fd, "pods/stray", 0755), 0);
    assert_int_equal(cgroup_make(rig.cri->cgroups, group, NULL, &e), 0);
    assert_int_equal(cgroup_make(rig.cri->cgroups, kept, NULL, &e), 0);
    restart();
    rig_settle(); /* the trash is emptied in the background */
    assert_false(exists(rig.root, "pods/stray"));
    assert_false(exists(rig.root, "containers/stray"));
    assert_false(exists(rig.run, "pods/stray"));
    assert_int_equal(cgroup_dir_fd(rig.cri->cgroups, group, &e), -1);
    AUTO_CLOSE int other = cgroup_dir_fd(rig.cri->cgroups, kept, &e);
    assert_true(other >= 0);
    AUTO(file_dir_close) struct file_dir trash = FILE_DIR_NONE;
    struct file_entry entry;
    assert_true(file_dir_open(&trash, rig.cri->root_fd, TRASH_FOLDER) >= 0);
    assert_int_equal(file_dir_next(&trash, &entry), 0);
}

static void a_container_whose_pod_is_gone_goes_too(void **state) {
    (void)state;
    struct pod *p = rig_pod("podiii", POD_NOTREADY);
    const struct container *k = rig_container(p, "alone");
    struct err e = {0};
    AUTO_FREE char *folder = xasprintf("containers/%s", k->record->id);
    assert_int_equal(node_discard(rig.cri, PODS_FOLDER, p->id, &e), 0);
    restart();
    assert_null(container_named("alone"));
    assert_false(exists(rig.root, folder));
}

/* ---- records that are none ---- */

static void garble(const char *folder, const char *id) {
    AUTO_FREE char *path = xasprintf("%s/%s/%s", rig.root, folder, id);
    rig_write(path, RECORD_FILE, STR("\xff\xff\xff"));
}

static size_t set_aside_count(void) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    size_t count = 0;
    assert_true(file_dir_open(&d, rig.cri->root_fd, CORRUPT_FOLDER) >= 0);
    while (file_dir_next(&d, &entry) > 0) count++;
    return count;
}

static bool has_group(const char *path) {
    struct err e = {0};
    AUTO_CLOSE int fd = cgroup_dir_fd(rig.cri->cgroups, path, &e);
    return fd >= 0;
}

/* What a pod's making leaves in the run folder says what the pod held. */
static void a_pod_whose_record_is_none_is_given_back_and_can_be_made_again(void **state) {
    (void)state;
    struct err e = {0};
    struct pod *p = rig_pod("podjjj", POD_READY);
    struct container *k = rig_container(p, "inside");
    AUTO_FREE char *pod = xstrdup(p->id);
    AUTO_FREE char *container = xstrdup(k->record->id);
    AUTO_FREE char *elsewhere = xasprintf("/%s/kubepods/pod7", rig.cgroup);
    AUTO_FREE char *leaf = xasprintf("%s/%s", elsewhere, container);
    AUTO_FREE char *shim = xasprintf("%s/%s", elsewhere, pod);
    (void)snprintf(p->cgroup, sizeof p->cgroup, "%s", elsewhere);
    p->owns_cgroup = false;
    free(k->record->cgroup);
    k->record->cgroup = xstrdup(leaf);
    assert_int_equal(container_save(k, &e), 0);
    assert_int_equal(pod_save(p, POD_RECORD_INTENT, &e), 0);
    assert_int_equal(cgroup_make(rig.cri->cgroups, leaf, NULL, &e), 0);
    assert_int_equal(cgroup_make(rig.cri->cgroups, shim, NULL, &e), 0);
    garble(PODS_FOLDER, pod);
    for (int i = 0; i < 2; i++) {
        restart();
        AUTO_FREE char *aside = xasprintf(CORRUPT_FOLDER "/pods-%s", pod);
        AUTO_FREE char *folder = xasprintf("pods/%s", pod);
        AUTO_FREE char *inside = xasprintf("containers/%s", container);
        assert_null(pod_named("podjjj"));
        assert_null(container_named("inside"));
        assert_true(exists(rig.root, aside));
        assert_int_equal(set_aside_count(), 1);
        assert_false(exists(rig.root, folder));
        assert_false(exists(rig.root, inside));
        assert_false(exists(rig.run, folder));
        assert_false(has_group(leaf));
        assert_false(has_group(shim));
        assert_true(has_group(elsewhere)); /* a kubelet's */
    }
    (void)rig_pod("podjjj", POD_NOTREADY);
    restart();
    assert_non_null(pod_named("podjjj"));
}

static void *hear_shutdown(void *arg) {
    struct fake_shim *s = arg;
    struct shim_message m;
    int fds[SHIM_FDS_MAX];
    s->daemon = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    struct pollfd request = {.fd = s->daemon, .events = POLLIN};
    assert_int_equal(poll(&request, 1, TESTBED_WAIT_MS), 1);
    assert_int_equal(shim_receive(s->daemon, &m, fds), 1);
    assert_int_equal(m.op, SHIM_SHUTDOWN);
    return NULL;
}

static void a_shim_of_which_nothing_is_known_is_told_to_end(void **state) {
    (void)state;
    struct fake_shim s = {.play = hear_shutdown};
    struct pod *p = rig_pod("podkkk", POD_READY);
    AUTO_FREE char *run = xasprintf("%s/pods/%s", rig.run, p->id);
    shim_listen(&s, p);
    garble(PODS_FOLDER, p->id);
    rig_write(run, RECORD_FILE, STR("\xff\xff\xff"));
    restart();
    shim_end(&s);
    assert_null(pod_named("podkkk"));
    assert_false(exists(run, "."));
}

static void a_container_whose_record_is_none_is_ended_and_its_pod_lives(void **state) {
    (void)state;
    struct fake_shim s = {0};
    struct err e = {0};
    struct pod *p = rig_pod("podlll", POD_READY);
    struct container *bad = rig_container(p, "bad");
    struct container *good = rig_container(p, "good");
    const struct shim_message list[] = {live(good, 7, 1), live(bad, 8, 1)};
    AUTO_FREE char *id = xstrdup(bad->record->id);
    AUTO_FREE char *bad_group = xstrdup(bad->cgroup.c);
    AUTO_FREE char *good_group = xstrdup(good->cgroup.c);
    AUTO_FREE char *folder = xasprintf("containers/%s", id);
    AUTO_FREE char *aside = xasprintf(CORRUPT_FOLDER "/containers-%s", id);
    assert_int_equal(cgroup_make(rig.cri->cgroups, bad_group, NULL, &e), 0);
    assert_int_equal(cgroup_make(rig.cri->cgroups, good_group, NULL, &e), 0);
    s.live = list;
    s.live_count = COUNT(list);
    shim_listen(&s, p);
    garble(CONTAINERS_FOLDER, id);
    restart();
    assert_null(container_named("bad"));
    assert_int_equal(container_named("good")->state, CONTAINER_RUNNING);
    assert_int_equal(pod_named("podlll")->state, POD_READY);
    assert_false(has_group(bad_group));
    assert_true(has_group(good_group));
    assert_true(exists(rig.root, aside));
    assert_false(exists(rig.root, folder));
    shim_end(&s);
}

static void records_set_aside_have_a_limit(void **state) {
    (void)state;
    for (int i = 0; i <= CORRUPT_RECORDS_MAX; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "bad%d", i);
        garble(CONTAINERS_FOLDER, id);
    }
    restart();
    assert_int_equal(set_aside_count(), CORRUPT_RECORDS_MAX);
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    assert_true(file_dir_open(&d, rig.cri->root_fd, CONTAINERS_FOLDER) >= 0);
    assert_int_equal(file_dir_next(&d, &entry), 0);
}

/* ---- numbers ---- */

static void execs_of_two_daemons_have_different_numbers(void **state) {
    (void)state;
    uint64_t first = rig.cri->exec_number;
    restart();
    assert_true(rig.cri->exec_number != first);
}

#define ON_NODE(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_NODE(what_a_shim_lists_is_running_and_what_it_does_not_was_never_started),
        ON_NODE(a_container_under_way_is_starting_until_its_shim_says_more),
        ON_NODE(an_exit_file_counts_more_than_the_list),
        ON_NODE(an_end_without_a_file_is_told_by_the_shim_and_written_down),
        ON_NODE(an_end_that_cannot_be_read_is_one_with_a_reason),
        ON_NODE(groups_of_a_predecessors_execs_and_of_ended_containers_go),
        ON_NODE(without_a_shim_a_pod_is_not_ready_and_its_containers_are_lost),
        ON_NODE(a_shim_that_hangs_up_is_a_dead_one),
        ON_NODE(a_pod_of_an_earlier_boot_is_not_ready_whoever_listens),
        ON_NODE(an_intent_is_undone_whole),
        ON_NODE(folders_without_records_and_groups_without_pods_go),
        ON_NODE(a_container_whose_pod_is_gone_goes_too),
        ON_NODE(a_pod_whose_record_is_none_is_given_back_and_can_be_made_again),
        ON_NODE(a_shim_of_which_nothing_is_known_is_told_to_end),
        ON_NODE(a_container_whose_record_is_none_is_ended_and_its_pod_lives),
        ON_NODE(records_set_aside_have_a_limit),
        ON_NODE(execs_of_two_daemons_have_different_numbers),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
