/* SPDX-License-Identifier: Apache-2.0 */
/* confine_calls.c - system calls that an isolated plugin does without: everything that looks into,
 * stops or signals another process, loads code into the kernel, changes the machine, or leads
 * around these rules. A list of what is refused, not of what is allowed: plugins bring their own
 * libraries, and a filter that breaks with the next one would soon be switched off. Refused is
 * EPERM. The only user of libseccomp. */
#include "plugin/confine.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Names, so that a call this machine or this libseccomp does not know is left out. */
static const char *const never[] = {
    /* other processes */
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "process_mrelease",
    "pidfd_open",
    "pidfd_getfd",
    "pidfd_send_signal",
    "kcmp",
    "tkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "move_pages",
    "migrate_pages",
    "perf_event_open",
    "setpriority",
    "ioprio_set",
    "setpgid",
    "setsid",
    /* the kernel and the machine */
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "bpf",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "quotactl_fd",
    "settimeofday",
    "clock_settime",
    "clock_settime64",
    "clock_adjtime",
    "adjtimex",
    "stime",
    "sethostname",
    "setdomainname",
    "syslog",
    "iopl",
    "ioperm",
    "vhangup",
    "lookup_dcookie",
    "nfsservctl",
    /* mounts, name spaces, files by handle: around Landlock */
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "open_tree",
    "open_tree_attr",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "unshare",
    "setns",
    "open_by_handle_at",
    "name_to_handle_at",
    "fanotify_init",
    "userfaultfd",
    /* calls that would be made past this filter */
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    /* keys of the user, memory shared with other processes of the user */
    "add_key",
    "request_key",
    "keyctl",
    "shmget",
    "shmat",
    "shmctl",
    "msgget",
    "msgsnd",
    "msgrcv",
    "msgctl",
    "semget",
    "semop",
    "semtimedop",
    "semctl",
    "mq_open",
    /* identity */
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "setfsuid",
    "setfsgid",
    "personality",
};

static int refuse(scmp_filter_ctx f, const char *name, int how)
{
    int nr = seccomp_syscall_resolve_name(name);
    return nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(f, SCMP_ACT_ERRNO((unsigned)how), nr, 0);
}

/* Argument `no` compared with one value; SCMP_A0() leaves datum_b without a word about it. */
static struct scmp_arg_cmp arg(unsigned no, enum scmp_compare op, scmp_datum_t value)
{
    return (struct scmp_arg_cmp){.arg = no, .op = op, .datum_a = value};
}

/* Local sockets lead to services that know their callers by user id: the database (peer), the bus,
 * the gateway's own. Pairs stay allowed. */
static int sockets(scmp_filter_ctx f)
{
    static const int inet[] = {AF_INET, AF_INET6, AF_NETLINK};
    int rc = 0;
    for (int family = 0; family < AF_MAX && !rc; family++) {
        bool may = false;
        for (size_t i = 0; i < ARRAY_LEN(inet); i++)
            may = may || family == inet[i];
        if (!may)
            rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)family));
    }
    if (!rc)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                              arg(0, SCMP_CMP_GE, AF_MAX));
    /* of netlink only what resolvers ask: addresses and routes (protocol 0) */
    if (!rc)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 2,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, AF_NETLINK),
                              arg(2, SCMP_CMP_GT, 0));
    return rc;
}

/* To itself, so that abort() and raise() work; anybody else is none of its business. */
static int signals(scmp_filter_ctx f)
{
    scmp_datum_t self = (scmp_datum_t)getpid();
    int rc =
        seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1, arg(0, SCMP_CMP_NE, self));
    if (!rc)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                              arg(0, SCMP_CMP_NE, self));
    return rc;
}

/* Limits and the scheduling of others. 0 names the caller. */
static int limits_of_others(scmp_filter_ctx f)
{
    return seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1,
                            arg(0, SCMP_CMP_NE, 0));
}

static int tasks(scmp_filter_ctx f, bool exec)
{
    static const unsigned long spaces[] = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                           CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                           CLONE_NEWNET};
    int rc = refuse(f, "clone3", ENOSYS); /* its flags lie in memory; libc then takes clone */
    for (size_t i = 0; i < ARRAY_LEN(spaces) && !rc; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
    if (rc || exec)
        return rc;
    rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                          SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    static const char *const with_exec[] = {"execve", "execveat", "fork", "vfork"};
    for (size_t i = 0; i < ARRAY_LEN(with_exec) && !rc; i++)
        rc = refuse(f, with_exec[i], EPERM);
    return rc;
}

int confine_calls(const struct confine *c, struct diag *diag)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW); /* another architecture's calls kill */
    int rc = f ? 0 : -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(never) && !rc; i++)
        rc = refuse(f, never[i], EPERM);
    if (!rc && !(rc = sockets(f)) && !(rc = signals(f)) && !(rc = limits_of_others(f)) &&
        !(rc = tasks(f, c->exec)))
        rc = seccomp_load(f);
    if (f)
        seccomp_release(f);
    return rc ? diag_set(diag, rc, "", "system call filter: %s", strerror(-rc)) : 0;
}
