/* target_postgres.c - jobs that are SQL for a PostgreSQL database.
 *
 * The work is the client library's (await/pg.h); its results become outcomes in
 * postgres_outcome.h. Exactly-once: see postgres_receipt.h. Several jobs in one transaction:
 * postgres_batch.h. */
#include "targets/target.h"

#include "targets/postgres_batch.h"
#include "targets/postgres_job.h"
#include "targets/postgres_outcome.h"
#include "targets/postgres_receipt.h"
#include "targets/postgres_receipt_clean.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct postgres_state {
    struct aw_pg_pool *pool;
    struct postgres_receipts receipts; /* of an exactly-once target */
    struct postgres_batches batches;
};

static int postgres_check(struct target *target, const struct argument *arguments, uint32_t count,
                          struct aw_error *reterr)
{
    struct postgres_job job;
    int status = postgres_job_parse(&job, arguments, count, reterr);
    if (status < 0) {
        return status;
    }
    if (target->settings.delivery == TARGET_EXACTLY_ONCE) {
        status = postgres_receipt_check(&job, reterr);
    }
    postgres_job_free(&job);
    return status;
}

static void pool_changed(void *context, bool up, const char *reason)
{
    struct target *target = context;
    if (up) {
        target_set_up(target);
    } else {
        target_set_down(target, reason);
    }
}

static void postgres_stop(struct target *target)
{
    struct postgres_state *state = target->state;
    if (state != NULL) {
        postgres_receipts_stop(&state->receipts);
        aw_pg_pool_free(state->pool);
        postgres_batches_free(&state->batches);
        free(state);
        target->state = NULL;
    }
}

static int postgres_start(struct target *target, struct aw_error *reterr)
{
    struct postgres_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return aw_error_set(reterr, -ENOMEM, "target %s: out of memory", target->settings.name);
    }
    char name[POSTGRES_RECEIPT_NAME_SIZE] = "awaitd";
    if (target->settings.delivery == TARGET_EXACTLY_ONCE) {
        postgres_receipt_session_name(target, name);
    }
    const struct aw_pg_options options = {
        .uri = target->settings.uri,
        .password = target->settings.password,
        .application_name = name,
        .distinct_names = target->settings.delivery == TARGET_EXACTLY_ONCE,
        .connections = target->settings.connections,
        .pipeline = target->settings.pipeline,
        .connect_timeout_ms = target->settings.connect_timeout_ms,
        .changed = pool_changed,
        .context = target,
    };
    struct aw_error error = {0};
    int status = aw_pg_pool_create(&state->pool, &options, &error);
    if (status < 0) {
        free(state);
        return aw_error_set(reterr, status, "target %s: %s", target->settings.name, error.message);
    }
    postgres_receipts_init(&state->receipts, target, state->pool);
    postgres_batches_init(&state->batches, target, state->pool, &state->receipts);
    target->state = state;
    status = postgres_receipts_clean(&state->receipts);
    if (status < 0) {
        postgres_stop(target);
        return aw_error_set(reterr, status, "target %s: no task to clean its receipts",
                            target->settings.name);
    }
    return 0;
}

static int run_plainly(struct postgres_state *state, struct postgres_attempt *attempt)
{
    const struct aw_pg_run run = {
        .statements = attempt->job->statements,
        .statement_count = attempt->job->statement_count,
        .explicit_transaction = attempt->job->explicit_transaction,
        .replayable = attempt->job->atomic,
        .result_size_max = attempt->execution->result_size_max,
    };
    return aw_pg_run(state->pool, &run, &attempt->results, &attempt->error);
}

/* With statements that are not plain BEGIN and COMMIT go around: then the server itself refuses
 * whatever cannot share a transaction. */
static int run_with_receipt(struct postgres_state *state, struct postgres_attempt *attempt)
{
    const struct postgres_job *job = attempt->job;
    struct aw_pg_statement *statements = calloc(job->statement_count + 1, sizeof *statements);
    if (statements == NULL) {
        return aw_error_set(&attempt->error, -ENOMEM, "out of memory");
    }
    struct postgres_receipt receipt = {0};
    postgres_receipt_fill(&state->receipts, attempt->execution->job_id, &receipt);
    statements[0] = receipt.statement;
    memcpy(statements + 1, job->statements, job->statement_count * sizeof *statements);
    const struct aw_pg_run run = {
        .statements = statements,
        .statement_count = job->statement_count + 1,
        .explicit_transaction = job->explicit_transaction || !job->atomic,
        .replayable = true,
        .result_size_max = attempt->execution->result_size_max,
        .prelude = 1,
        .ret_failed = &attempt->failed,
    };
    int status = aw_pg_run(state->pool, &run, &attempt->results, &attempt->error);
    free(statements);
    return status;
}

