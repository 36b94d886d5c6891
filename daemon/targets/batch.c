/* batch.c - see batch.h. */
#include "targets/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHTS_MAX 3u /* of one job, that were rolled back for another's sake */
#define SHARE_MIN 16u /* below it a batch is not worth splitting */

void batches_init(struct batches *batches, const struct batch_engine *engine,
                  struct target *target, uint32_t flights_max, void *context)
{
    *batches = (struct batches){
        .engine = engine, .target = target, .flights_max = flights_max, .context = context};
    TAILQ_INIT(&batches->waiting);
}

uint32_t batch_coalesce_of(const struct target *target, const struct execution *execution)
{
    if (target->settings.delivery == TARGET_AT_MOST_ONCE || execution->job_id == 0 ||
        execution->alone) {
        return 1;
    }
    uint32_t coalesce = execution->coalesce > 0 ? execution->coalesce : target->settings.coalesce;
    return coalesce > 1 ? coalesce : 1;
}

/* --- a member's end or return -------------------------------------------------------------- */

void batch_end(struct batch_member *member, enum batch_verdict verdict)
{
    member->state = BATCH_LANDED;
    member->verdict = verdict;
    aw_event_set(&member->landed);
}

/* It was stopped, or would have to run again although its time is over. */
static void end_interrupted(const struct batches *batches, struct batch_member *member,
                            uint32_t count)
{
    bool late = member->interrupted == -ETIME;
    if (late && (count > 1 || member->flights > 0)) {
        outcome_set(member->outcome, OUTCOME_INTERRUPTED, "TIMEOUT",
                    "its time ran out in a transaction with other jobs; rolled back, it runs again "
                    "by itself");
    } else {
        outcome_set(member->outcome, OUTCOME_STOPPED,
                    late ? batches->engine->late_code : batches->engine->cancelled_code,
                    "%s and rolled back",
                    late ? "the deadline passed: stopped" : "cancelled: stopped");
    }
    batch_end(member, BATCH_STOPPED);
}

static void wait_again(struct batches *batches, struct batch_member *member)
{
    member->state = BATCH_WAITING;
    member->flight = NULL;
    TAILQ_INSERT_HEAD(&batches->waiting, member, link);
    batches->waiting_count++;
}

/* Those that came before wait before those that come. */
void batch_gather_again(struct batch_flight *flight, const struct batch_member *guilty)
{
    for (uint32_t i = flight->count; i-- > 0;) {
        struct batch_member *member = flight->members[i];
        if (member->interrupted < 0) {
            end_interrupted(flight->batches, member, flight->count);
        } else if (member == guilty || ++member->flights == FLIGHTS_MAX) {
            batch_end(member, BATCH_ALONE);
        } else {
            wait_again(flight->batches, member);
        }
    }
}

void batch_scatter(struct batch_flight *flight)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        struct batch_member *member = flight->members[i];
        if (member->interrupted < 0) {
            end_interrupted(flight->batches, member, flight->count);
        } else {
            batch_end(member, BATCH_ALONE);
        }
    }
}

/* --- a flight ------------------------------------------------------------------------------ */

static bool call_flight(struct batches *batches);

/* Half of the jobs that are here: while one half is at its commit the other one is under way. */
static uint32_t share_of(const struct batches *batches)
{
    uint32_t all = batches->waiting_count + batches->flying_count;
    uint32_t share = batches->flights_max > 1 ? (all + 1) / 2 : all;
    share = share > SHARE_MIN ? share : SHARE_MIN;
    const struct batch_member *first = TAILQ_FIRST(&batches->waiting);
    share = first != NULL && first->coalesce < share ? first->coalesce : share;
    return share < batches->engine->members_max ? share : batches->engine->members_max;
}

static bool reserve(struct batch_flight *flight, uint32_t count)
{
    if (count <= flight->capacity) {
        return true;
    }
    struct batch_member **members = realloc(flight->members, count * sizeof(*members));
    if (members == NULL) {
        return false;
    }
    flight->members = members;
    flight->capacity = count;
    return true;
}

