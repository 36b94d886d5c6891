/* uring_probe.c - see uring_probe.h. Causes are found by looking (sysctl files, the seccomp state
 * of this process, container marks), never by a table of kernel versions. */
#include "ring/uring_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct {
    unsigned char code;
    const char *name;
} needed[] = {
    {IORING_OP_READ, "READ"},         {IORING_OP_WRITE, "WRITE"},
    {IORING_OP_FSYNC, "FSYNC"},       {IORING_OP_FALLOCATE, "FALLOCATE"},
    {IORING_OP_OPENAT, "OPENAT"},     {IORING_OP_CLOSE, "CLOSE"},
    {IORING_OP_STATX, "STATX"},       {IORING_OP_RENAMEAT, "RENAMEAT"},
    {IORING_OP_UNLINKAT, "UNLINKAT"}, {IORING_OP_MKDIRAT, "MKDIRAT"},
    {IORING_OP_CONNECT, "CONNECT"},   {IORING_OP_ACCEPT, "ACCEPT"},
    {IORING_OP_RECV, "RECV"},         {IORING_OP_SEND, "SEND"},
    {IORING_OP_POLL_ADD, "POLL_ADD"}, {IORING_OP_SHUTDOWN, "SHUTDOWN"},
    {IORING_OP_SENDMSG, "SENDMSG"},   {IORING_OP_RECVMSG, "RECVMSG"},
    {IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"},
};

#define PROBE_OPERATIONS 256u

int uring_probe(struct io_uring *ring, struct aw_error *reterr)
{
    struct io_uring_probe *probe =
        calloc(1, sizeof *probe + PROBE_OPERATIONS * sizeof probe->ops[0]);
    if (!probe)
        return uring_explain(-ENOMEM, "io_uring probe", reterr);
    /* not io_uring_get_probe_ring: that one hides why it failed */
    int result = io_uring_register_probe(ring, probe, PROBE_OPERATIONS);
    if (result < 0)
        (void)uring_explain(result, "io_uring_register", reterr);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0] && result == 0; i++)
        if (!io_uring_opcode_supported(probe, needed[i].code))
            result = aw_error_set(reterr, -ENOSYS,
                                  "io_uring: this kernel lacks the operation %s; Linux 6.1 or "
                                  "later is needed",
                                  needed[i].name);
    free(probe);
    return result;
}

/* The first line of a small file, or "" (a missing file is an answer too). */
static void read_line(const char *path, char *line, size_t size)
{
    line[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t got = read(fd, line, size - 1);
    (void)close(fd);
    line[got > 0 ? got : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

static bool under_seccomp(void)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    const char *field = strstr(text, "\nSeccomp:");
    return field && atoi(field + strlen("\nSeccomp:")) != 0;
}

static bool in_container(void)
{
    return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0;
}

static int explain_forbidden(int number, const char *call, struct aw_error *reterr)
{
    char disabled[16];
    char group[16];
    read_line("/proc/sys/kernel/io_uring_disabled", disabled, sizeof disabled);
    read_line("/proc/sys/kernel/io_uring_group", group, sizeof group);
    if (disabled[0] == '2' || disabled[0] == '1')
        return aw_error_set(reterr, number,
                            "%s: %s: io_uring is switched off on this host "
                            "(kernel.io_uring_disabled=%s, io_uring_group=%s); run: sysctl -w "
                            "kernel.io_uring_disabled=0",
                            call, aw_error_name(number), disabled, group);
    if (under_seccomp())
        return aw_error_set(
            reterr, number,
            "%s: %s: a seccomp filter forbids io_uring%s; %s", call, aw_error_name(number),
            in_container() ? " in this container" : "",
            in_container() ? "run the container with a seccomp profile that allows io_uring_setup, "
                             "io_uring_enter and io_uring_register"
                           : "allow @aio (io_uring_setup, io_uring_enter, io_uring_register) in "
                             "the unit's SystemCallFilter=");
    if (number == -ENOSYS)
        return aw_error_set(reterr, number,
                            "%s: ENOSYS: this kernel was built without io_uring; use Linux 6.1 or "
                            "later with CONFIG_IO_URING=y",
                            call);
    return aw_error_set(reterr, number,
                        "%s: %s: io_uring is forbidden by a security policy of this host (LSM); "
                        "look for a denial in the kernel's log",
                        call, aw_error_name(number));
}

int uring_explain(int number, const char *call, struct aw_error *reterr)
{
    struct utsname host;
    const char *release = uname(&host) == 0 ? host.release : "unknown";
    switch (number) {
    case -EPERM:
    case -EACCES:
    case -ENOSYS:
        return explain_forbidden(number, call, reterr);
    case -EINVAL:
        return aw_error_set(reterr, number,
                            "%s: EINVAL: kernel %s is too old for DEFER_TASKRUN rings; Linux 6.1 "
                            "or later is needed",
                            call, release);
    case -ENOMEM:
        return aw_error_set(reterr, number,
                            "%s: ENOMEM: no memory for the ring; raise LimitMEMLOCK= (ulimit -l) "
                            "or the memory limit",
                            call);
    case -EMFILE:
    case -ENFILE:
        return aw_error_set(reterr, number,
                            "%s: %s: no file descriptor left; raise LimitNOFILE= (ulimit -n)", call,
                            aw_error_name(number));
    default:
        return aw_error_set(reterr, number, "%s: %s (%s) on kernel %s", call,
                            aw_error_name(number), aw_error_text(number), release);
    }
}
