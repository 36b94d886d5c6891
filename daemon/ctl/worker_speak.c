/* worker_speak.c - the worker speaks about its jobs: EXTEND, ACK, NACK, and what the daemon says to
 * that (worker_state.h). */
#include "ctl/worker_state.h"

#include "ctl/clock.h"

static void ask(struct worker *worker, struct job *job, enum question_kind kind,
                const struct words *words)
{
    size_t capacity = (size_t)worker->settings->jobs * 2;
    size_t last = (worker->question_first + worker->question_count++) % capacity;
    worker->questions[last].job = job;
    worker->questions[last].kind = kind;
    link_send(&worker->words, words);
}

static void extend(struct worker *worker, struct job *job)
{
    struct words words = {0};
    words_add(&words, "EXTEND");
    words_add_bytes(&words, job->reserved->element[0]->str, job->reserved->element[0]->len);
    words_add_bytes(&words, job->reserved->element[1]->str, job->reserved->element[1]->len);
    words_add_number(&words, worker->settings->lease_ms);
    ask(worker, job, QUESTION_EXTEND, &words);
    words_free(&words);
    job->extending = true;
}

void worker_speak(struct worker *worker, struct job *job, uint64_t now_ms)
{
    if (!link_is_open(&worker->words))
        return;
    if (job->state == JOB_RUNNING && job->fate != FATE_TAKEN && !job->extending &&
        now_ms >= job->extend_at_ms)
        extend(worker, job);
    if (job->state == JOB_FINISHED && !job->answering) {
        ask(worker, job, QUESTION_ANSWER, &job->answer);
        job->answering = true;
    }
}

static void hear_extension(struct worker *worker, struct job *job, const redisReply *reply)
{
    uint64_t now_ms = clock_now_ms();
    job->extending = false;
    job_plan_extension(job, worker->settings, now_ms);
    bool gone = reply->type == REDIS_REPLY_ERROR &&
                (worker_reply_begins(reply, "CANCELLED") ||
                 worker_reply_begins(reply, "BADTOKEN") || worker_reply_begins(reply, "NOJOB"));
    if (!gone || job->state != JOB_RUNNING)
        return;
    complain(EXIT_FAILED, "job %s: ending its command: %.*s", job_id(job), (int)reply->len,
             reply->str);
    job_stop(job, FATE_TAKEN, now_ms);
}

static void hear_answer(struct job *job, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        complain(EXIT_FAILED, "job %s: its %s was not taken: %.*s", job_id(job),
                 job->answer.data[0], (int)reply->len, reply->str);
    job_free(job);
}

bool worker_hear_word(struct worker *worker, const redisReply *reply)
{
    size_t capacity = (size_t)worker->settings->jobs * 2;
    if (worker->question_count == 0)
        return false;
    struct question question = worker->questions[worker->question_first];
    worker->question_first = (worker->question_first + 1) % capacity;
    worker->question_count--;
    if (question.kind == QUESTION_EXTEND)
        hear_extension(worker, question.job, reply);
    else
        hear_answer(question.job, reply);
    return true;
}
