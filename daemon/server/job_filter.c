/* job_filter.c - see job_filter.h. */
#include "server/job_filter.h"

#include "protocol/name.h"
#include "protocol/number.h"
#include "protocol/value.h"
#include "protocol/word.h"
#include "server/command.h"

#include <errno.h>
#include <stdio.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 10000
#define BULK_LIMIT_MAX INT64_MAX

void job_failure_answer(int result, struct buffer *reply)
{
    if (result == -ECANCELED || result == -ETIME)
        value_error(reply, "UNAVAILABLE", "awaitd is stopping");
    else if (result == -ENOSPC)
        value_error(reply, "FULL", "the disk that holds the queue is full; nothing was changed");
    else
        value_error(reply, "ERR", "the queue cannot be read: %s", aw_error_text(result));
}

static bool parse_state(const struct argument *word, struct job_filter *filter,
                        struct buffer *reply)
{
    int state = job_state_parse(*word);
    if (state >= 0) {
        filter->states = 1u << state;
        return true;
    }
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

static bool parse_cursor(const struct argument *word, struct job_filter *filter,
                         struct buffer *reply)
{
    if (walk_position_parse(*word, &filter->cursor))
        return true;
    value_error(reply, "ERR", "CURSOR: '%.*s' is not one that JOBS has given",
                argument_shown_size(word), word->data);
    return false;
}

static bool parse_option(enum job_filter_kind kind, const char *command,
                         const struct argument *option, const struct argument *word,
                         struct job_filter *filter, struct buffer *reply)
{
    static const char *const known[] = {"QUEUE", "STATE", "TARGET", "MATCH",
                                        "LIMIT", "CURSOR", NULL};
    bool list = kind == JOB_FILTER_LIST;
    int index = 0;
    while (known[index] && !word_equal(option->data, option->size, known[index]))
        index++;
    if (!known[index] || (index == 5 && !list)) {
        value_error(reply, "ERR", "%s has no option '%.*s'; it takes QUEUE STATE TARGET MATCH "
                    "LIMIT%s", command, argument_shown_size(option), option->data,
                    list ? " CURSOR" : "");
        return false;
    }
    if (!word) {
        value_error(reply, "ERR", "%s needs a value", known[index]);
        return false;
    }
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
        return parse_number("LIMIT", word, 1, list ? LIMIT_MAX : BULK_LIMIT_MAX, &filter->limit,
                            reply);
    default:
        return parse_cursor(word, filter, reply);
    }
}

bool job_filter_parse(enum job_filter_kind kind, const char *command,
                      const struct argument *arguments, uint32_t count,
                      struct job_filter *ret_filter, struct buffer *reply)
{
    struct job_filter filter = {.limit = kind == JOB_FILTER_LIST ? LIMIT_DEFAULT : UINT64_MAX};
    for (uint32_t i = 0; i < count; i += 2)
        if (!parse_option(kind, command, &arguments[i], i + 1 < count ? &arguments[i + 1] : NULL,
                          &filter, reply))
            return false;
    if (kind == JOB_FILTER_BULK && !filter.queue.data && !filter.target.data &&
        !filter.match.data && !filter.states) {
        value_error(reply, "ERR", "%s needs at least one of QUEUE STATE TARGET MATCH", command);
        return false;
    }
    *ret_filter = filter;
    return true;
}
