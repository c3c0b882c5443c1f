/* SPDX-License-Identifier: Apache-2.0 — container_process.c: arguments, environment, working
 * folder, user and limits of a container's processes.
 *
 * The environment is put together in order of rising precedence: our defaults, the image's, the
 * request's; a later value takes the place of an earlier one with the same name. HOME comes from
 * the image's passwd when nobody sets it. */
#include "cri/container_parts.h"

#include <stdio.h>
#include <sys/resource.h>

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define FILES_SOFT   1024
#define FILES_HARD   524288

/* ---- user ---- */

static int image_text(const struct container_build *b, struct str path, struct str *out,
                      struct err *e) {
    const struct image *i = b->in->image;
    if (i->layer_count == 0) return 0;
    struct err why = {0};
    if (image_read_file(b->in->images, i, path, b->arena, out, &why) == 0) return 0;
    *out = STR_NONE;
    if (why.kind == ERR_NOT_FOUND) return 0;
    *e = why;
    return err_in(e, "read the image's %.*s", STR_ARG(path));
}

int container_user(const struct container_build *b, struct user *out, struct err *e) {
    struct user_request r = {.image_user = b->in->image->config.user};
    int64_t user, group;
    if (b->security) {
        r.run_as_username = str_of(b->security->run_as_username);
        r.supplemental = b->security->supplemental_groups;
        r.supplemental_count = b->security->n_supplemental_groups;
        r.strict = b->security->supplemental_groups_policy ==
                   RUNTIME__V1__SUPPLEMENTAL_GROUPS_POLICY__Strict;
        if (b->security->run_as_user) {
            user = b->security->run_as_user->value;
            r.run_as_user = &user;
        }
        if (b->security->run_as_group) {
            group = b->security->run_as_group->value;
            r.run_as_group = &group;
        }
    }
    if (image_text(b, STR("/etc/passwd"), &r.passwd, e) < 0 ||
        image_text(b, STR("/etc/group"), &r.group, e) < 0)
        return -1;
    return user_resolve(&r, b->arena, out, e);
}

/* ---- arguments ---- */

