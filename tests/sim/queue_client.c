/* queue_client.c - what clients do, at random; see queue_book.h. */
#include "sim/queue_book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Engines stop at once and the disk stalls for seconds at most; backoffs are longer than this. */
#define CANCEL_MAX_MS 600000u

void check_may_answer(const char *what)
{
    if (world->storage_failed && world->mutation == MUTATION_NONE)
        world_fail("%s was answered after a write or sync had failed", what);
}

void book_told(uint32_t token, enum job_state state, const char *how)
{
    struct kept_job *job = &queue_book()->jobs[token];
    if (job->final != NOT_FINAL && job->final != state && !job->retried)
        world_fail("job %u was %s and is %s now (%s)", token,
                   job_state_name((enum job_state)job->final), job_state_name(state), how);
    bool true_end = state == JOB_DONE ? job->done_said > 0
                    : state == JOB_CANCELLED
                        ? job->cancel_asked || graph_may_be_cancelled(job)
                        : state == JOB_DEAD && (job->dead_said || job->expires ||
                                                job->failed_said > job->retries ||
                                                job->interrupted_said > 20);
    if (!true_end)
        world_fail("job %u is %s without a reason (%s)", token, job_state_name(state), how);
    job->final = (uint8_t)state;
}

static void submitted(void *context, uint64_t id, const struct aw_error *error)
{
    uint32_t token = (uint32_t)(uintptr_t)context;
    struct kept_job *job = &queue_book()->jobs[token];
    check_may_answer("a submission");
    if (error) {
        graph_refused(job, error);
        job->fate = FATE_REFUSED;
        return;
    }
    if (job->key && id <= queue_book()->id_max) {
        graph_existing(job, id);
        job->fate = FATE_REFUSED; /* it is nowhere itself */
        return;
    }
    if (id <= queue_book()->id_max)
        world_fail("id %llu was given twice, or out of order", (unsigned long long)id);
    queue_book()->id_max = id;
    job->id = id;
    job->fate = FATE_PROMISED;
    world->statistics.promises++;
}

static void choose_options(struct submit_options *options, struct kept_job *job, char queue[16])
{
    struct random *random = &world->random;
    job->queue = (uint8_t)random_below(random, queue_book()->queues);
    (void)snprintf(queue, 16, "q%u", job->queue);
    *options = (struct submit_options){.queue = queue, .queue_size = (uint32_t)strlen(queue),
                                       .priority = (uint32_t)random_below(random, 3),
                                       .has_retry = true, .has_keep = true, .has_backoff = true,
                                       .backoff_min_ms = 1 + random_below(random, 1000),
                                       .keep_ms = UINT64_C(100) * 24 * 3600 * 1000};
    if (random_chance(random, 50000))
        options->backoff_min_ms = 2 * CANCEL_MAX_MS;
    options->backoff_max_ms = options->backoff_min_ms + random_below(random, 20000);
    job->retries = (uint8_t)random_below(random, 4);
    options->retry = job->retries;
    job->keep_short = random_chance(random, 200000);
    if (job->keep_short)
        options->keep_ms = random_chance(random, 500000) ? 0 : random_below(random, 5000);
    if (random_chance(random, 250000)) {
        options->has_delay = true;
        options->delay_ms = random_magnitude(random, queue_book()->delay_bits);
    }
    if (random_chance(random, 150000)) {
        options->has_timeout = true;
        options->timeout_ms = 1 + random_below(random, 2 * queue_book()->execution_max_ms + 1);
    }
}