/* False: no memory. */
static bool board(struct batch_flight *flight)
{
    struct batches *batches = flight->batches;
    uint32_t share = share_of(batches);
    size_t size_bytes = 0;
    flight->count = 0;
    if (!reserve(flight, share)) {
        return false;
    }
    for (struct batch_member *member; (member = TAILQ_FIRST(&batches->waiting)) != NULL;) {
        share = member->coalesce < share ? member->coalesce : share;
        size_bytes += member->size_bytes;
        if (flight->count >= share || (flight->count > 0 && size_bytes > BATCH_SIZE_MAX)) {
            break;
        }
        TAILQ_REMOVE(&batches->waiting, member, link);
        batches->waiting_count--;
        member->state = BATCH_FLYING;
        member->flight = flight;
        flight->members[flight->count++] = member;
    }
    batches->flying_count += flight->count;
    return true;
}

static void send_all_alone(struct batches *batches)
{
    for (struct batch_member *member; (member = TAILQ_FIRST(&batches->waiting)) != NULL;) {
        TAILQ_REMOVE(&batches->waiting, member, link);
        batches->waiting_count--;
        batch_end(member, BATCH_ALONE);
    }
}

static void fly_once(struct batch_flight *flight, void *result)
{
    const struct batch_engine *engine = flight->batches->engine;
    memset(result, 0, engine->result_size);
    aw_scope_enter(&flight->scope, AW_NEVER);
    engine->fly(flight, result);
    aw_scope_leave(&flight->scope);
    flight->batches->flying_count -= flight->count;
    engine->land(flight, result);
}

static int fly(void *argument)
{
    struct batches *batches = argument;
    struct batch_flight flight = {.batches = batches};
    aw_task_set_name(NULL, batches->engine->task_name);
    batches->boarding--;
    void *result = malloc(batches->engine->result_size);
    while (result != NULL && batches->waiting_count > 0 && aw_interrupted() == 0 &&
           board(&flight)) {
        (void)call_flight(batches); /* for those that did not fit; this one is on its way */
        fly_once(&flight, result);
    }
    batches->flights--;
    if (batches->waiting_count > 0 && batches->flights == 0) { /* no memory, or stopping */
        send_all_alone(batches);
    }
    free(flight.members);
    free(result);
    return 0;
}

/* --- a job's side -------------------------------------------------------------------------- */

/* Enough flights are on the way for all that wait, or as many as there may be. False: it waits for
 * nobody. */
static bool call_flight(struct batches *batches)
{
    uint32_t places = batches->boarding * share_of(batches);
    if (batches->flights < batches->flights_max && batches->waiting_count > places &&
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
    while (member->state != BATCH_LANDED) {
        AW_IGNORE(aw_event_wait(&member->landed));
    }
    aw_scope_leave(&scope);
}

static void wait_for_end(struct batches *batches, struct batch_member *member)
{
    int status = aw_event_wait(&member->landed);
    if (member->state == BATCH_LANDED) {
        return;
    }
    member->interrupted = status;
    if (member->state == BATCH_FLYING) {
        wait_for_landing(member);
        return;
    }
    TAILQ_REMOVE(&batches->waiting, member, link);
    batches->waiting_count--;
    end_interrupted(batches, member, 1);
}

enum batch_verdict batch_run(struct batches *batches, struct batch_member *member,
                             struct outcome *ret_outcome)
{
    member->outcome = ret_outcome;
    aw_event_init(&member->landed);
    TAILQ_INSERT_TAIL(&batches->waiting, member, link);
    batches->waiting_count++;
    if (!call_flight(batches)) {
        TAILQ_REMOVE(&batches->waiting, member, link);
        batches->waiting_count--;
        return BATCH_ALONE;
    }
    wait_for_end(batches, member);
    return member->verdict;
}
