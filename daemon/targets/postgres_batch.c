/* postgres_batch.c - see postgres_batch.h. */
#include "targets/postgres_batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHTS_MAX 3u /* of one job, that were rolled back for another's sake */
#define BATCH_SIZE_MAX ((size_t)512 * 1024) /* bytes of statements; a larger one flies by itself */
#define RESULT_SIZE_MAX ((size_t)1 << 30)
#define ID_SIZE 24u
#define SHARE_MIN 16u /* below it a batch is not worth splitting */

enum member_state { MEMBER_WAITING, MEMBER_FLYING, MEMBER_ENDED };

struct batch_member {
    TAILQ_ENTRY(batch_member) link;
    enum member_state state;
    struct postgres_attempt *attempt;
    struct outcome *outcome;
    enum batch_verdict verdict; /* once ended */
    bool filled;                /* the outcome is; else the attempt is to be judged */
    int interrupted;            /* how its own task was, while it flew; or 0 */
    uint32_t flights;           /* that came to nothing */
    struct flight *flight;
    struct aw_event ended;
};

/* Of one flight's task. */
struct flight {
    struct postgres_batches *batches;
    struct batch_member **members; /* coalesce of them */
    struct aw_pg_statement *statements; /* one more, the receipts' */
    char *ids;
    uint32_t count;
    bool receipted;
    struct aw_scope scope; /* cancelled by a member that was interrupted */
    int status;
    uint32_t failed;
    struct aw_pg_results *results;
    struct aw_error error;
};

void postgres_batches_init(struct postgres_batches *batches, struct target *target,
                           struct aw_pg_pool *pool, struct postgres_receipts *receipts)
{
    *batches = (struct postgres_batches){.target = target, .pool = pool, .receipts = receipts};
    TAILQ_INIT(&batches->waiting);
}

static size_t size_of(const struct postgres_attempt *attempt)
{
    const struct aw_pg_statement *statement = attempt->job->statements;
    size_t size = statement->sql_size;
    for (uint32_t i = 0; i < statement->parameter_count; i++) {
        size += statement->parameters[i].size;
    }
    return size;
}

bool postgres_batch_takes(const struct postgres_batches *batches,
                          const struct postgres_attempt *attempt)
{
    const struct target_settings *settings = &batches->target->settings;
    return settings->coalesce > 1 && settings->delivery != TARGET_AT_MOST_ONCE &&
           attempt->execution->job_id != 0 && !attempt->execution->alone &&
           !attempt->job->several && attempt->job->atomic && size_of(attempt) <= BATCH_SIZE_MAX;
}

/* --- a member's end or return -------------------------------------------------------------- */

static void end(struct batch_member *member, enum batch_verdict verdict)
{
    member->state = MEMBER_ENDED;
    member->verdict = verdict;
    aw_event_set(&member->ended);
}

static void end_with(struct batch_member *member, const struct flight *flight)
{
    member->attempt->status = flight->status;
    member->attempt->failed = flight->failed;
    member->attempt->error = flight->error;
    end(member, BATCH_ENDED);
}

/* It was stopped, or would have to run again although its time is over. */
static void end_interrupted(struct batch_member *member, uint32_t count)
{
    struct outcome *outcome = member->outcome;
    member->filled = true;
    if (member->interrupted == -ETIME && (count > 1 || member->flights > 0)) {
        outcome_set(outcome, OUTCOME_INTERRUPTED, "TIMEOUT",
                    "its time ran out in a transaction with other jobs; rolled back, it runs again "
                    "by itself");
    } else {
        outcome_set(outcome, OUTCOME_STOPPED, "57014", "%s and rolled back",
                    member->interrupted == -ETIME ? "the deadline passed: stopped"
                                                  : "cancelled: stopped");
    }
    end(member, BATCH_ENDED);
}

/* Rolled back for another's sake. Those that came before wait before those that come. */
static void gather_again(struct flight *flight, const struct batch_member *guilty)
{
    struct postgres_batches *batches = flight->batches;
    for (uint32_t i = flight->count; i-- > 0;) {
        struct batch_member *member = flight->members[i];
        if (member->interrupted < 0) {
            end_interrupted(member, flight->count);
        } else if (member == guilty || ++member->flights == FLIGHTS_MAX) {
            end(member, BATCH_ALONE);
        } else {
            member->state = MEMBER_WAITING;
            member->flight = NULL;
            TAILQ_INSERT_HEAD(&batches->waiting, member, link);
            batches->waiting_count++;
        }
    }
}

