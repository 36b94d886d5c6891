/* test_uring_probe.c - a loop that cannot be had: the message names the cause and the remedy.
 * Children run under a seccomp filter of a few instructions. */
#include "ring/uring_probe.h"

#include "support/valgrind.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_words(const struct aw_error *error, const char *const words[])
{
    for (int i = 0; words[i]; i++)
        cr_expect(strstr(error->message, words[i]), "\"%s\" is missing in: %s", words[i],
                  error->message);
    cr_expect_null(strchr(error->message, '\n'));
}

Test(uring_probe, each_errno_has_its_remedy)
{
    static const struct {
        int number;
        const char *words[4];
    } cases[] = {
        {-EINVAL, {"EINVAL", "6.1", "kernel"}},
        {-ENOMEM, {"ENOMEM", "LimitMEMLOCK"}},
        {-EMFILE, {"EMFILE", "LimitNOFILE"}},
        {-ENFILE, {"ENFILE", "LimitNOFILE"}},
        {-EFAULT, {"EFAULT", "Bad address"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct aw_error error = {0};
        cr_expect_eq(uring_explain(cases[i].number, "io_uring_setup", &error), cases[i].number);
        cr_expect_eq(error.number, cases[i].number);
        expect_words(&error, cases[i].words);
        cr_expect(strstr(error.message, "io_uring_setup"), "which call? %s", error.message);
    }
    static const int refusals[] = {-EPERM, -EACCES, -ENOSYS};
    for (size_t i = 0; i < 3; i++) {
        struct aw_error error = {0};
        cr_expect_eq(uring_explain(refusals[i], "io_uring_setup", &error), refusals[i]);
        const char *const words[] = {"io_uring_setup", aw_error_name(refusals[i]), NULL};
        expect_words(&error, words);
    }
    cr_expect_eq(uring_explain(-EPERM, "io_uring_setup", NULL), -EPERM);
}

/* From here on the process gets `number` from that system call. */
static int forbid(long call, unsigned number)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | number),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int nothing(void *argument)
{
    (void)argument;
    return 7;
}

struct report {
    int forbidden;
    int result;
    struct aw_error error;
};

/* What aw_run says in a process where the call is forbidden. */
static struct report run_without(long call, unsigned number)
{
    struct report report = {.forbidden = -1, .result = 1};
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        report.forbidden = forbid(call, number);
        report.result = aw_run_with(NULL, nothing, NULL, &report.error);
        _exit(write(ends[1], &report, sizeof report) == (ssize_t)sizeof report ? 0 : 1);
    }
    close(ends[1]);
    cr_assert_eq(read(ends[0], &report, sizeof report), (ssize_t)sizeof report,
                 "the child died instead of telling");
    close(ends[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(report.forbidden, 0, "no filter could be set");
    return report;
}

Test(uring_probe, seccomp_is_named_with_its_remedy)
{
    static const struct {
        long call;
        const char *name;
    } calls[] = {
        {SYS_io_uring_setup, "io_uring_setup"},
        {SYS_io_uring_enter, "io_uring_enter"},
        {SYS_io_uring_register, "io_uring_register"},
    };
    static const int numbers[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 2; j++) {
            struct report report = run_without(calls[i].call, (unsigned)numbers[j]);
            cr_expect_eq(report.result, -numbers[j], "%s: %d", calls[i].name, report.result);
            cr_expect_eq(report.error.number, -numbers[j]);
            const char *const words[] = {"seccomp", calls[i].name, aw_error_name(numbers[j]),
                                         "io_uring_setup", NULL};
            expect_words(&report.error, words);
            cr_expect(strstr(report.error.message, "SystemCallFilter") ||
                          strstr(report.error.message, "seccomp profile"),
                      "no remedy: %s", report.error.message);
        }
    }
}

Test(uring_probe, no_descriptor_left)
{
    NEEDS_A_LIMIT_OF_DESCRIPTORS();
    struct rlimit before;
    struct rlimit none;
    struct aw_error error = {0};
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = aw_run_with(NULL, nothing, NULL, &error);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_expect_eq(result, -EMFILE);
    const char *const words[] = {"EMFILE", "LimitNOFILE", NULL};
    expect_words(&error, words);
    cr_expect_eq(aw_run(nothing, NULL), 7, "the failure left something behind");
}

Test(uring_probe, options_out_of_range_are_refused)
{
    struct aw_error error = {0};
    struct aw_options options = {.stack_size_bytes = SIZE_MAX};
    cr_expect_eq(aw_run_with(&options, nothing, NULL, &error), -EINVAL);
    cr_expect(strstr(error.message, "stack_size_bytes"), "%s", error.message);
    options = (struct aw_options){.tasks_max = 1};
    error = (struct aw_error){0};
    cr_expect_eq(aw_run_with(&options, nothing, NULL, &error), -EAGAIN);
    cr_expect(strstr(error.message, "tasks_max"), "%s", error.message);
    options = (struct aw_options){.tasks_max = UINT32_MAX, .operations_max = UINT32_MAX};
    cr_expect_eq(aw_run_with(&options, nothing, NULL, NULL), 7);
}
