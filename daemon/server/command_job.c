/* command_job.c - JOB, JOBS and CANCEL: looking at jobs and steering them. */
#include "server/command.h"

#include "protocol/name.h"
#include "protocol/number.h"
#include "protocol/value.h"
#include "protocol/word.h"
#include "server/connection.h"
#include "server/job_ids.h"
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 10000

static void answer_failure(int result, struct buffer *reply)
{
    if (result == -ECANCELED || result == -ETIME)
        value_error(reply, "UNAVAILABLE", "awaitd is stopping");
    else
        value_error(reply, "ERR", "the queue cannot be read: %s", aw_error_text(result));
}

void command_job(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct buffer *reply)
{
    struct job_ids ids;
    if (!job_ids_parse(arguments + 1, count - 1, false, &ids, reply))
        return;
    uint64_t id = ids.ids[0];
    free(ids.ids);
    int result = broker_describe(connection->server->broker, id, reply);
    if (result >= 0)
        return;
    buffer_clear(reply);
    if (result == -ENOENT)
        value_error(reply, "NOJOB", "no job %llu", (unsigned long long)id);
    else
        answer_failure(result, reply);
}

void command_cancel(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    struct job_ids ids;
    if (!job_ids_parse(arguments + 1, count - 1, false, &ids, reply))
        return;
    int result = broker_cancel(connection->server->broker, ids.ids, ids.count);
    free(ids.ids);
    if (result >= 0)
        value_integer(reply, result);
    else
        answer_failure(result, reply);
}

/* --- JOBS ------------------------------------------------------------------------------ */

static bool parse_state(const struct argument *word, struct job_filter *filter,
                        struct buffer *reply)
{
    filter->state = job_state_parse(*word);
    if (filter->state >= 0)
        return true;
    char known[160];
    size_t size = 0;
    for (int i = 0; i < JOB_STATES && size < sizeof known; i++)
        size += (size_t)snprintf(known + size, sizeof known - size, " %s",
                                 job_state_name((enum job_state)i));
    value_error(reply, "ERR", "STATE: '%.*s' is no state; known:%s", argument_shown_size(word),
                word->data, known);
    return false;
}

static bool parse_name(const char *option, const struct argument *word, struct argument *ret_name,
                       struct buffer *reply)
{
    const char *reason;
    *ret_name = *word;
    if (name_is_valid(word->data, word->size, &reason))
        return true;
    value_error(reply, "ERR", "%s: '%.*s' %s", option, argument_shown_size(word), word->data,
                reason);
    return false;
}

static bool parse_number(const char *option, const struct argument *word, uint64_t min,
                         uint64_t max, uint64_t *ret_number, struct buffer *reply)
{
    if (number_parse_unsigned(word->data, word->size, min, max, ret_number) == 0)
        return true;
    value_error(reply, "ERR", "%s: '%.*s' is not a number from %llu to %llu", option,
                argument_shown_size(word), word->data, (unsigned long long)min,
                (unsigned long long)max);
    return false;
}

static bool parse_option(const struct argument *option, const struct argument *word,
                         struct job_filter *filter, struct buffer *reply)
{
    static const char *const known[] = {"QUEUE", "STATE", "TARGET", "MATCH",
                                        "LIMIT", "CURSOR", NULL};
    int index = 0;
    while (known[index] && !word_equal(option->data, option->size, known[index]))
        index++;
    if (!known[index]) {
        value_error(reply, "ERR", "JOBS has no option '%.*s'; it takes QUEUE STATE TARGET MATCH "
                    "LIMIT CURSOR", argument_shown_size(option), option->data);
        return false;
    }
    if (!word) {
        value_error(reply, "ERR", "%s needs a value", known[index]);
        return false;
    }
    uint64_t number;
    switch (index) {
    case 0:
        return parse_name("QUEUE", word, &filter->queue, reply);
    case 1:
        return parse_state(word, filter, reply);
    case 2:
        return parse_name("TARGET", word, &filter->target, reply);
    case 3:
        filter->match = *word;
        return true;
    case 4:
        if (!parse_number("LIMIT", word, 1, LIMIT_MAX, &number, reply))
            return false;
        filter->limit = (uint32_t)number;
        return true;
    default:
        return parse_number("CURSOR", word, 0, UINT64_MAX, &filter->cursor, reply);
    }
}

void command_jobs(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    struct job_filter filter = {.state = -1, .limit = LIMIT_DEFAULT};
    for (uint32_t i = 1; i < count; i += 2)
        if (!parse_option(&arguments[i], i + 1 < count ? &arguments[i + 1] : NULL, &filter, reply))
            return;
    int result = broker_list(connection->server->broker, &filter, reply);
    if (result < 0) {
        buffer_clear(reply);
        answer_failure(result, reply);
    }
}
