/* postgres_batch.c - see postgres_batch.h. */
#include "targets/postgres_batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESULT_SIZE_MAX ((size_t)1 << 30)
#define ID_SIZE 24u
#define MEMBERS_MAX 9000u /* the library takes 10,000 statements, one may be the receipts' */

/* A job on board; on the stack of its execution's task. */
struct passenger {
    struct postgres_attempt *attempt;
    struct outcome *outcome;
    bool filled; /* the outcome is; else the attempt is to be judged */
};

/* What came of a flight. */
struct flight_result {
    bool receipted;
    int status;
    uint32_t failed;
    struct aw_pg_results *results;
    struct aw_error error;
};

static size_t size_of(const struct postgres_attempt *attempt)
{
    const struct aw_pg_statement *statement = attempt->job->statements;
    size_t size = statement->sql_size;
    for (uint32_t i = 0; i < statement->parameter_count; i++) {
        size += statement->parameters[i].size;
    }
    return size;
}

/* A function could change the transaction or the session for who comes behind it in the same one.
 * Whoever says COALESCE vouches for those of the job. */
static bool spares_neighbours(struct postgres_batches *batches,
                              const struct postgres_attempt *attempt)
{
    const struct aw_pg_statement *statement = attempt->job->statements;
    return attempt->execution->coalesce > 1 ||
           postgres_memo_leaves_nothing(&batches->memo, statement->sql, statement->sql_size);
}

bool postgres_batch_takes(struct postgres_batches *batches, const struct postgres_attempt *attempt)
{
    return batch_coalesce_of(batches->batches.target, attempt->execution) > 1 &&
           !attempt->job->several && attempt->job->atomic &&
           size_of(attempt) <= BATCH_SIZE_MAX && spares_neighbours(batches, attempt);
}

static struct postgres_attempt *attempt_of(const struct batch_flight *flight, uint32_t index)
{
    const struct passenger *passenger = flight->members[index]->run;
    return passenger->attempt;
}

/* --- the transaction ----------------------------------------------------------------------- */

static size_t result_size_max(const struct batch_flight *flight)
{
    size_t size = 0;
    for (uint32_t i = 0; i < flight->count; i++) {
        size_t more = attempt_of(flight, i)->execution->result_size_max;
        size = more > RESULT_SIZE_MAX - size ? RESULT_SIZE_MAX : size + more;
    }
    return size;
}

static void write_ids(const struct batch_flight *flight, char *at)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        at += snprintf(at, ID_SIZE, "%c%" PRIu64, i == 0 ? '{' : ',',
                       attempt_of(flight, i)->execution->job_id);
    }
    memcpy(at, "}", 2);
}

/* One allocation: the statements, the receipts' first, then the receipts' ids. */
static struct aw_pg_statement *gather_statements(const struct batch_flight *flight,
                                                 const struct postgres_batches *batches,
                                                 bool receipted, struct postgres_receipt *receipt)
{
    size_t size = ((size_t)flight->count + 1) * sizeof(struct aw_pg_statement);
    struct aw_pg_statement *statements = malloc(size + flight->count * ID_SIZE + 2);
    if (statements == NULL) {
        return NULL;
    }
    uint32_t first = receipted ? 1 : 0;
    if (receipted) {
        char *ids = (char *)statements + size;
        write_ids(flight, ids);
        postgres_receipt_fill_many(batches->receipts, ids, receipt);
        statements[0] = receipt->statement;
    }
    for (uint32_t i = 0; i < flight->count; i++) {
        statements[first + i] = attempt_of(flight, i)->job->statements[0];
    }
    return statements;
}

static void fly(struct batch_flight *flight, void *result_space)
{
    struct postgres_batches *batches = flight->batches->context;
    struct flight_result *result = result_space;
    struct postgres_receipt receipt = {0};
    result->receipted = flight->batches->target->settings.delivery == TARGET_EXACTLY_ONCE;
    struct aw_pg_statement *statements =
        gather_statements(flight, batches, result->receipted, &receipt);
    if (statements == NULL) {
        result->status = aw_error_set_code(&result->error, -ENOMEM, "53200", "out of memory");
        return;
    }
    uint32_t first = result->receipted ? 1 : 0;
    const struct aw_pg_run run = {
        .statements = statements,
        .statement_count = first + flight->count,
        .replayable = true,
        .result_size_max = result_size_max(flight),
        .prelude = first,
        .ret_failed = &result->failed,
    };
    result->failed = AW_PG_NO_STATEMENT;
    result->status = aw_pg_run(batches->pool, &run, &result->results, &result->error);
    free(statements);
}

