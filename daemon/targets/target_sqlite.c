/* target_sqlite.c - jobs on a local SQLite database.
 *
 * Each job is one transaction, durable when it is answered; a pool of connections runs reading
 * jobs at the same time and writing ones in turn. Statements that control transactions or change
 * the connection are refused, foreign keys are enforced, the SQL function sleep(ms) suspends only
 * its job.
 *
 * How arguments are bound and results look: target_sqlite_arguments.c, target_sqlite_result.c.
 * Several jobs in one transaction: target_sqlite_batch.c.
 *
 * Down: the file cannot be opened or used (no such folder, no permission, not a database,
 * corrupt, disk full, I/O error). One probe task then tries with growing pauses until it answers
 * again. A file that another process keeps locked is not down: the job is retried. */
#include "targets/target_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_FIRST_MS 250u
#define PROBE_MAX_MS 30000u
#define SPACE_NEEDED_BYTES ((uint64_t)4 << 20)

struct sqlite_target {
    struct aw_sqlite_pool *pool;
    struct sqlite_receipts receipts;
    struct sqlite_batches batches;
    bool probing;
    bool disk_full;    /* why it is down: reading proves nothing then */
    uint32_t pause_ms; /* before the next probe; falls back once a job has succeeded */
};

static int check(struct target *target, const struct argument *arguments, uint32_t count,
                 struct aw_error *reterr)
{
    if (target->settings.delivery == TARGET_EXACTLY_ONCE)
        return sqlite_receipt_check(arguments, count, reterr);
    return sqlite_job_check(arguments, count, reterr);
}

static int probe_once(struct target *target, struct aw_error *reterr)
{
    struct sqlite_target *state = target->state;
    int result = aw_sqlite_pool_probe(state->pool, reterr);
    if (result < 0 || !state->disk_full)
        return result;
    uint64_t free_bytes;
    result = aw_disk_free(target->settings.path, &free_bytes);
    if (result == 0 && free_bytes < SPACE_NEEDED_BYTES)
        return aw_error_set(reterr, -ENOSPC, "the disk of %s is full: make room",
                            target->settings.path);
    return 0;
}

static bool is_locked(const struct aw_error *error)
{
    return error->number == -EBUSY;
}

/* Until the database answers, or the daemon stops. */
static int probe(void *argument)
{
    struct target *target = argument;
    struct sqlite_target *state = target->state;
    aw_task_set_name(NULL, "sqlite probe");
    int result = 0;
    while (result == 0) {
        struct aw_error error = { 0 };
        int answer = probe_once(target, &error);
        if (answer == 0 || is_locked(&error)) {
            state->disk_full = false;
            target_set_up(target);
            break;
        }
        if (answer == -ECANCELED)
            break;
        target_set_down(target, error.message);
        uint32_t pause_ms = state->pause_ms;
        state->pause_ms = pause_ms * 2 < PROBE_MAX_MS ? pause_ms * 2 : PROBE_MAX_MS;
        result = aw_sleep(pause_ms / 2 + aw_random_below(pause_ms));
    }
    state->probing = false;
    return 0;
}

static int probe_after_pause(void *argument)
{
    struct target *target = argument;
    struct sqlite_target *state = target->state;
    if (aw_sleep(state->pause_ms) == 0)
        return probe(argument);
    state->probing = false;
    return 0;
}

static void go_down(struct target *target, const char *reason)
{
    struct sqlite_target *state = target->state;
    target_set_down(target, reason);
    if (state->probing)
        return;
    state->probing = true;
    if (aw_group_spawn(target->group, probe_after_pause, target) < 0) {
        /* No task to spare, or stopping: rather up and failing than down for ever. */
        state->probing = false;
        target_set_up(target);
    }
}

