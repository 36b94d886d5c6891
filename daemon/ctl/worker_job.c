/* worker_job.c - see worker_job.h. */
#include "ctl/worker_job.h"

#include "ctl/duration.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESERVED_ID, RESERVED_TOKEN, RESERVED_ATTEMPT, RESERVED_ARGUMENTS };

static bool is_number_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING && reply->len > 0 && reply->len <= 20 &&
           strspn(reply->str, "0123456789") == reply->len;
}

bool job_valid(const redisReply *reserved)
{
    if (reserved->type != REDIS_REPLY_ARRAY || reserved->elements < RESERVED_ARGUMENTS ||
        !is_number_text(reserved->element[RESERVED_ID]) ||
        !is_number_text(reserved->element[RESERVED_TOKEN]) ||
        reserved->element[RESERVED_ATTEMPT]->type != REDIS_REPLY_INTEGER)
        return false;
    for (size_t index = RESERVED_ARGUMENTS; index < reserved->elements; index++)
        if (reserved->element[index]->type != REDIS_REPLY_STRING &&
            reserved->element[index]->type != REDIS_REPLY_NIL)
            return false;
    return true;
}

const char *job_id(const struct job *job)
{
    return job->reserved->element[RESERVED_ID]->str;
}

static const char *token_of(const struct job *job)
{
    return job->reserved->element[RESERVED_TOKEN]->str;
}

/* --- the answer ------------------------------------------------------------------------------- */

static void begin_answer(struct job *job, const char *verb)
{
    job->state = JOB_FINISHED;
    words_add(&job->answer, verb);
    words_add(&job->answer, job_id(job));
    words_add(&job->answer, token_of(job));
}

static void answer_failure(struct job *job, const char *reason)
{
    begin_answer(job, "NACK");
    if (job->fate == FATE_STOPPED) {
        words_add(&job->answer, "DELAY");
        words_add_number(&job->answer, 0);
    }
    words_add(&job->answer, "ERROR");
    words_add(&job->answer, reason);
}

static void answer_success(struct job *job)
{
    const struct text *result = &job->child.result;
    if (job->child.truncated)
        complain(EXIT_FAILED, "job %s: its output is cut to %u bytes", job_id(job),
                 RESULT_SIZE_MAX);
    begin_answer(job, "ACK");
    if (result->size > 0)
        words_add_bytes(&job->answer, result->data, result->size);
}