static void submit(struct broker *broker)
{
    struct queue_book *book = queue_book();
    if (book->next >= TOKENS)
        return;
    uint32_t token = book->next++;
    struct kept_job *job = &book->jobs[token];
    struct submit_options options;
    char queue[16];
    char keys[2][8];
    uint64_t after[PARENTS];
    choose_options(&options, job, queue);
    graph_choose(&options, job, after, keys);
    job->size = (uint32_t)random_magnitude(&world->random, book->size_bits);
    job->fate = FATE_TRIED;
    job->final = NOT_FINAL;
    char text[16];
    (void)snprintf(text, sizeof text, "%u", token);
    char *filler = malloc(job->size);
    if (!filler)
        abort();
    engine_fill(token, job->size, filler);
    struct argument arguments[2] = {{.data = text, .size = (uint32_t)strlen(text)},
                                    {.data = filler, .size = job->size}};
    bool first = random_chance(&world->random, 500000);
    struct argument target = {.data = first ? "one" : "two", .size = 3};
    struct aw_error error;
    int result = broker_submit(broker, &options, target, arguments, 2, submitted,
                               (void *)(uintptr_t)token, &error);
    free(filler);
    if (result < 0)
        job->fate = FATE_REFUSED;
    else if (world->mutation == MUTATION_EARLY_ANSWER)
        job->fate = FATE_PROMISED;
}

uint32_t any_job(void)
{
    uint32_t next = queue_book()->next;
    if (next < 2)
        return 0;
    uint32_t back = (uint32_t)random_magnitude(&world->random, 12);
    uint32_t token = back < next ? next - back : 1;
    return token > 0 && token < next && queue_book()->jobs[token].id ? token : 0;
}

static void watch(struct broker *broker)
{
    uint32_t token = any_job();
    if (!token)
        return;
    struct aw_event event;
    struct aw_scope scope;
    aw_event_init(&event);
    struct watch watch = {.id = queue_book()->jobs[token].id, .event = &event};
    if (broker_watch(broker, &watch, 1) < 0)
        return;
    aw_scope_enter(&scope, aw_after_ms(random_below(&world->random, 30000)));
    int waited = 0;
    while (watch.known && !watch.finished && waited == 0) {
        aw_event_clear(&event);
        waited = aw_event_wait(&event);
    }
    aw_scope_leave(&scope);
    if (watch.finished) {
        check_may_answer("an AWAIT");
        book_told(token, watch.state, "AWAIT");
    }
    broker_unwatch(broker, &watch, 1);
}

static void cancel(struct broker *broker)
{
    uint32_t token = any_job();
    if (!token)
        return;
    struct kept_job *job = &queue_book()->jobs[token];
    bool was_final = job->final != NOT_FINAL;
    /* one that has ended may be retried by another client meanwhile */
    job->cancel_asked = job->cancel_asked || !was_final || queue_book()->steers;
    uint64_t limit_ns = aw_after_ms(CANCEL_MAX_MS);
    int count = broker_cancel(broker, &job->id, 1);
    if (aw_now_ns() > limit_ns)
        world_fail("a CANCEL of job %u took %u virtual minutes", token, CANCEL_MAX_MS / 60000);
    if (count == 1) {
        check_may_answer("a CANCEL");
        if (was_final && !job->retried)
            world_fail("job %u was cancelled after its end", token);
        book_told(token, JOB_CANCELLED, "CANCEL");
    }
}

static void look(struct broker *broker)
{
    struct buffer out = {0};
    uint32_t token = any_job();
    struct job_filter filter = {.limit = 10};
    if (token && broker_describe(broker, queue_book()->jobs[token].id, &out) == 0 &&
        value_length(out.data, out.size) != (long)out.size)
        world_fail("JOB %u answers no whole value", token);
    buffer_clear(&out);
    if (broker_list(broker, &filter, &out) == 0 &&
        value_length(out.data, out.size) != (long)out.size)
        world_fail("JOBS answers no whole value");
    broker_info(broker, NULL, &out);
    buffer_free(&out);
}

int queue_client(void *argument)
{
    struct broker *broker = argument;
    for (uint32_t step = 0; step < queue_book()->steps && aw_interrupted() == 0; step++) {
        uint64_t draw = random_below(&world->random, 100);
        if (draw < 60)
            submit(broker);
        else if (draw < 75)
            watch(broker);
        else if (draw < 85)
            cancel(broker);
        else if (draw < 87)
            look(broker);
        else if (draw < 91 && queue_book()->steers)
            steer_something(broker);
        else
            (void)aw_sleep(random_below(&world->random, 300));
        if (broker_is_congested(broker))
            AW_IGNORE(broker_wait_uncongested(broker));
        (void)aw_sleep(0);
    }
    return 0;
}
