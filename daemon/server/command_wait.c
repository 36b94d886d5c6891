/* command_wait.c - AWAIT, GATHER and RACE: waiting for jobs to finish.
 *
 * The jobs' watches share one event. A handler that is cancelled while it waits (the client has
 * hung up, or awaitd stops) still writes a reply; whether anybody gets it is the connection's to
 * know. */
#include "server/command.h"

#include "protocol/value.h"
#include "server/connection.h"
#include "server/job_ids.h"
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct waiting {
    struct broker *broker;
    struct job_ids ids;
    struct watch *watches;
    struct aw_event event;
    uint64_t deadline_ns;
};

/* False: the error is in `reply` and nothing needs to be ended. */
static bool begin(struct waiting *waiting, struct connection *connection,
                  const struct argument *arguments, uint32_t count, struct buffer *reply)
{
    *waiting = (struct waiting){.broker = connection->server->broker};
    if (!job_ids_parse(arguments + 1, count - 1, true, &waiting->ids, reply))
        return false;
    waiting->deadline_ns =
        waiting->ids.has_timeout ? aw_after_ms(waiting->ids.timeout_ms) : AW_NEVER;
    aw_event_init(&waiting->event);
    waiting->watches = calloc(waiting->ids.count, sizeof *waiting->watches);
    int result = waiting->watches ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < waiting->ids.count && result == 0; i++) {
        waiting->watches[i].id = waiting->ids.ids[i];
        waiting->watches[i].event = &waiting->event;
    }
    if (result == 0)
        result = broker_watch(waiting->broker, waiting->watches, waiting->ids.count);
    if (result == 0)
        return true;
    if (result == -ECANCELED || result == -ETIME)
        value_error(reply, "UNAVAILABLE", "awaitd is stopping");
    else
        value_error(reply, "ERR", "cannot look for the jobs: %s", aw_error_text(result));
    free(waiting->watches);
    free(waiting->ids.ids);
    return false;
}

static void end(struct waiting *waiting)
{
    broker_unwatch(waiting->broker, waiting->watches, waiting->ids.count);
    free(waiting->watches);
    free(waiting->ids.ids);
}

/* Waits for the next job to finish. 0, -ETIME (TIMEOUT is over), -ECANCELED. */
static int wait_for_change(struct waiting *waiting)
{
    if (waiting->ids.has_timeout && waiting->ids.timeout_ms == 0)
        return -ETIME;
    struct aw_scope scope;
    aw_scope_enter(&scope, waiting->deadline_ns);
    aw_event_clear(&waiting->event);
    int result = aw_event_wait(&waiting->event);
    aw_scope_leave(&scope);
    return result;
}

static void answer_unfinished(const struct waiting *waiting, const char *which, int result,
                              struct buffer *reply)
{
    if (result == -ETIME)
        value_error(reply, "TIMEOUT", "%s not finished within %llu ms", which,
                    (unsigned long long)waiting->ids.timeout_ms);
    else
        value_error(reply, "UNAVAILABLE", "awaitd is stopping");
}

/* The reply for one job; `result` says why the waiting ended if it has not finished. */
static void answer(const struct waiting *waiting, const struct watch *watch, int result,
                   struct buffer *reply)
{
    unsigned long long id = watch->id;
    char text[64];
    if (!watch->known) {
        value_error(reply, "NOJOB", "no job %llu", id);
    } else if (!watch->finished) {
        snprintf(text, sizeof text, "job %llu has", id);
        answer_unfinished(waiting, text, result, reply);
    } else if (watch->state == JOB_DONE) {
        if (watch->result.size > 0)
            buffer_append(reply, watch->result.data, watch->result.size);
        else
            value_simple(reply,
                         "OK"); /* KEEP 0 or the time is over: finished well is all we know */
    } else if (watch->state == JOB_CANCELLED) {
        value_error(reply, "CANCELLED", "job %llu was cancelled", id);
    } else if (watch->state == JOB_UNCERTAIN) {
        value_error(reply, "UNCERTAIN", "job %llu may have taken effect: %s %s", id, watch->code,
                    watch->message);
    } else if (watch->code[0]) {
        value_error(reply, "FAILED", "%s %s", watch->code, watch->message);
    } else {
        value_error(reply, "FAILED", "%s", watch->message);
    }
}

void command_await(struct connection *connection, struct argument *arguments, uint32_t count,
                   struct buffer *reply)
{
    struct waiting waiting;
    if (!begin(&waiting, connection, arguments, count, reply))
        return;
    if (waiting.ids.count > 1) {
        value_error(reply, "ERR", "AWAIT takes one job id and [TIMEOUT ms]; GATHER takes several");
    } else {
        int result = 0;
        const struct watch *watch = &waiting.watches[0];
        while (watch->known && !watch->finished && result == 0)
            result = wait_for_change(&waiting);
        answer(&waiting, watch, result, reply);
    }
    end(&waiting);
}

void command_gather(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    struct waiting waiting;
    if (!begin(&waiting, connection, arguments, count, reply))
        return;
    int result = 0;
    for (uint32_t i = 0; i < waiting.ids.count && result == 0; i++)
        while (waiting.watches[i].known && !waiting.watches[i].finished && result == 0)
            result = wait_for_change(&waiting);
    value_array(reply, waiting.ids.count);
    for (uint32_t i = 0; i < waiting.ids.count && reply->size <= OUTPUT_MAX_BYTES; i++)
        answer(&waiting, &waiting.watches[i], result, reply);
    if (reply->size > OUTPUT_MAX_BYTES) {
        buffer_clear(reply);
        value_error(reply, "ERR", "the results are larger than 256 MiB together; ask for fewer");
    }
    end(&waiting);
}

/* The first that is unknown, else the first that has finished, else NULL. */
static const struct watch *find_winner(const struct waiting *waiting)
{
    const struct watch *finished = NULL;
    for (uint32_t i = 0; i < waiting->ids.count; i++) {
        const struct watch *watch = &waiting->watches[i];
        if (!watch->known)
            return watch;
        if (watch->finished && !finished)
            finished = watch;
    }
    return finished;
}

void command_race(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    struct waiting waiting;
    if (!begin(&waiting, connection, arguments, count, reply))
        return;
    int result = 0;
    const struct watch *winner;
    while (winner = find_winner(&waiting), !winner && result == 0)
        result = wait_for_change(&waiting);
    if (!winner) {
        answer_unfinished(&waiting, "none of the jobs has", result, reply);
    } else {
        if (winner->known) {
            value_array(reply, 2);
            value_bulk_number(reply, winner->id);
        }
        answer(&waiting, winner, result, reply);
    }
    end(&waiting);
}