static void scatter(struct flight *flight)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        if (flight->members[i]->interrupted < 0) {
            end_interrupted(flight->members[i], flight->count);
        } else {
            end(flight->members[i], BATCH_ALONE);
        }
    }
}

/* --- a flight's end ------------------------------------------------------------------------ */

static void give_results(struct flight *flight)
{
    uint32_t first = flight->receipted ? 1 : 0;
    for (uint32_t i = 0; i < flight->count; i++) {
        struct batch_member *member = flight->members[i];
        postgres_outcome_result(member->outcome, member->attempt->execution, flight->results,
                                first + i, false);
        member->filled = true;
        end(member, BATCH_ENDED);
    }
}

static void all_end_alike(struct flight *flight)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        end_with(flight->members[i], flight);
    }
}

static void land_refused(struct flight *flight)
{
    uint32_t first = flight->receipted ? 1 : 0;
    if (flight->failed >= first && flight->failed != AW_PG_NO_STATEMENT) {
        gather_again(flight, flight->members[flight->failed - first]);
    } else {
        scatter(flight); /* at the commit, or one of them has its receipt already */
    }
}

static void land(struct flight *flight)
{
    switch (flight->status) {
    case 0:
        give_results(flight);
        return;
    case -EREMOTEIO:
        if (flight->count == 1 && !(flight->receipted && flight->failed == 0)) {
            all_end_alike(flight); /* nobody else can have been it */
        } else {
            land_refused(flight);
        }
        return;
    case -ECANCELED:
    case -ETIME:
        gather_again(flight, NULL);
        return;
    case -ENOTCONN:     /* not executed */
    case -ENOBUFS:
    case -ECONNRESET:   /* unknown */
    case -ECONNABORTED:
        all_end_alike(flight);
        return;
    case -EFBIG:
    case -ENOMEM:
        if (flight->error.code[0] == '\0') {
            all_end_alike(flight); /* done, only the results are lost */
            return;
        }
        break;
    default: /* -ESHUTDOWN: perhaps by the statement of one; -EINVAL: because of one */
        break;
    }
    scatter(flight);
}

/* --- a flight ------------------------------------------------------------------------------ */

static uint32_t batch_max(const struct postgres_batches *batches)
{
    return batches->target->settings.coalesce;
}

/* Half of the jobs that are here: while one half is at its commit the other one is under way. */
static uint32_t share_of(const struct postgres_batches *batches)
{
    uint32_t half = (batches->waiting_count + batches->flying_count + 1) / 2;
    uint32_t share = half > SHARE_MIN ? half : SHARE_MIN;
    return share < batch_max(batches) ? share : batch_max(batches);
}

static void board(struct flight *flight)
{
    struct postgres_batches *batches = flight->batches;
    uint32_t share = share_of(batches);
    size_t size = 0;
    flight->count = 0;
    while (flight->count < share) {
        struct batch_member *member = TAILQ_FIRST(&batches->waiting);
        if (member == NULL) {
            break;
        }
        size += size_of(member->attempt);
        if (flight->count > 0 && size > BATCH_SIZE_MAX) {
            break;
        }
        TAILQ_REMOVE(&batches->waiting, member, link);
        batches->waiting_count--;
        member->state = MEMBER_FLYING;
        member->flight = flight;
        flight->members[flight->count++] = member;
    }
    batches->flying_count += flight->count;
}

static size_t result_size_max(const struct flight *flight)
{
    size_t size = 0;
    for (uint32_t i = 0; i < flight->count; i++) {
        size_t more = flight->members[i]->attempt->execution->result_size_max;
        size = more > RESULT_SIZE_MAX - size ? RESULT_SIZE_MAX : size + more;
    }
    return size;
}

static void write_ids(struct flight *flight)
{
    char *at = flight->ids;
    for (uint32_t i = 0; i < flight->count; i++) {
        at += snprintf(at, ID_SIZE, "%c%" PRIu64, i == 0 ? '{' : ',',
                       flight->members[i]->attempt->execution->job_id);
    }
    memcpy(at, "}", 2);
}

