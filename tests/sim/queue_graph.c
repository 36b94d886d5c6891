/* queue_graph.c - KEY, SERIAL, AFTER and EXPIRE of the queue scenario: what is asked for, and what
 * must never be seen. See queue_book.h. */
#include "sim/queue_book.h"

#include <stdio.h>
#include <string.h>

static void choose_key(struct argument *key, bool *has_key, uint8_t *ret_number, char text[8])
{
    *ret_number = (uint8_t)(1 + random_below(&world->random, KEYS));
    (void)snprintf(text, 8, "key %u", *ret_number);
    *key = (struct argument){.data = text, .size = (uint32_t)strlen(text)};
    *has_key = true;
}

void graph_choose(struct submit_options *options, struct kept_job *job, uint64_t after[PARENTS],
                  char keys[2][8])
{
    struct random *random = &world->random;
    if (!queue_book()->graphs)
        return;
    if (random_chance(random, 100000))
        choose_key(&options->key, &options->has_key, &job->key, keys[0]);
    if (random_chance(random, 100000))
        choose_key(&options->serial, &options->has_serial, &job->serial, keys[1]);
    if (random_chance(random, 50000)) {
        job->expires = true;
        options->has_expire = true;
        options->expire_ms = 1 + random_magnitude(random, 16);
    }
    for (uint32_t i = 0; i < PARENTS && random_chance(random, 300000); i++) {
        job->parents[i] = any_job();
        if (job->parents[i])
            after[options->after_count++] = queue_book()->jobs[job->parents[i]].id;
    }
    options->after = after;
    job->onfail_run = random_chance(random, 500000);
    options->onfail = job->onfail_run ? ONFAIL_RUN : ONFAIL_CANCEL;
}

static bool may_have_failed(const struct kept_job *job)
{
    return job->cancel_asked || job->dead_said || job->failed_said > job->retries ||
           job->interrupted_said > 20 || job->expires || graph_may_be_cancelled(job);
}

bool graph_may_be_cancelled(const struct kept_job *job)
{
    /* parents have smaller tokens: this ends */
    for (uint32_t i = 0; i < PARENTS && !job->onfail_run; i++)
        if (job->parents[i] && may_have_failed(&queue_book()->jobs[job->parents[i]]))
            return true;
    return false;
}

bool graph_may_have_ended(const struct kept_job *job)
{
    return job->final != NOT_FINAL || job->done_said > 0 || may_have_failed(job);
}

void graph_existing(const struct kept_job *job, uint64_t id)
{
    for (uint32_t token = 1; token < queue_book()->next; token++) {
        const struct kept_job *other = &queue_book()->jobs[token];
        if (other->id != id)
            continue;
        if (other->key != job->key)
            world_fail("a client with key %u was given job %u of key %u", job->key, token,
                       other->key);
        if (other->final != NOT_FINAL && !other->retried)
            world_fail("a client was given job %u of its key, which had ended", token);
        return;
    }
    world_fail("a client was given id %llu, which nobody has", (unsigned long long)id);
}

void graph_refused(const struct kept_job *job, const struct aw_error *error)
{
    if (strcmp(error->code, "NOJOB") != 0)
        return;
    for (uint32_t i = 0; i < PARENTS; i++) {
        const struct kept_job *parent = &queue_book()->jobs[job->parents[i]];
        if (job->parents[i] && (parent->keep_short || parent->fate != FATE_PROMISED))
            return;
    }
    world_fail("a job was refused although those it is AFTER are there: %s", error->message);
}

static void check_neighbours(uint32_t token)
{
    const struct kept_job *job = &queue_book()->jobs[token];
    for (uint32_t other = 1; other < queue_book()->next; other++) {
        const struct kept_job *neighbour = &queue_book()->jobs[other];
        if (other == token)
            continue;
        if (job->serial && neighbour->serial == job->serial && neighbour->running)
            world_fail("jobs %u and %u of one SERIAL run at once", token, other);
        if (job->serial && neighbour->serial == job->serial && other < token &&
            neighbour->fate == FATE_PROMISED && !graph_may_have_ended(neighbour))
            world_fail("job %u runs before job %u of its SERIAL has ended", token, other);
        if (job->key && neighbour->key == job->key && neighbour->running)
            world_fail("jobs %u and %u of one KEY run at once", token, other);
    }
}

void graph_begins(uint32_t token)
{
    const struct kept_job *job = &queue_book()->jobs[token];
    if (job->serial || job->key)
        check_neighbours(token);
    /* for one that is retried those it was AFTER count as ended */
    for (uint32_t i = 0; i < PARENTS && !job->retried; i++) {
        const struct kept_job *parent = &queue_book()->jobs[job->parents[i]];
        if (!job->parents[i])
            continue;
        if (!graph_may_have_ended(parent))
            world_fail("job %u runs before job %u has ended", token, job->parents[i]);
        if (!job->onfail_run && parent->done_said == 0)
            world_fail("job %u runs although job %u is not done", token, job->parents[i]);
    }
}