static void answer_status(struct job *job, const struct worker_settings *settings, int status)
{
    char reason[64];
    char duration[32];
    if (job->fate == FATE_STOPPED) {
        answer_failure(job, "its worker was stopped");
    } else if (job->fate == FATE_TIMED_OUT) {
        duration_format(settings->timeout_ms, duration, sizeof duration);
        snprintf(reason, sizeof reason, "ran for more than %s", duration);
        answer_failure(job, reason);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        answer_success(job);
    } else if (job->child.last_line[0] != '\0') {
        answer_failure(job, job->child.last_line);
    } else {
        if (WIFSIGNALED(status))
            snprintf(reason, sizeof reason, "ended by signal %d (%s)", WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
        else
            snprintf(reason, sizeof reason, "exit code %d", WEXITSTATUS(status));
        answer_failure(job, reason);
    }
}

/* --- what the command gets -------------------------------------------------------------------- */

/* The strings of an argument or environment list; ends with a NULL. */
struct list {
    char **strings;
    size_t count;
    size_t owned_from; /* the strings before that belong to somebody else */
};

static void list_add(struct list *list, char *string)
{
    list->strings = memory_need(
        realloc(list->strings, (list->count + 2) * sizeof *list->strings));
    list->strings[list->count++] = string;
    list->strings[list->count] = NULL;
}

static void list_free(struct list *list)
{
    for (size_t index = list->owned_from; index < list->count; index++)
        free(list->strings[index]);
    free(list->strings);
}

static const char *text_of(const redisReply *argument)
{
    return argument->type == REDIS_REPLY_NIL ? "" : argument->str;
}

/* The first argument that goes by command line; one for standard input stands before it. */
static size_t first_listed(const struct worker_settings *settings)
{
    return RESERVED_ARGUMENTS + (settings->first_on_stdin ? 1 : 0);
}

/* The number of the first argument that holds a NUL byte, which no command line can; 0: none. */
static size_t find_nul(const struct job *job, const struct worker_settings *settings)
{
    for (size_t index = first_listed(settings); index < job->reserved->elements; index++) {
        const redisReply *argument = job->reserved->element[index];
        if (argument->type == REDIS_REPLY_STRING && strlen(argument->str) != argument->len)
            return index - RESERVED_ARGUMENTS + 1;
    }
    return 0;
}

static struct list command_line(const struct job *job, const struct worker_settings *settings)
{
    struct list list = {0};
    for (int index = 0; index < settings->command_count; index++)
        list_add(&list, (char *)(uintptr_t)settings->command[index]);
    list.owned_from = list.count;
    for (size_t index = first_listed(settings); index < job->reserved->elements; index++)
        list_add(&list, memory_need(strdup(text_of(job->reserved->element[index]))));
    return list;
}

static void add_variable(struct list *list, const char *name, const char *value)
{
    struct text variable = {0};
    text_append_string(&variable, name);
    text_append_string(&variable, "=");
    text_append_string(&variable, value);
    list_add(list, variable.data);
}

static void add_number(struct list *list, const char *name, unsigned long long number)
{
    char value[24];
    snprintf(value, sizeof value, "%llu", number);
    add_variable(list, name, value);
}

static struct list environment_of(const struct job *job, const struct worker_settings *settings)
{
    static const char prefix[] = "AWAITD_";
    const redisReply *reserved = job->reserved;
    struct list list = {0};
    for (char **variable = environ; *variable != NULL; variable++)
        if (strncmp(*variable, prefix, sizeof prefix - 1) != 0)
            list_add(&list, *variable);
    list.owned_from = list.count;
    add_variable(&list, "AWAITD_SOCKET", settings->socket_path);
    add_variable(&list, "AWAITD_TARGET", settings->target);
    add_variable(&list, "AWAITD_JOB", job_id(job));
    add_variable(&list, "AWAITD_TOKEN", token_of(job));
    add_number(&list, "AWAITD_ATTEMPT",
               (unsigned long long)reserved->element[RESERVED_ATTEMPT]->integer);
    add_number(&list, "AWAITD_ARGC", reserved->elements - RESERVED_ARGUMENTS);
    for (size_t index = first_listed(settings); index < reserved->elements; index++) {
        char name[40];
        snprintf(name, sizeof name, "AWAITD_ARG%zu", index - RESERVED_ARGUMENTS + 1);
        if (reserved->element[index]->type == REDIS_REPLY_STRING)
            add_variable(&list, name, reserved->element[index]->str);
    }
    return list;
}

/* --- its life --------------------------------------------------------------------------------- */

static int start_command(struct job *job, const struct worker_settings *settings)
{
    const redisReply *first = NULL;
    if (settings->first_on_stdin && job->reserved->elements > RESERVED_ARGUMENTS)
        first = job->reserved->element[RESERVED_ARGUMENTS];
    struct list arguments = command_line(job, settings);
    struct list environment = environment_of(job, settings);
    int result = child_start(&job->child, arguments.strings, environment.strings,
                             first != NULL ? text_of(first) : NULL,
                             first != NULL ? first->len : 0, job_id(job));
    list_free(&arguments);
    list_free(&environment);
    return result;
}

int job_start(struct job *job, const struct worker_settings *settings, redisReply *reserved,
              uint64_t now_ms)
{
    char reason[256];
    *job = (struct job){.state = JOB_RUNNING,
                        .reserved = reserved,
                        .child = {.input = -1, .output = -1, .errors = -1},
                        .timeout_at_ms = NEVER_MS,
                        .kill_at_ms = NEVER_MS};
    job_plan_extension(job, settings, now_ms);
    if (settings->timeout_ms > 0)
        job->timeout_at_ms = now_ms + settings->timeout_ms;
    size_t with_nul = find_nul(job, settings);
    if (with_nul > 0) {
        snprintf(reason, sizeof reason,
                 "argument %zu holds a NUL byte, which no command line can carry; "
                 "awaitctl worker --stdin takes the first argument as it is", with_nul);
        complain(EXIT_FAILED, "job %s: %s", job_id(job), reason);
        answer_failure(job, reason);
        return 0;
    }
    int result = start_command(job, settings);
    if (result < 0) {
        snprintf(reason, sizeof reason, "cannot start %.100s: %s%s", settings->command[0],
                 strerror(-result),
                 result == -E2BIG ? "; awaitctl worker --stdin takes a long first argument" : "");
        complain(EXIT_FAILED, "job %s: %s", job_id(job), reason);
        answer_failure(job, reason);
    }
    return result;
}

void job_stop(struct job *job, enum job_fate fate, uint64_t now_ms)
{
    job->fate = fate;
    job->timeout_at_ms = NEVER_MS;
    if (job->kill_at_ms != NEVER_MS)
        return;
    job->kill_at_ms = now_ms + KILL_AFTER_MS;
    child_signal(&job->child, SIGTERM);
}

void job_tick(struct job *job, const struct worker_settings *settings, uint64_t now_ms)
{
    if (job->state != JOB_RUNNING)
        return;
    if (now_ms >= job->timeout_at_ms) {
        char duration[32];
        duration_format(settings->timeout_ms, duration, sizeof duration);
        complain(EXIT_FAILED, "job %s: ran for more than %s: ending it", job_id(job), duration);
        job_stop(job, FATE_TIMED_OUT, now_ms);
    }
    if (now_ms >= job->kill_at_ms) {
        child_signal(&job->child, SIGKILL);
        job->kill_at_ms = now_ms + KILL_AFTER_MS; /* again, for what it started meanwhile */
    }
}

void job_plan_extension(struct job *job, const struct worker_settings *settings, uint64_t now_ms)
{
    uint64_t half_ms = settings->lease_ms / 2;
    job->extend_at_ms = now_ms + (half_ms < EXTEND_PAUSE_MAX_MS ? half_ms : EXTEND_PAUSE_MAX_MS);
}

uint64_t job_due_ms(const struct job *job)
{
    if (job->state != JOB_RUNNING)
        return NEVER_MS;
    uint64_t due_ms = job->timeout_at_ms < job->kill_at_ms ? job->timeout_at_ms : job->kill_at_ms;
    if (!job->extending && job->fate != FATE_TAKEN && job->extend_at_ms < due_ms)
        due_ms = job->extend_at_ms;
    return due_ms;
}

void job_collect(struct job *job, const struct worker_settings *settings)
{
    int status;
    if (job->state != JOB_RUNNING || !child_ended(&job->child, &status))
        return;
    if (job->fate == FATE_TAKEN) {
        job_free(job);
        return;
    }
    answer_status(job, settings, status);
    child_free(&job->child);
}

void job_free(struct job *job)
{
    child_free(&job->child);
    words_free(&job->answer);
    if (job->reserved != NULL)
        freeReplyObject(job->reserved);
    *job = (struct job){0};
}