static void run(struct flight *flight)
{
    struct postgres_receipt receipt = {0};
    uint32_t first = flight->receipted ? 1 : 0;
    if (flight->receipted) {
        write_ids(flight);
        postgres_receipt_fill_many(flight->batches->receipts, flight->ids, &receipt);
        flight->statements[0] = receipt.statement;
    }
    for (uint32_t i = 0; i < flight->count; i++) {
        flight->statements[first + i] = flight->members[i]->attempt->job->statements[0];
    }
    const struct aw_pg_run pg_run = {
        .statements = flight->statements,
        .statement_count = first + flight->count,
        .replayable = true,
        .result_size_max = result_size_max(flight),
        .prelude = first,
        .ret_failed = &flight->failed,
    };
    flight->results = NULL;
    flight->error = (struct aw_error){0};
    aw_scope_enter(&flight->scope, AW_NEVER);
    flight->status =
        aw_pg_run(flight->batches->pool, &pg_run, &flight->results, &flight->error);
    aw_scope_leave(&flight->scope);
}

static bool reserve(struct flight *flight)
{
    uint32_t count = batch_max(flight->batches);
    flight->members = calloc(count, sizeof(struct batch_member *));
    flight->statements = calloc(count + 1, sizeof *flight->statements);
    flight->ids = malloc((size_t)count * ID_SIZE + 2);
    return flight->members != NULL && flight->statements != NULL && flight->ids != NULL;
}

static void send_all_alone(struct postgres_batches *batches)
{
    for (struct batch_member *member; (member = TAILQ_FIRST(&batches->waiting)) != NULL;) {
        TAILQ_REMOVE(&batches->waiting, member, link);
        batches->waiting_count--;
        end(member, BATCH_ALONE);
    }
}

static int fly(void *argument)
{
    struct postgres_batches *batches = argument;
    struct flight flight = {
        .batches = batches,
        .receipted = batches->target->settings.delivery == TARGET_EXACTLY_ONCE,
    };
    aw_task_set_name(NULL, "postgres batch");
    batches->boarding--;
    bool ready = reserve(&flight);
    while (ready && batches->waiting_count > 0 && aw_interrupted() == 0) {
        board(&flight);
        run(&flight);
        batches->flying_count -= flight.count;
        land(&flight);
        aw_pg_results_free(flight.results);
    }
    batches->flights--;
    if (batches->waiting_count > 0 && batches->flights == 0) { /* no memory, or stopping */
        send_all_alone(batches);
    }
    free(flight.members);
    free(flight.statements);
    free(flight.ids);
    return 0;
}

/* --- a job's side -------------------------------------------------------------------------- */

/* Enough flights are on the way for all that wait, or as many as there may be. False: it waits for
 * nobody. */
static bool call_flight(struct postgres_batches *batches)
{
    uint32_t places = batches->boarding * share_of(batches);
    if (batches->flights < batches->target->settings.connections &&
        batches->waiting_count > places &&
        aw_group_spawn(batches->target->group, fly, batches) == 0) {
        batches->flights++;
        batches->boarding++;
    }
    return batches->flights > 0;
}

static void wait_for_landing(struct batch_member *member)
{
    struct aw_scope scope;
    aw_scope_cancel(&member->flight->scope);
    aw_shield_enter(&scope, AW_NEVER); /* the flight is bounded: it has been told to stop */
    while (member->state != MEMBER_ENDED) {
        AW_IGNORE(aw_event_wait(&member->ended));
    }
    aw_scope_leave(&scope);
}

static void wait_for_end(struct postgres_batches *batches, struct batch_member *member)
{
    int status = aw_event_wait(&member->ended);
    if (member->state == MEMBER_ENDED) {
        return;
    }
    member->interrupted = status;
    if (member->state == MEMBER_FLYING) {
        wait_for_landing(member);
        return;
    }
    TAILQ_REMOVE(&batches->waiting, member, link);
    batches->waiting_count--;
    end_interrupted(member, 1);
}

enum batch_verdict postgres_batch_run(struct postgres_batches *batches,
                                      struct postgres_attempt *attempt,
                                      struct outcome *ret_outcome)
{
    struct batch_member member = {.attempt = attempt, .outcome = ret_outcome};
    aw_event_init(&member.ended);
    TAILQ_INSERT_TAIL(&batches->waiting, &member, link);
    batches->waiting_count++;
    if (!call_flight(batches)) {
        TAILQ_REMOVE(&batches->waiting, &member, link);
        batches->waiting_count--;
        return BATCH_ALONE;
    }
    wait_for_end(batches, &member);
    if (member.verdict == BATCH_ENDED && !member.filled) {
        postgres_judge(batches->target, batches->pool, attempt, ret_outcome);
    }
    return member.verdict;
}
