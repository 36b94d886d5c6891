/* request.c - see request.h. The handler task lives here. */
#include "server/request.h"

#include "protocol/value.h"
#include "server/command.h"
#include "server/multi.h"
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_KEPT_MAX (64u << 10) /* bytes the server's answer buffer keeps between commands */

/* A command that waits, copied: it outlives the reader's input. */
struct waiting_request {
    const struct command *command;
    uint32_t count;
    struct argument arguments[];
};

static bool has_room(const struct connection *connection)
{
    return output_has_room(connection) && !broker_is_congested(connection->server->broker);
}

int request_wait_room(struct connection *connection)
{
    while (!connection->gone && !connection->closing && !has_room(connection)) {
        int result;
        if (output_has_room(connection)) {
            result = broker_wait_uncongested(connection->server->broker);
        } else {
            aw_event_clear(&connection->changed);
            result = aw_event_wait(&connection->changed);
        }
        if (result < 0)
            return result;
    }
    return 0;
}

static void count_reply(struct connection *connection, const struct command *command,
                        const struct buffer *answer)
{
    if (answer->size > 0 && answer->data[0] == '-')
        command_statistics_of(connection->server, command)->errors++;
}

static void run_waiting(struct connection *connection, const struct command *command,
                        struct argument *arguments, uint32_t count)
{
    struct buffer answer = {0};
    connection->running = command;
    command->execute(connection, arguments, count, &answer);
    connection->running = NULL;
    count_reply(connection, command, &answer);
    output_reply(connection, &answer);
    buffer_free(&answer);
}

static enum request_progress execute(struct connection *connection, bool in_handler, char *data,
                                     size_t size, size_t *ret_used);

/* Adds what the reader has stored to `work`. The reader goes on storing into an empty buffer, so
 * the arguments of a command that suspends do not move. */
static void take_input(struct connection *connection, struct buffer *work)
{
    if (work->size == 0) {
        buffer_free(work);
        *work = connection->input;
        connection->input = (struct buffer){0};
    } else {
        buffer_append(work, connection->input.data, connection->input.size);
        buffer_free(&connection->input);
    }
    if (work->failed)
        connection_drop(connection);
    if (connection->watching)
        connection_notify(connection);
}

static void execute_stored(struct connection *connection, struct buffer *work)
{
    while (!connection->gone && !connection->closing) {
        size_t used;
        enum request_progress progress =
            execute(connection, true, work->data, work->size, &used);
        buffer_consume(work, used);
        if (progress == REQUESTS_STOPPED)
            return;
        if (progress == REQUESTS_NO_ROOM) {
            if (request_wait_room(connection) < 0)
                return connection_close_soon(connection);
        } else if (connection->input.size > 0) {
            take_input(connection, work);
        } else {
            return;
        }
    }
}

/* The handler task. */
static int handle(void *argument)
{
    struct connection *connection = argument;
    struct waiting_request *waiting = connection->waiting;
    connection->waiting = NULL;
    aw_task_set_name(NULL, waiting->command->name);
    run_waiting(connection, waiting->command, waiting->arguments, waiting->count);
    free(waiting);

    struct buffer work = {0};
    execute_stored(connection, &work);
    if (connection->input.size == 0) {
        buffer_free(&connection->input);
        connection->input = work; /* the beginning of a request, or nothing */
        if (work.size == 0)
            buffer_free(&connection->input);
    } else {
        buffer_free(&work); /* closing: nobody will execute it */
    }
    connection->blocked = false;
    if (connection->watching || connection->closing || connection->gone)
        connection_notify(connection);
    return 0;
}

