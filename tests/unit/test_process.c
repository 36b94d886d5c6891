/* test_process.c - children: output, input, status, ends of every kind, and nothing left behind. */
#include "support/cancel.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static int descriptors_before;

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
    descriptors_before = open_descriptors();
}

static void leave_folder(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
    cr_expect(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a child is left");
    folder_remove(folder);
}

TestSuite(process, .init = enter_folder, .fini = leave_folder);

/* Runs a shell line; what it leaves is checked and freed here. */
static void expect_shell(const char *line, const char *input, int exit_code, const char *output,
                         const char *errors)
{
    const char *arguments[] = {"sh", "-c", line, NULL};
    struct aw_process_options options = {.arguments = arguments};
    struct aw_process_output left;
    struct aw_error error = {0};
    int result = aw_process_run(&options, input, strlen(input), 1 << 20, &left, &error);
    cr_assert_eq(result, 0, "%s: %s", line, error.message);
    cr_expect(WIFEXITED(left.status) && WEXITSTATUS(left.status) == exit_code, "%s: %#x", line,
              (unsigned)left.status);
    cr_expect_str_eq(left.output, output);
    cr_expect_eq(left.output_size, strlen(output));
    cr_expect_str_eq(left.errors, errors);
    cr_expect_eq(left.errors_size, strlen(errors));
    aw_process_output_free(&left);
}

static int run_body(void *argument)
{
    (void)argument;
    expect_shell("echo out; echo err >&2; exit 3", "", 3, "out\n", "err\n");
    expect_shell("sort -n", "3\n1\n2\n", 0, "1\n2\n3\n", "");
    expect_shell("cat </dev/null", "it reads nothing of this", 0, "", "");
    expect_shell("exec cat", "", 0, "", "");
    expect_shell("ls /proc/self/fd | wc -l", "", 0, "4\n", "");
    expect_shell("grep SigBlk /proc/self/status | tr -d '\\t'", "", 0,
                 "SigBlk:0000000000000000\n", "");
    return 0;
}

Test(process, runs_with_input_and_output)
{
    /* a descriptor that would be inherited */
    int inherited = dup(STDOUT_FILENO);
    int result = aw_run(run_body, NULL);
    close(inherited);
    cr_assert_eq(result, 0);
}

static int reset_body(void *argument)
{
    (void)argument;
    const char *arguments[] = {"sh", "-c", "kill -USR1 $$; echo it is ignored", NULL};
    struct aw_process_options options = {.arguments = arguments};
    struct aw_process_output output;
    cr_assert_eq(aw_process_run(&options, NULL, 0, 100, &output, NULL), 0);
    cr_expect(WIFSIGNALED(output.status) && WTERMSIG(output.status) == SIGUSR1, "%#x %s",
              (unsigned)output.status, output.output);
    aw_process_output_free(&output);
    return 0;
}

Test(process, starts_with_no_signal_ignored)
{
    (void)signal(SIGUSR1, SIG_IGN);
    cr_assert_eq(aw_run(reset_body, NULL), 0);
}

static int large_body(void *argument)
{
    (void)argument;
    size_t size = 3 << 20;
    char *bytes = malloc(size);
    cr_assert_not_null(bytes);
    memset(bytes, 'x', size);
    const char *arguments[] = {"cat", NULL};
    struct aw_process_options options = {.arguments = arguments};
    struct aw_process_output output;
    cr_assert_eq(aw_process_run(&options, bytes, size, size, &output, NULL), 0);
    cr_expect_eq(output.output_size, size);
    cr_expect(memcmp(output.output, bytes, size) == 0);
    aw_process_output_free(&output);
    struct aw_error error = {0};
    cr_expect_eq(aw_process_run(&options, bytes, size, size - 1, &output, &error), -EFBIG);
    cr_expect(strstr(error.message, "cat") != NULL, "%s", error.message);
    free(bytes);
    return 0;
}

Test(process, moves_more_than_pipes_hold_within_a_bound)
{
    cr_assert_eq(aw_run(large_body, NULL), 0);
}

static int place_body(void *argument)
{
    (void)argument;
    const char *arguments[] = {"sh", "-c", "pwd; echo $COLOUR; echo $HOME", NULL};
    const char *environment[] = {"COLOUR=blue", "PATH=/usr/bin:/bin", NULL};
    struct aw_process_options options = {
        .arguments = arguments,
        .environment = environment,
        .directory = "/usr",
        .errors = AW_PROCESS_OUTPUT,
    };
    struct aw_process_output output;
    cr_assert_eq(aw_process_run(&options, NULL, 0, 100, &output, NULL), 0);
    cr_expect_str_eq(output.output, "/usr\nblue\n\n");
    aw_process_output_free(&output);
    return 0;
}

Test(process, has_its_own_directory_and_environment)
{
    cr_assert_eq(aw_run(place_body, NULL), 0);
}

static int descriptors_body(void *argument)
{
    (void)argument;
    int out = aw_open("out", O_RDWR | O_CREAT, 0600);
    int err = aw_open("err", O_RDWR | O_CREAT, 0600);
    cr_assert(out >= 0 && err >= 0);
    const char *arguments[] = {"sh", "-c", "echo one; echo two >&2", NULL};
    struct aw_process_options options = {
        .arguments = arguments,
        .output = AW_PROCESS_DESCRIPTOR,
        .output_descriptor = out,
        .errors = AW_PROCESS_DESCRIPTOR,
        .errors_descriptor = err,
    };
    struct aw_process *process;
    cr_assert_eq(aw_process_spawn(&process, &options, NULL), 0);
    cr_expect_null(aw_process_input(process));
    cr_expect_null(aw_process_output(process));
    cr_expect_null(aw_process_errors(process));
    int status = -1;
    cr_expect_eq(aw_process_wait(process, &status), 0);
    cr_expect_eq(status, 0);
    cr_expect_eq(aw_process_wait(process, &status), 0, "may be repeated");
    cr_expect_eq(aw_process_signal(process, SIGTERM), -ESRCH);
    aw_process_close(process);
    char text[8] = "";
    cr_expect_eq(aw_read(out, text, 8, 0), 4);
    cr_expect_str_eq(text, "one\n");
    cr_expect_eq(aw_read(err, text, 8, 0), 4);
    cr_expect_str_eq(text, "two\n");
    aw_close(out);
    aw_close(err);
    return 0;
}

Test(process, writes_to_given_descriptors)
{
    cr_assert_eq(aw_run(descriptors_body, NULL), 0);
}

static int talk_body(void *argument)
{
    (void)argument;
    const char *arguments[] = {"sh", "-c", "while read line; do echo \"<$line>\"; done; exit 7",
                               NULL};
    struct aw_process_options options = {
        .arguments = arguments,
        .input = AW_PROCESS_PIPE,
        .output = AW_PROCESS_PIPE,
    };
    struct aw_process *process;
    cr_assert_eq(aw_process_spawn(&process, &options, NULL), 0);
    cr_expect_gt(aw_process_id(process), 0);
    struct aw_stream *input = aw_process_input(process);
    struct aw_stream *output = aw_process_output(process);
    for (int i = 0; i < 3; i++) {
        char *line = NULL;
        cr_assert_eq(aw_stream_write_all(input, "word\n", 5), 0);
        cr_assert_eq(aw_stream_read_line(output, 0, &line, NULL), 7);
        cr_expect_str_eq(line, "<word>");
    }
    cr_expect_eq(aw_stream_end(input), 0);
    int status = 0;
    cr_expect_eq(aw_process_wait(process, &status), 0);
    cr_expect_eq(WEXITSTATUS(status), 7);
    aw_process_close(process);
    return 0;
}

Test(process, talks_line_by_line)
{
    cr_assert_eq(aw_run(talk_body, NULL), 0);
}

static int missing_body(void *argument)
{
    (void)argument;
    const char *missing[] = {"/no/such/program", NULL};
    const char *present[] = {"true", NULL};
    const char *nothing[] = {NULL};
    struct aw_process *process;
    struct aw_error error = {0};
    struct aw_process_options options = {.arguments = missing, .output = AW_PROCESS_PIPE};
    cr_expect_eq(aw_process_spawn(&process, &options, &error), -ENOENT);
    cr_expect(strstr(error.message, "/no/such/program") != NULL, "%s", error.message);
    options.arguments = nothing;
    cr_expect_eq(aw_process_spawn(&process, &options, NULL), -EINVAL);
    options.arguments = present;
    options.directory = "/no/such/directory";
    cr_expect_eq(aw_process_spawn(&process, &options, &error), -ENOENT);
    cr_expect(strstr(error.message, "/no/such/directory") != NULL, "%s", error.message);
    options.directory = NULL;
    options.output = AW_PROCESS_OUTPUT;
    cr_expect_eq(aw_process_spawn(&process, &options, NULL), -EINVAL);
    options.output = AW_PROCESS_DESCRIPTOR;
    options.output_descriptor = 9999;
    cr_expect_eq(aw_process_spawn(&process, &options, NULL), -EBADF);
    aw_process_close(NULL);
    return 0;
}

Test(process, says_what_could_not_be_started)
{
    cr_assert_eq(aw_run(missing_body, NULL), 0);
}

static int wait_task(void *argument)
{
    int status;
    int result = aw_process_wait(argument, &status);
    return result < 0 ? result : status;
}

static int signals_body(void *argument)
{
    (void)argument;
    const char *sleeper[] = {"sleep", "1000", NULL};
    struct aw_process_options options = {.arguments = sleeper};
    struct aw_process *process;
    cr_assert_eq(aw_process_spawn(&process, &options, NULL), 0);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(wait_task(process), -ETIME, "and the child goes on");
    aw_scope_leave(&scope);
    struct aw_task *waiters[2];
    int statuses[2];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(aw_spawn(&waiters[i], wait_task, process), 0);
    aw_yield();
    cr_expect_eq(aw_process_signal(process, SIGINT), 0);
    cr_expect_eq(aw_gather(2, waiters, statuses), 0);
    cr_expect(WIFSIGNALED(statuses[0]) && WTERMSIG(statuses[0]) == SIGINT);
    cr_expect_eq(statuses[0], statuses[1]);
    aw_process_close(process);
    return 0;
}

Test(process, can_be_signalled)
{
    cr_assert_eq(aw_run(signals_body, NULL), 0);
}

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static int stubborn_body(void *argument)
{
    (void)argument;
    const char *arguments[] = {"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done",
                               NULL};
    struct aw_process_options options = {
        .arguments = arguments,
        .output = AW_PROCESS_PIPE,
        .own_group = true,
        .grace_ms = 20,
    };
    struct aw_process *process;
    cr_assert_eq(aw_process_spawn(&process, &options, NULL), 0);
    char *line;
    cr_expect_eq(aw_stream_read_line(aw_process_output(process), 0, &line, NULL), 6);
    pid_t pid = aw_process_id(process);
    aw_process_close(process);
    cr_expect(is_gone(pid));
    /* the group was killed with it; whoever is init reaps what it had started */
    for (int i = 0; i < 10000 && !is_gone(-pid); i++)
        cr_assert_eq(aw_sleep(1), 0);
    cr_expect(is_gone(-pid), "what it started goes on");
    return 0;
}

Test(process, one_that_ignores_the_request_is_killed)
{
    cr_assert_eq(aw_run(stubborn_body, NULL), 0);
}

static int run_cat(void *argument)
{
    (void)argument;
    const char *arguments[] = {"cat", NULL};
    struct aw_process_options options = {.arguments = arguments};
    struct aw_process_output output;
    int result = aw_process_run(&options, "hello", 5, 100, &output, NULL);
    if (result == 0) {
        cr_expect_str_eq(output.output, "hello");
        aw_process_output_free(&output);
    }
    return result;
}

static int cancel_body(void *argument)
{
    (void)argument;
    cr_expect_geq(cancel_everywhere(run_cat, NULL), 4);
    return 0;
}

Test(process, can_be_cancelled_at_each_turn)
{
    cr_assert_eq(aw_run(cancel_body, NULL), 0);
}

static int deadline_body(void *argument)
{
    (void)argument;
    const char *arguments[] = {"sleep", "1000", NULL};
    struct aw_process_options options = {.arguments = arguments};
    struct aw_process_output output;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(20));
    cr_expect_eq(aw_process_run(&options, NULL, 0, 100, &output, NULL), -ETIME);
    aw_scope_leave(&scope);
    return 0;
}

Test(process, a_deadline_ends_the_child)
{
    cr_assert_eq(aw_run(deadline_body, NULL), 0);
}

static int taken_body(void *argument)
{
    (void)argument;
    const char *arguments[] = {"true", NULL};
    struct aw_process_options options = {.arguments = arguments};
    struct aw_process *process;
    cr_assert_eq(aw_process_spawn(&process, &options, NULL), 0);
    int status;
    cr_assert_eq(waitpid(aw_process_id(process), &status, 0), aw_process_id(process));
    cr_expect_eq(aw_process_wait(process, &status), -ECHILD);
    aw_process_close(process);
    return 0;
}

Test(process, a_status_that_somebody_else_took_is_missed)
{
    cr_assert_eq(aw_run(taken_body, NULL), 0);
}