static int start(struct target *target, struct aw_error *reterr)
{
    struct sqlite_target *state = calloc(1, sizeof(*state));
    if (!state)
        return aw_error_set(reterr, -ENOMEM, "cannot start target %s: out of memory",
                            target->settings.name);
    struct aw_sqlite_pool_options options = {
        .flags = AW_SQLITE_CREATE | AW_SQLITE_UNTRUSTED,
        .connections_max = target->settings.connections,
    };
    int result = aw_sqlite_pool_new(&state->pool, target->settings.path, &options, reterr);
    if (result < 0) {
        free(state);
        return result;
    }
    state->pause_ms = PROBE_FIRST_MS;
    state->probing = true;
    target->state = state;
    target->up = true;
    state->receipts = (struct sqlite_receipts){ target, state->pool };
    sqlite_batches_init(&state->batches, target, state->pool);
    result = sqlite_receipts_clean(&state->receipts);
    if (result == 0)
        result = aw_group_spawn(target->group, probe, target);
    if (result < 0) {
        aw_sqlite_pool_free(state->pool);
        free(state);
        target->state = NULL;
        return aw_error_set(reterr, result, "cannot start target %s: %s", target->settings.name,
                            aw_error_text(result));
    }
    return 0;
}

static bool code_begins(const struct aw_error *error, const char *prefix)
{
    return strncmp(error->code, prefix, strlen(prefix)) == 0;
}

enum outcome_kind sqlite_outcome_kind(const struct aw_error *error)
{
    switch (error->number) {
    case -ECANCELED:
    case -ETIME:
        return OUTCOME_STOPPED;
    case -EUCLEAN:
        return OUTCOME_INTERRUPTED;
    case -EAGAIN: /* the pool recovers */
        return OUTCOME_UNAVAILABLE;
    case -EBUSY:
    case -ENOMEM:
        return OUTCOME_RETRY;
    default:
        break;
    }
    static const char *const unusable[] = { "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CORRUPT",
                                            "SQLITE_NOTADB", "SQLITE_CANTOPEN" };
    for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++)
        if (code_begins(error, unusable[i]))
            return OUTCOME_UNAVAILABLE;
    return code_begins(error, "SQLITE_READONLY") ? OUTCOME_RETRY : OUTCOME_DEAD;
}

static const char *code_of(const struct aw_error *error)
{
    if (error->number == -ECANCELED)
        return "CANCELLED";
    if (error->number == -ETIME)
        return "TIMEOUT";
    return error->code[0] ? error->code : aw_error_name(error->number);
}

static void fail(struct target *target, const struct aw_error *error, struct outcome *outcome)
{
    struct sqlite_target *state = target->state;
    enum outcome_kind kind = sqlite_outcome_kind(error);
    const char *hint = error->number == -ENOTSUP ? ": send one, or several as TX" : "";
    outcome_set(outcome, kind, code_of(error), "%s%s", error->message, hint);
    if (kind == OUTCOME_INTERRUPTED || kind == OUTCOME_UNAVAILABLE) {
        state->disk_full = code_begins(error, "SQLITE_FULL");
        go_down(target, error->message);
    }
}

static void begin_run(struct sqlite_run *run, const struct execution *execution,
                      const struct sqlite_job *job)
{
    *run = (struct sqlite_run){ .job_id = execution->job_id, .job = job };
    run->rows = (struct sqlite_result){ .job = job,
                                        .format = execution->format,
                                        .size_max = execution->result_size_max,
                                        .error = &run->error,
                                        .out = &run->out };
    run->receiver = sqlite_result_receiver(&run->rows);
}

static void run_alone(const struct target *target, struct sqlite_run *run)
{
    const struct sqlite_target *state = target->state;
    /* RUN has no job, and nobody runs it again */
    bool receipted = target->settings.delivery == TARGET_EXACTLY_ONCE && run->job_id != 0;
    run->status = sqlite_run_together(state->pool, receipted ? target->settings.store : NULL, &run,
                                      1, NULL, &run->error);
}

/* Takes run->out. */
static void end_run(struct target *target, struct sqlite_run *run, struct outcome *ret_outcome)
{
    struct sqlite_target *state = target->state;
    if (run->status < 0) {
        run->error.number = run->status;
        buffer_free(&run->out);
        fail(target, &run->error, ret_outcome);
        return;
    }
    if (run->status == SQLITE_RECEIPT_EXISTS) {
        buffer_clear(&run->out);
        value_simple(&run->out, "OK"); /* its rows were lost with the first answer */
    }
    outcome_set(ret_outcome, OUTCOME_DONE, "", "%s", "");
    ret_outcome->result = run->out;
    state->pause_ms = PROBE_FIRST_MS;
    if (!state->disk_full)
        target_set_up(target);
}

