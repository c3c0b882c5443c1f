/* SPDX-License-Identifier: Apache-2.0 — cgroup_device.c: which devices a group may use.
 *
 * On v1 the devices hierarchy takes the rules one by one. On v2 the question "may this process open
 * or make this device?" is answered by a BPF program on the group, which is compiled here:
 *     r2 = device type, r3 = wanted access, r4 = major, r5 = minor
 *     for each rule: compare what it names, jump to the next rule at the first difference;
 *                    return 1 when nothing differs
 *     return 0
 * Loading costs most of a millisecond (the verifier), attaching a tenth; nearly all containers have
 * the same rules, so the last CGROUP_PROGRAMS_MAX programs are kept by their rules.
 * Source: kernel include/uapi/linux/bpf.h, struct bpf_cgroup_dev_ctx. */
#include "cri/cgroup_tree.h"

#include "base/file.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/syscall.h>

#define RULE_INSNS_MAX 9
#define HEAD_INSNS     6
#define ATTACHED_MAX   64

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr) {
    long r = syscall(SYS_bpf, cmd, attr, sizeof *attr);
    return r < 0 ? -errno : (int)r;
}

/* ---- the program ---- */

struct assembler {
    struct bpf_insn *insns;
    size_t count;
};

static void emit(struct assembler *a, uint8_t code, unsigned dst, unsigned src, int off_imm[2]) {
    struct bpf_insn *i = &a->insns[a->count++];
    *i = (struct bpf_insn){.code = code};
    i->dst_reg = (uint8_t)(dst & 15);
    i->src_reg = (uint8_t)(src & 15);
    i->off = (int16_t)off_imm[0];
    i->imm = off_imm[1];
}
#define EMIT(a, code, dst, src, off, imm) emit(a, (uint8_t)(code), dst, src, (int[2]){off, imm})

