/* queue_steer.c - what operators do to jobs and queues, at random; see queue_book.h. */
#include "sim/queue_book.h"

#include <stdio.h>
#include <string.h>

static int steer(struct broker *broker, enum steer_action action, uint32_t token)
{
    int count = broker_steer(broker, action, &queue_book()->jobs[token].id, 1);
    if (count >= 0)
        check_may_answer("a RETRY, DELETE or PROMOTE");
    return count;
}

static void retry(struct broker *broker, uint32_t token)
{
    struct kept_job *job = &queue_book()->jobs[token];
    bool was_done = job->final == JOB_DONE && !job->retried;
    /* which changes nothing, but little can be said of a job that was asked for */
    if (job->final == NOT_FINAL && random_chance(&world->random, 900000))
        return;
    /* before: its next end may be told to others sooner than its retry to this one */
    job->retried = true;
    int count = steer(broker, STEER_RETRY, token);
    if (count > 0 && was_done)
        world_fail("job %u was retried although it is done", token);
}

static void delete(struct broker *broker, uint32_t token)
{
    struct kept_job *job = &queue_book()->jobs[token];
    job->cancel_asked = true; /* as far as others are told */
    job->keep_short = true;
    if (steer(broker, STEER_DELETE, token) == 1)
        job->fate = FATE_GONE;
}

static struct argument queue_name(char text[16], uint32_t queue)
{
    (void)snprintf(text, 16, "q%u", queue);
    return (struct argument){.data = text, .size = (uint32_t)strlen(text)};
}

static void purge(struct broker *broker, uint32_t queue)
{
    struct queue_book *book = queue_book();
    char text[16];
    for (uint32_t token = 1; token < book->next; token++) {
        struct kept_job *job = &book->jobs[token];
        if (job->queue != queue || (job->final != NOT_FINAL && !job->retried))
            continue;
        job->cancel_asked = true;
        job->keep_short = true;
    }
    uint64_t count;
    struct aw_error error;
    if (broker_purge_queue(broker, queue_name(text, queue), &count, &error) == 0)
        check_may_answer("a PURGE");
}

static void pause_for_a_while(struct broker *broker, uint32_t queue)
{
    char text[16];
    struct aw_error error;
    struct argument name = queue_name(text, queue);
    if (broker_pause(broker, PAUSE_QUEUE, name, true, &error) < 0)
        return;
    check_may_answer("a PAUSE");
    (void)aw_sleep(random_below(&world->random, 60000));
    AW_IGNORE(broker_pause(broker, PAUSE_QUEUE, name, false, &error));
}

void steer_resume_all(struct broker *broker)
{
    for (uint32_t queue = 0; queue < queue_book()->queues; queue++) {
        char text[16];
        struct aw_error error;
        AW_IGNORE(broker_pause(broker, PAUSE_QUEUE, queue_name(text, queue), false, &error));
    }
}

void steer_something(struct broker *broker)
{
    uint64_t draw = random_below(&world->random, 100);
    uint32_t queue = (uint32_t)random_below(&world->random, queue_book()->queues);
    uint32_t token = any_job();
    if (draw < 2)
        purge(broker, queue);
    else if (draw < 6)
        pause_for_a_while(broker, queue);
    else if (token && draw < 45)
        retry(broker, token);
    else if (token && draw < 60)
        delete(broker, token);
    else if (token)
        AW_IGNORE(steer(broker, STEER_PROMOTE, token));
}
