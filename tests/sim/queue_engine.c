/* queue_engine.c - model engines in the place of PostgreSQL, Redis and SQLite: they take a
 * random time, end in every way an engine can, and notice what must never be run. */
#include "sim/queue_book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t engine_token(struct argument argument)
{
    char text[16];
    if (argument.size == 0 || argument.size >= sizeof text)
        world_fail("a job has a damaged argument");
    memcpy(text, argument.data, argument.size);
    text[argument.size] = '\0';
    unsigned long token = strtoul(text, NULL, 10);
    if (token == 0 || token >= queue_book()->next)
        world_fail("a job with an argument that nobody gave: '%s'", text);
    return (uint32_t)token;
}

void engine_fill(uint32_t token, uint32_t size, char *bytes)
{
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (char)(token * 31 + i * 7 + (i >> 8));
}

static struct kept_job *begin(const struct execution *execution, uint32_t *ret_token)
{
    uint32_t token = engine_token(execution->arguments[0]);
    struct kept_job *job = &queue_book()->jobs[token];
    struct argument filler = execution->arguments[1];
    char *expected = malloc(job->size + 1);
    if (!expected)
        abort();
    engine_fill(token, job->size, expected);
    if (filler.size != job->size || memcmp(filler.data, expected, job->size) != 0)
        world_fail("job %u runs with other arguments than were given", token);
    free(expected);
    if (job->running)
        world_fail("job %u runs twice at once", token);
    if (job->final != NOT_FINAL && !job->retried)
        world_fail("job %u runs after it was told to be %s", token,
                   job_state_name((enum job_state)job->final));
    if (job->fate == FATE_REFUSED || job->fate == FATE_GONE)
        world_fail("job %u runs although it was %s", token,
                   job->fate == FATE_REFUSED ? "refused" : "gone");
    if (job->id && job->id != execution->job_id)
        world_fail("job %u runs under another id", token);
    graph_begins(token);
    job->running = true;
    job->executions++;
    *ret_token = token;
    return job;
}

static int come_back(void *argument)
{
    struct target *target = argument;
    uint64_t most_ms = world->calm ? 1 : 20000;
    if (aw_sleep(random_below(&world->random, most_ms)) == 0)
        target_set_up(target);
    return 0;
}

static void go_down(struct target *target)
{
    if (!target->up)
        return;
    target_set_down(target, "the model engine is away");
    if (aw_group_spawn(target->group, come_back, target) < 0)
        target_set_up(target);
}

/* In how many of 100 executions the engine gives each outcome; the rest is done. */
static void end(struct target *target, struct kept_job *job, struct outcome *outcome)
{
    uint64_t draw = queue_book()->engine_fails && !world->calm
                        ? random_below(&world->random, 100)
                        : 99;
    if (draw < 12) {
        job->failed_said++;
        outcome_set(outcome, OUTCOME_RETRY, "BUSY", "try again");
    } else if (draw < 15) {
        job->dead_said = true;
        outcome_set(outcome, OUTCOME_DEAD, "WRONG", "it can never work");
    } else if (draw < 20) {
        job->interrupted_said++;
        outcome_set(outcome, OUTCOME_INTERRUPTED, "LOST", "the connection is gone");
    } else if (draw < 22) {
        outcome_set(outcome, OUTCOME_UNAVAILABLE, "DOWN", "not reached");
        go_down(target);
    } else {
        job->done_said++;
        outcome->kind = OUTCOME_DONE;
        value_bulk_text(&outcome->result, "done");
    }
}

static void engine_execute(struct target *target, const struct execution *execution,
                           struct outcome *ret_outcome)
{
    uint32_t token;
    struct kept_job *job = begin(execution, &token);
    int waited = aw_sleep(random_below(&world->random, queue_book()->execution_max_ms + 1));
    job->running = false;
    if (waited < 0) {
        if (waited == -ETIME)
            job->failed_said++;
        outcome_set(ret_outcome, OUTCOME_STOPPED, "", "stopped");
        return;
    }
    end(target, job, ret_outcome);
}

static int engine_check(struct target *target, const struct argument *arguments, uint32_t count,
                        struct aw_error *reterr)
{
    (void)target;
    (void)arguments;
    return count == 2 ? 0 : aw_error_set(reterr, -EINVAL, "needs a token and a filler");
}

static int engine_start(struct target *target, struct aw_error *reterr)
{
    (void)target;
    (void)reterr;
    return 0;
}

static void engine_stop(struct target *target)
{
    (void)target;
}

#define ENGINE(type)                                                                          \
    const struct target_type target_type_##type = {.name = #type, .check = engine_check,      \
                                                   .start = engine_start,                     \
                                                   .execute = engine_execute,                 \
                                                   .stop = engine_stop}
ENGINE(postgres);
ENGINE(redis);
ENGINE(sqlite);
