/* target_sqlite_batch.c - several jobs of a sqlite target in one transaction; see target_sqlite.h
 * and batch.h. */
#include "targets/target_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct flight_result {
    int status;
    uint32_t guilty;
    struct aw_error error;
};

static bool changes_rows(const struct aw_sqlite_statement *statement)
{
    static const char *const words[] = { "INSERT", "REPLACE", "UPDATE", "DELETE" };
    const char *cursor = statement->sql;
    size_t length;
    const char *word = aw_sqlite_next_word(&cursor, statement->sql + statement->sql_size, &length);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strlen(words[i]) == length && sqlite3_strnicmp(words[i], word, (int)length) == 0)
            return true;
    return false;
}

static size_t size_of(const struct sqlite_job *job)
{
    size_t size = job->statements->sql_size;
    for (unsigned i = 0; i < job->statements->value_count; i++)
        size += job->statements->values[i].size;
    return size;
}

static struct sqlite_run *run_of(const struct batch_flight *flight, uint32_t index)
{
    return flight->members[index]->run;
}

static void fly(struct batch_flight *flight, void *result_space)
{
    struct flight_result *result = result_space;
    const struct sqlite_batches *batches = flight->batches->context;
    const struct target_settings *settings = &flight->batches->target->settings;
    const char *store = settings->delivery == TARGET_EXACTLY_ONCE ? settings->store : NULL;
    struct sqlite_run **runs = calloc(flight->count, sizeof(*runs));
    result->guilty = SQLITE_NOBODY;
    if (!runs) {
        result->status =
            aw_error_set_code(&result->error, -ENOMEM, "SQLITE_NOMEM", "out of memory");
        return;
    }
    for (uint32_t i = 0; i < flight->count; i++)
        runs[i] = run_of(flight, i);
    result->status = sqlite_run_together(batches->pool, store, runs, flight->count,
                                         &result->guilty, &result->error);
    free(runs);
}

static void all_end_alike(struct batch_flight *flight, const struct flight_result *result)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        struct sqlite_run *run = run_of(flight, i);
        run->status = result->status;
        run->error = result->error;
        batch_end(flight->members[i], BATCH_ENDED);
    }
}

/* Whether it has nothing to do with any one job: the file is locked by another process, cannot be
 * used, or its state is unknown. */
static bool is_everybodys(struct aw_error error, int status)
{
    error.number = status;
    enum outcome_kind kind = sqlite_outcome_kind(&error);
    return kind == OUTCOME_UNAVAILABLE || kind == OUTCOME_INTERRUPTED || status == -EBUSY;
}

static void land(struct batch_flight *flight, void *result_space)
{
    const struct flight_result *result = result_space;
    if (result->status == 0)
        all_end_alike(flight, result);
    else if (result->status == -ECANCELED || result->status == -ETIME)
        batch_gather_again(flight, NULL);
    else if (flight->count == 1 || is_everybodys(result->error, result->status))
        all_end_alike(flight, result);
    else if (result->guilty != SQLITE_NOBODY)
        batch_gather_again(flight, flight->members[result->guilty]);
    else
        batch_scatter(flight); /* at the commit, or one of them has its receipt already */
}

void sqlite_batches_init(struct sqlite_batches *batches, struct target *target,
                         struct aw_sqlite_pool *pool)
{
    static const struct batch_engine engine = {
        .task_name = "sqlite batch",
        .cancelled_code = "CANCELLED",
        .late_code = "TIMEOUT",
        .members_max = SQLITE_GATHERED_MAX,
        .fly = fly,
        .land = land,
        .result_size = sizeof(struct flight_result),
    };
    *batches = (struct sqlite_batches){ .pool = pool };
    batches_init(&batches->batches, &engine, target, 1, batches);
}

enum batch_verdict sqlite_batch_run(struct sqlite_batches *batches,
                                    const struct execution *execution, struct sqlite_run *run,
                                    struct outcome *ret_outcome)
{
    struct batch_member member = {
        .run = run,
        .size_bytes = size_of(run->job),
        .coalesce = batch_coalesce_of(batches->batches.target, execution),
    };
    if (member.coalesce == 1 || run->job->transaction || member.size_bytes > BATCH_SIZE_MAX ||
        !changes_rows(run->job->statements))
        return BATCH_ALONE;
    return batch_run(&batches->batches, &member, ret_outcome);
}
