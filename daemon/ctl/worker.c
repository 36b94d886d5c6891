/* worker.c - see worker.h. One thread, one poll(2): two conversations with the daemon, the signals,
 * and what the commands read and write.
 *
 * taking -> draining (a signal, or a refusal: no new jobs) -> done (no job is left).
 * A lost conversation is opened again, for as long as it takes; only a drained worker whose answers
 * nobody takes gives up, after GIVE_UP_MS. */
#include "ctl/worker_state.h"

#include "ctl/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define GIVE_UP_MS 10000
#define DESCRIPTORS_FIXED 3
#define DESCRIPTORS_A_JOB 3

void worker_drain(struct worker *worker, enum exit_code code)
{
    if (worker->code == EXIT_OK)
        worker->code = code;
    worker->draining = true;
}

uint32_t worker_count(const struct worker *worker, enum job_state state)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < worker->settings->jobs; index++)
        count += worker->jobs[index].state == state ? 1 : 0;
    return count;
}

/* --- conversations ---------------------------------------------------------------------------- */

void worker_lose(struct worker *worker, struct worker_link *link)
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
            worker_hear_reservation(worker, reply);
        else if (!worker_hear_word(worker, reply))
            good = false;
        freeReplyObject(reply);
    }
    if (link_is_open(link) && (!good || heard < 0))
        worker_lose(worker, link);
}

static void hear_signals(struct worker *worker)
{
    struct signalfd_siginfo information;
    while (read(worker->signals_fd, &information, sizeof information) ==
           (ssize_t)sizeof information) {
        if (information.ssi_signo == SIGCHLD)
            continue;
        worker->signals_seen++;
        uint32_t running = worker_count(worker, JOB_RUNNING);
        if (worker->signals_seen == 1 && running > 0)
            complain(EXIT_OK, "takes no more jobs, lets %u finish; once more ends %s", running,
                     running == 1 ? "it" : "them");
        worker_drain(worker, EXIT_OK);
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
        worker_speak(worker, job, now_ms);
        uint64_t job_ms = job_due_ms(job);
        due_ms = job_ms < due_ms ? job_ms : due_ms;
    }
    worker_reserve(worker, now_ms);
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
    if (!worker->draining || worker_count(worker, JOB_RUNNING) > 0) {
        worker->give_up_at_ms = NEVER_MS;
        return false;
    }
    uint32_t unanswered = worker_count(worker, JOB_FINISHED);
    if (unanswered == 0)
        return true;
    uint64_t now_ms = clock_now_ms();
    if (worker->give_up_at_ms == NEVER_MS)
        worker->give_up_at_ms = now_ms + GIVE_UP_MS;
    if (now_ms < worker->give_up_at_ms)
        return false;
    bool one = unanswered == 1;
    worker->code = complain(EXIT_UNREACHABLE,
                            "awaitd at %s did not take the outcome of %u job%s; it will hand %s "
                            "out again", worker->settings->socket_path, unanswered, one ? "" : "s",
                            one ? "it" : "them");
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
        if (worker.jobs[index].state != JOB_FREE)
            job_free(&worker.jobs[index]);
    if (worker.signals_fd >= 0)
        close(worker.signals_fd);
    free(worker.jobs);
    free(worker.questions);
    free(worker.descriptors);
    return worker.code;
}