static struct waiting_request *copy_request(const struct command *command,
                                            const struct argument *arguments, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += arguments[i].size;
    struct waiting_request *copy =
        malloc(sizeof *copy + count * sizeof copy->arguments[0] + bytes);
    if (!copy)
        return NULL;
    copy->command = command;
    copy->count = count;
    char *at = (char *)&copy->arguments[count];
    for (uint32_t i = 0; i < count; i++) {
        copy->arguments[i] = arguments[i];
        copy->arguments[i].data = at;
        if (arguments[i].size > 0)
            memcpy(at, arguments[i].data, arguments[i].size);
        at += arguments[i].size;
    }
    return copy;
}

static void start_handler(struct connection *connection, const struct command *command,
                          const struct argument *arguments, uint32_t count)
{
    connection->waiting = copy_request(command, arguments, count);
    int result = connection->waiting ? 0 : -ENOMEM;
    if (result == 0)
        result = aw_group_spawn(&connection->handlers, handle, connection);
    if (result == 0) {
        connection->blocked = true;
        return;
    }
    free(connection->waiting);
    connection->waiting = NULL;
    struct buffer answer = {0};
    value_error(&answer, "UNAVAILABLE", "%s cannot start: %s", command->name,
                aw_error_text(result));
    count_reply(connection, command, &answer);
    output_reply(connection, &answer);
    buffer_free(&answer);
}

static void execute_one(struct connection *connection, bool in_handler)
{
    struct argument *arguments = connection->parser.arguments;
    uint32_t count = connection->parser.argument_count;
    struct server *server = connection->server;
    struct buffer *answer = &server->answer;
    buffer_clear(answer);
    connection->commands++;
    server->statistics.commands_processed++;

    const struct command *named = command_lookup(&arguments[0]); /* also when it is refused */
    command_statistics_of(server, named)->calls++;
    const struct command *command =
        command_find(arguments, count, connection->allowed, answer);
    if (command && connection_only_listens(connection) && !(command->flags & COMMAND_LISTENING)) {
        value_error(answer, "ERR", "Can't execute '%s': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING "
                    "/ QUIT / RESET are allowed in this context", command->name);
        command = NULL;
    }
    if (command)
        connection->last_command = command->name;
    if (connection->multi && !multi_passes(connection, command, answer)) {
        if (command && command->execute == command_submit)
            multi_queue(connection, arguments, count, answer);
        count_reply(connection, named, answer);
        output_reply(connection, answer);
        return;
    }
    if (command && command->flags & COMMAND_WAITS) {
        if (in_handler)
            run_waiting(connection, command, arguments, count);
        else
            start_handler(connection, command, arguments, count);
        return;
    }
    if (command)
        command->execute(connection, arguments, count, answer);
    count_reply(connection, named, answer);
    if (answer->size > 0 || answer->failed)
        output_reply(connection, answer);
    if (answer->capacity > ANSWER_KEPT_MAX)
        buffer_free(answer);
}

static void refuse_rest(struct connection *connection, int result)
{
    struct buffer answer = {0};
    value_error(&answer, "ERR", "%s", result == -EPROTO ? connection->parser.error
                                                        : "out of memory");
    output_reply(connection, &answer);
    buffer_free(&answer);
    connection_close_soon(connection);
}

static enum request_progress execute(struct connection *connection, bool in_handler, char *data,
                                     size_t size, size_t *ret_used)
{
    size_t at = 0;
    enum request_progress progress = REQUESTS_INCOMPLETE;
    while (at < size) {
        if (!has_room(connection)) {
            progress = REQUESTS_NO_ROOM;
            break;
        }
        size_t used;
        int result = request_parse(&connection->parser, data + at, size - at, &used);
        at += used;
        if (result == 0)
            break;
        if (result < 0)
            refuse_rest(connection, result);
        else
            execute_one(connection, in_handler);
        if (connection->closing || connection->gone || (connection->blocked && !in_handler)) {
            progress = REQUESTS_STOPPED;
            break;
        }
    }
    *ret_used = at;
    return progress;
}

enum request_progress request_execute(struct connection *connection, char *data, size_t size,
                                      size_t *ret_used)
{
    return execute(connection, false, data, size, ret_used);
}
