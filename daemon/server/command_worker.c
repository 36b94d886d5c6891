/* command_worker.c - RESERVE, ACK, NACK, EXTEND and PROGRESS. */
#include "server/command.h"

#include "protocol/name.h"
#include "protocol/number.h"
#include "protocol/submit_options.h"
#include "protocol/value.h"
#include "protocol/word.h"
#include "server/access.h"
#include "server/connection.h"
#include "server/server.h"
#include "targets/target_worker.h"

#include <errno.h>

static bool is_word(const struct argument *argument, const char *word)
{
    return word_equal(argument->data, argument->size, word);
}

/* The number behind the option at arguments[*index]; moves *index behind it. */
static bool take_number(const struct argument *arguments, uint32_t count, uint32_t *index,
                        const char *option, uint64_t least, uint64_t most, uint64_t *ret_number,
                        struct buffer *reply)
{
    uint32_t at = *index + 1;
    *index += 2;
    if (at < count && number_parse_unsigned(arguments[at].data, arguments[at].size, least, most,
                                            ret_number) == 0)
        return true;
    value_error(reply, "ERR", "%s needs a number from %llu to %llu", option,
                (unsigned long long)least, (unsigned long long)most);
    return false;
}

static void answer(int result, const struct aw_error *error, struct buffer *reply)
{
    if (result >= 0)
        return;
    if (error->code[0])
        value_error(reply, error->code, "%s", error->message);
    else if (result == -ECANCELED || result == -ETIME)
        value_error(reply, "UNAVAILABLE", "awaitd is stopping");
    else
        value_error(reply, "ERR", "%s", aw_error_text(result));
}

/* --- RESERVE --------------------------------------------------------------------------- */

static bool is_reserve_option(const struct argument *argument)
{
    return is_word(argument, "COUNT") || is_word(argument, "TIMEOUT") ||
           is_word(argument, "LEASE");
}

static bool parse_reserve(const struct argument *arguments, uint32_t count,
                          struct reserve_request *request, struct buffer *reply)
{
    uint32_t index = 1;
    while (index < count && !is_reserve_option(&arguments[index]))
        index++;
    *request = (struct reserve_request){.targets = arguments + 1,
                                        .target_count = index - 1,
                                        .count = 1,
                                        .lease_ms = LEASE_DEFAULT_MS,
                                        .deadline_ns = AW_NEVER};
    if (request->target_count == 0 || request->target_count > RESERVE_TARGETS_MAX) {
        value_error(reply, "ERR", "RESERVE takes 1 to %u targets before its options",
                    RESERVE_TARGETS_MAX);
        return false;
    }
    while (index < count) {
        const struct argument *option = &arguments[index];
        uint64_t number = 0;
        bool good = false;
        if (is_word(option, "COUNT")) {
            good = take_number(arguments, count, &index, "COUNT", 1, RESERVE_COUNT_MAX, &number,
                               reply);
            request->count = (uint32_t)number;
        } else if (is_word(option, "TIMEOUT")) {
            good = take_number(arguments, count, &index, "TIMEOUT", 0, DURATION_MAX_MS, &number,
                               reply);
            request->deadline_ns = aw_after_ms(number);
        } else if (is_word(option, "LEASE")) {
            good = take_number(arguments, count, &index, "LEASE", 1, LEASE_MAX_MS, &number, reply);
            request->lease_ms = number;
        } else {
            value_error(reply, "ERR", "RESERVE does not know '%.*s'; targets come first, then "
                                      "COUNT n, TIMEOUT ms, LEASE ms",
                        argument_shown_size(option), option->data);
        }
        if (!good)
            return false;
    }
    return true;
}

void command_reserve(struct connection *connection, struct argument *arguments, uint32_t count,
                     struct buffer *reply)
{
    struct reserve_request request;
    struct aw_error error = {0};
    if (!parse_reserve(arguments, count, &request, reply))
        return;
    int result = 0;
    for (uint32_t i = 0; i < request.target_count && result == 0; i++)
        result = access_check(connection, &request.targets[i], &error);
    if (result == 0)
        result = broker_reserve(connection->server->broker, &request, reply, &error);
    answer(result, &error, reply);
}

/* --- what workers say ------------------------------------------------------------------ */

static bool parse_lease(const struct argument *arguments, struct worker_word *word,
                        struct buffer *reply)
{
    const struct argument *id = &arguments[1];
    const struct argument *token = &arguments[2];
    if (number_parse_unsigned(id->data, id->size, 1, UINT64_MAX, &word->id) < 0) {
        value_error(reply, "ERR", "'%.*s' is not a job id", argument_shown_size(id), id->data);
        return false;
    }
    if (number_parse_unsigned(token->data, token->size, 0, UINT64_MAX, &word->token) < 0) {
        value_error(reply, "BADTOKEN", "'%.*s' is not a token", argument_shown_size(token),
                    token->data);
        return false;
    }
    return true;
}

static void say(struct connection *connection, const struct worker_word *word,
                struct buffer *reply)
{
    struct aw_error error = {0};
    int result = broker_worker_says(connection->server->broker, word, &error);
    if (result == 0)
        value_simple(reply, "OK");
    else
        answer(result, &error, reply);
}

void command_ack(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct buffer *reply)
{
    struct worker_word word = {.kind = WORKER_ACK, .text = count > 3 ? &arguments[3] : NULL};
    if (parse_lease(arguments, &word, reply))
        say(connection, &word, reply);
}

void command_nack(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    struct worker_word word = {.kind = WORKER_NACK};
    if (!parse_lease(arguments, &word, reply))
        return;
    for (uint32_t index = 3; index < count;) {
        if (is_word(&arguments[index], "DELAY")) {
            word.has_delay = true;
            if (!take_number(arguments, count, &index, "DELAY", 0, DURATION_MAX_MS, &word.number,
                             reply))
                return;
        } else if (is_word(&arguments[index], "ERROR") && index + 1 < count) {
            word.text = &arguments[index + 1];
            index += 2;
        } else {
            value_error(reply, "ERR", "NACK takes <id> <token> [DELAY ms] [ERROR text]");
            return;
        }
    }
    say(connection, &word, reply);
}

void command_extend(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    struct worker_word word = {.kind = WORKER_EXTEND};
    uint32_t index = 2;
    if (parse_lease(arguments, &word, reply) &&
        take_number(arguments, count, &index, "EXTEND", 1, LEASE_MAX_MS, &word.number, reply))
        say(connection, &word, reply);
}

void command_progress(struct connection *connection, struct argument *arguments, uint32_t count,
                      struct buffer *reply)
{
    struct worker_word word = {.kind = WORKER_PROGRESS, .text = count > 4 ? &arguments[4] : NULL};
    uint32_t index = 2;
    if (parse_lease(arguments, &word, reply) &&
        take_number(arguments, count, &index, "PROGRESS", 0, 100, &word.number, reply))
        say(connection, &word, reply);
}