static int run_attempt(struct postgres_state *state, struct postgres_attempt *attempt)
{
    attempt->failed = AW_PG_NO_STATEMENT;
    if (!attempt->receipted) {
        return run_plainly(state, attempt);
    }
    int status = run_with_receipt(state, attempt);
    if (status != -EREMOTEIO || attempt->failed != 0 ||
        postgres_receipt_judge(&attempt->error) != RECEIPT_MISSING) {
        return status;
    }
    status = postgres_receipts_make(&state->receipts, &attempt->error);
    return status < 0 ? status : run_with_receipt(state, attempt);
}

static void postgres_execute(struct target *target, const struct execution *execution,
                             struct outcome *ret_outcome)
{
    struct postgres_state *state = target->state;
    struct postgres_job job;
    struct postgres_attempt attempt = {
        .execution = execution,
        .job = &job,
        /* RUN has no job, and nobody runs it again */
        .receipted = target->settings.delivery == TARGET_EXACTLY_ONCE && execution->job_id != 0,
    };
    int status = postgres_job_parse(&job, execution->arguments, execution->argument_count,
                                    &attempt.error);
    if (status == 0 && attempt.receipted) { /* may be older than the target's exactly-once */
        status = postgres_receipt_check(&job, &attempt.error);
        if (status < 0) {
            postgres_job_free(&job);
        }
    }
    if (status < 0) {
        postgres_outcome_failure(ret_outcome, state->pool, status, &attempt.error, true);
        return;
    }
    if (!postgres_batch_takes(&state->batches, &attempt) ||
        postgres_batch_run(&state->batches, &attempt, ret_outcome) == BATCH_ALONE) {
        attempt.status = run_attempt(state, &attempt);
        postgres_judge(target, state->pool, &attempt, ret_outcome);
    }
    aw_pg_results_free(attempt.results);
    postgres_job_free(&job);
}

static const char *postgres_preparation(const struct target *target)
{
    return target->settings.delivery == TARGET_EXACTLY_ONCE ? postgres_receipts_preparation : NULL;
}

static int postgres_prepare(struct target *target, struct aw_error *reterr)
{
    struct postgres_state *state = target->state;
    return postgres_receipts_prepare(&state->receipts, reterr);
}

/* --- leases ---------------------------------------------------------------------------- */

static int postgres_enter(struct target *target, struct aw_event *lost, void **ret_session,
                          struct aw_error *reterr)
{
    struct postgres_state *state = target->state;
    struct aw_pg_lease *lease = NULL;
    int status = aw_pg_lease_enter(state->pool, lost, &lease, reterr);
    *ret_session = lease;
    return status;
}

static void judge_leased(int status, const struct postgres_attempt *attempt,
                         struct outcome *outcome)
{
    const struct aw_error *error = &attempt->error;
    switch (status) {
    case 0:
        postgres_outcome_result(outcome, attempt->execution, attempt->results, 0, false);
        break;
    case -ERESTART: /* a late cancellation of the statement before: rolled back like any other */
        outcome_set(outcome, OUTCOME_RETRY, error->code, "%s", error->message);
        break;
    case -ESHUTDOWN:
        outcome_set(outcome, OUTCOME_UNAVAILABLE, error->code, "%s", error->message);
        break;
    default:
        postgres_outcome_failure(outcome, NULL, status, error, true);
        break;
    }
}

static int postgres_execute_in(struct target *target, void *session,
                               const struct execution *execution, struct outcome *ret_outcome,
                               struct aw_error *reterr)
{
    struct postgres_job job;
    struct aw_error error = {0};
    int status = postgres_job_parse_leased(&job, execution->arguments, execution->argument_count,
                                           &error);
    if (status < 0) {
        return aw_error_set_code(reterr, -EINVAL, "ERR", "target %s: %s", target->settings.name,
                                 error.message);
    }
    struct postgres_attempt attempt = {.execution = execution, .job = &job};
    status = aw_pg_lease_run(session, job.statements, execution->result_size_max, &attempt.results,
                             &attempt.error);
    judge_leased(status, &attempt, ret_outcome);
    aw_pg_results_free(attempt.results);
    postgres_job_free(&job);
    return 0;
}

static bool postgres_is_alive(struct target *target, void *session, struct aw_error *reterr)
{
    (void)target;
    return aw_pg_lease_is_alive(session, reterr);
}

static bool postgres_exit(struct target *target, void *session)
{
    (void)target;
    return aw_pg_lease_exit(session);
}

const struct target_type target_type_postgres = {
    .name = "postgres",
    .check = postgres_check,
    .start = postgres_start,
    .execute = postgres_execute,
    .preparation = postgres_preparation,
    .prepare = postgres_prepare,
    .enter = postgres_enter,
    .execute_in = postgres_execute_in,
    .is_alive = postgres_is_alive,
    .exit = postgres_exit,
    .stop = postgres_stop,
};
