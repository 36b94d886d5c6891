/* command_queue.c - QUEUES, QUEUE, TARGETS and TARGET: seeing and steering them. */
#include "server/command.h"

#include "protocol/name.h"
#include "protocol/value.h"
#include "protocol/word.h"
#include "server/connection.h"
#include "server/server.h"

#include <errno.h>

static bool is_word(const struct argument *argument, const char *word)
{
    return word_equal(argument->data, argument->size, word);
}

static void answer_failure(int result, const struct aw_error *error, struct buffer *reply)
{
    buffer_clear(reply);
    if (error->code[0])
        value_error(reply, error->code, "%s", error->message);
    else if (result == -ECANCELED || result == -ETIME)
        value_error(reply, "UNAVAILABLE", "awaitd is stopping");
    else
        value_error(reply, "ERR", "%s", aw_error_text(result));
}

static bool may_steer(const struct connection *connection, const char *command,
                      const struct argument *action, struct buffer *reply)
{
    if (connection->allowed & ALLOW_ADMIN)
        return true;
    char text[40];
    command_rights_text(connection->allowed, text);
    value_error(reply, "NOPERM", "this socket does not allow %s %.*s (allowed: %s)", command,
                argument_shown_size(action), action->data, text);
    return false;
}

static bool check_name(const struct argument *name, const char *what, struct buffer *reply)
{
    const char *reason;
    if (name_is_valid(name->data, name->size, &reason))
        return true;
    value_error(reply, "ERR", "the %s's name '%.*s' %s", what, argument_shown_size(name),
                name->data, reason);
    return false;
}

static void pause_named(struct connection *connection, enum pause_kind kind,
                        const struct argument *name, bool pause, struct buffer *reply)
{
    struct aw_error error = {0};
    int result = broker_pause(connection->server->broker, kind, *name, pause, &error);
    if (result < 0)
        answer_failure(result, &error, reply);
    else
        value_simple(reply, "OK");
}

static void purge(struct connection *connection, const struct argument *name,
                  struct buffer *reply)
{
    struct aw_error error = {0};
    uint64_t count;
    int result = broker_purge_queue(connection->server->broker, *name, &count, &error);
    if (result < 0)
        answer_failure(result, &error, reply);
    else
        value_integer(reply, (int64_t)count);
}

void command_queues(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    (void)arguments;
    (void)count;
    broker_list_queues(connection->server->broker, reply);
}

void command_targets(struct connection *connection, struct argument *arguments, uint32_t count,
                     struct buffer *reply)
{
    (void)arguments;
    (void)count;
    broker_list_targets(connection->server->broker, reply);
}

void command_queue(struct connection *connection, struct argument *arguments, uint32_t count,
                   struct buffer *reply)
{
    const struct argument *action = &arguments[1];
    const struct argument *name = &arguments[2];
    struct aw_error error = {0};
    bool pause = is_word(action, "PAUSE");
    bool is_purge = is_word(action, "PURGE");
    (void)count;
    if (is_word(action, "STATS")) {
        int result =
            broker_queue_statistics(connection->server->broker, *name, reply, &error);
        if (result < 0)
            answer_failure(result, &error, reply);
    } else if (!pause && !is_purge && !is_word(action, "RESUME")) {
        value_error(reply, "ERR", "QUEUE takes PAUSE, RESUME, PURGE or STATS and a queue, not "
                    "'%.*s'", argument_shown_size(action), action->data);
    } else if (may_steer(connection, "QUEUE", action, reply) &&
               check_name(name, "queue", reply)) {
        if (is_purge)
            purge(connection, name, reply);
        else
            pause_named(connection, PAUSE_QUEUE, name, pause, reply);
    }
}

/* TARGET INIT <target> [SQL] */
static void prepare_target(struct connection *connection, const struct argument *arguments,
                           uint32_t count, struct buffer *reply)
{
    struct target *target = NULL;
    struct aw_error error = {0};
    if (count == 4 && !is_word(&arguments[3], "SQL")) {
        value_error(reply, "ERR", "TARGET INIT takes a target and perhaps SQL, not '%.*s'",
                    argument_shown_size(&arguments[3]), arguments[3].data);
        return;
    }
    int result = broker_find_target(connection->server->broker, arguments[2], &target, &error);
    if (result < 0) {
        answer_failure(result, &error, reply);
        return;
    }
    const char *sql = target->type->preparation ? target->type->preparation(target) : NULL;
    if (!sql)
        value_error(reply, "ERR", "target %s needs nothing to be made: only exactly-once on "
                    "postgres does", target->settings.name);
    else if (count == 4)
        value_bulk_text(reply, sql);
    else if ((result = target->type->prepare(target, &error)) == 0)
        value_simple(reply, "OK");
    else if (result == -ECANCELED || result == -ETIME)
        answer_failure(result, &(struct aw_error){0}, reply);
    else
        value_error(reply, result == -ENOTCONN ? "UNAVAILABLE" : "ERR", "target %s: %s",
                    target->settings.name, error.message);
}

void command_target(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    const struct argument *action = &arguments[1];
    const struct argument *name = &arguments[2];
    struct aw_error error = {0};
    bool pause = is_word(action, "PAUSE");
    if (count > 3 && !is_word(action, "INIT")) {
        value_error(reply, "ERR", "wrong number of arguments for TARGET %.*s",
                    argument_shown_size(action), action->data);
    } else if (is_word(action, "STATS")) {
        int result =
            broker_target_statistics(connection->server->broker, *name, reply, &error);
        if (result < 0)
            answer_failure(result, &error, reply);
    } else if (is_word(action, "INIT")) {
        if (may_steer(connection, "TARGET", action, reply))
            prepare_target(connection, arguments, count, reply);
    } else if (!pause && !is_word(action, "RESUME")) {
        value_error(reply, "ERR",
                    "TARGET takes PAUSE, RESUME, STATS or INIT and a target, not '%.*s'",
                    argument_shown_size(action), action->data);
    } else if (may_steer(connection, "TARGET", action, reply)) {
        pause_named(connection, PAUSE_TARGET, name, pause, reply);
    }
}
