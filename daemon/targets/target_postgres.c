/* target_postgres.c - jobs that are SQL for a PostgreSQL database.
 *
 * The work is the client library's (await/pg.h); here its results become outcomes. The rule: what
 * is known to have been rolled back may be tried again or is dead, what never ran costs nothing,
 * and only a connection lost while the statement ran is INTERRUPTED.
 *
 * Exactly-once: see postgres_receipt.h. At-most-once: a lone CALL or DO may have committed a part
 * before it failed or was stopped, so that is INTERRUPTED too. */
#include "targets/target.h"

#include "targets/postgres_job.h"
#include "targets/postgres_receipt.h"
#include "targets/postgres_receipt_clean.h"
#include "targets/postgres_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHUTDOWN_MS 200u

struct postgres_state {
    struct aw_pg_pool *pool;
    struct postgres_receipts receipts; /* of an exactly-once target */
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
        aw_pg_pool_free(state->pool);
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
    target->state = state;
    status = postgres_receipts_clean(&state->receipts);
    if (status < 0) {
        postgres_stop(target);
        return aw_error_set(reterr, status, "target %s: no task to clean its receipts",
                            target->settings.name);
    }
    return 0;
}

static bool in_class(const char *code, const char *prefix)
{
    return strncmp(code, prefix, strlen(prefix)) == 0;
}

/* What the server's own error means for the job, whose transaction was rolled back. */
static enum outcome_kind judge_sqlstate(const char *code)
{
    if (in_class(code, "40003")) { /* statement completion unknown */
        return OUTCOME_INTERRUPTED;
    }
    /* 08P01 is a wrong number of parameters. 25006: a standby, perhaps for the moment only. */
    static const char *const may_pass[] = {"40", "53", "57", "58", "08", "55P03", "25006"};
    for (size_t i = 0; i < sizeof may_pass / sizeof may_pass[0]; i++) {
        if (in_class(code, may_pass[i]) && !in_class(code, "08P01")) {
            return OUTCOME_RETRY;
        }
    }
    return OUTCOME_DEAD;
}

/* The session was ended while the job ran. By a shutdown: then the job has nothing to do with it.
 * If the server goes on, somebody (or the job itself) ended this one session, and that counts as
 * the job's failure: a statement that ends its own session would otherwise run for ever. A
 * shutdown ends all sessions within moments, so the question is asked a little later. */
static enum outcome_kind judge_ended_session(struct aw_pg_pool *pool, bool atomic)
{
    if (!atomic) { /* CALL and DO may have committed a part: for the queue to judge */
        return OUTCOME_INTERRUPTED;
    }
    bool goes_on = aw_sleep(SHUTDOWN_MS) == 0 &&
                   aw_pg_query(pool, "SELECT 1", 0, NULL, NULL, NULL) == 0;
    return goes_on ? OUTCOME_RETRY : OUTCOME_UNAVAILABLE;
}

static void set_failure(struct outcome *outcome, struct aw_pg_pool *pool, int status,
                        const struct aw_error *error, bool atomic)
{
    enum outcome_kind kind = OUTCOME_DEAD;
    const char *code = error->code;
    switch (status) {
    case -EREMOTEIO:
        kind = judge_sqlstate(code);
        break;
    case -ESHUTDOWN:
        kind = judge_ended_session(pool, atomic);
        break;
    case -ENOTCONN:
        kind = OUTCOME_UNAVAILABLE;
        break;
    case -ENOBUFS:
        kind = OUTCOME_UNAVAILABLE;
        code = "BUSY";
        break;
    case -ERESTART: /* a lone CALL or DO hit by a neighbour's cancellation: parts may have lasted */
    case -ECONNRESET:
    case -ECONNABORTED:
        kind = OUTCOME_INTERRUPTED;
        break;
    case -ETIME:
    case -ECANCELED:
        kind = OUTCOME_STOPPED;
        break;
    case -EFBIG:
        code = "RESULTTOOBIG";
        break;
    case -EINVAL:
        code = "BADARGUMENT";
        break;
    case -ENOMEM:
        code = "NOMEMORY"; /* dead, not retried: it may have been done */
        break;
    default:
        code = aw_error_name(status);
        break;
    }
    outcome_set(outcome, kind, code, "%s", error->message);
}