int container_argv(const struct container_build *b, struct err *e) {
    const Runtime__V1__ContainerConfig *c = b->in->config;
    const struct image_config *i = &b->in->image->config;
    if (c->n_command + c->n_args > CONTAINER_NAMES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d arguments", CONTAINER_NAMES_MAX);
    size_t most = c->n_command + c->n_args + i->entrypoint_count + i->cmd_count, count = 0;
    struct str *argv = arena_array(b->arena, most + 1, sizeof *argv);
    if (!argv) return err_set(e, ERR_LIMIT, "arguments: the request is too large");
    if (c->n_command)
        for (size_t k = 0; k < c->n_command; k++) argv[count++] = str_of(c->command[k]);
    else
        for (size_t k = 0; k < i->entrypoint_count; k++) argv[count++] = i->entrypoint[k];
    if (c->n_args)
        for (size_t k = 0; k < c->n_args; k++) argv[count++] = str_of(c->args[k]);
    else if (!c->n_command)
        for (size_t k = 0; k < i->cmd_count; k++) argv[count++] = i->cmd[k];
    if (count == 0 || argv[0].n == 0)
        return err_set(e, ERR_INVALID,
                       "no command: neither the container nor its image says what to run");
    b->spec->spec.argv = launch_build_strs(b->spec, argv, count);
    return 0;
}

/* ---- environment ---- */

struct environment {
    struct str *items; /* "NAME=value" */
    uint32_t *slots;   /* open addressing by name; index + 1 */
    size_t count, items_max, slot_count;
};

static struct str name_of(struct str item) {
    ptrdiff_t equals = str_find(item, '=');
    return equals < 0 ? item : str_sub(item, 0, (size_t)equals);
}

static bool environment_init(struct environment *v, struct arena *a, size_t items_max) {
    v->items_max = items_max;
    v->slot_count = 16;
    while (v->slot_count < items_max * 2) v->slot_count *= 2;
    v->items = arena_array(a, items_max, sizeof *v->items);
    v->slots = arena_array(a, v->slot_count, sizeof *v->slots);
    return v->items && v->slots;
}

static uint32_t *slot_of(struct environment *v, struct str name) {
    size_t at = str_hash(name) & (v->slot_count - 1);
    while (v->slots[at] && !str_eq(name_of(v->items[v->slots[at] - 1]), name))
        at = (at + 1) & (v->slot_count - 1);
    return &v->slots[at];
}

static void environment_set(struct environment *v, struct str item) {
    uint32_t *slot = slot_of(v, name_of(item));
    if (*slot) {
        v->items[*slot - 1] = item;
    } else if (v->count < v->items_max) {
        v->items[v->count++] = item;
        *slot = (uint32_t)v->count;
    }
}

static int environment_pair(struct environment *v, struct arena *a, struct str name,
                            struct str value, struct err *e) {
    if (name.n == 0 || str_find(name, '=') >= 0)
        return err_set(e, ERR_INVALID, "'%.*s' cannot name an environment variable",
                       STR_ARG(str_sub(name, 0, 100)));
    char *item = arena_alloc(a, name.n + value.n + 2);
    if (!item) return err_set(e, ERR_LIMIT, "environment: the request is too large");
    memcpy(item, name.p, name.n);
    item[name.n] = '=';
    if (value.n) memcpy(item + name.n + 1, value.p, value.n);
    environment_set(v, str_make(item, name.n + value.n + 1));
    return 0;
}

static int build_environment(const struct container_build *b, const struct user *u, bool tty,
                             struct err *e) {
    const Runtime__V1__ContainerConfig *c = b->in->config;
    const struct image_config *i = &b->in->image->config;
    struct environment v = {0};
    if (c->n_envs > CONTAINER_ENV_MAX || i->env_count > CONTAINER_ENV_MAX)
        return err_set(e, ERR_LIMIT, "more than %d environment variables", CONTAINER_ENV_MAX);
    if (!environment_init(&v, b->arena, c->n_envs + i->env_count + 4))
        return err_set(e, ERR_LIMIT, "environment: the request is too large");
    environment_set(&v, STR(PATH_DEFAULT));
    if (tty) environment_set(&v, STR("TERM=xterm"));
    if (b->in->pod_hostname.n &&
        environment_pair(&v, b->arena, STR("HOSTNAME"), b->in->pod_hostname, e) < 0)
        return -1;
    for (size_t k = 0; k < i->env_count; k++)
        if (name_of(i->env[k]).n) environment_set(&v, i->env[k]);
    for (size_t k = 0; k < c->n_envs; k++)
        if (environment_pair(&v, b->arena, str_of(c->envs[k]->key), str_of(c->envs[k]->value), e) <
            0)
            return -1;
    if (!*slot_of(&v, STR("HOME")) && environment_pair(&v, b->arena, STR("HOME"), u->home, e) < 0)
        return -1;
    b->spec->spec.envp = launch_build_strs(b->spec, v.items, v.count);
    return 0;
}

/* ---- the rest ---- */

static void set_limits(const struct container_build *b) {
    struct rlimit own = {FILES_SOFT, FILES_SOFT};
    struct launch_rlimit files = {.resource = RLIMIT_NOFILE, .soft = FILES_SOFT};
    (void)getrlimit(RLIMIT_NOFILE, &own);
    files.hard = own.rlim_max < FILES_HARD ? own.rlim_max : FILES_HARD;
    if (files.soft > files.hard) files.soft = files.hard;
    b->spec->spec.rlimits = launch_build_table(b->spec, &files, sizeof files, 1);
}

static int set_oom_score(const struct container_build *b, struct err *e) {
    const Runtime__V1__ContainerConfig *c = b->in->config;
    if (!c->linux || !c->linux->resources) return 0;
    int64_t score = c->linux->resources->oom_score_adj;
    if (score < -1000 || score > 1000)
        return err_set(e, ERR_INVALID, "oom_score_adj %lld: must be -1000 to 1000",
                       (long long)score);
    b->spec->spec.oom_score_adj = (int32_t)score;
    return 0;
}

static int set_cwd(const struct container_build *b, struct err *e) {
    struct str cwd = str_of(b->in->config->working_dir);
    if (cwd.n == 0) cwd = b->in->image->config.working_dir;
    if (cwd.n > CONTAINER_PATH_BYTES_MAX - 1)
        return err_set(e, ERR_LIMIT, "working_dir is longer than %d bytes",
                       CONTAINER_PATH_BYTES_MAX - 1);
    cwd = container_path_clean(b->arena, cwd);
    if (!cwd.p) return err_set(e, ERR_LIMIT, "working_dir: the request is too large");
    b->spec->spec.cwd = launch_build_str(b->spec, cwd);
    return 0;
}

int container_process(const struct container_build *b, const struct user *u, bool tty,
                      struct err *e) {
    struct launch_spec *s = &b->spec->spec;
    if (build_environment(b, u, tty, e) < 0 || set_cwd(b, e) < 0 || set_oom_score(b, e) < 0)
        return -1;
    s->uid = u->uid;
    s->gid = u->gid;
    s->groups = launch_build_table(b->spec, u->groups, sizeof *u->groups, u->group_count);
    set_limits(b);
    if (tty) s->flags |= LAUNCH_TTY | LAUNCH_SETSID;
    return 0;
}
