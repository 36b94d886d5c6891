/* worker.c - see worker.h. One thread, one poll(2): two conversations with the daemon, the signals,
 * and what the commands read and write.
 *
 * taking -> draining (a signal, or a refusal: no new jobs) -> done (no job is left).
 * A lost conversation is opened again, for as long as it takes; only a drained worker whose answers
 * nobody takes gives up, after GIVE_UP_MS. */
#include "ctl/worker.h"

#include "ctl/clock.h"
#include "ctl/worker_job.h"
#include "ctl/worker_link.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define GIVE_UP_MS 10000
#define START_PAUSE_MS 1000 /* when no process could be started: for want of memory, say */
#define DESCRIPTORS_FIXED 3
#define DESCRIPTORS_A_JOB 3

struct question { /* sent, its reply to come */
    struct job *job;
    enum { QUESTION_EXTEND, QUESTION_ANSWER } kind;
};

struct worker {
    const struct worker_settings *settings;
    struct job *jobs;
    struct worker_link reservations; /* in RESERVE nearly always */
    bool reserving;
    uint64_t reserve_after_ms;
    struct worker_link words; /* EXTEND, ACK, NACK */
    struct question *questions; /* a ring of at most two a job, in the order sent */
    size_t question_first;
    size_t question_count;
    int signals_fd;
    unsigned signals_seen;
    bool draining;
    bool told_lost;
    uint64_t give_up_at_ms;
    enum exit_code code;
    struct pollfd *descriptors;
};

static void drain(struct worker *worker, enum exit_code code)
{
    if (worker->code == EXIT_OK)
        worker->code = code;
    worker->draining = true;
}

static uint32_t count_jobs(const struct worker *worker, enum job_state state)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < worker->settings->jobs; index++)
        count += worker->jobs[index].state == state ? 1 : 0;
    return count;
}

/* --- conversations ---------------------------------------------------------------------------- */

static void lose(struct worker *worker, struct worker_link *link)
{
    if (link_is_open(link) && !worker->told_lost && !worker->draining) {
        complain(EXIT_UNREACHABLE, "the connection to awaitd was lost; trying again");
        worker->told_lost = true;
    }
    link_lose(link);
    if (link == &worker->reservations) {
        worker->reserving = false;
        return;
    }
    worker->question_count = 0;
    for (uint32_t index = 0; index < worker->settings->jobs; index++) {
        worker->jobs[index].extending = false;
        worker->jobs[index].answering = false;
    }
}

static void reopen(struct worker *worker, struct worker_link *link, uint64_t now_ms)
{
    if (link_is_open(link) || now_ms < link->retry_at_ms || link_open(link) < 0)
        return;
    if (worker->told_lost && link_is_open(&worker->reservations) && link_is_open(&worker->words)) {
        complain(EXIT_OK, "the connection to awaitd is back");
        worker->told_lost = false;
    }
    if (link == &worker->reservations)
        return;
    /* A daemon that was restarted knows no leases: learn it now rather than run in vain. */
    for (uint32_t index = 0; index < worker->settings->jobs; index++)
        worker->jobs[index].extend_at_ms = now_ms;
}

/* --- taking jobs ------------------------------------------------------------------------------ */

static void reserve(struct worker *worker, uint64_t now_ms)
{
    uint32_t free_count = count_jobs(worker, JOB_FREE);
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
        drain(worker, EXIT_USAGE);
}

