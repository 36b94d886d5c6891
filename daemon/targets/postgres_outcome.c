/* postgres_outcome.c - see postgres_outcome.h. */
#include "targets/postgres_outcome.h"

#include "targets/postgres_receipt.h"
#include "targets/postgres_reply.h"

#include <errno.h>
#include <string.h>

#define SHUTDOWN_MS 200u

static bool in_class(const char *code, const char *prefix)
{
    return strncmp(code, prefix, strlen(prefix)) == 0;
}

/* The server's disk is full: not the job's failure, unless what did not fit were the job's own
 * temporary files, whose path the server names in any language. */
static bool has_no_room(const struct aw_error *error)
{
    return in_class(error->code, "53100") && !strstr(error->message, "pgsql_tmp");
}

/* What the server's own error means for the job, whose transaction was rolled back. */
static enum outcome_kind judge_sqlstate(const struct aw_error *error)
{
    const char *code = error->code;
    if (has_no_room(error)) {
        return OUTCOME_UNAVAILABLE;
    }
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

void postgres_outcome_failure(struct outcome *outcome, struct aw_pg_pool *pool, int status,
                              const struct aw_error *error, bool atomic)
{
    enum outcome_kind kind = OUTCOME_DEAD;
    const char *code = error->code;
    switch (status) {
    case -EREMOTEIO:
        kind = judge_sqlstate(error);
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

void postgres_outcome_result(struct outcome *outcome, const struct execution *execution,
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
    outcome_done(outcome);
    outcome->result = value;
}

/* The receipt's own statement failed: the effect has not taken place in this run. */
static void judge_receipt(struct aw_pg_pool *pool, const struct postgres_attempt *attempt,
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
        postgres_outcome_failure(outcome, pool, -EREMOTEIO, &attempt->error, true);
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

void postgres_judge(const struct target *target, struct aw_pg_pool *pool,
                    const struct postgres_attempt *attempt, struct outcome *outcome)
{
    if (attempt->status == -EREMOTEIO && attempt->receipted && attempt->failed == 0) {
        judge_receipt(pool, attempt, outcome);
    } else if (attempt->status == -ENOMEM && attempt->receipted) {
        outcome_set(outcome, OUTCOME_RETRY, "NOMEMORY", "%s", attempt->error.message);
    } else if (attempt->status < 0) {
        postgres_outcome_failure(outcome, pool, attempt->status, &attempt->error,
                                 attempt->receipted || attempt->job->atomic);
        doubt(target, attempt->job, outcome);
    } else {
        postgres_outcome_result(outcome, attempt->execution, attempt->results,
                                attempt->receipted ? 1 : 0, attempt->job->several);
    }
}
