/* SPDX-License-Identifier: Apache-2.0 — seccomp_filter.c: libseccomp, and what it does not know.
 *
 * The library compiles names for several architectures into a binary search over numbers (for
 * RuntimeDefault 1291 instructions instead of 1045, but a call passes in two thirds of the time;
 * the kernel loads it in half a millisecond, the library takes 70 to compile it: hence the cache).
 * It knows the system calls of its own time only. All later ones have the same number on every
 * architecture of ours (from 424 on), so they are decided by a few instructions in front of the
 * library's program: own architecture, number above the library's last? one that a rule allows
 * without conditions -> allow else -> ENOSYS (when the profile's default is an error number) */
#include "cri/seccomp_filter.h"

#include "base/file.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>

#define KNOWN_LAST        450 /* set_mempolicy_home_node: the last one of libseccomp 2.5.4 */
#define X32_BIT           0x40000000u
#define NEWER_MAX         32
#define ARCH_OFFSET       4
#define NUMBER_OFFSET     0
#define PROGRAM_BYTES_MAX (32768 * sizeof(struct sock_filter))

struct seccomp_filter {
    scmp_filter_ctx context; /* owned */
    struct seccomp_action otherwise;
    uint32_t newer[NEWER_MAX]; /* allowed without conditions */
    size_t newer_count;
};

static const struct {
    struct str name;
    uint32_t number;
} newer_calls[] = {{{"cachestat", 9}, 451},          {{"fchmodat2", 9}, 452},
                   {{"map_shadow_stack", 16}, 453},  {{"futex_wake", 10}, 454},
                   {{"futex_wait", 10}, 455},        {{"futex_requeue", 13}, 456},
                   {{"statmount", 9}, 457},          {{"listmount", 9}, 458},
                   {{"lsm_get_self_attr", 17}, 459}, {{"lsm_set_self_attr", 17}, 460},
                   {{"lsm_list_modules", 16}, 461},  {{"mseal", 5}, 462},
                   {{"setxattrat", 10}, 463},        {{"getxattrat", 10}, 464},
                   {{"listxattrat", 11}, 465},       {{"removexattrat", 13}, 466},
                   {{"open_tree_attr", 14}, 467},    {{"file_getattr", 12}, 468},
                   {{"file_setattr", 12}, 469}};

static uint32_t action_code(struct seccomp_action a) {
    switch (a.kind) {
    case SECCOMP_ALLOW: return SCMP_ACT_ALLOW;
    case SECCOMP_ERRNO: return SCMP_ACT_ERRNO(a.number);
    case SECCOMP_LOG: return SCMP_ACT_LOG;
    case SECCOMP_TRAP: return SCMP_ACT_TRAP;
    case SECCOMP_TRACE: return SCMP_ACT_TRACE(a.number);
    case SECCOMP_KILL_THREAD: return SCMP_ACT_KILL_THREAD;
    case SECCOMP_KILL_PROCESS: return SCMP_ACT_KILL_PROCESS;
    }
    return SCMP_ACT_KILL_PROCESS;
}

static enum scmp_compare compare_code(enum seccomp_compare c) {
    switch (c) {
    case SECCOMP_NE: return SCMP_CMP_NE;
    case SECCOMP_LT: return SCMP_CMP_LT;
    case SECCOMP_LE: return SCMP_CMP_LE;
    case SECCOMP_EQ: return SCMP_CMP_EQ;
    case SECCOMP_GE: return SCMP_CMP_GE;
    case SECCOMP_GT: return SCMP_CMP_GT;
    case SECCOMP_MASKED_EQ: return SCMP_CMP_MASKED_EQ;
    }
    return SCMP_CMP_EQ;
}

struct seccomp_filter *seccomp_filter_new(struct seccomp_action otherwise) {
    struct seccomp_filter *f = xnew(struct seccomp_filter);
    f->otherwise = otherwise;
    f->context = seccomp_init(action_code(otherwise));
    if (!f->context) abort(); /* out of memory */
    (void)seccomp_attr_set(f->context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return f;
}

void seccomp_filter_free(struct seccomp_filter *f) {
    if (!f) return;
    seccomp_release(f->context);
    free(f);
}

void seccomp_filter_arch(struct seccomp_filter *f, struct str name) {
    char text[32];
    if (name.n >= sizeof text) return;
    for (size_t i = 0; i < name.n; i++)
        text[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] - 'A' + 'a' : name.p[i]);
    text[name.n] = '\0';
    uint32_t arch = seccomp_arch_resolve_name(text);
    if (arch) (void)seccomp_arch_add(f->context, arch); /* refused: there, or of other byte order */
}

