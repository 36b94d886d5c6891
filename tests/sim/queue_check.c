/* queue_check.c - the oracles: the whole store against the book; see queue_book.h. */
#include "sim/queue_book.h"

#include <stdlib.h>
#include <string.h>

#define LANES 64u

struct row {
    bool there;
};

struct check {
    struct store_read read;
    struct broker *broker;
    bool opening;
    int result;
    int64_t waiting;
    struct row *rows; /* by token */
    int64_t counts[LANES][JOB_STATES];
    int64_t bytes[LANES];
    uint32_t live[KEYS + 1]; /* the live job of each key */
};

static void check_live(struct check *check, uint32_t token)
{
    uint8_t key = queue_book()->jobs[token].key;
    check->waiting++;
    if (key && check->live[key])
        world_fail("jobs %u and %u of one KEY are both live", check->live[key], token);
    check->live[key] = token;
}

static void check_row(struct check *check, uint32_t token, const struct stored_job *stored)
{
    struct kept_job *job = &queue_book()->jobs[token];
    if (check->rows[token].there)
        world_fail("job %u is there twice", token);
    check->rows[token].there = true;
    if (job->fate == FATE_REFUSED || job->fate == FATE_GONE)
        world_fail("job %u is there although it was %s", token,
                   job->fate == FATE_REFUSED ? "refused" : "gone");
    if (job->id && job->id != stored->id)
        world_fail("job %u has another id than its client was told", token);
    if (stored->attempts > job->executions)
        world_fail("job %u: %u attempts, %u executions", token, stored->attempts,
                   job->executions);
    if (job_state_is_final(stored->state))
        book_told(token, stored->state, "the store");
    else if (job->final != NOT_FINAL && !job->retried)
        world_fail("job %u was told to be %s and is %s", token,
                   job_state_name((enum job_state)job->final), job_state_name(stored->state));
    else
        check_live(check, token);
    if (check->opening && job->fate == FATE_TRIED) {
        job->fate = FATE_PROMISED; /* whoever was seen once stays */
        job->id = stored->id;
        if (stored->id > queue_book()->id_max)
            queue_book()->id_max = stored->id;
    }
}

static bool visit(void *context, const struct stored_job *stored)
{
    struct check *check = context;
    bool corrupt;
    struct job *job = job_from_payload(stored->payload, stored->payload_size, &corrupt);
    if (!job)
        world_fail("the payload of job id %llu is damaged", (unsigned long long)stored->id);
    check_row(check, engine_token(job->arguments[0]), stored);
    job_free(job);
    if (!stored->lane || stored->lane->id == 0 || stored->lane->id > LANES)
        world_fail("job id %llu has no lane", (unsigned long long)stored->id);
    check->counts[stored->lane->id - 1][stored->state]++;
    if (!job_state_is_final(stored->state))
        check->bytes[stored->lane->id - 1] += (int64_t)stored->payload_size;
    return true;
}

static void check_absent(const struct check *check)
{
    for (uint32_t token = 1; token < queue_book()->next; token++) {
        struct kept_job *job = &queue_book()->jobs[token];
        if (check->rows[token].there || job->fate == FATE_REFUSED || job->fate == FATE_GONE)
            continue;
        bool may_have_ended = graph_may_have_ended(job);
        if (job->fate == FATE_PROMISED && !(job->keep_short && may_have_ended))
            world_fail("job %u was acknowledged and is lost", token);
        if (check->opening)
            job->fate = FATE_GONE;
    }
}

static void check_counts(const struct check *check)
{
    const struct broker *broker = check->broker;
    for (uint32_t i = 0; i < broker->lane_count && i < LANES; i++)
        for (int state = 0; broker->lanes[i] && state < JOB_STATES; state++)
            if (broker->lanes[i]->counts[state] != check->counts[i][state])
                world_fail("lane %u counts %lld jobs as %s, there are %lld", i + 1,
                           (long long)broker->lanes[i]->counts[state],
                           job_state_name((enum job_state)state),
                           (long long)check->counts[i][state]);
}

static void check_bytes(const struct check *check)
{
    const struct broker *broker = check->broker;
    for (uint32_t i = 0; i < broker->lane_count && i < LANES; i++)
        if (broker->lanes[i] && broker->lanes[i]->bytes != check->bytes[i])
            world_fail("lane %u counts %lld bytes, there are %lld", i + 1,
                       (long long)broker->lanes[i]->bytes, (long long)check->bytes[i]);
}

/* In the committer's task: nothing changes meanwhile. */
static void perform(struct store_read *read, struct store *store)
{
    struct check *check = read->context;
    struct aw_error error;
    check->result = store_scan(store, 0, true, visit, check, &error);
    if (check->result < 0)
        return;
    check_absent(check);
    check_counts(check);
    check_bytes(check);
}

int64_t queue_check(struct broker *broker, bool opening)
{
    struct check *check = calloc(1, sizeof *check);
    struct row *rows = calloc(TOKENS, sizeof *rows);
    if (!check || !rows)
        abort();
    *check = (struct check){.broker = broker, .opening = opening, .rows = rows};
    check->read.perform = perform;
    check->read.context = check;
    committer_read(&broker->committer, &check->read);
    int64_t waiting = check->result < 0 ? -1 : check->waiting;
    free(rows);
    free(check);
    return waiting;
}