static bool take_jobs(struct worker *worker, redisReply *reply)
{
    size_t taken = 0;
    if (reply->type != REDIS_REPLY_ARRAY ||
        reply->elements > count_jobs(worker, JOB_FREE))
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

static bool begins_with(const redisReply *reply, const char *word)
{
    return reply->len > strlen(word) && memcmp(reply->str, word, strlen(word)) == 0 &&
           reply->str[strlen(word)] == ' ';
}

/* A refusal that no patience changes ends the worker; else it asks again later. */
static void hear_refusal(struct worker *worker, const redisReply *reply)
{
    static const char *const final_words[] = {"ERR", "NOTARGET", "NOPERM"};
    for (size_t index = 0; index < sizeof final_words / sizeof final_words[0]; index++) {
        if (begins_with(reply, final_words[index])) {
            drain(worker, reply_complain(reply, NULL));
            return;
        }
    }
    lose(worker, &worker->reservations);
}

static void hear_reservation(struct worker *worker, redisReply *reply)
{
    bool expected = worker->reserving;
    worker->reserving = false;
    if (reply->type == REDIS_REPLY_ERROR) {
        hear_refusal(worker, reply);
    } else if (!expected || !take_jobs(worker, reply)) {
        drain(worker, complain(EXIT_REFUSED, "what answers at %s is not awaitd",
                               worker->settings->socket_path));
    }
}

/* --- speaking about them ---------------------------------------------------------------------- */

static void ask(struct worker *worker, struct job *job, int kind, const struct words *words)
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

static void speak(struct worker *worker, struct job *job, uint64_t now_ms)
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
                (begins_with(reply, "CANCELLED") || begins_with(reply, "BADTOKEN") ||
                 begins_with(reply, "NOJOB"));
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

/* False when nothing was asked: the daemon says why it hangs up. */
static bool hear_word(struct worker *worker, const redisReply *reply)
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

/* --- a turn ----------------------------------------------------------------------------------- */

static void listen_to(struct worker *worker, struct worker_link *link, short events)
{
    redisReply *reply = NULL;
    int heard = 0;
    bool good = link_is_open(link) && (events == 0 || link_transfer(link, events) == 0);
    if (!link_is_open(link))
        return;
    /* What has arrived is heard also when the connection is lost: jobs may be among it. */
    while (link_is_open(link) && (heard = link_next(link, &reply)) > 0) {
        if (link == &worker->reservations)
            hear_reservation(worker, reply);
        else if (!hear_word(worker, reply))
            good = false;
        freeReplyObject(reply);
    }
    if (link_is_open(link) && (!good || heard < 0))
        lose(worker, link);
}

static void hear_signals(struct worker *worker)
{
    struct signalfd_siginfo information;
    while (read(worker->signals_fd, &information, sizeof information) ==
           (ssize_t)sizeof information) {
        if (information.ssi_signo == SIGCHLD)
            continue;
        worker->signals_seen++;
        uint32_t running = count_jobs(worker, JOB_RUNNING);
        if (worker->signals_seen == 1 && running > 0)
            complain(EXIT_OK, "takes no more jobs, lets %u finish; once more ends %s", running,
                     running == 1 ? "it" : "them");
        drain(worker, EXIT_OK);
        for (uint32_t index = 0; worker->signals_seen > 1 && index < worker->settings->jobs;
             index++) {
            struct job *job = &worker->jobs[index];
            if (job->state == JOB_RUNNING && job->fate != FATE_TAKEN)
                job_stop(job, FATE_STOPPED, clock_now_ms());
        }
    }
}

/* Jobs that were handed over already are run: their leases count. */
static void stop_reserving(struct worker *worker)
{
    if (!worker->draining || !link_is_open(&worker->reservations))
        return;
    listen_to(worker, &worker->reservations, POLLIN);
    link_close(&worker->reservations);
    worker->reserving = false;
}

static uint64_t prepare(struct worker *worker)
{
    stop_reserving(worker);
    uint64_t now_ms = clock_now_ms();
    uint64_t due_ms = NEVER_MS;
    if (!worker->draining)
        reopen(worker, &worker->reservations, now_ms);
    reopen(worker, &worker->words, now_ms);
    for (uint32_t index = 0; index < worker->settings->jobs; index++) {
        struct job *job = &worker->jobs[index];
        job_collect(job, worker->settings);
        job_tick(job, worker->settings, now_ms);
        speak(worker, job, now_ms);
        uint64_t job_ms = job_due_ms(job);
        due_ms = job_ms < due_ms ? job_ms : due_ms;
    }
    reserve(worker, now_ms);
    const struct worker_link *links[] = {&worker->words, &worker->reservations};
    for (int index = 0; index < (worker->draining ? 1 : 2); index++)
        if (!link_is_open(links[index]) && links[index]->retry_at_ms < due_ms)
            due_ms = links[index]->retry_at_ms;
    if (worker->reserve_after_ms > now_ms && worker->reserve_after_ms < due_ms)
        due_ms = worker->reserve_after_ms;
    return due_ms;
}

static size_t describe(struct worker *worker)
{
    struct pollfd *at = worker->descriptors;
    const struct worker_link *links[] = {&worker->reservations, &worker->words};
    *at++ = (struct pollfd){.fd = worker->signals_fd, .events = POLLIN};
    for (int index = 0; index < 2; index++) {
        bool open = link_is_open(links[index]);
        *at++ = (struct pollfd){.fd = open ? links[index]->connection.context->fd : -1,
                                .events = open ? link_events(links[index]) : 0};
    }
    for (uint32_t index = 0; index < worker->settings->jobs; index++) {
        const struct child *child = &worker->jobs[index].child;
        bool running = worker->jobs[index].state == JOB_RUNNING;
        *at++ = (struct pollfd){.fd = running ? child->input : -1, .events = POLLOUT};
        *at++ = (struct pollfd){.fd = running ? child->output : -1, .events = POLLIN};
        *at++ = (struct pollfd){.fd = running ? child->errors : -1, .events = POLLIN};
    }
    return (size_t)(at - worker->descriptors);
}

/* poll(2)'s timeout until due_ms; waits in pieces when that is far. */
static int patience(uint64_t due_ms)
{
    uint64_t now_ms = clock_now_ms();
    if (due_ms <= now_ms)
        return 0;
    return due_ms - now_ms < 60000 ? (int)(due_ms - now_ms) : 60000;
}

static void serve(struct worker *worker)
{
    const struct pollfd *at = worker->descriptors;
    if (at[0].revents != 0)
        hear_signals(worker);
    for (uint32_t index = 0; index < worker->settings->jobs; index++) {
        const struct pollfd *of_job = &at[DESCRIPTORS_FIXED + index * DESCRIPTORS_A_JOB];
        struct job *job = &worker->jobs[index];
        bool any = of_job[0].revents != 0 || of_job[1].revents != 0 || of_job[2].revents != 0;
        if (any && job->state == JOB_RUNNING)
            child_transfer(&job->child);
    }
    if (at[1].revents != 0)
        listen_to(worker, &worker->reservations, at[1].revents);
    if (at[2].revents != 0)
        listen_to(worker, &worker->words, at[2].revents);
}

/* Whether the worker has nothing more to do. */
static bool finished(struct worker *worker)
{
    if (!worker->draining || count_jobs(worker, JOB_RUNNING) > 0) {
        worker->give_up_at_ms = NEVER_MS;
        return false;
    }
    uint32_t unanswered = count_jobs(worker, JOB_FINISHED);
    if (unanswered == 0)
        return true;
    uint64_t now_ms = clock_now_ms();
    if (worker->give_up_at_ms == NEVER_MS)
        worker->give_up_at_ms = now_ms + GIVE_UP_MS;
    if (now_ms < worker->give_up_at_ms)
        return false;
    worker->code = complain(EXIT_UNREACHABLE, "awaitd at %s did not take the outcome of %u job%s; "
                            "awaitd will hand %s out again", worker->settings->socket_path,
                            unanswered, unanswered == 1 ? "" : "s", unanswered == 1 ? "it" : "them");
    return true;
}

/* --- beginning and end ------------------------------------------------------------------------ */

static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void work(struct worker *worker)
{
    while (true) {
        uint64_t due_ms = prepare(worker);
        if (finished(worker))
            return;
        size_t count = describe(worker);
        if (due_ms > worker->give_up_at_ms)
            due_ms = worker->give_up_at_ms;
        if (poll(worker->descriptors, (nfds_t)count, patience(due_ms)) > 0)
            serve(worker);
    }
}

enum exit_code worker_run(const struct worker_settings *settings)
{
    const struct worker_link closed = {.connection.path = settings->socket_path,
                                       .timeout_ms = settings->connect_timeout_ms};
    size_t descriptors = DESCRIPTORS_FIXED + (size_t)settings->jobs * DESCRIPTORS_A_JOB;
    struct worker worker = {
        .settings = settings,
        .reservations = closed,
        .words = closed,
        .jobs = memory_need(calloc(settings->jobs, sizeof(struct job))),
        .questions = memory_need(calloc((size_t)settings->jobs * 2, sizeof(struct question))),
        .descriptors = memory_need(calloc(descriptors, sizeof(struct pollfd))),
        .signals_fd = open_signals(),
        .give_up_at_ms = NEVER_MS,
    };
    int error = worker.signals_fd < 0 ? -errno : link_open(&worker.reservations);
    if (worker.signals_fd < 0)
        worker.code = complain(EXIT_OUTPUT, "cannot watch signals: %s", strerror(-error));
    else if (error < 0)
        connection_complain(settings->socket_path, error);
    if (error < 0 && worker.code == EXIT_OK)
        worker.code = EXIT_UNREACHABLE;
    if (error == 0)
        work(&worker);
    link_close(&worker.reservations);
    link_close(&worker.words);
    for (uint32_t index = 0; index < settings->jobs; index++)
        job_free(&worker.jobs[index]);
    if (worker.signals_fd >= 0)
        close(worker.signals_fd);
    free(worker.jobs);
    free(worker.questions);
    free(worker.descriptors);
    return worker.code;
}