static void emit_return(struct assembler *a, int value) {
    EMIT(a, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
    EMIT(a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_rule(struct assembler *a, const struct cgroup_device *d) {
    size_t jumps[RULE_INSNS_MAX], jump_count = 0;
    if (d->type != 'a') {
        int type = d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
        jumps[jump_count++] = a->count;
        EMIT(a, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0, type);
        if (d->access != CGROUP_DEVICE_ALL) {
            EMIT(a, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
            EMIT(a, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, (int)d->access);
            jumps[jump_count++] = a->count;
            EMIT(a, BPF_JMP | BPF_JNE | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
        }
        if (d->major >= 0) {
            jumps[jump_count++] = a->count;
            EMIT(a, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, 0, (int)d->major);
        }
        if (d->minor >= 0) {
            jumps[jump_count++] = a->count;
            EMIT(a, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, 0, (int)d->minor);
        }
    }
    emit_return(a, 1);
    for (size_t i = 0; i < jump_count; i++)
        a->insns[jumps[i]].off = (int16_t)(a->count - jumps[i] - 1);
}

static int program_load(const struct cgroup_device *rules, size_t count) {
    static const char license[] = "Apache-2.0";
    AUTO_FREE struct bpf_insn *insns =
        xmalloc((HEAD_INSNS + count * RULE_INSNS_MAX + 2) * sizeof *insns);
    struct assembler a = {.insns = insns};
    EMIT(&a, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 0, 0);
    EMIT(&a, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
    EMIT(&a, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
    EMIT(&a, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
    EMIT(&a, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, 4, 0);
    EMIT(&a, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, 8, 0);
    bool everything = false; /* code behind an unconditional return is refused by the verifier */
    for (size_t i = 0; i < count && !everything; i++) {
        emit_rule(&a, &rules[i]);
        everything = rules[i].type == 'a';
    }
    if (!everything) emit_return(&a, 0);
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE};
    attr.insns = (uint64_t)(uintptr_t)insns;
    attr.insn_cnt = (uint32_t)a.count;
    attr.license = (uint64_t)(uintptr_t)license;
    return sys_bpf(BPF_PROG_LOAD, &attr);
}

/* ---- programs that are kept ---- */

static void program_drop(struct cgroup_program *p) {
    if (!p->rules) return;
    (void)close(p->fd);
    free(p->rules);
    *p = (struct cgroup_program){0};
}

void cgroup_programs_done(struct cgroup_node *n) {
    for (size_t i = 0; i < CGROUP_PROGRAMS_MAX; i++) program_drop(&n->programs[i]);
}

/* A duplicate of the program's descriptor: another thread may push the entry out. */
static int program_find(struct cgroup_node *n, uint64_t hash, const struct cgroup_device *rules,
                        size_t count) {
    int fd = -ENOENT;
    (void)pthread_mutex_lock(&n->programs_lock);
    for (size_t i = 0; i < CGROUP_PROGRAMS_MAX && fd == -ENOENT; i++) {
        const struct cgroup_program *p = &n->programs[i];
        if (!p->rules || p->hash != hash || p->count != count) continue;
        if (memcmp(p->rules, rules, count * sizeof *rules) != 0) continue;
        fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0) fd = -errno;
    }
    (void)pthread_mutex_unlock(&n->programs_lock);
    return fd;
}

static void program_keep(struct cgroup_node *n, uint64_t hash, struct cgroup_device *rules,
                         size_t count, int fd) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        free(rules);
        return;
    }
    (void)pthread_mutex_lock(&n->programs_lock);
    struct cgroup_program *p = &n->programs[n->program_next++ % CGROUP_PROGRAMS_MAX];
    program_drop(p);
    *p = (struct cgroup_program){.hash = hash, .rules = rules, .count = count, .fd = copy};
    (void)pthread_mutex_unlock(&n->programs_lock);
}

/* Rules with their padding zeroed, so that they can be compared as bytes. */
static struct cgroup_device *rules_copy(const struct cgroup_device *rules, size_t count) {
    struct cgroup_device *copy = xmalloc((count + 1) * sizeof *copy);
    memset(copy, 0, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i].type = rules[i].type;
        copy[i].major = rules[i].major;
        copy[i].minor = rules[i].minor;
        copy[i].access = rules[i].access;
    }
    return copy;
}

static int program_get(struct cgroup_node *n, const struct cgroup_device *rules, size_t count) {
    AUTO_FREE struct cgroup_device *copy = rules_copy(rules, count);
    uint64_t hash = str_hash(str_make((const char *)copy, count * sizeof *copy));
    int fd = program_find(n, hash, copy, count);
    if (fd != -ENOENT) return fd;
    fd = program_load(copy, count);
    if (fd >= 0) program_keep(n, hash, STEAL(copy), count, fd);
    return fd;
}

/* ---- attaching ---- */

/* All programs on a group must agree, so older ones of ours would still forbid: they go. */
static int detach_others(int dir, const uint32_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        union bpf_attr attr = {.prog_id = ids[i]};
        AUTO_CLOSE int fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
        if (fd == -ENOENT) continue;
        if (fd < 0) return fd;
        union bpf_attr detach = {.target_fd = (uint32_t)dir};
        detach.attach_bpf_fd = (uint32_t)fd;
        detach.attach_type = BPF_CGROUP_DEVICE;
        int r = sys_bpf(BPF_PROG_DETACH, &detach);
        if (r < 0 && r != -ENOENT) return r;
    }
    return 0;
}

static int attach(int dir, int program) {
    uint32_t ids[ATTACHED_MAX] = {0};
    union bpf_attr query = {0};
    query.query.target_fd = (uint32_t)dir;
    query.query.attach_type = BPF_CGROUP_DEVICE;
    query.query.prog_ids = (uint64_t)(uintptr_t)ids;
    query.query.prog_cnt = ATTACHED_MAX;
    int r = sys_bpf(BPF_PROG_QUERY, &query);
    if (r < 0) return r;
    union bpf_attr attr = {.target_fd = (uint32_t)dir};
    attr.attach_bpf_fd = (uint32_t)program;
    attr.attach_type = BPF_CGROUP_DEVICE;
    attr.attach_flags = BPF_F_ALLOW_MULTI;
    r = sys_bpf(BPF_PROG_ATTACH, &attr);
    if (r == -EINVAL && query.query.prog_cnt > 0) return 0; /* this very program is there already */
    if (r < 0) return r;
    return detach_others(dir, ids, query.query.prog_cnt);
}

int cgroup_devices_attach(struct cgroup_node *n, const char *path,
                          const struct cgroup_device *rules, size_t count, struct err *e) {
    AUTO_CLOSE int dir = cgroup_dir_fd(n, path, e);
    if (dir < 0) return -1;
    AUTO_CLOSE int program = program_get(n, rules, count);
    if (program < 0) return err_sys(e, -program, "load a device program for cgroup '%s'", path);
    int r = attach(dir, program);
    return r < 0 ? err_sys(e, -r, "attach a device program to cgroup '%s'", path) : 0;
}

/* ---- v1 ---- */

static int write_rule(const struct cgroup_node *n, const char *path,
                      const struct cgroup_device *d) {
    char text[64], major[24] = "*", minor[24] = "*";
    if (d->type == 'a')
        return cgroup_file_write(n, n->at[CGROUP_DEVICES], path, "devices.allow", STR("a"));
    if (d->major >= 0) (void)snprintf(major, sizeof major, "%lld", (long long)d->major);
    if (d->minor >= 0) (void)snprintf(minor, sizeof minor, "%lld", (long long)d->minor);
    (void)snprintf(text, sizeof text, "%c %s:%s %s%s%s", d->type, major, minor,
                   d->access & CGROUP_DEVICE_READ ? "r" : "",
                   d->access & CGROUP_DEVICE_WRITE ? "w" : "",
                   d->access & CGROUP_DEVICE_MKNOD ? "m" : "");
    return cgroup_file_write(n, n->at[CGROUP_DEVICES], path, "devices.allow", str_of(text));
}

static int devices_v1(const struct cgroup_node *n, const char *path,
                      const struct cgroup_device *rules, size_t count, struct err *e) {
    int r = cgroup_file_write(n, n->at[CGROUP_DEVICES], path, "devices.deny", STR("a"));
    for (size_t i = 0; i < count && r == 0; i++) r = write_rule(n, path, &rules[i]);
    return r < 0 ? err_sys(e, -r, "write the device rules of cgroup '%s'", path) : 0;
}

int cgroup_devices_set(struct cgroup_node *n, const char *path, const struct cgroup_device *rules,
                       size_t count, struct err *e) {
    if (count > CGROUP_DEVICES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d device rules", CGROUP_DEVICES_MAX);
    for (size_t i = 0; i < count; i++)
        if (!strchr("abc", rules[i].type) || !rules[i].type || rules[i].major > INT32_MAX ||
            rules[i].minor > INT32_MAX || rules[i].access > CGROUP_DEVICE_ALL)
            return err_set(e, ERR_INVALID, "device rule %zu is wrong", i);
    if (cgroup_in_v1(n, CGROUP_DEVICES)) return devices_v1(n, path, rules, count, e);
    return cgroup_devices_attach(n, path, rules, count, e);
}