/* --- its end ------------------------------------------------------------------------------- */

static void give_results(struct batch_flight *flight, const struct flight_result *result)
{
    uint32_t first = result->receipted ? 1 : 0;
    for (uint32_t i = 0; i < flight->count; i++) {
        struct passenger *passenger = flight->members[i]->run;
        postgres_outcome_result(passenger->outcome, passenger->attempt->execution, result->results,
                                first + i, false);
        passenger->filled = true;
        batch_end(flight->members[i], BATCH_ENDED);
    }
}

static void all_end_alike(struct batch_flight *flight, const struct flight_result *result)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        struct postgres_attempt *attempt = attempt_of(flight, i);
        attempt->status = result->status;
        attempt->failed = result->failed;
        attempt->error = result->error;
        batch_end(flight->members[i], BATCH_ENDED);
    }
}

static void land_refused(struct batch_flight *flight, const struct flight_result *result)
{
    uint32_t first = result->receipted ? 1 : 0;
    if (flight->count == 1 && !(result->receipted && result->failed == 0)) {
        all_end_alike(flight, result); /* nobody else can have been it */
    } else if (result->failed >= first && result->failed != AW_PG_NO_STATEMENT) {
        batch_gather_again(flight, flight->members[result->failed - first]);
    } else {
        batch_scatter(flight); /* at the commit, or one of them has its receipt already */
    }
}

static void land_by_status(struct batch_flight *flight, const struct flight_result *result)
{
    switch (result->status) {
    case 0:
        give_results(flight, result);
        return;
    case -EREMOTEIO:
        land_refused(flight, result);
        return;
    case -ECANCELED:
    case -ETIME:
        batch_gather_again(flight, NULL);
        return;
    case -ENOTCONN:     /* not executed */
    case -ENOBUFS:
    case -ECONNRESET:   /* unknown */
    case -ECONNABORTED:
        all_end_alike(flight, result);
        return;
    case -EFBIG:
    case -ENOMEM:
        if (result->error.code[0] == '\0') {
            all_end_alike(flight, result); /* done, only the results are lost */
            return;
        }
        break;
    default: /* -ESHUTDOWN: perhaps by the statement of one; -EINVAL: because of one */
        break;
    }
    batch_scatter(flight);
}

static void land(struct batch_flight *flight, void *result_space)
{
    const struct flight_result *result = result_space;
    land_by_status(flight, result);
    aw_pg_results_free(result->results);
}

void postgres_batches_init(struct postgres_batches *batches, struct target *target,
                           struct aw_pg_pool *pool, struct postgres_receipts *receipts)
{
    static const struct batch_engine engine = {
        .task_name = "postgres batch",
        .cancelled_code = "57014",
        .late_code = "57014",
        .members_max = MEMBERS_MAX,
        .fly = fly,
        .land = land,
        .result_size = sizeof(struct flight_result),
    };
    *batches = (struct postgres_batches){.pool = pool, .receipts = receipts};
    batches_init(&batches->batches, &engine, target, target->settings.connections, batches);
}

void postgres_batches_free(struct postgres_batches *batches)
{
    postgres_memo_free(&batches->memo);
}

enum batch_verdict postgres_batch_run(struct postgres_batches *batches,
                                      struct postgres_attempt *attempt,
                                      struct outcome *ret_outcome)
{
    struct passenger passenger = {.attempt = attempt, .outcome = ret_outcome};
    struct batch_member member = {
        .run = &passenger,
        .size_bytes = size_of(attempt),
        .coalesce = batch_coalesce_of(batches->batches.target, attempt->execution),
    };
    enum batch_verdict verdict = batch_run(&batches->batches, &member, ret_outcome);
    if (verdict == BATCH_ENDED && !passenger.filled) {
        postgres_judge(batches->batches.target, batches->pool, attempt, ret_outcome);
    }
    return verdict;
}