static void set_result(struct outcome *outcome, const struct execution *execution,
                       const struct aw_pg_results *results, uint32_t first, bool several)
{
    struct buffer value = {0};
    int status = postgres_reply(&value, results, first, several, execution->format,
                                execution->result_size_max);
    if (status < 0) {
        buffer_free(&value);
        outcome_set(outcome, OUTCOME_DEAD, status == -EFBIG ? "RESULTTOOBIG" : "NOMEMORY",
                    status == -EFBIG
                        ? "the result is larger than %zu bytes; the statement itself was done"
                        : "no memory for the result (limit %zu bytes); the statement itself "
                          "was done",
                    execution->result_size_max);
        return;
    }
    outcome_set(outcome, OUTCOME_DONE, "", "%s", "");
    outcome->result = value;
}

/* One run of a job, and what came of it. */
struct attempt {
    const struct execution *execution;
    const struct postgres_job *job;
    bool receipted;  /* the first statement is the receipt's */
    uint32_t failed; /* the statement that raised the error */
    struct aw_pg_results *results;
    struct aw_error error;
};

static int run_plainly(struct postgres_state *state, struct attempt *attempt)
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
static int run_with_receipt(struct postgres_state *state, struct attempt *attempt)
{
    const struct postgres_job *job = attempt->job;
    struct aw_pg_statement *statements = calloc(job->statement_count + 1, sizeof *statements);
    if (statements == NULL) {
        return aw_error_set(&attempt->error, -ENOMEM, "out of memory");
    }
    struct postgres_receipt receipt;
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

static int run_attempt(struct postgres_state *state, struct attempt *attempt)
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

/* The receipt's own statement failed: the effect has not taken place in this run. */
static void judge_receipt(struct postgres_state *state, const struct attempt *attempt,
                          struct outcome *outcome)
{
    enum receipt_verdict verdict = postgres_receipt_judge(&attempt->error);
    if (verdict == RECEIPT_EXISTS) {
        outcome_set(outcome, OUTCOME_DONE, "", "%s", "");
        value_simple(&outcome->result, "OK"); /* its rows were lost with the first answer */
    } else if (verdict == RECEIPT_MISSING) {
        outcome_set(outcome, OUTCOME_UNAVAILABLE, attempt->error.code, "%s",
                    attempt->error.message);
    } else {
        set_failure(outcome, state->pool, -EREMOTEIO, &attempt->error, true);
    }
}

/* What may have lasted in part must not be repeated. */
static void doubt(const struct target *target, const struct postgres_job *job,
                  struct outcome *outcome)
{
    if (target->settings.delivery == TARGET_AT_MOST_ONCE && !job->atomic &&
        (outcome->kind == OUTCOME_RETRY || outcome->kind == OUTCOME_STOPPED)) {
        outcome->kind = OUTCOME_INTERRUPTED;
    }
}

static void judge(struct target *target, int status, const struct attempt *attempt,
                  struct outcome *outcome)
{
    struct postgres_state *state = target->state;
    if (status == -EREMOTEIO && attempt->receipted && attempt->failed == 0) {
        judge_receipt(state, attempt, outcome);
    } else if (status == -ENOMEM && attempt->receipted) {
        outcome_set(outcome, OUTCOME_RETRY, "NOMEMORY", "%s", attempt->error.message);
    } else if (status < 0) {
        set_failure(outcome, state->pool, status, &attempt->error,
                    attempt->receipted || attempt->job->atomic);
        doubt(target, attempt->job, outcome);
    } else {
        set_result(outcome, attempt->execution, attempt->results, attempt->receipted ? 1 : 0,
                   attempt->job->several);
    }
}

static void postgres_execute(struct target *target, const struct execution *execution,
                             struct outcome *ret_outcome)
{
    struct postgres_state *state = target->state;
    struct postgres_job job;
    struct attempt attempt = {
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
        set_failure(ret_outcome, state->pool, status, &attempt.error, true);
        return;
    }
    status = run_attempt(state, &attempt);
    judge(target, status, &attempt, ret_outcome);
    aw_pg_results_free(attempt.results);
    postgres_job_free(&job);
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

static void judge_leased(int status, const struct attempt *attempt, struct outcome *outcome)
{
    const struct aw_error *error = &attempt->error;
    switch (status) {
    case 0:
        set_result(outcome, attempt->execution, attempt->results, 0, false);
        break;
    case -ERESTART: /* a late cancellation of the statement before: rolled back like any other */
        outcome_set(outcome, OUTCOME_RETRY, error->code, "%s", error->message);
        break;
    case -ESHUTDOWN:
        outcome_set(outcome, OUTCOME_UNAVAILABLE, error->code, "%s", error->message);
        break;
    default:
        set_failure(outcome, NULL, status, error, true);
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
    struct attempt attempt = {.execution = execution, .job = &job};
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
    .enter = postgres_enter,
    .execute_in = postgres_execute_in,
    .is_alive = postgres_is_alive,
    .exit = postgres_exit,
    .stop = postgres_stop,
};
