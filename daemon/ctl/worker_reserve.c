/* worker_reserve.c - the worker takes jobs: RESERVE, and what comes of it (worker_state.h). */
#include "ctl/worker_state.h"

#include "ctl/clock.h"

#include <errno.h>
#include <string.h>

#define START_PAUSE_MS 1000 /* when no process could be started: for want of memory, say */

void worker_reserve(struct worker *worker, uint64_t now_ms)
{
    uint32_t free_count = worker_count(worker, JOB_FREE);
    if (worker->reserving || worker->draining || free_count == 0 ||
        !link_is_open(&worker->reservations) || now_ms < worker->reserve_after_ms)
        return;
    struct words words = {0};
    words_add(&words, "RESERVE");
    words_add(&words, worker->settings->target);
    words_add(&words, "COUNT");
    words_add_number(&words, free_count);
    words_add(&words, "LEASE");
    words_add_number(&words, worker->settings->lease_ms);
    link_send(&worker->reservations, &words);
    words_free(&words);
    worker->reserving = true;
}

/* An error that is the worker's, not the job's, ends it: else it would spend the attempts of all
 * jobs on a command that is not there. */
static void start(struct worker *worker, struct job *job, redisReply *reserved)
{
    uint64_t now_ms = clock_now_ms();
    int error = job_start(job, worker->settings, reserved, now_ms);
    if (error == 0 || error == -E2BIG)
        return;
    if (error == -EAGAIN || error == -ENOMEM || error == -EMFILE || error == -ENFILE)
        worker->reserve_after_ms = now_ms + START_PAUSE_MS;
    else
        worker_drain(worker, EXIT_USAGE);
}

static bool take_jobs(struct worker *worker, redisReply *reply)
{
    size_t taken = 0;
    if (reply->type != REDIS_REPLY_ARRAY ||
        reply->elements > worker_count(worker, JOB_FREE))
        return false;
    for (size_t index = 0; index < reply->elements; index++)
        if (!job_valid(reply->element[index]))
            return false;
    for (uint32_t index = 0; taken < reply->elements; index++) {
        struct job *job = &worker->jobs[index];
        if (job->state != JOB_FREE)
            continue;
        start(worker, job, reply->element[taken]);
        reply->element[taken++] = NULL;
    }
    return true;
}

bool worker_reply_begins(const redisReply *reply, const char *word)
{
    return reply->len > strlen(word) && memcmp(reply->str, word, strlen(word)) == 0 &&
           reply->str[strlen(word)] == ' ';
}

/* A refusal that no patience changes ends the worker; else it asks again later. */
static void hear_refusal(struct worker *worker, const redisReply *reply)
{
    static const char *const final_words[] = {"ERR", "NOTARGET", "NOPERM"};
    for (size_t index = 0; index < sizeof final_words / sizeof final_words[0]; index++) {
        if (worker_reply_begins(reply, final_words[index])) {
            worker_drain(worker, reply_complain(reply, NULL));
            return;
        }
    }
    worker_lose(worker, &worker->reservations);
}

void worker_hear_reservation(struct worker *worker, redisReply *reply)
{
    bool expected = worker->reserving;
    worker->reserving = false;
    if (reply->type == REDIS_REPLY_ERROR) {
        hear_refusal(worker, reply);
    } else if (!expected || !take_jobs(worker, reply)) {
        worker_drain(worker, complain(EXIT_REFUSED, "what answers at %s is not awaitd",
                               worker->settings->socket_path));
    }
}