static void execute(struct target *target, const struct execution *execution,
                    struct outcome *ret_outcome)
{
    struct sqlite_target *state = target->state;
    *ret_outcome = (struct outcome){ 0 };
    struct aw_error error = { 0 };
    struct sqlite_job job;
    int result = sqlite_job_parse(execution->arguments, execution->argument_count, &job, &error);
    if (result < 0) {
        fail(target, &error, ret_outcome);
        return;
    }
    struct sqlite_run run;
    begin_run(&run, execution, &job);
    enum batch_verdict verdict = sqlite_batch_run(&state->batches, execution, &run, ret_outcome);
    if (verdict == BATCH_ALONE)
        run_alone(target, &run);
    if (verdict == BATCH_STOPPED)
        buffer_free(&run.out);
    else
        end_run(target, &run, ret_outcome);
    buffer_free(&run.rows.rows);
    sqlite_job_free(&job);
}

/* --- leases: one writer at a time also here, so a lease that has written holds up the others until
 * it commits, or until its deadline ------------------------------------------------------------ */

static int enter(struct target *target, struct aw_event *lost, void **ret_session,
                 struct aw_error *reterr)
{
    struct sqlite_target *state = target->state;
    struct aw_sqlite_session *session = NULL;
    int result = aw_sqlite_session_enter(state->pool, lost, &session, reterr);
    *ret_session = session;
    return result;
}

static int parse_leased(const struct target *target, const struct execution *execution,
                        struct sqlite_job *ret_job, struct aw_error *reterr)
{
    struct aw_error error = { 0 };
    int result = sqlite_job_parse(execution->arguments, execution->argument_count, ret_job, &error);
    if (result == 0 && ret_job->transaction) {
        sqlite_job_free(ret_job);
        result = aw_error_set(&error, -EINVAL, "TX is not for a leased connection: send BEGIN, the "
                                               "statements and COMMIT");
    }
    if (result < 0)
        aw_error_set_code(reterr, result, "ERR", "target %s: %s", target->settings.name,
                          error.message);
    return result;
}

static int execute_in(struct target *target, void *session, const struct execution *execution,
                      struct outcome *ret_outcome, struct aw_error *reterr)
{
    struct sqlite_job job;
    int result = parse_leased(target, execution, &job, reterr);
    if (result < 0)
        return result;
    struct aw_error error = { 0 };
    struct buffer out = { 0 };
    struct sqlite_result rows = { .job = &job,
                                  .format = execution->format,
                                  .size_max = execution->result_size_max,
                                  .error = &error,
                                  .out = &out };
    struct aw_sqlite_receiver receiver = sqlite_result_receiver(&rows);
    result = aw_sqlite_session_query(session, job.statements, &receiver, &error);
    buffer_free(&rows.rows);
    sqlite_job_free(&job);
    if (result < 0) {
        error.number = result;
        buffer_free(&out);
        fail(target, &error, ret_outcome);
        return 0;
    }
    if (result == AW_SQLITE_ROLLED_BACK_BEFORE)
        value_simple(&out, "ROLLBACK");
    outcome_set(ret_outcome, OUTCOME_DONE, "", "%s", "");
    ret_outcome->result = out;
    return 0;
}

static bool is_alive(struct target *target, void *session, struct aw_error *reterr)
{
    if (aw_sqlite_session_is_alive(session))
        return true;
    aw_error_set(reterr, -EUCLEAN, "a write to %s has failed and it is being recovered",
                 target->settings.path);
    return false;
}

static bool leave(struct target *target, void *session)
{
    (void)target;
    return aw_sqlite_session_exit(session);
}

static void stop(struct target *target)
{
    struct sqlite_target *state = target->state;
    if (!state)
        return;
    aw_sqlite_pool_free(state->pool);
    free(state);
    target->state = NULL;
}

const struct target_type target_type_sqlite = {
    .name = "sqlite",
    .check = check,
    .start = start,
    .execute = execute,
    .enter = enter,
    .execute_in = execute_in,
    .is_alive = is_alive,
    .exit = leave,
    .stop = stop,
};