void seccomp_filter_arch_all(struct seccomp_filter *f) {
    switch (seccomp_arch_native()) {
    case SCMP_ARCH_X86_64:
        seccomp_filter_arch(f, STR("x86"));
        seccomp_filter_arch(f, STR("x32"));
        break;
    case SCMP_ARCH_AARCH64: seccomp_filter_arch(f, STR("arm")); break;
    default: break;
    }
}

/* ---- rules ---- */

static void allow_newer(struct seccomp_filter *f, struct str name) {
    for (size_t i = 0; i < COUNT(newer_calls); i++)
        if (str_eq(newer_calls[i].name, name) && f->newer_count < NEWER_MAX)
            f->newer[f->newer_count++] = newer_calls[i].number;
}

static int add(struct seccomp_filter *f, uint32_t action, int number,
               const struct scmp_arg_cmp *conditions, unsigned count) {
    int r = seccomp_rule_add_array(f->context, action, number, count, conditions);
    return r == -EEXIST || r == -EDOM ? 0 : r; /* said before, or not a call of any architecture */
}

static bool has_double(const struct seccomp_condition *conditions, size_t count) {
    unsigned seen = 0;
    for (size_t i = 0; i < count; i++) {
        if (seen & (1U << conditions[i].argument)) return true;
        seen |= 1U << conditions[i].argument;
    }
    return false;
}

int seccomp_filter_rule(struct seccomp_filter *f, struct seccomp_action action, struct str name,
                        const struct seccomp_condition *conditions, size_t count) {
    char text[64];
    struct scmp_arg_cmp list[SECCOMP_CONDITIONS_MAX];
    uint32_t code = action_code(action);
    if (count > SECCOMP_CONDITIONS_MAX) return -EINVAL;
    if (code == action_code(f->otherwise) || name.n == 0 || name.n >= sizeof text) return 0;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    int number = seccomp_syscall_resolve_name(text);
    if (action.kind == SECCOMP_ALLOW && count == 0) allow_newer(f, name);
    if (number == __NR_SCMP_ERROR) return 0;
    for (size_t i = 0; i < count; i++)
        list[i] = (struct scmp_arg_cmp){.arg = conditions[i].argument,
                                        .op = compare_code(conditions[i].compare),
                                        .datum_a = conditions[i].value,
                                        .datum_b = conditions[i].value2};
    if (!has_double(conditions, count)) return add(f, code, number, list, (unsigned)count);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) r = add(f, code, number, &list[i], 1);
    return r;
}

/* ---- the program ---- */

static struct sock_filter load(uint32_t offset) {
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}
static struct sock_filter jump(uint16_t how, uint32_t value, size_t if_true, size_t if_false) {
    return (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | how | BPF_K), value, (uint8_t)if_true,
                                        (uint8_t)if_false);
}
static struct sock_filter answer(uint32_t value) {
    return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value);
}

static int append_newer(const struct seccomp_filter *f, struct buf *out) {
    struct sock_filter code[NEWER_MAX + 8];
    size_t n = 0, tests = f->newer_count, rest = tests + 2; /* from behind the head to the end */
    if (f->otherwise.kind != SECCOMP_ERRNO) return 0;
    code[n++] = load(ARCH_OFFSET);
    code[n++] = jump(BPF_JEQ, seccomp_arch_native(), 0, rest + 3);
    code[n++] = load(NUMBER_OFFSET);
    code[n++] = jump(BPF_JGE, X32_BIT, rest + 1, 0);
    code[n++] = jump(BPF_JGT, KNOWN_LAST, 0, rest);
    for (size_t i = 0; i < tests; i++) code[n++] = jump(BPF_JEQ, f->newer[i], tests - i, 0);
    code[n++] = answer(SECCOMP_RET_ERRNO | ENOSYS);
    code[n++] = answer(SECCOMP_RET_ALLOW);
    return buf_append(out, code, n * sizeof code[0]);
}

int seccomp_filter_export(struct seccomp_filter *f, struct buf *out) {
    AUTO_CLOSE int fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (fd < 0) return -errno;
    int r = seccomp_export_bpf(f->context, fd);
    if (r < 0) return r;
    if (lseek(fd, 0, SEEK_SET) < 0) return -errno;
    AUTO(buf_done) struct buf program = BUF(0);
    r = file_read_fd(fd, PROGRAM_BYTES_MAX, &program);
    if (r < 0) return r;
    r = append_newer(f, out);
    return r < 0 ? r : buf_append(out, program.p, program.n);
}
